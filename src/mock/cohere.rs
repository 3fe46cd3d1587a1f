//! Cohere's chats.

use serde_json::{Value, json};

use super::asked::Asked;
use super::refusal::Refusal;
use super::stream::{Stream, pieces};
use super::talk::{Called, Talk};
use super::vendor::Vendor;

#[derive(Debug)]
pub struct Cohere;

impl Vendor for Cohere {
    fn chat_path(&self) -> &'static str {
        "/chat"
    }

    fn stream_type(&self) -> &'static str {
        "text/event-stream"
    }

    fn finish(&self, neutral: &str) -> &'static str {
        match neutral {
            "length" => "MAX_TOKENS",
            "tool_calls" => "TOOL_CALL",
            _ => "COMPLETE",
        }
    }

    fn document(&self, talk: &Talk<'_>) -> Value {
        let thinking = json!({"type": "thinking", "thinking": talk.thinking()});
        let text = json!({"type": "text", "text": talk.content()});
        let thinking = Some(thinking).filter(|_| !talk.thinking().is_empty());
        let text = Some(text).filter(|_| !talk.content().is_empty());
        let content: Vec<_> = thinking.into_iter().chain(text).collect();
        let mut message = json!({"role": "assistant", "content": content});
        if !talk.calls.is_empty() {
            let calls = talk.calls.iter().map(|call| wire_call(call, call.arguments));
            message["tool_calls"] = calls.collect();
        }
        json!({
            "id": talk.asked.uuid(), "message": message, "finish_reason": talk.finish,
            "usage": usage(talk),
        })
    }

    fn say(&self, talk: &Talk<'_>, stream: &mut Stream) {
        let message = json!({
            "role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": [],
        });
        stream.named(&json!({
            "id": talk.asked.uuid(), "type": "message-start", "delta": {"message": message},
        }));
        let mut index = 0;
        let thought = pieces(talk.thinking()).collect();
        for (kind, parts) in [("thinking", thought), ("text", talk.pieces())] {
            if !parts.is_empty() {
                put_content(stream, index, kind, &parts);
                index += 1;
            }
        }
        for (index, call) in talk.calls.iter().enumerate() {
            put_call(stream, index, call);
        }
    }

    fn end(&self, talk: &Talk<'_>, stream: &mut Stream) {
        let delta = json!({"finish_reason": talk.finish, "usage": usage(talk)});
        stream.named(&json!({"type": "message-end", "delta": delta}));
        stream.done();
    }

    fn fail(&self, _: &Talk<'_>, refusal: &Refusal, stream: &mut Stream) {
        let mut delta = json!({"finish_reason": "ERROR", "error": refusal.message});
        if let Some(word) = refusal.word_alone() {
            delta["error_type"] = word.into();
        }
        stream.named(&json!({"type": "message-end", "delta": delta}));
        stream.done();
    }

    fn refusal(&self, asked: &Asked<'_>, refusal: &Refusal) -> Value {
        let mut body = json!({"id": asked.uuid(), "message": refusal.message});
        if let Some(word) = refusal.word_beside_status() {
            body["code"] = word.into();
        }
        body
    }
}

fn put_content(stream: &mut Stream, index: usize, kind: &str, parts: &[&str]) {
    let event = |name: &str, content: Value| json!({"type": name, "index": index, "delta": {"message": {"content": content}}});
    stream.named(&event("content-start", json!({"type": kind, kind: ""})));
    for piece in parts {
        stream.named(&event("content-delta", json!({ kind: piece })));
    }
    stream.named(&json!({"type": "content-end", "index": index}));
}

fn put_call(stream: &mut Stream, index: usize, call: &Called<'_>) {
    // One object here, not a list of one.
    let event = |name: &str, calls: Value| json!({"type": name, "index": index, "delta": {"message": {"tool_calls": calls}}});
    stream.named(&event("tool-call-start", wire_call(call, "")));
    for piece in pieces(call.arguments) {
        stream.named(&event("tool-call-delta", json!({"function": {"arguments": piece}})));
    }
    stream.named(&json!({"type": "tool-call-end", "index": index}));
}

fn wire_call(call: &Called<'_>, arguments: &str) -> Value {
    json!({
        "id": call.id, "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    })
}

fn usage(talk: &Talk<'_>) -> Value {
    let usage = &talk.usage;
    let tokens = json!({
        "input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens,
    });
    let mut document = json!({"billed_units": tokens, "tokens": tokens});
    if let Some(cached) = usage.cached_tokens {
        document["cached_tokens"] = cached.into();
    }
    document
}
