//! Ollama's own chats: a document for each line.

use serde_json::{Value, json};

use super::asked::Asked;
use super::refusal::Refusal;
use super::stream::{Stream, pieces};
use super::talk::{Called, Talk};
use super::vendor::Vendor;

#[derive(Debug)]
pub struct Ollama;

impl Vendor for Ollama {
    fn chat_path(&self) -> &'static str {
        "/api/chat"
    }

    fn stream_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn streams_unasked(&self) -> bool {
        true
    }

    /// That tools are to be called shows in the calls alone.
    fn finish(&self, neutral: &str) -> &'static str {
        match neutral {
            "length" => "length",
            _ => "stop",
        }
    }

    fn document(&self, talk: &Talk<'_>) -> Value {
        let mut message = json!({"role": "assistant", "content": talk.content()});
        if !talk.thinking().is_empty() {
            message["thinking"] = talk.thinking().into();
        }
        if !talk.calls.is_empty() {
            message["tool_calls"] = calls(talk);
        }
        last(talk, message)
    }

    fn say(&self, talk: &Talk<'_>, stream: &mut Stream) {
        for piece in pieces(talk.thinking()) {
            let message = json!({"role": "assistant", "content": "", "thinking": piece});
            stream.line(&line(talk, message));
        }
        for piece in talk.pieces() {
            stream.line(&line(talk, json!({"role": "assistant", "content": piece})));
        }
        if !talk.calls.is_empty() {
            let message = json!({"role": "assistant", "content": "", "tool_calls": calls(talk)});
            stream.line(&line(talk, message));
        }
    }

    fn end(&self, talk: &Talk<'_>, stream: &mut Stream) {
        stream.line(&last(talk, json!({"role": "assistant", "content": ""})));
    }

    fn fail(&self, talk: &Talk<'_>, refusal: &Refusal, stream: &mut Stream) {
        let mut line = self.refusal(talk.asked, refusal);
        if let Some(word) = refusal.word_alone() {
            line["code"] = word.into();
        }
        stream.line(&line);
    }

    fn refusal(&self, _: &Asked<'_>, refusal: &Refusal) -> Value {
        let mut body = json!({"error": refusal.message});
        if let Some(word) = refusal.word_beside_status() {
            body["code"] = word.into();
        }
        body
    }
}

fn line(talk: &Talk<'_>, message: Value) -> Value {
    json!({
        "model": talk.model(), "created_at": talk.asked.timestamp(), "message": message,
        "done": false,
    })
}

/// Times are in nanoseconds.
fn last(talk: &Talk<'_>, message: Value) -> Value {
    let mut document = line(talk, message);
    let more = json!({
        "done": true, "done_reason": talk.finish, "total_duration": 3_000_000,
        "load_duration": 1_000_000, "prompt_eval_count": talk.usage.prompt_tokens,
        "prompt_eval_duration": 1_000_000, "eval_count": talk.usage.completion_tokens,
        "eval_duration": 1_000_000,
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        document[key.as_str()] = value.clone();
    }
    document
}

fn calls(talk: &Talk<'_>) -> Value {
    let call = |(index, call): (usize, &Called<'_>)| {
        let function = json!({"index": index, "name": call.name, "arguments": call.input()});
        json!({"id": call.id, "function": function})
    };
    talk.calls.iter().enumerate().map(call).collect()
}
