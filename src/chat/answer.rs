//! A finished answer in the shape that Lua gets.

use serde_json::Value;

use super::{Reply, Rung, ToolCall, Usage};
use crate::error::Error;
use crate::value::json::without_nulls;
use crate::value::{Data, Record};

/// A reply with everything about the call that fetched it.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub reply: Reply,
    /// Id of the provider instance that answered.
    pub provider: String,
    /// As requested; the reply may name a more exact one.
    pub model: String,
    pub usage: Usage,
    /// The structured output, checked against its schema.
    pub parsed: Option<Value>,
    /// How structured output was asked for.
    pub structured: Option<Rung>,
    /// Why the structured output does not fit.
    pub flaw: Option<Error>,
    pub finish_reason: &'static str,
    pub latency_ms: f64,
    /// Time to the first content.
    pub ttft_ms: Option<f64>,
    /// Requests made, failed ones included.
    pub attempts: u32,
    pub request_id: Option<String>,
    pub created: f64,
    pub raw: bool,
    /// It was kept from an earlier call: nobody was asked, and its tokens are not used again.
    pub cached: bool,
}

impl Answer {
    pub fn model(&self) -> String {
        self.reply.model.clone().unwrap_or_else(|| self.model.clone())
    }

    pub fn to_data(&self) -> Data {
        let reply = &self.reply;
        let calls: Vec<Record> = reply.tool_calls.iter().map(call_record).collect();
        Record::sized(20)
            .set("id", reply.id.clone())
            .set("content", reply.content.clone())
            .set("role", "assistant")
            .set("message", message_record(reply))
            .set("model", self.model())
            .set("provider", self.provider.as_str())
            .set("finish_reason", self.finish_reason)
            .set("native_finish_reason", reply.native_finish.clone())
            .set("usage", self.usage.to_record())
            .set("cost", self.usage.cost)
            .set("tool_calls", calls)
            .set("thinking", non_empty(&reply.thinking))
            .set("parsed", self.parsed.clone())
            .set("structured", self.structured.map(Rung::name))
            .set("created", reply.created.unwrap_or(self.created))
            .set("latency_ms", self.latency_ms)
            .set("ttft_ms", self.ttft_ms)
            .set("attempts", self.attempts)
            .set("request_id", self.request_id.clone())
            .set("cached", self.cached.then_some(true))
            .set("raw", reply.raw.clone().filter(|_| self.raw))
            .response()
            .into()
    }
}

pub fn non_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn call_record(call: &ToolCall) -> Record {
    let function = Record::new()
        .set("name", call.name.as_str())
        .set("arguments", call.arguments_json.as_str());
    Record::new()
        .set("id", call.id.as_str())
        .set("type", "function")
        .set("name", call.name.as_str())
        .set("arguments", call.arguments().map(without_nulls))
        .set("arguments_json", call.arguments_json.as_str())
        .set("function", function)
}

/// The assistant message, ready to be appended to a conversation.
fn message_record(reply: &Reply) -> Record {
    let calls: Vec<Record> = reply.tool_calls.iter().map(call_record).collect();
    Record::new()
        .set("role", "assistant")
        .set("content", reply.content.as_str())
        .set("tool_calls", Some(calls).filter(|calls| !calls.is_empty()))
        .set("blocks", reply.blocks.clone())
}

impl Usage {
    pub fn to_record(self) -> Record {
        Record::sized(8)
            .set("prompt_tokens", self.prompt_tokens)
            .set("completion_tokens", self.completion_tokens)
            .set("total_tokens", self.total_tokens())
            .set("cached_tokens", self.cached_tokens)
            .set("cache_write_tokens", self.cache_write_tokens)
            .set("reasoning_tokens", self.reasoning_tokens)
            .set("estimated", self.estimated.then_some(true))
            .set("cost", self.cost)
    }
}
