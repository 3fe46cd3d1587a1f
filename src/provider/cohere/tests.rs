use serde_json::{Value, json};

use super::*;
use crate::chat::{
    Content, Finish, Format, Message, Part, Role, Settings, Source, ToolCall, ToolChoice, ToolSpec,
};
use crate::error::Code;
use crate::provider::testing::{Tested, asked, events};

const COHERE: Tested = Tested {
    wire: &Cohere,
    base: "https://api.cohere.com/v2/",
    url: "https://api.cohere.com/v2/chat",
};

fn piece(kind: &str, index: u32, message: Value) -> Value {
    json!({"type": kind, "index": index, "delta": {"message": message}})
}

fn end(reason: &str) -> Value {
    json!({"type": "message-end", "delta": {"finish_reason": reason, "usage": {
        "billed_units": {"input_tokens": 1.0, "output_tokens": 1.0},
        "tokens": {"input_tokens": 10.0, "output_tokens": 5.0}, "cached_tokens": 4}}})
}

fn planned() -> Vec<Value> {
    let call = |index, call| piece("tool-call-start", index, json!({"tool_calls": call}));
    let more = |index, arguments: &str| {
        piece(
            "tool-call-delta",
            index,
            json!({"tool_calls": {"function": {"arguments": arguments}}}),
        )
    };
    vec![
        json!({"type": "message-start", "id": "id1", "delta": {"message": {"role": "assistant"}}}),
        piece("content-start", 0, json!({"content": {"type": "thinking", "thinking": ""}})),
        piece("content-delta", 0, json!({"content": {"thinking": "hm. "}})),
        piece("tool-plan-delta", 0, json!({"tool_plan": "I will "})),
        piece("tool-plan-delta", 0, json!({"tool_plan": "look"})),
        call(0, json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}})),
        more(0, "{\"x\":"),
        more(0, "1}"),
        call(1, json!({"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}})),
        end("TOOL_CALL"),
    ]
}

#[test]
fn every_setting_is_sent_or_refused() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "null"}}, "required": {}});
    let settings = Settings {
        temperature: Some(0.5),
        top_p: Some(0.9),
        top_k: Some(3),
        max_tokens: Some(9),
        stop: vec!["x".into()],
        seed: Some(7),
        presence_penalty: Some(0.1),
        frequency_penalty: Some(0.2),
        reasoning: Some("low".into()),
        tool_choice: Some(ToolChoice::Required),
        parallel_tool_calls: Some(true),
        format: Some(Format::Schema { name: "n".into(), schema }),
        ..Settings::default()
    };
    let tool = ToolSpec { name: "f".into(), description: "d".into(), parameters: json!({}) };
    let request = Request { tools: vec![tool], stream: true, ..asked(Vec::new(), settings) };
    assert_eq!(
        COHERE.sent(&request),
        json!({"model": "m", "messages": [], "temperature": 0.5, "p": 0.9, "k": 3, "max_tokens": 9,
            "stop_sequences": ["x"], "seed": 7, "presence_penalty": 0.1, "frequency_penalty": 0.2,
            "thinking": {"type": "enabled", "token_budget": 1024}, "tool_choice": "REQUIRED", "stream": true,
            "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}}],
            "response_format": {"type": "json_object", "json_schema": {"type": "object", "properties": {"a": {"type": "null"}}, "required": []}}})
    );
    for (name, settings) in [
        (
            "tool_choice",
            Settings { tool_choice: Some(ToolChoice::Named("f".into())), ..Settings::default() },
        ),
        (
            "parallel_tool_calls",
            Settings { parallel_tool_calls: Some(false), ..Settings::default() },
        ),
    ] {
        COHERE.refuses(&asked(Vec::new(), settings), name);
    }
}

#[test]
fn messages_have_their_form_and_plans_go_back() {
    let (result, reply, _) = COHERE.answered(&events(&planned()));
    result.unwrap();
    let mut message = Message::new(Role::Assistant, "");
    (message.tool_calls, message.blocks) = (reply.tool_calls, reply.blocks);
    let mut user = Message::new(Role::User, "");
    user.content = Content::Parts(vec![
        Part::Text("see".into()),
        Part::Image { source: Source::url("https://x/y.png"), detail: Some("low".into()) },
        Part::Cache(Default::default()),
    ]);
    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    assert_eq!(
        COHERE.messages_sent(vec![user, message, Message::tool_result("a", "21")]),
        json!([
            {"role": "user", "content": [{"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}]},
            {"role": "assistant", "tool_plan": "I will look", "content": [{"type": "thinking", "thinking": "hm. "}],
                "tool_calls": [call("a", "f", "{\"x\":1}"), call("b", "g", "{}")]},
            {"role": "tool", "tool_call_id": "a", "content": "21"},
        ])
    );
    let broken =
        ToolCall { id: "c".into(), name: "f".into(), arguments_json: "{x".into(), whole: false };
    let mut message = Message::new(Role::Assistant, "t");
    message.tool_calls = vec![broken];
    let sent = COHERE.messages_sent(vec![message]);
    assert_eq!(sent[0]["tool_calls"][0]["function"]["arguments"], "{\"invalid_json\":\"{x\"}");
    let mut filed = Message::new(Role::User, "");
    let source = Source::bytes(b"w".to_vec(), None);
    filed.content = Content::Parts(vec![Part::Document { source, name: None }]);
    let error = COHERE.try_sent(&asked(vec![filed], Settings::default())).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported);
}

#[test]
fn plans_calls_and_usage_are_collected() {
    let (result, reply, delta) = COHERE.answered(&events(&planned()));
    result.unwrap();
    assert_eq!((reply.id.as_deref(), reply.content.as_str()), (Some("id1"), ""));
    assert_eq!(reply.thinking, "hm. I will look");
    assert_eq!(delta.thinking, reply.thinking);
    let calls: Vec<_> = reply
        .tool_calls
        .iter()
        .map(|c| (c.id.as_str(), c.name.as_str(), c.arguments().unwrap()))
        .collect();
    assert_eq!(calls, [("a", "f", json!({"x": 1})), ("b", "g", json!({}))]);
    assert_eq!(
        (reply.finish, reply.native_finish.as_deref()),
        (Some(Finish::ToolCalls), Some("TOOL_CALL"))
    );
    let usage = reply.usage.unwrap();
    assert_eq!(
        (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens),
        (10, 5, Some(4))
    );
}

#[test]
fn a_document_is_read_like_a_stream() {
    let document = json!({"id": "i", "finish_reason": "MAX_TOKENS",
        "message": {"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        "usage": {"billed_units": {"input_tokens": 3, "output_tokens": 4}}});
    let (result, reply, _) = COHERE.answered(&document.to_string());
    result.unwrap();
    assert_eq!(
        (reply.content.as_str(), reply.thinking.as_str(), reply.finish),
        ("ab", "t", Some(Finish::Length))
    );
    assert_eq!(reply.usage.unwrap().prompt_tokens, 3);
    assert_eq!(reply.blocks, None, "a plain answer has nothing to give back");
}

const TOO_LONG: &str =
    "too many tokens: the total number of tokens in the prompt cannot exceed 4081";

#[test]
fn errors_and_cuts_keep_what_came() {
    let begun = events(&[piece("content-delta", 0, json!({"content": {"text": "par"}}))]);
    let failed = json!({"type": "message-end", "delta": {"finish_reason": "ERROR", "usage": {}, "error": "bad tool", "error_type": "INVALID_TOOL_GENERATION"}});
    for (event, code, words) in [
        (failed, Code::BadRequest, "bad tool"),
        (
            json!({"type": "message-end", "delta": {"finish_reason": "ERROR"}}),
            Code::ServerError,
            "the provider reported an error",
        ),
        (
            json!({"type": "message-end", "delta": {"finish_reason": "TIMEOUT"}}),
            Code::ServerError,
            "the provider took too long",
        ),
        (json!({"message": TOO_LONG}), Code::ContextLength, TOO_LONG),
    ] {
        let (result, reply, _) = COHERE.answered(&format!("{begun}{}", events(&[event])));
        let error = result.unwrap_err();
        assert_eq!((error.code(), error.message(), reply.content.as_str()), (code, words, "par"));
    }
    let (result, reply, _) = COHERE.answered(&begun);
    assert_eq!((result.unwrap_err().code(), reply.content.as_str()), (Code::Network, "par"));
    assert_eq!(COHERE.answered("{\"message\":\"no\"}").0.unwrap_err().code(), Code::BadResponse);
    let head = Head { status: 498, headers: Vec::new() };
    let error = Cohere.error(&head, b"{\"message\":\"invalid api token\"}");
    assert_eq!((error.code(), error.message()), (Code::Auth, "invalid api token (HTTP 498)"));
}

#[test]
fn models_are_listed() {
    let body = json!({"models": [{"name": "b", "context_length": 128000.0, "endpoints": ["chat"]}, {"name": "a"}]});
    let models = Cohere.read_models(body.to_string().as_bytes()).unwrap().models;
    assert_eq!((models[1].id.as_str(), models[0].context_length), ("a", Some(128_000)));
}
