//! Reads an answer: parts of content, a plan, and tool calls, piece by piece or whole.

use serde_json::{Map, Value, json};

use crate::chat::{Finish, Fragment, Growing, Usage};
use crate::error::{Code, Error, Result};
use crate::provider::failure;
use crate::provider::reading::{Dialect, has_error, number, text_of};
use crate::value::{Kind, Ref};

/// Under which blocks of this protocol are kept.
pub const NAME: &str = "cohere";

#[derive(Default)]
pub struct State {
    /// The tool call of each index.
    calls: Vec<i64>,
    plan: String,
    /// Of `thinking` what is no plan.
    thoughts: String,
    complete: bool,
}

impl Dialect for State {
    const NAME: &'static str = NAME;
    const MISSING: &'static str = "the answer has no message";

    fn event(&mut self, name: &str, event: Ref<'_>, growing: &mut Growing<'_>) -> Result<()> {
        let kind = text_of(event, "type").unwrap_or(name);
        let delta = event.get("delta");
        let message = delta.and_then(|delta| delta.get("message"));
        let part = |key: &str| message.and_then(|message| message.get(key));
        match kind {
            "message-start" => growing.facts(text_of(event, "id"), None, None),
            "content-start" | "content-delta" => {
                part("content").into_iter().for_each(|content| self.content(content, growing));
            }
            "tool-plan-delta" => {
                let plan = message.and_then(|message| text_of(message, "tool_plan"));
                self.plan(plan.unwrap_or_default(), growing);
            }
            "tool-call-start" | "tool-call-delta" => {
                let index = event.get("index").and_then(Ref::as_i64).unwrap_or(0);
                part("tool_calls").into_iter().for_each(|call| self.call(index, call, growing));
            }
            "message-end" => self.ended(delta.unwrap_or(event), growing)?,
            kind if kind == "error" || has_error(event) => {
                return Err(failure::from_document(&event.to_json()));
            }
            "" if text_of(event, "message").is_some() => {
                return Err(failure::from_document(&event.to_json()));
            }
            "citation-start" => growing.moved = true,
            _ => {}
        }
        Ok(())
    }

    fn document(&mut self, document: Ref<'_>, growing: &mut Growing<'_>) -> Result<bool> {
        let Some(message) = document.get("message").filter(|message| message.is_object()) else {
            return match has_error(document) {
                true => Err(failure::from_document(&document.to_json())),
                false => Ok(false),
            };
        };
        growing.facts(text_of(document, "id"), None, None);
        for part in message.get("content").into_iter().flat_map(Ref::items) {
            self.content(part, growing);
        }
        self.plan(text_of(message, "tool_plan").unwrap_or_default(), growing);
        let calls = message.get("tool_calls").into_iter().flat_map(Ref::items);
        calls.enumerate().for_each(|(i, call)| self.call(i as i64, call, growing));
        self.ended(document, growing)?;
        Ok(true)
    }

    fn is_complete(&self) -> bool {
        self.complete
    }

    /// A round of tools wants its plan and its thinking back.
    fn finish(&mut self, growing: &mut Growing<'_>) -> Option<Value> {
        growing.complete(false);
        let mut kept = Map::new();
        for (key, text) in [("tool_plan", &self.plan), ("thinking", &self.thoughts)] {
            if !text.is_empty() {
                kept.insert(key.into(), text.as_str().into());
            }
        }
        let called = !growing.reply.tool_calls.is_empty();
        (called && !kept.is_empty()).then(|| kept.into())
    }
}

impl State {
    fn content(&mut self, part: Ref<'_>, growing: &mut Growing<'_>) {
        if let Some(thought) = text_of(part, "thinking") {
            self.thoughts.push_str(thought);
            growing.thinking(thought);
        }
        growing.text(text_of(part, "text").unwrap_or_default());
    }

    /// What the model means to do with its tools is thinking, not an answer.
    fn plan(&mut self, plan: &str, growing: &mut Growing<'_>) {
        self.plan.push_str(plan);
        growing.thinking(plan);
    }

    fn call(&mut self, index: i64, call: Ref<'_>, growing: &mut Growing<'_>) {
        let known = self.calls.iter().position(|known| *known == index);
        let slot = known.unwrap_or(self.calls.len());
        if known.is_none() {
            self.calls.push(index);
        }
        let function = call.get("function");
        let text = |key: &str| function.and_then(|function| text_of(function, key));
        let arguments = text("arguments").unwrap_or_default();
        growing.call(slot, Fragment { id: text_of(call, "id"), name: text("name"), arguments });
    }

    fn ended(&mut self, end: Ref<'_>, growing: &mut Growing<'_>) -> Result<()> {
        if let Some(usage) = end.get("usage").filter(|usage| !usage.is_empty()) {
            growing.reply.usage = usage_of(usage);
        }
        let native = text_of(end, "finish_reason").unwrap_or_default();
        if !native.is_empty() {
            self.complete = true;
            growing.finish(native, finish_of(native));
        }
        match native {
            _ if has_error(end) => Err(failure_of(end)),
            "ERROR" => Err(failure_of(end)),
            "TIMEOUT" => Err(Error::new(Code::ServerError, "the provider took too long")),
            _ => Ok(()),
        }
    }
}

fn failure_of(end: Ref<'_>) -> Error {
    let words = text_of(end, "error").unwrap_or_default();
    let kind = text_of(end, "error_type").unwrap_or_default();
    failure::from_document(&json!({ "error": { "message": words, "type": kind } }))
}

fn finish_of(native: &str) -> Finish {
    match native {
        "COMPLETE" | "STOP_SEQUENCE" => Finish::Stop,
        "MAX_TOKENS" => Finish::Length,
        "TOOL_CALL" => Finish::ToolCalls,
        _ => Finish::Unknown,
    }
}

/// What was read, cached tokens included; else what is charged.
fn usage_of(usage: Ref<'_>) -> Option<Usage> {
    let counts = ["tokens", "billed_units"].iter().find_map(|key| usage.get(key))?;
    let counts = Some(counts).filter(|counts| counts.kind() == Kind::Object);
    Some(Usage {
        prompt_tokens: number(counts, "input_tokens")?,
        completion_tokens: number(counts, "output_tokens").unwrap_or(0),
        cached_tokens: number(Some(usage), "cached_tokens"),
        ..Usage::default()
    })
}
