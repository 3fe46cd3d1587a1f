//! OpenAI's chat completions.

use serde_json::{Value, json};

use super::asked::Asked;
use super::refusal::{Kind, Refusal};
use super::stream::{Stream, pieces};
use super::talk::{Called, Talk};
use super::vendor::Vendor;
use crate::chat::Usage;

#[derive(Debug)]
pub struct OpenAi;

impl Vendor for OpenAi {
    fn chat_path(&self) -> &'static str {
        "/chat/completions"
    }

    fn finish(&self, neutral: &str) -> &'static str {
        match neutral {
            "length" => "length",
            "tool_calls" => "tool_calls",
            "content_filter" => "content_filter",
            _ => "stop",
        }
    }

    fn document(&self, talk: &Talk<'_>) -> Value {
        let choice = json!({
            "index": 0, "message": message(talk), "logprobs": null, "finish_reason": talk.finish,
        });
        let mut document = frame(talk, "chat.completion", json!([choice]));
        document["usage"] = usage(&talk.usage);
        document
    }

    fn say(&self, talk: &Talk<'_>, stream: &mut Stream) {
        let mut say = |delta: Value| stream.data(&chunk(talk, delta, Value::Null));
        // A turn of nothing but calls has no content, not even an empty one.
        let begin = if talk.content().is_empty() { Value::Null } else { "".into() };
        say(json!({"role": "assistant", "content": begin, "refusal": null}));
        pieces(talk.thinking()).for_each(|piece| say(json!({"reasoning_content": piece})));
        talk.pieces().into_iter().for_each(|piece| say(json!({"content": piece})));
        for (index, call) in talk.calls.iter().enumerate() {
            let mut begun = wire_call(call, "");
            begun["index"] = index.into();
            say(json!({"tool_calls": [begun]}));
            for piece in pieces(call.arguments) {
                say(json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}));
            }
        }
    }

    fn end(&self, talk: &Talk<'_>, stream: &mut Stream) {
        stream.data(&chunk(talk, json!({}), talk.finish.into()));
        if wants_usage(talk.asked) {
            let mut last = frame(talk, "chat.completion.chunk", json!([]));
            last["usage"] = usage(&talk.usage);
            stream.data(&last);
        }
        stream.done();
    }

    fn fail(&self, talk: &Talk<'_>, refusal: &Refusal, stream: &mut Stream) {
        stream.data(&self.refusal(talk.asked, refusal));
    }

    fn refusal(&self, _: &Asked<'_>, refusal: &Refusal) -> Value {
        let (kind, code) = words(refusal.kind);
        let code = refusal.word.as_deref().or(code);
        json!({"error": {
            "message": refusal.message, "type": kind, "param": null, "code": code,
        }})
    }
}

/// OpenAI's type and code of an error.
pub fn words(kind: Kind) -> (&'static str, Option<&'static str>) {
    const REQUEST: &str = "invalid_request_error";
    match kind {
        Kind::Auth => (REQUEST, Some("invalid_api_key")),
        Kind::Permission => ("permission_error", None),
        Kind::NotFound => (REQUEST, Some("model_not_found")),
        Kind::BadRequest => (REQUEST, None),
        Kind::ContextLength => (REQUEST, Some("context_length_exceeded")),
        Kind::ContentFilter => (REQUEST, Some("content_filter")),
        Kind::RateLimited => ("requests", Some("rate_limit_exceeded")),
        Kind::Quota => ("insufficient_quota", Some("insufficient_quota")),
        Kind::Overloaded => ("service_unavailable_error", Some("server_is_overloaded")),
        Kind::ServerError | Kind::Network | Kind::Timeout => ("server_error", None),
    }
}

fn frame(talk: &Talk<'_>, object: &str, choices: Value) -> Value {
    json!({
        "id": talk.asked.name("chatcmpl"), "object": object, "created": talk.asked.created,
        "model": talk.model(), "choices": choices, "service_tier": "default",
        "system_fingerprint": "fp_mock",
    })
}

fn message(talk: &Talk<'_>) -> Value {
    let silent = talk.content().is_empty() && !talk.calls.is_empty();
    let content = if silent { Value::Null } else { talk.content().into() };
    let mut message =
        json!({"role": "assistant", "content": content, "refusal": null, "annotations": []});
    if !talk.thinking().is_empty() {
        message["reasoning_content"] = talk.thinking().into();
    }
    if !talk.calls.is_empty() {
        message["tool_calls"] =
            talk.calls.iter().map(|call| wire_call(call, call.arguments)).collect();
    }
    message
}

fn wire_call(call: &Called<'_>, arguments: &str) -> Value {
    json!({
        "id": call.id, "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    })
}

fn chunk(talk: &Talk<'_>, delta: Value, finish: Value) -> Value {
    let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
    let mut chunk = frame(talk, "chat.completion.chunk", json!([choice]));
    if wants_usage(talk.asked) {
        chunk["usage"] = Value::Null;
    }
    chunk
}

fn wants_usage(asked: &Asked<'_>) -> bool {
    asked.body["stream_options"]["include_usage"] == true
}

fn usage(usage: &Usage) -> Value {
    let tokens = |n: Option<u64>| n.unwrap_or(0);
    let mut asked = json!({"cached_tokens": tokens(usage.cached_tokens), "audio_tokens": 0});
    if let Some(written) = usage.cache_write_tokens {
        asked["cache_write_tokens"] = written.into();
    }
    json!({
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens(),
        "prompt_tokens_details": asked,
        "completion_tokens_details": {
            "reasoning_tokens": tokens(usage.reasoning_tokens), "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}
