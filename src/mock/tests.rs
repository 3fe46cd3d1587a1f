use serde_json::{Value, json};

use super::*;
use crate::chat::{Delta, Finish, Reply};
use crate::error::{Code, Result};
use crate::net::Head;
use crate::provider::testing;
use crate::provider::wire::Wire;
use crate::provider::{anthropic, cohere, ollama, openai, responses};
use crate::value::{Tape, json as text};

fn wire(dialect: Dialect) -> &'static dyn Wire {
    match dialect {
        Dialect::OpenAi => &openai::OpenAi,
        Dialect::Responses => &responses::Responses,
        Dialect::Anthropic => &anthropic::Anthropic,
        Dialect::Cohere => &cohere::Cohere,
        Dialect::Ollama => &ollama::Ollama,
    }
}

fn path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => "/v1/chat/completions",
        Dialect::Responses => "/v1/responses",
        Dialect::Anthropic => "/v1/messages",
        Dialect::Cohere => "/v2/chat",
        Dialect::Ollama => "/api/chat",
    }
}

fn asked<'a>(path: &'a str, body: &'a Value) -> Asked<'a> {
    Asked { path, body, number: 3, created: 1_700_000_000, model: "m-default" }
}

fn question(stream: bool) -> Value {
    json!({
        "model": "m-1", "stream": stream, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "What is there?"}], "input": "What is there?",
    })
}

fn said(script: &Value) -> Said {
    try_said(script).unwrap()
}

fn try_said(script: &Value) -> Result<Said> {
    let mut tape = Tape::default();
    let at = text::parse(script.to_string().as_bytes(), &mut tape).unwrap();
    Said::read(tape.at(at).unwrap(), "responses[1]")
}

fn answered(dialect: Dialect, stream: bool, script: &Value) -> Answer {
    answer(dialect, &asked(path(dialect), &question(stream)), &said(script))
}

/// As our own protocol reads it, cut into pieces of that size.
fn read(dialect: Dialect, answer: &Answer, size: usize) -> (Result<()>, Reply, Delta) {
    assert_eq!(answer.status, 200);
    testing::answered(wire(dialect), answer.body().chunks(size))
}

/// Every dialect, whole and streamed, cut at every byte, in words, and not at all.
fn everywhere(script: &Value, check: impl Fn(Dialect, bool, &Reply)) {
    for dialect in Dialect::ALL {
        for stream in [false, true] {
            let answer = answered(dialect, stream, script);
            for size in [1, 7, usize::MAX] {
                let (result, reply, delta) = read(dialect, &answer, size);
                result.unwrap_or_else(|error| panic!("{dialect:?} {stream}: {error}"));
                assert_eq!(delta.content, reply.content, "{dialect:?}");
                check(dialect, stream, &reply);
            }
        }
    }
}

#[test]
fn a_text_is_read_back_by_every_protocol() {
    let text = "Grüße: \u{1F600} \"quoted\"\n\nand a line that is longer than one piece";
    everywhere(&json!(text), |dialect, _, reply| {
        assert_eq!(reply.content, text, "{dialect:?}");
        assert_eq!(reply.finish, Some(Finish::Stop), "{dialect:?}");
        assert!(reply.tool_calls.is_empty() && reply.thinking.is_empty());
        let usage = reply.usage.unwrap();
        assert!(usage.prompt_tokens > 0 && usage.completion_tokens > 5, "{dialect:?}");
    });
}

#[test]
fn tool_calls_are_read_back_with_ids_of_their_own() {
    let script = json!({"content": "Let me see.", "tool_calls": [
        {"name": "weather", "arguments": {"city": "Zürich", "days": [1, 2]}},
        {"name": "clock"},
        {"id": "mine", "name": "note", "arguments": {"text": "a fairly long text to be noted"}},
    ]});
    everywhere(&script, |dialect, stream, reply| {
        let where_ = format!("{dialect:?} {stream}");
        assert_eq!(reply.content, "Let me see.", "{where_}");
        assert_eq!(reply.finish, Some(Finish::ToolCalls), "{where_}");
        let calls: Vec<_> =
            reply.tool_calls.iter().map(|c| (c.name.as_str(), c.arguments().unwrap())).collect();
        assert_eq!(calls[0], ("weather", json!({"city": "Zürich", "days": [1, 2]})), "{where_}");
        assert_eq!(calls[1], ("clock", json!({})), "{where_}");
        assert_eq!(calls[2].1["text"], "a fairly long text to be noted", "{where_}");
        let ids: Vec<_> = reply.tool_calls.iter().map(|call| call.id.as_str()).collect();
        assert_eq!(ids[2], "mine");
        assert!(ids[0] != ids[1] && ids[0].contains("_3_1"), "{ids:?}");
    });
}

#[test]
fn a_turn_of_nothing_but_calls_has_no_text() {
    let script = json!({"tool_calls": [{"name": "f", "arguments": {"a": 1}}]});
    everywhere(&script, |dialect, _, reply| {
        assert_eq!((reply.content.as_str(), reply.tool_calls.len()), ("", 1), "{dialect:?}");
    });
}

#[test]
fn thinking_and_usage_are_read_back() {
    let script = json!({"content": "4", "thinking": "two and two", "usage": {
        "input_tokens": 100, "output_tokens": 20, "cached_tokens": 60, "reasoning_tokens": 5,
    }});
    everywhere(&script, |dialect, _, reply| {
        assert_eq!((reply.thinking.as_str(), reply.content.as_str()), ("two and two", "4"));
        let usage = reply.usage.unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (100, 20), "{dialect:?}");
        if dialect != Dialect::Ollama {
            assert_eq!(usage.cached_tokens, Some(60), "{dialect:?}");
        }
        if matches!(dialect, Dialect::OpenAi | Dialect::Responses | Dialect::Anthropic) {
            assert_eq!(usage.reasoning_tokens, Some(5), "{dialect:?}");
        }
    });
}

#[test]
fn a_total_tells_what_is_not_named() {
    let script = json!({"content": "x", "usage": {"prompt_tokens": 30, "total_tokens": 37}});
    everywhere(&script, |dialect, _, reply| {
        assert_eq!(reply.usage.unwrap().completion_tokens, 7, "{dialect:?}");
    });
}

#[test]
fn the_end_is_the_one_of_the_script() {
    let ended = |word: &str| json!({"content": "x", "finish_reason": word});
    everywhere(&ended("length"), |dialect, _, reply| {
        assert_eq!(reply.finish, Some(Finish::Length), "{dialect:?}");
    });
    let paused = answered(Dialect::Anthropic, true, &ended("pause"));
    assert_eq!(read(Dialect::Anthropic, &paused, 4).1.finish, Some(Finish::Pause));
    everywhere(&ended("content_filter"), |dialect, _, reply| match dialect {
        // They have no word for it.
        Dialect::Cohere | Dialect::Ollama => assert_eq!(reply.finish, Some(Finish::Stop)),
        _ => assert_eq!(reply.finish, Some(Finish::ContentFilter), "{dialect:?}"),
    });
}

#[test]
fn data_are_said_as_json_and_arguments_may_be_broken() {
    everywhere(&json!({"content": {"city": "Bern", "n": [1]}}), |_, _, reply| {
        assert_eq!(reply.content, r#"{"city":"Bern","n":[1]}"#);
    });
    let script = json!({"tool_calls": [{"name": "f", "arguments": "{\"a\": "}]});
    for dialect in [Dialect::OpenAi, Dialect::Responses, Dialect::Cohere] {
        let (_, reply, _) = read(dialect, &answered(dialect, true, &script), 9);
        assert_eq!(reply.tool_calls[0].arguments_json, "{\"a\": ");
    }
}

#[test]
fn what_was_asked_is_echoed() {
    everywhere(&json!("x"), |dialect, _, reply| {
        if dialect != Dialect::Cohere {
            assert_eq!(reply.model.as_deref(), Some("m-1"), "{dialect:?}");
        }
        if dialect != Dialect::Ollama {
            assert!(reply.id.as_ref().unwrap().ends_with('3'), "{dialect:?}");
        }
    });
    let body = json!({"messages": []});
    let answer = answer(Dialect::OpenAi, &asked("/v1/chat/completions", &body), &Said::text("x"));
    let document: Value = serde_json::from_slice(&answer.body()).unwrap();
    assert_eq!(document["model"], "m-default");
}

#[test]
fn the_usage_of_a_stream_comes_where_it_was_asked_for() {
    let mut body = question(true);
    body["stream_options"] = Value::Null;
    let silent =
        answer(Dialect::OpenAi, &asked(path(Dialect::OpenAi), &body), &Said::text("hello"));
    assert!(!String::from_utf8(silent.body()).unwrap().contains("usage"));
    let telling = answered(Dialect::OpenAi, true, &json!("hello"));
    let text = String::from_utf8(telling.body()).unwrap();
    assert!(text.contains("\"choices\":[],") && text.ends_with("data: [DONE]\n\n"));
    assert_eq!(telling.headers[0].1, "text/event-stream; charset=utf-8");
    assert!(telling.headers.contains(&("x-request-id".into(), "req_mock_3".into())));
}

#[test]
fn ollama_streams_unless_it_is_told_not_to() {
    let body = json!({"model": "m", "messages": []});
    let answer = answer(Dialect::Ollama, &asked("/api/chat", &body), &Said::text("a text to cut"));
    assert!(answer.chunks.len() > 2);
    assert_eq!(answer.headers[0].1, "application/x-ndjson");
}

#[test]
fn errors_are_the_vendors_own_and_mean_the_same() {
    for (word, code, retryable) in [
        ("auth", Code::Auth, false),
        ("permission", Code::Auth, false),
        ("not_found", Code::NotFound, false),
        ("bad_request", Code::BadRequest, false),
        ("context_length", Code::ContextLength, false),
        ("content_filter", Code::ContentFilter, false),
        ("rate_limit", Code::RateLimited, true),
        ("rate_limited", Code::RateLimited, true),
        ("quota", Code::RateLimited, false),
        ("overloaded", Code::Overloaded, true),
        ("server_error", Code::ServerError, true),
    ] {
        for dialect in Dialect::ALL {
            let answer = answered(dialect, true, &json!({"error": word}));
            let head = Head { status: answer.status, headers: answer.headers.clone() };
            let error = wire(dialect).error(&head, &answer.body());
            assert_eq!((error.code(), error.retryable()), (code, retryable), "{dialect:?} {word}");
            assert!(error.fields().request_id.is_some(), "{dialect:?}");
            let broken = json!({"content": "some words", "error": word});
            let (result, reply, _) = read(dialect, &answered(dialect, true, &broken), 5);
            let error = result.unwrap_err();
            assert_eq!(error.code(), code, "{dialect:?} {word} in a stream: {error}");
            assert_eq!(reply.content, "some words");
        }
    }
}

#[test]
fn an_error_says_what_the_script_says() {
    let script = json!({"error": {
        "code": "slow_down", "status": 429, "message": "not so fast", "retry_after_ms": 1500,
    }});
    for dialect in Dialect::ALL {
        let answer = answered(dialect, false, &script);
        assert_eq!(answer.status, 429);
        let head = Head { status: answer.status, headers: answer.headers.clone() };
        let error = wire(dialect).error(&head, &answer.body());
        assert_eq!(error.fields().retry_after_ms, Some(1500), "{dialect:?}");
        assert_eq!(error.message(), "not so fast (HTTP 429)");
        assert_eq!(head.header("retry-after"), Some("2"));
        assert!(String::from_utf8(answer.body()).unwrap().contains("slow_down"), "{dialect:?}");
    }
    assert_eq!(answered(Dialect::Anthropic, false, &json!({"error": "overloaded"})).status, 529);
    assert_eq!(answered(Dialect::OpenAi, false, &json!({"error": {"status": 418}})).status, 418);
}

#[test]
fn a_connection_breaks_before_or_in_an_answer() {
    let broken = answered(Dialect::OpenAi, true, &json!({"error": "network"}));
    assert!(broken.status == 0 && broken.chunks.is_empty());
    assert_eq!(broken.breaks.unwrap().code(), Code::Network);
    let late = answered(Dialect::Cohere, true, &json!({"content": "some", "error": "timeout"}));
    assert_eq!(late.breaks.as_ref().unwrap().code(), Code::Timeout);
    let (result, reply, _) = read(Dialect::Cohere, &late, 3);
    assert_eq!((result.unwrap_err().code(), reply.content.as_str()), (Code::Network, "some"));
}

#[test]
fn a_script_that_is_none_is_refused_with_its_path() {
    for (script, message) in [
        (json!({"contents": "x"}), "responses[1].contents: unknown key, did you mean \"content\"?"),
        (json!({"tool_calls": [{"arguments": {}}]}), "responses[1].tool_calls[1].name: expected"),
        (json!({"error": "rate_limt"}), "(did you mean \"rate_limit"),
        (json!({"error": {}}), "responses[1].error: expected a code or a status"),
        (json!({"error": {"code": "odd"}}), "responses[1].error.code: expected one of auth"),
        (json!({"error": {"status": 200}}), "responses[1].error.status: expected"),
        (json!({"finish_reason": "done"}), "responses[1].finish_reason: expected one of"),
        (json!({"usage": {"toks": 1}}), "responses[1].usage.toks: unknown key"),
        (json!(5), "responses[1]: expected a string or a table, got 5"),
    ] {
        let error = try_said(&script).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message().contains(message), "{error}");
    }
}

#[test]
fn vectors_models_and_counts_need_no_script() {
    let said = Said::text("unused");
    for (dialect, embed, models) in [
        (Dialect::OpenAi, "/v1/embeddings", "/v1/models"),
        (Dialect::Responses, "/v1/embeddings", "/v1/models"),
        (Dialect::Cohere, "/v2/embed", "/v1/models?page_size=1000"),
        (Dialect::Ollama, "/api/embed", "/api/tags"),
        (Dialect::Anthropic, "", "/v1/models?limit=1000"),
    ] {
        let texts = json!(["red wine", "red car", "red wine"]);
        let body = json!({"model": "e", "input": texts, "texts": texts});
        let wire = wire(dialect);
        if !embed.is_empty() {
            let found = answer(dialect, &asked(embed, &body), &said);
            let vectors = wire.read_embeddings(&found.body()).unwrap().vectors;
            assert_eq!((vectors.len(), vectors[0].len()), (3, 16), "{dialect:?}");
            assert!(vectors[0] == vectors[2] && vectors[0] != vectors[1]);
        }
        let found = answer(dialect, &asked(models, &Value::Null), &said);
        let listing = wire.read_models(&found.body()).unwrap();
        assert_eq!(listing.models[0].id, "m-default", "{dialect:?}");
        assert_eq!(listing.next, None);
    }
    for (dialect, path) in [
        (Dialect::Anthropic, "/v1/messages/count_tokens"),
        (Dialect::Responses, "/v1/responses/input_tokens"),
        (Dialect::OpenAi, "/tokenize"),
    ] {
        let found = answer(dialect, &asked(path, &question(false)), &said);
        assert!(wire(dialect).read_count(&found.body()).unwrap() > 1);
    }
}

#[test]
fn packed_vectors_are_the_same() {
    let mut body = json!({"model": "e", "input": "red wine", "dimensions": 4});
    let read = |body: &Value| {
        let found = answer(Dialect::OpenAi, &asked("/v1/embeddings", body), &Said::default());
        openai::OpenAi.read_embeddings(&found.body()).unwrap().vectors
    };
    let plain = read(&body);
    body["encoding_format"] = "base64".into();
    assert_eq!(plain, read(&body));
    let length: f64 = plain[0].iter().map(|n| n * n).sum();
    assert!((length - 1.0).abs() < 1e-6);
}

#[test]
fn an_address_of_nobodys_is_not_found() {
    for dialect in Dialect::ALL {
        let answer = answer(dialect, &asked("/v1/poems", &Value::Null), &Said::text("x"));
        assert_eq!(answer.status, 404, "{dialect:?}");
        let head = Head { status: 404, headers: Vec::new() };
        let error = wire(dialect).error(&head, &answer.body());
        assert!(error.message().contains("/v1/poems"), "{error}");
    }
    let body = Value::Null;
    assert_eq!(
        answer(Dialect::Anthropic, &asked("/v1/embeddings", &body), &Said::default()).status,
        404
    );
}

#[test]
fn a_text_is_streamed_in_the_pieces_of_its_script() {
    let pieces = ["It is ", "three.", " Or", " four: \u{1F600}"];
    everywhere(&json!({"pieces": pieces}), |dialect, _, reply| {
        assert_eq!(reply.content, pieces.concat(), "{dialect:?}");
    });
    for dialect in Dialect::ALL {
        let answer = answered(dialect, true, &json!({"pieces": pieces}));
        let with = |piece: &str| answer.chunks.iter().filter(|chunk| says(chunk, piece)).count();
        assert!(pieces.into_iter().all(|piece| with(piece) == 1), "{dialect:?}");
    }
    let error = try_said(&json!({"content": "ab", "pieces": ["b", "a"]})).unwrap_err();
    assert!(error.message().starts_with("responses[1].pieces: expected the text of content"));
}

/// Whether an event holds just that text.
fn says(chunk: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(chunk).contains(&format!(":{}", json!(text)))
}
