use serde_json::{Value, json};

use super::*;
use crate::chat::{
    Content, Finish, Format, Message, Part, Role, Settings, Source, ToolCall, ToolChoice, ToolSpec,
};
use crate::error::Code;
use crate::provider::testing::{Tested, answered, asked};

const OLLAMA: Tested = Tested {
    wire: &Ollama,
    base: "http://localhost:11434/v1",
    url: "http://localhost:11434/api/chat",
};

fn line(message: Value) -> String {
    json!({"model": "m1", "created_at": "1970-01-01T00:01:00.5Z", "message": message, "done": false}).to_string() + "\n"
}

fn last(reason: &str) -> String {
    json!({"model": "m1", "message": {"role": "assistant", "content": ""}, "done": true, "done_reason": reason,
        "prompt_eval_count": 10, "eval_count": 5, "total_duration": 1}).to_string() + "\n"
}

fn thought_and_called() -> String {
    let call = |id: Value, name: &str, arguments: Value| json!({"id": id, "function": {"index": 0, "name": name, "arguments": arguments}});
    [
        line(json!({"role": "assistant", "content": "", "thinking": "h\u{f6}"})),
        line(json!({"role": "assistant", "content": "", "thinking": "m"})),
        line(json!({"role": "assistant", "content": "Look"})),
        line(json!({"role": "assistant", "content": "ing", "tool_calls": [call(json!("c1"), "f", json!({"b": 1, "a": 2}))]})),
        line(json!({"role": "assistant", "content": "", "tool_calls": [call(Value::Null, "g", json!({}))]})),
        last("stop"),
    ]
    .concat()
}

#[test]
fn every_setting_is_sent_or_refused() {
    let schema = json!({"type": "object", "properties": {}, "required": {}});
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
        tool_choice: Some(ToolChoice::Auto),
        format: Some(Format::Schema { name: "n".into(), schema }),
        extra: json!({"keep_alive": "5m", "options": {"num_ctx": 8192, "top_k": null}})
            .as_object()
            .unwrap()
            .clone(),
        ..Settings::default()
    };
    let tool = ToolSpec { name: "f".into(), description: String::new(), parameters: json!({}) };
    let mut request = Request { tools: vec![tool], stream: true, ..asked(Vec::new(), settings) };
    assert_eq!(
        OLLAMA.sent(&request),
        json!({"model": "m", "messages": [], "think": "low", "stream": true, "keep_alive": "5m",
            "format": {"type": "object", "properties": {}, "required": []},
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
            "options": {"temperature": 0.5, "top_p": 0.9, "num_predict": 9, "seed": 7, "num_ctx": 8192,
                "presence_penalty": 0.1, "frequency_penalty": 0.2, "stop": ["x"]}})
    );
    request.settings.tool_choice = Some(ToolChoice::None);
    request.stream = false;
    let body = OLLAMA.sent(&request);
    assert_eq!((body.get("tools"), &body["stream"]), (None, &json!(false)));
    let json = Settings {
        format: Some(Format::Json),
        reasoning: Some("none".into()),
        ..Settings::default()
    };
    let body = OLLAMA.sent(&asked(Vec::new(), json));
    assert_eq!((&body["format"], &body["think"]), (&json!("json"), &json!(false)));
    for (name, settings) in [
        (
            "tool_choice",
            Settings { tool_choice: Some(ToolChoice::Required), ..Settings::default() },
        ),
        (
            "tool_choice",
            Settings { tool_choice: Some(ToolChoice::Named("f".into())), ..Settings::default() },
        ),
        (
            "parallel_tool_calls",
            Settings { parallel_tool_calls: Some(false), ..Settings::default() },
        ),
    ] {
        OLLAMA.refuses(&asked(Vec::new(), settings), name);
    }
}

#[test]
fn messages_have_their_form() {
    let mut user = Message::new(Role::User, "");
    let image = |source| Part::Image { source, detail: None };
    user.content = Content::Parts(vec![
        Part::Text("see".into()),
        image(Source::bytes(b"GIF8".to_vec(), None)),
        Part::Cache(Default::default()),
    ]);
    let mut assistant = Message::new(Role::Assistant, "");
    let call = |arguments: &str| ToolCall {
        id: "c".into(),
        name: "f".into(),
        arguments_json: arguments.into(),
        whole: false,
    };
    assistant.tool_calls = vec![call("{\"a\":1}"), call("{x"), call("")];
    let called =
        |arguments: Value| json!({"id": "c", "function": {"name": "f", "arguments": arguments}});
    assert_eq!(
        OLLAMA.messages_sent(vec![user, assistant, Message::tool_result("c", "21")]),
        json!([
            {"role": "user", "content": "see", "images": ["R0lGOA=="]},
            {"role": "assistant", "content": "", "tool_calls": [called(json!({"a": 1})), called(json!({"invalid_json": "{x"})), called(json!({}))]},
            {"role": "tool", "content": "21", "tool_name": "f", "tool_call_id": "c"},
        ])
    );
    let round = |name: &str| {
        let mut asks = Message::new(Role::Assistant, "");
        let arguments_json = String::new();
        asks.tool_calls =
            vec![ToolCall { id: "call_1".into(), name: name.into(), arguments_json, whole: true }];
        [asks, Message::tool_result("call_1", "x")]
    };
    let sent = OLLAMA.messages_sent([round("f"), round("g")].concat());
    assert_eq!((&sent[1]["tool_name"], &sent[3]["tool_name"]), (&json!("f"), &json!("g")));
    let mut linked = Message::new(Role::User, "");
    linked.content = Content::Parts(vec![image(Source::url("https://x"))]);
    let error = OLLAMA.try_sent(&asked(vec![linked], Settings::default())).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported);
    assert!(error.message().starts_with("messages[1]: an image"), "{error}");
}

#[test]
fn lines_are_read_wherever_they_are_split() {
    let text = thought_and_called();
    for text in [
        text.clone(),
        text.replace('\n', "\r\n"),
        format!("\u{feff}{text}"),
        text.trim().to_owned(),
    ] {
        for size in [1, 2, 3, 7, 50, 9999] {
            let (result, reply, delta) = answered(&Ollama, text.as_bytes().chunks(size));
            result.unwrap();
            assert_eq!((reply.content.as_str(), reply.thinking.as_str()), ("Looking", "höm"));
            assert_eq!((&delta.content, &delta.thinking), (&reply.content, &reply.thinking));
            let calls: Vec<_> = reply
                .tool_calls
                .iter()
                .map(|c| (c.id.as_str(), c.name.as_str(), c.arguments_json.as_str()))
                .collect();
            assert_eq!(calls, [("c1", "f", "{\"b\":1,\"a\":2}"), ("call_2", "g", "{}")]);
            assert_eq!(
                (reply.finish, reply.native_finish.as_deref()),
                (Some(Finish::ToolCalls), Some("stop"))
            );
            let usage = reply.usage.unwrap();
            assert_eq!((usage.prompt_tokens, usage.completion_tokens), (10, 5));
            assert_eq!((reply.model.as_deref(), reply.created), (Some("m1"), Some(60.0)));
        }
    }
}

#[test]
fn thinking_goes_back_in_a_round_of_tools() {
    let (_, reply, _) = answered(&Ollama, [thought_and_called().as_bytes()]);
    let mut message = Message::new(Role::Assistant, reply.content.as_str());
    (message.tool_calls, message.blocks) = (reply.tool_calls, reply.blocks);
    assert_eq!(OLLAMA.messages_sent(vec![message])[0]["thinking"], "höm");
}

#[test]
fn a_document_is_read_on_one_line_or_many() {
    let document = json!({"model": "m1", "message": {"role": "assistant", "content": "a"}, "done": true, "done_reason": "length", "eval_count": 2});
    for text in [document.to_string(), serde_json::to_string_pretty(&document).unwrap()] {
        let (result, reply, _) = answered(&Ollama, text.as_bytes().chunks(5));
        result.unwrap();
        assert_eq!((reply.content.as_str(), reply.finish), ("a", Some(Finish::Length)));
        assert_eq!(
            (reply.usage.unwrap().prompt_tokens, reply.usage.unwrap().completion_tokens),
            (0, 2)
        );
    }
}

#[test]
fn errors_and_cuts_keep_what_came() {
    let begun = line(json!({"role": "assistant", "content": "par"}));
    for (rest, code) in [
        ("{\"error\":\"an error was encountered while running the model\"}\n", Code::ServerError),
        ("", Code::Network),
        ("{\"model\":\"m1\",\"mess", Code::Network),
        ("<html>", Code::BadResponse),
    ] {
        let (result, reply, _) = answered(&Ollama, [begun.as_bytes(), rest.as_bytes()]);
        assert_eq!((result.unwrap_err().code(), reply.content.as_str()), (code, "par"), "{rest}");
    }
    assert_eq!(answered(&Ollama, [&b"{\"ok\":true}"[..]]).0.unwrap_err().code(), Code::Network);
    let head = Head { status: 404, headers: Vec::new() };
    let error =
        Ollama.error(&head, b"{\"error\":\"model \\\"x\\\" not found, try pulling it first\"}");
    assert_eq!(error.code(), Code::NotFound);
}

#[test]
fn models_are_listed() {
    let body = json!({"models": [{"name": "b:latest", "model": "b:latest", "modified_at": "1970-01-02T00:00:00+00:00"}, {"name": "a"}]});
    let models = Ollama.read_models(body.to_string().as_bytes()).unwrap().models;
    assert_eq!((models[1].id.as_str(), models[0].created), ("a", Some(86400.0)));
}
