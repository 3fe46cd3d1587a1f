use serde_json::{Value, json};

use super::*;
use crate::chat::{
    Cache, Content, Delta, Finish, Format, Message, Part, Reply, Role, Settings, Source, ToolCall,
    ToolChoice, ToolSpec,
};
use crate::error::Code;
use crate::provider::testing::{self, asked};

const OPENAI: &str = "https://api.openai.com/v1";
const LOCAL: &str = "http://localhost:11434/v1";

fn sent(base_url: &str, request: &Request) -> Value {
    serde_json::from_slice(&try_sent(base_url, request).unwrap().body).unwrap()
}

fn try_sent(base_url: &str, request: &Request) -> Result<Outgoing> {
    let headers = vec![("Authorization".to_owned(), "Bearer k".to_owned())];
    OpenAi.chat(&Endpoint { base_url: base_url.into(), headers, kind: "" }, request)
}

fn message_sent(message: Message) -> Value {
    sent(OPENAI, &asked(vec![message], Settings::default()))["messages"][0].clone()
}

/// The reply, and all deltas together.
fn answered(parts: &[&str]) -> (Result<()>, Reply, Delta) {
    testing::answered(&OpenAi, parts.iter().map(|part| part.as_bytes()))
}

fn streamed(chunks: &[Value]) -> Reply {
    let (result, reply, _) = answered(&[&testing::events(chunks)]);
    result.unwrap();
    reply
}

fn chunk(delta: Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn last(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

fn calls(items: Value) -> Value {
    chunk(json!({ "tool_calls": items }))
}

fn called(reply: &Reply) -> Vec<(&str, &str, &str)> {
    reply
        .tool_calls
        .iter()
        .map(|c| (c.id.as_str(), c.name.as_str(), c.arguments_json.as_str()))
        .collect()
}

#[test]
fn a_plain_question_has_no_superfluous_member() {
    let request = asked(vec![Message::new(Role::User, "hi")], Settings::default());
    let outgoing = try_sent(OPENAI, &request).unwrap();
    assert_eq!(outgoing.url, "https://api.openai.com/v1/chat/completions");
    assert_eq!(outgoing.method, "POST");
    assert_eq!(outgoing.headers[0].1, "Bearer k");
    assert_eq!(
        sent(OPENAI, &request),
        json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]})
    );
}

#[test]
fn a_query_in_the_base_stays_behind_the_path() {
    let azure = "https://x.openai.azure.com/openai/deployments/d?api-version=1";
    let outgoing = try_sent(azure, &asked(Vec::new(), Settings::default())).unwrap();
    assert!(outgoing.url.ends_with("/deployments/d/chat/completions?api-version=1"));
}

#[test]
fn every_setting_is_sent_under_the_name_the_server_knows() {
    let settings = Settings {
        temperature: Some(0.5),
        top_p: Some(0.9),
        max_tokens: Some(10),
        stop: vec!["a".into()],
        seed: Some(7),
        presence_penalty: Some(0.1),
        frequency_penalty: Some(0.2),
        reasoning: Some("low".into()),
        ..Settings::default()
    };
    let common = json!({
        "model": "m", "messages": [], "temperature": 0.5, "top_p": 0.9, "stop": ["a"],
        "presence_penalty": 0.1, "frequency_penalty": 0.2, "reasoning_effort": "low",
    });
    for (base, tokens, seed) in [
        (OPENAI, "max_completion_tokens", "seed"),
        (LOCAL, "max_tokens", "seed"),
        ("https://api.mistral.ai/v1", "max_tokens", "random_seed"),
    ] {
        let mut expected = common.clone();
        expected[tokens] = json!(10);
        expected[seed] = json!(7);
        assert_eq!(sent(base, &asked(Vec::new(), settings.clone())), expected, "{base}");
    }
}

#[test]
fn top_k_is_refused_where_it_is_not_offered() {
    let request = asked(Vec::new(), Settings { top_k: Some(3), ..Settings::default() });
    assert_eq!(try_sent(OPENAI, &request).unwrap_err().code(), Code::Unsupported);
    assert_eq!(sent(LOCAL, &request)["top_k"], 3);
}

#[test]
fn extra_members_win_and_null_takes_out() {
    let extra = json!({"temperature": 1, "stream_options": null, "user": "u"});
    let settings = Settings {
        temperature: Some(0.1),
        extra: extra.as_object().unwrap().clone(),
        ..Settings::default()
    };
    let mut request = asked(Vec::new(), settings);
    request.stream = true;
    assert_eq!(
        sent(LOCAL, &request),
        json!({"model": "m", "messages": [], "temperature": 1, "stream": true, "user": "u"})
    );
}

#[test]
fn a_stream_asks_for_usage() {
    let mut request = asked(Vec::new(), Settings::default());
    request.stream = true;
    assert_eq!(sent(OPENAI, &request)["stream_options"], json!({"include_usage": true}));
    assert_eq!(sent("https://api.mistral.ai/v1", &request).get("stream_options"), None);
}

#[test]
fn messages_of_every_role_have_their_form() {
    let mut user = Message::new(Role::User, "");
    user.name = Some("bo".into());
    user.content = Content::Parts(vec![
        Part::Text("see".into()),
        Part::Image { source: Source::bytes(b"\x89PNG".to_vec(), None), detail: None },
        Part::Image { source: Source::url("https://x/y.png"), detail: Some("low".into()) },
        Part::Document { source: Source::bytes(b"words".to_vec(), None), name: None },
        Part::Cache(Cache::default()),
        Part::Other(json!({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}})),
    ]);
    assert_eq!(
        message_sent(user),
        json!({"role": "user", "name": "bo", "content": [
            {"type": "text", "text": "see"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
            {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
            {"type": "file", "file": {"filename": "document", "file_data": "data:text/plain;base64,d29yZHM="}},
            {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
        ]})
    );
    let mut assistant = Message::new(Role::Assistant, "");
    let call = |arguments: &str| ToolCall {
        id: "c1".into(),
        name: "f".into(),
        arguments_json: arguments.into(),
        whole: false,
    };
    assistant.tool_calls = vec![call("{\"a\":1}"), call(" "), call("{broken")];
    let arguments = |value: &Value| -> Vec<String> {
        let calls = value["tool_calls"].as_array().unwrap();
        calls.iter().map(|c| c["function"]["arguments"].as_str().unwrap().to_owned()).collect()
    };
    let at_openai = message_sent(assistant.clone());
    assert_eq!(at_openai["content"], Value::Null);
    assert_eq!(at_openai["tool_calls"][0]["type"], "function");
    assert_eq!(arguments(&at_openai), ["{\"a\":1}", "{}", "{broken"]);
    let elsewhere = sent(LOCAL, &asked(vec![assistant], Settings::default()));
    assert_eq!(arguments(&elsewhere["messages"][0])[2], "{\"invalid_json\":\"{broken\"}");
    assert_eq!(
        message_sent(Message::tool_result("c1", "21")),
        json!({"role": "tool", "content": "21", "tool_call_id": "c1"})
    );
}

#[test]
fn what_a_message_cannot_hold_is_named() {
    let mut message = Message::new(Role::Assistant, "");
    message.content =
        Content::Parts(vec![Part::Image { source: Source::url("https://x"), detail: None }]);
    let error = try_sent(OPENAI, &asked(vec![message], Settings::default())).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported);
    assert!(error.message().starts_with("messages[1]: an image"), "{error}");
    let nameless = Message::new(Role::Tool, "x");
    assert!(try_sent(OPENAI, &asked(vec![nameless], Settings::default())).is_err());
}

#[test]
fn tools_are_wrapped_and_their_empty_tables_right() {
    let tool =
        |parameters: Value| ToolSpec { name: "f".into(), description: String::new(), parameters };
    let mut request = asked(Vec::new(), Settings::default());
    request.settings.tool_choice = Some(ToolChoice::Named("f".into()));
    request.settings.parallel_tool_calls = Some(false);
    assert_eq!(sent(OPENAI, &request).get("tool_choice"), None, "not without tools");
    let lua = json!({"type": "object", "properties": {"a": {"enum": {}}}, "required": {}});
    request.tools = vec![tool(json!({})), tool(lua)];
    let body = sent(OPENAI, &request);
    assert_eq!(
        body["tools"][0],
        json!({"type": "function", "function": {
            "name": "f", "parameters": {"type": "object", "properties": {}}}})
    );
    let parameters = &body["tools"][1]["function"]["parameters"];
    assert_eq!(parameters["required"], json!([]));
    assert_eq!(parameters["properties"]["a"]["enum"], json!([]));
    assert_eq!(body["tool_choice"], json!({"type": "function", "function": {"name": "f"}}));
    assert_eq!(body["parallel_tool_calls"], false);
    for (choice, word) in
        [(ToolChoice::Auto, "auto"), (ToolChoice::None, "none"), (ToolChoice::Required, "required")]
    {
        request.settings.tool_choice = Some(choice);
        assert_eq!(sent(OPENAI, &request)["tool_choice"], word);
    }
}

#[test]
fn a_format_is_strict_where_its_schema_can_be_sealed() {
    let format = |format| {
        let settings = Settings { format: Some(format), ..Settings::default() };
        sent(OPENAI, &asked(Vec::new(), settings))["response_format"].clone()
    };
    assert_eq!(format(Format::Json), json!({"type": "json_object"}));
    let schema = |schema| Format::Schema { name: "my plan".into(), schema };
    let sealed = format(schema(json!({"type": "object", "properties": {"a": {"type": "null"}}})));
    assert_eq!(sealed["json_schema"]["name"], "my_plan");
    assert_eq!(sealed["json_schema"]["strict"], true);
    assert_eq!(sealed["json_schema"]["schema"]["required"], json!(["a"]));
    let open = format(schema(json!({"type": "object"})));
    assert_eq!(
        open["json_schema"],
        json!({"name": "my_plan", "schema": {"type": "object"}, "strict": false})
    );
}

#[test]
fn text_thinking_and_usage_are_collected() {
    let reply = streamed(&[
        json!({"id": "r1", "model": "m1", "created": 5,
               "choices": [{"delta": {"role": "assistant", "content": null}}]}),
        chunk(json!({"reasoning_content": "hm"})),
        chunk(json!({"content": "Hel"})),
        chunk(json!({"content": "lo"})),
        last("stop"),
        json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2,
            "total_tokens": 9, "prompt_tokens_details": {"cached_tokens": 1}}}),
    ]);
    assert_eq!((reply.content.as_str(), reply.thinking.as_str()), ("Hello", "hm"));
    assert_eq!((reply.id.as_deref(), reply.model.as_deref()), (Some("r1"), Some("m1")));
    assert_eq!(reply.created, Some(5.0));
    assert_eq!(reply.finish, Some(Finish::Stop));
    let usage = reply.usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens()), (3, 2, 9));
    assert_eq!(usage.cached_tokens, Some(1));
    assert_eq!(reply.blocks, None, "a plain answer has nothing to give back");
}

#[test]
fn fragments_find_their_call_by_index_id_or_position() {
    let function = |name: Value, arguments: Value| json!({"name": name, "arguments": arguments});
    let by_index = streamed(&[
        calls(json!([{"index": 0, "id": "a", "function": function(json!("f"), json!(""))}])),
        calls(json!([{"index": 1, "id": "b", "function": function(json!("g"), json!("{"))}])),
        calls(json!([{"index": 0, "function": {"arguments": "{\"x\":"}},
                     {"index": 1, "function": {"arguments": "}"}}])),
        calls(json!([{"index": 0, "function": {"name": null, "arguments": "1}"}}])),
        last("tool_calls"),
    ]);
    assert_eq!(called(&by_index), [("a", "f", "{\"x\":1}"), ("b", "g", "{}")]);
    let by_id = streamed(&[
        calls(json!([{"id": "a", "function": function(json!("f"), json!("{"))}])),
        calls(json!([{"id": "b", "function": function(json!("g"), json!("{}"))}])),
        calls(json!([{"id": "a", "function": function(json!("f"), json!("}"))}])),
        last("stop"),
    ]);
    assert_eq!(called(&by_id), [("a", "f", "{}"), ("b", "g", "{}")]);
    assert_eq!(by_id.finish, Some(Finish::ToolCalls), "whatever the server says");
    let by_position = streamed(&[
        calls(json!([{"function": function(json!("f"), json!({"x": 1}))}])),
        calls(json!([{"function": function(json!("g"), json!("{\"y\""))}])),
        calls(json!([{"function": {"arguments": ":2}"}}])),
        last("stop"),
    ]);
    assert_eq!(called(&by_position), [("call_1", "f", "{\"x\":1}"), ("call_2", "g", "{\"y\":2}")]);
    let all_zero = streamed(&[
        calls(json!([{"index": 0, "id": "a", "function": function(json!("f"), json!("{}"))}])),
        calls(json!([{"index": 0, "id": "b", "function": function(json!("f"), json!("{}"))}])),
        last("stop"),
    ]);
    assert_eq!(called(&all_zero), [("a", "f", "{}"), ("b", "f", "{}")]);
}

#[test]
fn what_a_server_repeats_counts_once() {
    let whole =
        json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\":1}"}}]);
    let reply = streamed(&[calls(whole.clone()), calls(whole), last("tool_calls")]);
    assert_eq!(called(&reply), [("a", "f", "{\"x\":1}")]);
}

#[test]
fn deltas_add_up_to_the_reply() {
    let text = [
        chunk(json!({"content": "a", "reasoning": "t"})),
        calls(json!([{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}])),
        calls(json!([{"index": 0, "function": {"arguments": "}"}}])),
        last("tool_calls"),
    ];
    let text: String = text.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect();
    let parts: Vec<_> = text.split_inclusive('e').collect();
    let (result, reply, delta) = answered(&parts);
    result.unwrap();
    assert_eq!((&delta.content, &delta.thinking), (&reply.content, &reply.thinking));
    let call = &delta.tool_calls[0];
    assert_eq!((call.id.as_deref(), call.name.as_deref()), (Some("c"), Some("f")));
    assert_eq!(call.arguments, "{}");
    assert_eq!(delta.tool_calls.len(), 1);
}

#[test]
fn what_must_come_back_comes_back() {
    let reply = streamed(&[
        chunk(json!({"reasoning_content": "think"})),
        calls(json!([{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"},
                      "extra_content": {"google": {"thought_signature": "s"}}}])),
        last("tool_calls"),
    ]);
    let mut message = Message::new(Role::Assistant, reply.content);
    (message.tool_calls, message.blocks) = (reply.tool_calls, reply.blocks);
    assert_eq!(message_sent(message.clone()).get("reasoning_content"), None, "OpenAI refuses it");
    let sent = sent(LOCAL, &asked(vec![message], Settings::default()))["messages"][0].clone();
    assert_eq!(sent["reasoning_content"], "think");
    assert_eq!(sent["tool_calls"][0]["extra_content"]["google"]["thought_signature"], "s");
}

#[test]
fn a_refusal_is_a_filtered_answer_with_its_words() {
    let reply = streamed(&[chunk(json!({"refusal": "I can't"})), last("stop")]);
    assert_eq!((reply.content.as_str(), reply.finish), ("I can't", Some(Finish::ContentFilter)));
}

#[test]
fn the_end_of_the_stream_needs_a_word_before_it() {
    let start = format!("data: {}\n\n", chunk(json!({"content": "par"})));
    let (result, reply, _) = answered(&[&start]);
    let error = result.unwrap_err();
    assert_eq!((error.code(), error.retryable()), (Code::Network, true));
    assert!(error.message().contains("the stream ended early"));
    assert_eq!(reply.content, "par");
    for end in ["data: [DONE]\n\n".into(), "data: [DONE]".into(), format!("data: {}", last("stop"))]
    {
        assert!(answered(&[&start, &end]).0.is_ok(), "{end}");
    }
    assert_eq!(answered(&[]).0.unwrap_err().code(), Code::Network);
    assert_eq!(answered(&["{\"choices\":["]).0.unwrap_err().code(), Code::Network);
}

#[test]
fn errors_inside_an_answer_keep_what_came_before() {
    let start = format!("data: {}\n\n", chunk(json!({"content": "par"})));
    for (frame, code) in [
        ("data: {\"error\":{\"message\":\"x\",\"code\":503}}\n\n", Code::Overloaded),
        (
            "event: error\ndata: {\"message\":\"x\",\"type\":\"invalid_request_error\"}\n\n",
            Code::BadRequest,
        ),
        ("error: {\"code\":500,\"message\":\"x\"}\n\n", Code::ServerError),
        ("error: broken pipe\n\n", Code::ServerError),
        (
            "data: {\"choices\":[{\"error\":{\"code\":429,\"message\":\"x\"}}]}\n\n",
            Code::RateLimited,
        ),
        ("data: {nonsense}\n\n", Code::BadResponse),
    ] {
        let (result, reply, _) = answered(&[&start, frame]);
        assert_eq!(result.unwrap_err().code(), code, "{frame}");
        assert_eq!(reply.content, "par");
    }
}

#[test]
fn a_document_is_read_like_a_stream() {
    let document = json!({
        "id": "r", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": null,
            "tool_calls": [{"function": {"name": "f", "arguments": "[]"}},
                           {"function": {"name": "g", "arguments": null}}]}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    });
    let (result, reply, delta) = answered(&[" \n", &document.to_string()]);
    result.unwrap();
    assert_eq!(called(&reply), [("call_1", "f", "[]"), ("call_2", "g", "")]);
    assert_eq!(reply.tool_calls[0].arguments(), Some(json!({})));
    assert_eq!(reply.raw, Some(document));
    assert_eq!(delta.tool_calls.len(), 2);
}

#[test]
fn answers_of_other_kinds_are_named() {
    for (body, code, text) in [
        ("<html><title>Login</title></html>", Code::BadResponse, "the answer is no JSON: Login"),
        ("Welcome", Code::BadResponse, "the answer is no JSON: Welcome"),
        ("{\"ok\":true}", Code::BadResponse, "the answer has no choices: {\"ok\":true}"),
        ("{\"error\":\"no\"}", Code::ServerError, "no"),
        ("[1]", Code::BadResponse, "the answer has no choices: [1]"),
    ] {
        let error = answered(&[body]).0.unwrap_err();
        assert_eq!((error.code(), error.message()), (code, text));
    }
}

#[test]
fn models_are_listed_with_the_length_of_their_context() {
    let body = json!({"object": "list", "data": [
        {"id": "b", "object": "model", "owned_by": "o", "created": 3, "context_window": 8000,
         "max_completion_tokens": 100},
        {"id": "a", "meta": {"n_ctx_train": 4096}, "name": "A"},
        {"object": "model"},
    ]});
    let models = OpenAi.read_models(body.to_string().as_bytes()).unwrap().models;
    let a =
        Model { id: "a".into(), name: "A".into(), context_length: Some(4096), ..Model::default() };
    let b = Model {
        id: "b".into(),
        name: "b".into(),
        owned_by: Some("o".into()),
        created: Some(3.0),
        context_length: Some(8000),
        max_output_tokens: Some(100),
    };
    assert_eq!(models, [b, a]);
    assert!(OpenAi.read_models(b"<html>").is_err());
    assert!(OpenAi.read_models(b"{}").is_err());
}

#[test]
fn hosts_are_told_apart() {
    for (url, kind, server) in [
        (OPENAI, "openai", "openai"),
        ("https://eu.api.openai.com/v1", "openai", "openai"),
        ("https://r.openai.azure.com/openai/deployments/x?api-version=1", "openai", "azure"),
        ("https://api.mistral.ai/v1", "openai", "mistral"),
        ("https://openai.com.evil.example/v1", "openai", "compatible"),
        ("http://user:pw@127.0.0.1:8080/v1", "local", "compatible"),
        ("http://127.0.0.1:8080/v1", "mistral", "mistral"),
        ("http://box:1234/v1", "local", "lmstudio"),
        (LOCAL, "local", "ollama"),
        ("https://api.x.ai/v1", "openai", "xai"),
    ] {
        assert_eq!(Server::at(url, kind).name, server, "{url}");
    }
}

#[test]
fn structured_output_is_asked_for_as_the_server_knows_it() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "null"}}});
    let sent = |base: &str, format| {
        let settings = Settings { format: Some(format), ..Settings::default() };
        sent(base, &asked(vec![Message::new(Role::User, "q")], settings))
    };
    let format = Format::Schema { name: "n".into(), schema };
    let deepseek = sent("https://api.deepseek.com/v1", format.clone());
    assert_eq!(deepseek["response_format"], json!({"type": "json_object"}));
    assert_eq!(deepseek["messages"][0]["role"], "system");
    assert!(deepseek["messages"][0]["content"].as_str().unwrap().contains("JSON Schema"));
    let studio = sent("http://localhost:1234/v1", Format::Json);
    assert_eq!(studio["response_format"]["json_schema"]["schema"], json!({"type": "object"}));
    assert_eq!(sent(OPENAI, format)["messages"].as_array().unwrap().len(), 1);
}

#[test]
fn what_a_server_would_drop_is_refused() {
    let mut request = asked(Vec::new(), Settings::default());
    let parameters = json!({});
    request.tools = vec![ToolSpec { name: "f".into(), description: String::new(), parameters }];
    request.settings.tool_choice = Some(ToolChoice::Required);
    assert_eq!(try_sent(LOCAL, &request).unwrap_err().code(), Code::Unsupported);
    assert!(try_sent("http://127.0.0.1:8080/v1", &request).is_ok());
    request.settings.tool_choice = Some(ToolChoice::Auto);
    assert!(try_sent(LOCAL, &request).is_ok());
}

#[test]
fn cache_marks_are_passed_on_by_who_knows_them() {
    let mut user = Message::new(Role::User, "");
    let hour = Cache { ttl: Some("1h".into()) };
    user.content = Content::Parts(vec![Part::Text("a".into()), Part::Cache(hour)]);
    let request = asked(vec![user], Settings::default());
    let marked = sent("https://openrouter.ai/api/v1", &request);
    assert_eq!(
        marked["messages"][0]["content"][0]["cache_control"],
        json!({"type": "ephemeral", "ttl": "1h"})
    );
    assert_eq!(try_sent(OPENAI, &request).unwrap_err().code(), Code::Unsupported);
}
