use serde_json::{Value, json};

use super::*;
use crate::chat::{
    Content, Finish, Format, Message, Part, Reply, Role, Settings, Source, ToolCall, ToolChoice,
    ToolSpec,
};
use crate::error::Code;
use crate::provider::testing::{Tested, asked, named_events as events};

const RESPONSES: Tested =
    Tested { wire: &Responses, base: "https://h/v1", url: "https://h/v1/responses" };

fn input_sent(messages: Vec<Message>) -> Value {
    RESPONSES.sent(&asked(messages, Settings::default()))["input"].clone()
}

fn read(all: &[Value]) -> Reply {
    let (result, reply, delta) = RESPONSES.answered(&events(all));
    result.unwrap();
    assert_eq!((&delta.content, &delta.thinking), (&reply.content, &reply.thinking));
    reply
}

fn added(at: u32, item: Value) -> Value {
    json!({"type": "response.output_item.added", "output_index": at, "item": item})
}

fn done(at: u32, item: Value) -> Value {
    json!({"type": "response.output_item.done", "output_index": at, "item": item})
}

fn delta(kind: &str, at: u32, piece: &str) -> Value {
    json!({"type": format!("response.{kind}.delta"), "output_index": at, "delta": piece})
}

fn ended(status: &str, more: Value) -> Value {
    let mut response = json!({"id": "resp_1", "object": "response", "status": status, "model": "m1",
        "created_at": 7, "output": [], "error": null,
        "usage": {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 5,
                  "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 15}});
    for (key, value) in more.as_object().unwrap() {
        response[key] = value.clone();
    }
    json!({"type": format!("response.{status}"), "response": response})
}

fn call_item(arguments: &str) -> Value {
    json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": arguments})
}

fn reasoning() -> Value {
    json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "whole",
           "summary": [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}]})
}

fn thought_and_called() -> Vec<Value> {
    let summary = |index: u32, piece: &str| json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": index, "delta": piece});
    vec![
        json!({"type": "response.created", "response": {"id": "resp_1", "model": "m1", "status": "in_progress"}}),
        added(
            0,
            json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "half", "summary": []}),
        ),
        summary(0, "o"),
        summary(0, "ne"),
        summary(1, "two"),
        done(0, reasoning()),
        added(1, call_item("")),
        delta("function_call_arguments", 1, "{\"a\""),
        delta("function_call_arguments", 1, ":1}"),
        done(1, call_item("{\"a\":1}")),
        ended("completed", json!({})),
    ]
}

#[test]
fn a_plain_question_has_no_superfluous_member() {
    let request = asked(
        vec![Message::new(Role::System, "s"), Message::new(Role::User, "hi")],
        Settings::default(),
    );
    assert_eq!(
        RESPONSES.sent(&request),
        json!({"model": "m", "input": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]})
    );
}

#[test]
fn every_setting_is_sent_or_refused() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "null"}}});
    let settings = Settings {
        temperature: Some(0.5),
        top_p: Some(0.9),
        max_tokens: Some(100),
        reasoning: Some("low".into()),
        tool_choice: Some(ToolChoice::Named("f".into())),
        parallel_tool_calls: Some(false),
        format: Some(Format::Schema { name: "x y".into(), schema: schema.clone() }),
        extra: json!({"store": false}).as_object().unwrap().clone(),
        ..Settings::default()
    };
    let tool = ToolSpec { name: "f".into(), description: "d".into(), parameters: schema.clone() };
    let request = Request { tools: vec![tool], stream: true, ..asked(Vec::new(), settings) };
    assert_eq!(
        RESPONSES.sent(&request),
        json!({"model": "m", "input": [], "temperature": 0.5, "top_p": 0.9, "max_output_tokens": 100,
            "tools": [{"type": "function", "name": "f", "description": "d", "parameters": schema, "strict": false}],
            "tool_choice": {"type": "function", "name": "f"}, "parallel_tool_calls": false,
            "reasoning": {"effort": "low"}, "stream": true, "store": false,
            "text": {"format": {"type": "json_schema", "name": "x_y", "strict": true,
                "schema": {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"], "additionalProperties": false}}}})
    );
    for (name, settings) in [
        ("seed", Settings { seed: Some(1), ..Settings::default() }),
        ("stop", Settings { stop: vec!["x".into()], ..Settings::default() }),
        ("top_k", Settings { top_k: Some(1), ..Settings::default() }),
        ("presence_penalty", Settings { presence_penalty: Some(0.0), ..Settings::default() }),
        ("frequency_penalty", Settings { frequency_penalty: Some(0.0), ..Settings::default() }),
    ] {
        RESPONSES.refuses(&asked(Vec::new(), settings), name);
    }
}

#[test]
fn messages_become_items() {
    let mut user = Message::new(Role::User, "");
    user.content = Content::Parts(vec![
        Part::Text("see".into()),
        Part::Image { source: Source::bytes(b"GIF8".to_vec(), None), detail: Some("low".into()) },
        Part::Document { source: Source::url("https://x/y.pdf"), name: None },
        Part::Document { source: Source::bytes(b"w".to_vec(), None), name: Some("n".into()) },
        Part::Cache(Default::default()),
    ]);
    let mut assistant = Message::new(Role::Assistant, "ok");
    assistant.tool_calls = vec![ToolCall {
        id: "c".into(),
        name: "f".into(),
        arguments_json: "{\"a\":1}".into(),
        whole: true,
    }];
    assert_eq!(
        input_sent(vec![user, assistant, Message::tool_result("c", "21")]),
        json!([
            {"role": "user", "content": [
                {"type": "input_text", "text": "see"},
                {"type": "input_image", "image_url": "data:image/gif;base64,R0lGOA==", "detail": "low"},
                {"type": "input_file", "file_url": "https://x/y.pdf"},
                {"type": "input_file", "filename": "n", "file_data": "data:text/plain;base64,dw=="}]},
            {"role": "assistant", "content": "ok"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{\"a\":1}"},
            {"type": "function_call_output", "call_id": "c", "output": "21"},
        ])
    );
    let mut named = Message::new(Role::User, "x");
    named.name = Some("bo".into());
    let error = RESPONSES.try_sent(&asked(vec![named], Settings::default())).unwrap_err();
    assert!(error.message().starts_with("messages[1]: a name"), "{error}");
}

#[test]
fn reasoning_calls_and_usage_are_collected() {
    let reply = read(&thought_and_called());
    assert_eq!((reply.id.as_deref(), reply.model.as_deref()), (Some("resp_1"), Some("m1")));
    assert_eq!(reply.thinking, "one\n\ntwo");
    let call = &reply.tool_calls[0];
    assert_eq!(
        (call.id.as_str(), call.name.as_str(), call.arguments_json.as_str()),
        ("call_1", "f", "{\"a\":1}")
    );
    assert_eq!(
        (reply.finish, reply.native_finish.as_deref()),
        (Some(Finish::ToolCalls), Some("completed"))
    );
    let usage = reply.usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens()), (10, 5, 15));
    assert_eq!((usage.cached_tokens, usage.reasoning_tokens), (Some(4), Some(2)));
}

#[test]
fn an_answer_goes_back_as_it_came() {
    let reply = read(&thought_and_called());
    let mut message = Message::new(Role::Assistant, reply.content.as_str());
    (message.tool_calls, message.blocks) = (reply.tool_calls.clone(), reply.blocks.clone());
    let whole = json!([reasoning(), call_item("{\"a\":1}")]);
    assert_eq!(input_sent(vec![message.clone()]), whole);
    message.content = Content::Text("changed".into());
    let built = input_sent(vec![message]);
    assert_eq!(built[0], json!({"role": "assistant", "content": "changed"}));
    assert_eq!(built[1]["type"], "function_call");
    assert_eq!(built.as_array().unwrap().len(), 2, "reasoning goes with what followed it");
}

#[test]
fn what_no_event_said_is_taken_from_the_whole() {
    let message = json!({"type": "message", "content": [{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}]});
    let reply =
        read(&[done(0, message.clone()), done(1, call_item("{}")), ended("completed", json!({}))]);
    assert_eq!((reply.content.as_str(), reply.tool_calls.len(), reply.blocks), ("ab", 1, None));
    let reply = read(&[ended("completed", json!({"output": [message, call_item("{}")]}))]);
    assert_eq!((reply.content.as_str(), reply.tool_calls.len()), ("ab", 1));
    let twice = [
        delta("output_text", 0, "a"),
        delta("output_text", 0, "b"),
        done(0, json!({"type": "message", "content": [{"type": "output_text", "text": "ab"}]})),
        ended("completed", json!({})),
    ];
    assert_eq!(read(&twice).content, "ab");
}

#[test]
fn calls_stand_in_the_order_of_their_items() {
    let item =
        |id: &str| json!({"type": "function_call", "call_id": id, "name": id, "arguments": ""});
    let reply = read(&[
        added(2, item("c")),
        added(0, item("a")),
        delta("function_call_arguments", 2, "{\"c\":1}"),
        delta("function_call_arguments", 0, "{\"a\":1}"),
        ended("completed", json!({})),
    ]);
    let calls: Vec<_> =
        reply.tool_calls.iter().map(|c| (c.id.as_str(), c.arguments_json.as_str())).collect();
    assert_eq!(calls, [("a", "{\"a\":1}"), ("c", "{\"c\":1}")]);
}

#[test]
fn thinking_that_comes_in_two_places_counts_once() {
    let reply = read(&[
        added(0, json!({"type": "reasoning"})),
        delta("reasoning_text", 0, "raw"),
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "short"}),
        ended("completed", json!({})),
    ]);
    assert_eq!(reply.thinking, "raw");
}

#[test]
fn every_end_has_its_reason() {
    for (status, more, finish) in [
        ("completed", json!({}), Finish::Stop),
        (
            "incomplete",
            json!({"incomplete_details": {"reason": "max_output_tokens"}}),
            Finish::Length,
        ),
        (
            "incomplete",
            json!({"incomplete_details": {"reason": "content_filter"}}),
            Finish::ContentFilter,
        ),
    ] {
        let reply = read(&[delta("output_text", 0, "x"), ended(status, more)]);
        assert_eq!((reply.finish, reply.native_finish.as_deref()), (Some(finish), Some(status)));
    }
    let refused = read(&[delta("refusal", 0, "I can't"), ended("completed", json!({}))]);
    assert_eq!(
        (refused.content.as_str(), refused.finish),
        ("I can't", Some(Finish::ContentFilter))
    );
}

#[test]
fn errors_and_cuts_keep_what_came() {
    let begun = events(&[delta("output_text", 0, "par")]);
    for (event, code) in [
        (
            json!({"type": "error", "code": "rate_limit_exceeded", "message": "x"}),
            Code::RateLimited,
        ),
        (
            json!({"type": "error", "error": {"type": "server_error", "message": "x"}}),
            Code::ServerError,
        ),
        (
            ended("failed", json!({"error": {"code": "server_error", "message": "x"}})),
            Code::ServerError,
        ),
        (
            ended("failed", json!({"error": {"code": "invalid_prompt", "message": "x"}})),
            Code::BadRequest,
        ),
    ] {
        let (result, reply, _) = RESPONSES.answered(&format!("{begun}{}", events(&[event])));
        let error = result.unwrap_err();
        assert_eq!((error.code(), error.message(), reply.content.as_str()), (code, "x", "par"));
    }
    let (result, reply, _) = RESPONSES.answered(&begun);
    assert_eq!((result.unwrap_err().code(), reply.content.as_str()), (Code::Network, "par"));
    for (body, code) in [
        ("{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"x\"}}", Code::BadRequest),
        ("{\"id\":1}", Code::BadResponse),
        ("{\"output\":[", Code::Network),
    ] {
        assert_eq!(RESPONSES.answered(body).0.unwrap_err().code(), code, "{body}");
    }
}
