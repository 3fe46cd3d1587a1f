//! Anthropic's messages.

use serde_json::{Value, json};

use super::asked::Asked;
use super::refusal::{Kind, Refusal};
use super::stream::{Stream, pieces};
use super::talk::{Called, Talk};
use super::vendor::Vendor;

/// Thinking that comes back is believed by its signature.
const SIGNATURE: &str = "bW9jaw==";

#[derive(Debug)]
pub struct Anthropic;

impl Vendor for Anthropic {
    fn chat_path(&self) -> &'static str {
        "/v1/messages"
    }

    fn id_header(&self) -> &'static str {
        "request-id"
    }

    fn finish(&self, neutral: &str) -> &'static str {
        match neutral {
            "length" => "max_tokens",
            "tool_calls" => "tool_use",
            "content_filter" => "refusal",
            "pause" => "pause_turn",
            _ => "end_turn",
        }
    }

    fn call_prefix(&self) -> &'static str {
        "toolu"
    }

    fn document(&self, talk: &Talk<'_>) -> Value {
        let mut message = begun(talk);
        message["content"] = content(talk);
        message["stop_reason"] = talk.finish.into();
        message["usage"] = usage(talk, talk.usage.completion_tokens);
        message
    }

    fn say(&self, talk: &Talk<'_>, stream: &mut Stream) {
        let mut message = begun(talk);
        message["usage"] = usage(talk, 1);
        stream.named(&json!({"type": "message_start", "message": message}));
        stream.named(&json!({"type": "ping"}));
        let mut index = 0;
        if !talk.thinking().is_empty() {
            let block = json!({"type": "thinking", "thinking": "", "signature": ""});
            let thought = |piece| json!({"type": "thinking_delta", "thinking": piece});
            let sign = json!({"type": "signature_delta", "signature": SIGNATURE});
            let deltas = pieces(talk.thinking()).map(thought).chain([sign]);
            put_block(stream, &mut index, block, deltas);
        }
        if !talk.content().is_empty() {
            let said = |piece| json!({"type": "text_delta", "text": piece});
            let block = json!({"type": "text", "text": ""});
            put_block(stream, &mut index, block, talk.pieces().into_iter().map(said));
        }
        for call in &talk.calls {
            let part = |piece| json!({"type": "input_json_delta", "partial_json": piece});
            let parts = [""].into_iter().chain(pieces(call.arguments));
            put_block(stream, &mut index, tool_use(call, json!({})), parts.map(part));
        }
    }

    fn end(&self, talk: &Talk<'_>, stream: &mut Stream) {
        stream.named(&json!({
            "type": "message_delta",
            "delta": {"stop_reason": talk.finish, "stop_sequence": null},
            "usage": usage(talk, talk.usage.completion_tokens),
        }));
        stream.named(&json!({"type": "message_stop"}));
    }

    fn fail(&self, talk: &Talk<'_>, refusal: &Refusal, stream: &mut Stream) {
        stream.named(&self.refusal(talk.asked, refusal));
    }

    fn refusal(&self, asked: &Asked<'_>, refusal: &Refusal) -> Value {
        let mut error = json!({"type": kind_of(refusal), "message": refusal.message});
        // Its own words do not tell these from other requests that are refused.
        match refusal.kind {
            Kind::ContextLength => error["code"] = "context_length_exceeded".into(),
            Kind::ContentFilter => error["code"] = "content_filter".into(),
            _ => {}
        }
        json!({"type": "error", "error": error, "request_id": asked.name("req")})
    }

    fn status(&self, kind: Kind) -> u16 {
        match kind {
            Kind::Overloaded => 529,
            kind => kind.status(),
        }
    }
}

fn kind_of(refusal: &Refusal) -> &str {
    let usual = match refusal.kind {
        Kind::Auth => "authentication_error",
        Kind::Permission => "permission_error",
        Kind::NotFound => "not_found_error",
        Kind::BadRequest | Kind::ContextLength | Kind::ContentFilter => "invalid_request_error",
        Kind::RateLimited => "rate_limit_error",
        Kind::Quota => "billing_error",
        Kind::Overloaded => "overloaded_error",
        Kind::ServerError | Kind::Network | Kind::Timeout => "api_error",
    };
    refusal.word.as_deref().unwrap_or(usual)
}

fn begun(talk: &Talk<'_>) -> Value {
    json!({
        "id": talk.asked.name("msg"), "type": "message", "role": "assistant",
        "model": talk.model(), "content": [], "stop_reason": null, "stop_sequence": null,
    })
}

fn content(talk: &Talk<'_>) -> Value {
    let thinking = json!({
        "type": "thinking", "thinking": talk.thinking(), "signature": SIGNATURE,
    });
    let text = json!({"type": "text", "text": talk.content()});
    let calls = talk.calls.iter().map(|call| tool_use(call, call.input()));
    let thinking = Some(thinking).filter(|_| !talk.thinking().is_empty());
    let text = Some(text).filter(|_| !talk.content().is_empty());
    thinking.into_iter().chain(text).chain(calls).collect()
}

fn tool_use(call: &Called<'_>, input: Value) -> Value {
    json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
}

fn put_block(
    stream: &mut Stream,
    index: &mut usize,
    block: Value,
    deltas: impl Iterator<Item = Value>,
) {
    let at = *index;
    stream.named(&json!({"type": "content_block_start", "index": at, "content_block": block}));
    for delta in deltas {
        stream.named(&json!({"type": "content_block_delta", "index": at, "delta": delta}));
    }
    stream.named(&json!({"type": "content_block_stop", "index": at}));
    *index += 1;
}

/// What a cache took or gave is not in the count of the request here.
fn usage(talk: &Talk<'_>, said: u64) -> Value {
    let usage = &talk.usage;
    let (read, written) = (usage.cached_tokens, usage.cache_write_tokens);
    let cached = read.unwrap_or(0) + written.unwrap_or(0);
    let mut document = json!({
        "input_tokens": usage.prompt_tokens.saturating_sub(cached),
        "cache_creation_input_tokens": written.unwrap_or(0),
        "cache_read_input_tokens": read.unwrap_or(0),
        "output_tokens": said, "service_tier": "standard",
    });
    if let Some(thought) = usage.reasoning_tokens {
        document["output_tokens_details"] = json!({"thinking_tokens": thought});
    }
    document
}
