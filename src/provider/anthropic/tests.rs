use serde_json::{Value, json};

use super::*;
use crate::chat::{
    Cache, Content, Finish, Format, Message, Part, Reply, Role, Settings, Source, ToolCall,
    ToolChoice, ToolSpec,
};
use crate::error::Code;
use crate::provider::testing::{self, Tested, named_events as events};

const ANTHROPIC: Tested = Tested {
    wire: &Anthropic,
    base: "https://api.anthropic.com",
    url: "https://api.anthropic.com/v1/messages",
};

fn asked(messages: Vec<Message>, settings: Settings) -> Request {
    Request { model: "claude-sonnet-4-5".into(), ..testing::asked(messages, settings) }
}

fn messages_sent(messages: Vec<Message>) -> Value {
    ANTHROPIC.sent(&asked(messages, Settings::default()))["messages"].clone()
}

fn start(index: u32, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn grown(index: u32, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn stop(index: u32) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn head() -> Value {
    json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude-x", "content": [],
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2, "output_tokens": 1}}})
}

fn last(reason: &str) -> [Value; 2] {
    [
        json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 7}}),
        json!({"type": "message_stop"}),
    ]
}

fn thought_and_called() -> Vec<Value> {
    let mut all = vec![
        head(),
        start(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        json!({"type": "ping"}),
        grown(0, json!({"type": "thinking_delta", "thinking": "let me "})),
        grown(0, json!({"type": "thinking_delta", "thinking": "see"})),
        grown(0, json!({"type": "signature_delta", "signature": "sig"})),
        stop(0),
        start(1, json!({"type": "redacted_thinking", "data": "xx"})),
        stop(1),
        start(2, json!({"type": "text", "text": ""})),
        grown(2, json!({"type": "text_delta", "text": "Looking."})),
        stop(2),
        start(3, json!({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}})),
        grown(3, json!({"type": "input_json_delta", "partial_json": ""})),
        grown(3, json!({"type": "input_json_delta", "partial_json": "{\"city\":"})),
        grown(3, json!({"type": "input_json_delta", "partial_json": "\"Rome\"}"})),
        stop(3),
        start(4, json!({"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}})),
        grown(4, json!({"type": "input_json_delta", "partial_json": ""})),
        stop(4),
    ];
    all.extend(last("tool_use"));
    all
}

fn call(id: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.into(), name: "f".into(), arguments_json: arguments.into(), whole: false }
}

fn assistant(reply: &Reply) -> Message {
    let mut message = Message::new(Role::Assistant, reply.content.as_str());
    message.tool_calls = reply.tool_calls.clone();
    message.blocks = reply.blocks.clone();
    message
}

#[test]
fn a_plain_question_has_what_is_required_and_no_more() {
    let request = asked(vec![Message::new(Role::User, "hi")], Settings::default());
    assert_eq!(
        ANTHROPIC.sent(&request),
        json!({"model": "claude-sonnet-4-5", "max_tokens": 64000,
               "messages": [{"role": "user", "content": "hi"}]})
    );
    let other = Request { model: "glm-4.6".into(), ..request };
    assert_eq!(ANTHROPIC.sent(&other)["max_tokens"], 8192);
}

#[test]
fn a_base_may_end_with_the_version() {
    for base in ["https://h/x", "https://h/x/v1", "https://h/x/v1/messages/"] {
        let endpoint = Endpoint { base_url: base.into(), ..Endpoint::default() };
        let outgoing = Anthropic.chat(&endpoint, &asked(Vec::new(), Settings::default())).unwrap();
        assert_eq!(outgoing.url, "https://h/x/v1/messages");
        assert_eq!(Anthropic.models(&endpoint, None).url, "https://h/x/v1/models?limit=1000");
    }
}

#[test]
fn every_setting_is_sent_or_refused() {
    let settings = Settings {
        temperature: Some(0.5),
        top_p: Some(0.9),
        top_k: Some(5),
        max_tokens: Some(4000),
        stop: vec!["a".into()],
        reasoning: Some("medium".into()),
        prompt_cache: Some(Cache { ttl: Some("1h".into()) }),
        extra: json!({"metadata": {"user_id": "u"}}).as_object().unwrap().clone(),
        ..Settings::default()
    };
    let mut request = asked(Vec::new(), settings);
    request.stream = true;
    assert_eq!(
        ANTHROPIC.sent(&request),
        json!({"model": "claude-sonnet-4-5", "max_tokens": 4000, "messages": [],
            "temperature": 0.5, "top_p": 0.9, "top_k": 5, "stop_sequences": ["a"],
            "thinking": {"type": "enabled", "budget_tokens": 2000},
            "cache_control": {"type": "ephemeral", "ttl": "1h"}, "stream": true,
            "metadata": {"user_id": "u"}})
    );
    for (name, settings) in [
        ("seed", Settings { seed: Some(1), ..Settings::default() }),
        ("presence_penalty", Settings { presence_penalty: Some(0.0), ..Settings::default() }),
        ("frequency_penalty", Settings { frequency_penalty: Some(0.0), ..Settings::default() }),
        ("temperature", Settings { temperature: Some(1.5), ..Settings::default() }),
    ] {
        ANTHROPIC.refuses(&asked(Vec::new(), settings), name);
    }
}

#[test]
fn reasoning_is_said_as_the_model_knows_it() {
    let sent = |model: &str, effort: &str, max_tokens| {
        let settings =
            Settings { reasoning: Some(effort.into()), max_tokens, ..Settings::default() };
        ANTHROPIC.try_sent(&Request { model: model.into(), ..asked(Vec::new(), settings) })
    };
    let body = sent("claude-opus-4-7", "low", None).unwrap();
    assert_eq!(
        (&body["thinking"], &body["output_config"]),
        (&json!({"type": "adaptive"}), &json!({"effort": "low"}))
    );
    let body = sent("claude-opus-4-7", "none", None).unwrap();
    assert_eq!(body["thinking"], json!({"type": "disabled"}));
    assert_eq!(sent("claude-3-5-haiku-latest", "none", None).unwrap().get("thinking"), None);
    assert_eq!(sent("claude-3-5-haiku-latest", "low", None).unwrap_err().code(), Code::Unsupported);
    assert_eq!(
        sent("claude-sonnet-4-5", "high", Some(1024)).unwrap_err().code(),
        Code::Unsupported
    );
    let least = sent("claude-sonnet-4-5", "high", Some(1500)).unwrap();
    assert_eq!(least["thinking"]["budget_tokens"], 1024);
}

#[test]
fn system_messages_stand_apart_and_marks_sit_on_blocks() {
    let mut marked = Message::new(Role::System, "");
    marked.content = Content::Parts(vec![Part::Text("b".into()), Part::Cache(Cache::default())]);
    let user = Message::new(Role::User, "q");
    let system = |messages| ANTHROPIC.sent(&asked(messages, Settings::default()))["system"].clone();
    assert_eq!(system(vec![Message::new(Role::System, "a"), user.clone()]), "a");
    assert_eq!(
        system(vec![Message::new(Role::System, "a"), user, marked]),
        json!([{"type": "text", "text": "a"},
               {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}])
    );
}

#[test]
fn results_of_one_turn_are_one_user_message_before_its_text() {
    let mut wanted = Message::new(Role::Assistant, "");
    wanted.tool_calls = vec![call("a.1", "{\"x\":1}"), call("b", ""), call("c", "{broken")];
    let mut last = Message::tool_result("c", "");
    last.content = Content::Parts(vec![
        Part::Image { source: Source::bytes(b"GIF8".to_vec(), None), detail: None },
        Part::Cache(Cache::default()),
    ]);
    let sent = messages_sent(vec![
        Message::new(Role::User, "q"),
        wanted,
        Message::tool_result("a.1", "1"),
        Message::tool_result("b", ""),
        last,
        Message::new(Role::User, "and?"),
    ]);
    assert_eq!(
        sent,
        json!([
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "a_1", "name": "f", "input": {"x": 1}},
                {"type": "tool_use", "id": "b", "name": "f", "input": {}},
                {"type": "tool_use", "id": "c", "name": "f", "input": {"invalid_json": "{broken"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a_1", "content": "1"},
                {"type": "tool_result", "tool_use_id": "b"},
                {"type": "tool_result", "tool_use_id": "c", "cache_control": {"type": "ephemeral"},
                 "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "R0lGOA=="}}]},
                {"type": "text", "text": "and?"}]},
        ])
    );
}

#[test]
fn files_are_sources() {
    let mut user = Message::new(Role::User, "");
    let document = |source| Part::Document { source, name: Some("n".into()) };
    user.content = Content::Parts(vec![
        Part::Image { source: Source::url("https://x/y.png"), detail: None },
        Part::Image { source: Source::url("data:image/png;base64,iVBORw=="), detail: None },
        document(Source::bytes(b"%PDF-1".to_vec(), None)),
        document(Source::bytes(b"words".to_vec(), None)),
        Part::Other(json!({"type": "search_result", "title": "t"})),
    ]);
    let source = |value| json!({"type": "document", "source": value, "title": "n"});
    assert_eq!(
        messages_sent(vec![user])[0]["content"],
        json!([
            {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}},
            source(json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"})),
            source(json!({"type": "text", "media_type": "text/plain", "data": "words"})),
            {"type": "search_result", "title": "t"},
        ])
    );
}

#[test]
fn what_a_message_cannot_hold_is_named() {
    let mut named = Message::new(Role::User, "x");
    named.name = Some("bo".into());
    let mut drawn = Message::new(Role::Assistant, "");
    let image = Part::Image { source: Source::url("https://x"), detail: None };
    drawn.content = Content::Parts(vec![image]);
    for message in [named, drawn] {
        let error = ANTHROPIC.try_sent(&asked(vec![message], Settings::default())).unwrap_err();
        assert_eq!(error.code(), Code::Unsupported);
        assert!(error.message().starts_with("messages[1]: "), "{error}");
    }
}

#[test]
fn tools_and_their_choice_have_their_form() {
    let mut request = asked(Vec::new(), Settings::default());
    request.settings.parallel_tool_calls = Some(false);
    assert_eq!(ANTHROPIC.sent(&request).get("tool_choice"), None, "not without tools");
    let parameters = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    request.tools = vec![ToolSpec {
        name: "f".into(),
        description: "d".into(),
        parameters: parameters.clone(),
    }];
    assert_eq!(
        ANTHROPIC.sent(&request)["tools"],
        json!([{"name": "f", "description": "d", "input_schema": parameters}])
    );
    for (choice, form) in [
        (None, json!({"type": "auto", "disable_parallel_tool_use": true})),
        (Some(ToolChoice::Required), json!({"type": "any", "disable_parallel_tool_use": true})),
        (Some(ToolChoice::None), json!({"type": "none"})),
        (
            Some(ToolChoice::Named("f".into())),
            json!({"type": "tool", "name": "f", "disable_parallel_tool_use": true}),
        ),
    ] {
        request.settings.tool_choice = choice;
        assert_eq!(ANTHROPIC.sent(&request)["tool_choice"], form);
    }
}

#[test]
fn a_schema_is_enforced_where_it_can_be_and_described_elsewhere() {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]});
    let sent = |model: &str, format| {
        let settings = Settings { format: Some(format), ..Settings::default() };
        ANTHROPIC.sent(&Request { model: model.into(), ..asked(Vec::new(), settings) })
    };
    let format = |schema: &Value| Format::Schema { name: "x".into(), schema: schema.clone() };
    let enforced = sent("claude-sonnet-4-5", format(&schema));
    assert_eq!(
        enforced["output_config"]["format"],
        json!({"type": "json_schema", "schema": {"type": "object", "properties": {"n": {"type": "integer"}},
            "required": ["n"], "additionalProperties": false}})
    );
    assert_eq!(enforced.get("system"), None);
    for (model, format) in [
        ("claude-3-5-haiku-latest", format(&schema)),
        ("claude-sonnet-4-5", format(&json!({"type": "object"}))),
        ("claude-sonnet-4-5", Format::Json),
    ] {
        let told = sent(model, format);
        assert_eq!(told.get("output_config"), None);
        assert!(told["system"].as_str().unwrap().contains("JSON"), "{told}");
    }
}

#[test]
fn thinking_text_and_calls_are_told_apart() {
    let (result, reply, delta) = ANTHROPIC.answered(&events(&thought_and_called()));
    result.unwrap();
    assert_eq!((reply.id.as_deref(), reply.model.as_deref()), (Some("msg_1"), Some("claude-x")));
    assert_eq!((reply.content.as_str(), reply.thinking.as_str()), ("Looking.", "let me see"));
    assert_eq!((&delta.content, &delta.thinking), (&reply.content, &reply.thinking));
    let calls: Vec<_> =
        reply.tool_calls.iter().map(|c| (c.id.as_str(), c.arguments().unwrap())).collect();
    assert_eq!(calls, [("toolu_1", json!({"city": "Rome"})), ("toolu_2", json!({}))]);
    assert_eq!(delta.tool_calls.len(), 2);
    assert_eq!(
        (reply.finish, reply.native_finish.as_deref()),
        (Some(Finish::ToolCalls), Some("tool_use"))
    );
    let usage = reply.usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (10, 7));
    assert_eq!((usage.cached_tokens, usage.cache_write_tokens), (Some(3), Some(2)));
}

#[test]
fn an_answer_goes_back_as_it_came() {
    let (_, reply, _) = ANTHROPIC.answered(&events(&thought_and_called()));
    let back = messages_sent(vec![assistant(&reply)])[0]["content"].clone();
    let thought = json!([{"type": "thinking", "thinking": "let me see", "signature": "sig"},
                         {"type": "redacted_thinking", "data": "xx"}]);
    assert_eq!(&back.as_array().unwrap()[..2], thought.as_array().unwrap().as_slice());
    assert_eq!(
        &back.as_array().unwrap()[2..],
        json!([{"type": "text", "text": "Looking."},
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}},
            {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}}])
        .as_array()
        .unwrap()
        .as_slice()
    );
    let mut changed = assistant(&reply);
    changed.content = Content::Text("***".into());
    changed.tool_calls.pop();
    let back = messages_sent(vec![changed])[0]["content"].clone();
    assert_eq!(back[0], thought[0]);
    assert_eq!(back[2], json!({"type": "text", "text": "***"}));
    assert_eq!(back.as_array().unwrap().len(), 4);
    let elsewhere =
        Message { blocks: Some(json!({"chat": {"reasoning_content": "x"}})), ..assistant(&reply) };
    assert_eq!(messages_sent(vec![elsewhere])[0]["content"].as_array().unwrap().len(), 3);
}

#[test]
fn a_plain_answer_keeps_nothing_and_special_blocks_stay() {
    let mut plain = vec![
        head(),
        start(0, json!({"type": "text", "text": "a"})),
        grown(0, json!({"type": "text_delta", "text": "b"})),
        stop(0),
    ];
    plain.extend(last("end_turn"));
    let (_, reply, _) = ANTHROPIC.answered(&events(&plain));
    assert_eq!((reply.content.as_str(), reply.blocks), ("ab", None));
    let mut cited = vec![
        head(),
        start(0, json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})),
        grown(0, json!({"type": "input_json_delta", "partial_json": "{\"query\":\"x\"}"})),
        stop(0),
        start(1, json!({"type": "compaction", "content": null})),
        grown(1, json!({"type": "compaction_delta", "content": "short"})),
        stop(1),
        start(2, json!({"citations": [], "type": "text", "text": ""})),
        grown(2, json!({"type": "text_delta", "text": "c"})),
        grown(2, json!({"type": "citations_delta", "citation": {"url": "u"}})),
        stop(2),
    ];
    cited.extend(last("pause_turn"));
    let (_, reply, _) = ANTHROPIC.answered(&events(&cited));
    assert_eq!((reply.finish, reply.tool_calls.len()), (Some(Finish::Pause), 0));
    assert_eq!(
        reply.blocks.unwrap()["messages"],
        json!([{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
            {"type": "compaction", "content": "short"},
            {"citations": [{"url": "u"}], "type": "text", "text": "c"}])
    );
}

#[test]
fn a_document_is_read_like_a_stream() {
    let (result, reply, delta) = ANTHROPIC.answered(
        &json!({"type": "message", "id": "m", "stop_reason": "max_tokens", "content": [
            {"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "text", "text": "a"},
            {"type": "tool_use", "id": "i", "name": "n", "input": {"b": 1}}, {"type": "tool_use", "id": "j", "name": "n", "input": {}}],
            "usage": {"input_tokens": 1, "output_tokens": 2, "output_tokens_details": {"thinking_tokens": 1}}})
        .to_string(),
    );
    result.unwrap();
    assert_eq!((reply.content.as_str(), reply.thinking.as_str()), ("a", "t"));
    assert_eq!(reply.tool_calls[0].arguments_json, "{\"b\":1}");
    assert_eq!(reply.tool_calls[1].arguments(), Some(json!({})));
    assert_eq!(delta.tool_calls.len(), 2);
    assert_eq!(
        (reply.finish, reply.usage.unwrap().reasoning_tokens),
        (Some(Finish::Length), Some(1))
    );
    assert_eq!(reply.blocks.unwrap()["messages"].as_array().unwrap().len(), 4);
}

#[test]
fn errors_and_cuts_keep_what_came() {
    let begun = events(&[
        head(),
        start(0, json!({"type": "text", "text": ""})),
        grown(0, json!({"type": "text_delta", "text": "par"})),
    ]);
    let failed = |kind: &str| {
        let error = json!({"type": "error", "error": {"type": kind, "message": "x"}, "request_id": "req_9"});
        ANTHROPIC.answered(&format!("{begun}{}", events(&[error])))
    };
    for (kind, code) in [
        ("overloaded_error", Code::Overloaded),
        ("rate_limit_error", Code::RateLimited),
        ("api_error", Code::ServerError),
        ("invalid_request_error", Code::BadRequest),
        ("authentication_error", Code::Auth),
    ] {
        let (result, reply, _) = failed(kind);
        let error = result.unwrap_err();
        assert_eq!((error.code(), reply.content.as_str()), (code, "par"));
        assert_eq!(error.fields().request_id.as_deref(), Some("req_9"));
    }
    let (result, reply, _) = ANTHROPIC.answered(&begun);
    assert_eq!((result.unwrap_err().code(), reply.content.as_str()), (Code::Network, "par"));
    for (body, code) in [
        ("{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}", Code::Overloaded),
        ("{\"id\":1}", Code::BadResponse),
        ("<html>", Code::BadResponse),
        ("{\"type\":", Code::Network),
    ] {
        assert_eq!(ANTHROPIC.answered(body).0.unwrap_err().code(), code, "{body}");
    }
}

#[test]
fn models_tell_their_size() {
    let body = json!({"data": [{"type": "model", "id": "claude-b", "display_name": "B", "created_at": "1970-01-02T00:00:00Z",
        "max_input_tokens": 200000, "max_tokens": 64000}, {"id": "claude-a"}], "has_more": false});
    let models = Anthropic.read_models(body.to_string().as_bytes()).unwrap().models;
    assert_eq!(models[1].name, "claude-a");
    assert_eq!(
        (models[0].name.as_str(), models[0].created, models[0].max_output_tokens),
        ("B", Some(86400.0), Some(64000))
    );
}
