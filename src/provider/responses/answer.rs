//! Reads an answer: a list of items, which events fill in or one document holds.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::chat::{Finish, Fragment, Growing, ToolCall, Usage};
use crate::error::Result;
use crate::provider::failure;
use crate::provider::reading::{Dialect, has_error, number, text_of};
use crate::value::{Kind, Ref};

/// Under which items of this protocol are kept.
pub const NAME: &str = "responses";

#[derive(Default)]
pub struct State {
    /// By their place in the list.
    items: BTreeMap<i64, Item>,
    refused: bool,
    /// The provider has said how it ended.
    complete: bool,
}

/// One item, as far as it has come.
#[derive(Default)]
struct Item {
    /// The tool call that it is.
    slot: Option<usize>,
    /// Text has arrived piece by piece; the whole that follows repeats it.
    texts: bool,
    /// Thinking has arrived so, and where: several servers send it in two places.
    thinking: Option<Thinking>,
    /// The part of a summary that came last.
    part: Option<i64>,
    /// As it was when it was done.
    value: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thinking {
    Summary,
    Verbatim,
}

impl Dialect for State {
    const NAME: &'static str = NAME;
    const MISSING: &'static str = "the answer has no output";

    fn event(&mut self, name: &str, event: Ref<'_>, growing: &mut Growing<'_>) -> Result<()> {
        let kind = text_of(event, "type").unwrap_or(name);
        let piece = text_of(event, "delta").unwrap_or_default();
        let item = || event.get("item").filter(|item| item.is_object());
        let at = event.get("output_index").and_then(Ref::as_i64).unwrap_or(0);
        match kind.strip_prefix("response.").unwrap_or(kind) {
            "created" | "in_progress" | "queued" => {
                event.get("response").into_iter().for_each(|response| facts(response, growing));
            }
            "output_item.added" => {
                item().into_iter().for_each(|item| self.added(at, item, growing));
            }
            "output_item.done" => {
                item().into_iter().for_each(|item| self.done(at, item, growing));
            }
            "output_text.delta" => self.text(at, piece, growing),
            "refusal.delta" => {
                self.refused = true;
                self.text(at, piece, growing);
            }
            "function_call_arguments.delta" => self.arguments(at, piece, growing),
            "reasoning_summary_text.delta" => {
                let part = event.get("summary_index").and_then(Ref::as_i64);
                self.thinking(at, Thinking::Summary, part, piece, growing);
            }
            "reasoning_text.delta" => {
                self.thinking(at, Thinking::Verbatim, None, piece, growing);
            }
            "completed" | "incomplete" | "failed" | "cancelled" => {
                self.ended(event.get("response").unwrap_or(event), growing)?;
            }
            "error" => return Err(failure::from_document(&event.to_json())),
            _ if has_error(event) => return Err(failure::from_document(&event.to_json())),
            // Tools of the server are at work: the answer goes on.
            _ => growing.moved = true,
        }
        Ok(())
    }

    fn document(&mut self, document: Ref<'_>, growing: &mut Growing<'_>) -> Result<bool> {
        self.ended(document, growing)?;
        Ok(document.get("output").is_some_and(Ref::is_array))
    }

    fn is_complete(&self) -> bool {
        self.complete
    }

    fn finish(&mut self, growing: &mut Growing<'_>) -> Option<Value> {
        self.in_order(growing);
        growing.complete(self.refused);
        let values: Vec<Value> =
            std::mem::take(&mut self.items).into_values().filter_map(|item| item.value).collect();
        // Messages and calls can be built anew; whatever else was done has to come back.
        let plain =
            |item: &Value| matches!(item["type"].as_str(), Some("message" | "function_call"));
        let special = !values.iter().all(plain);
        special.then(|| values.into())
    }
}

impl State {
    /// An item begins. A call at a place that is taken takes it over; nothing else takes a call away.
    fn added(&mut self, at: i64, item: Ref<'_>, growing: &mut Growing<'_>) {
        let slot = self.items.get(&at).and_then(|item| item.slot);
        let mut begun = Item { slot, ..Item::default() };
        if text_of(item, "type") == Some("function_call") {
            let calls = &mut growing.reply.tool_calls;
            if let Some(call) = slot.and_then(|slot| calls.get_mut(slot)) {
                *call = ToolCall::default();
            }
            let slot = *begun.slot.insert(slot.unwrap_or(calls.len()));
            growing.call(slot, fragment(item, text_of(item, "arguments").unwrap_or_default()));
        }
        growing.moved = true;
        self.items.insert(at, begun);
    }

    /// An item is whole: what no event has said of it is taken from here.
    fn done(&mut self, at: i64, item: Ref<'_>, growing: &mut Growing<'_>) {
        let known = self.items.entry(at).or_default();
        match text_of(item, "type").unwrap_or_default() {
            "message" if !known.texts => self.refused |= add_message(item, growing),
            "reasoning" if known.thinking.is_none() => add_reasoning(item, growing),
            "function_call" => {
                let slot = *known.slot.get_or_insert(growing.reply.tool_calls.len());
                let calls = &growing.reply.tool_calls;
                let so_far = calls.get(slot).map_or("", |call| call.arguments_json.as_str());
                let whole = text_of(item, "arguments").unwrap_or_default();
                let rest = whole.strip_prefix(so_far).unwrap_or_default();
                growing.call(slot, fragment(item, rest));
            }
            _ => growing.moved = true,
        }
        known.value = Some(item.to_json());
    }

    fn text(&mut self, at: i64, piece: &str, growing: &mut Growing<'_>) {
        self.items.entry(at).or_default().texts = true;
        growing.text(piece);
    }

    fn arguments(&mut self, at: i64, piece: &str, growing: &mut Growing<'_>) {
        let next = growing.reply.tool_calls.len();
        let slot = *self.items.entry(at).or_default().slot.get_or_insert(next);
        growing.call(slot, Fragment { arguments: piece, ..Fragment::default() });
    }

    /// Where thinking comes in two places, the first one counts. Parts of a summary are paragraphs.
    fn thinking(
        &mut self,
        at: i64,
        place: Thinking,
        part: Option<i64>,
        piece: &str,
        growing: &mut Growing<'_>,
    ) {
        let item = self.items.entry(at).or_default();
        if *item.thinking.get_or_insert(place) != place {
            return;
        }
        if item.part.is_some() && item.part != part {
            growing.thinking("\n\n");
        }
        item.part = part;
        growing.thinking(piece);
    }

    /// The end of a stream, or a whole answer: it may hold all items, or none of them again.
    fn ended(&mut self, response: Ref<'_>, growing: &mut Growing<'_>) -> Result<()> {
        let status = text_of(response, "status");
        if has_error(response) || status == Some("failed") {
            return Err(failure::from_document(&response.to_json()));
        }
        facts(response, growing);
        if self.items.is_empty() {
            let items = response.get("output").into_iter().flat_map(Ref::items);
            for (at, item) in items.enumerate() {
                self.done(at as i64, item, growing);
            }
        }
        self.complete = true;
        if let Some(status) = status {
            let why = response.get("incomplete_details").and_then(|why| text_of(why, "reason"));
            growing.finish(status, finish_of(status, why.unwrap_or_default()));
        }
        Ok(())
    }

    /// Calls stand in the order of their items, whichever began first.
    fn in_order(&self, growing: &mut Growing<'_>) {
        let slots = self.items.values().filter_map(|item| item.slot);
        let calls = &mut growing.reply.tool_calls;
        let sorted: Vec<_> = slots.filter_map(|slot| calls.get(slot).cloned()).collect();
        *calls = sorted;
    }
}

fn fragment<'t>(item: Ref<'t>, arguments: &'t str) -> Fragment<'t> {
    let id = text_of(item, "call_id").or_else(|| text_of(item, "id"));
    Fragment { id, name: text_of(item, "name"), arguments }
}

/// True if the message is a refusal.
fn add_message(item: Ref<'_>, growing: &mut Growing<'_>) -> bool {
    let mut refused = false;
    for part in item.get("content").into_iter().flat_map(Ref::items) {
        match text_of(part, "type") {
            Some("refusal") => {
                refused = true;
                growing.text(text_of(part, "refusal").unwrap_or_default());
            }
            Some("output_text") => growing.text(text_of(part, "text").unwrap_or_default()),
            _ => {}
        }
    }
    refused
}

/// The summary, else the thinking itself.
fn add_reasoning(item: Ref<'_>, growing: &mut Growing<'_>) {
    let listed = |key: &str| item.get(key).filter(|list| !list.is_empty());
    let parts = listed("summary").or_else(|| listed("content"));
    let texts = parts.into_iter().flat_map(Ref::items).filter_map(|part| text_of(part, "text"));
    for (i, text) in texts.enumerate() {
        if i > 0 {
            growing.thinking("\n\n");
        }
        growing.thinking(text);
    }
}

fn facts(response: Ref<'_>, growing: &mut Growing<'_>) {
    let created = response.get("created_at").and_then(Ref::as_f64);
    growing.facts(text_of(response, "id"), text_of(response, "model"), created);
    if let Some(usage) = response.get("usage").filter(|usage| usage.kind() == Kind::Object) {
        growing.reply.usage = Some(usage_of(usage));
    }
}

fn finish_of(status: &str, why: &str) -> Finish {
    match (status, why) {
        ("completed" | "complete", _) => Finish::Stop,
        ("incomplete", "max_output_tokens") => Finish::Length,
        ("incomplete", "content_filter") => Finish::ContentFilter,
        ("cancelled", _) => Finish::Cancelled,
        _ => Finish::Unknown,
    }
}

fn usage_of(usage: Ref<'_>) -> Usage {
    let (asked, said) = (usage.get("input_tokens_details"), usage.get("output_tokens_details"));
    let tokens = |key: &str| number(Some(usage), key).unwrap_or(0);
    let (prompt_tokens, completion_tokens) = (tokens("input_tokens"), tokens("output_tokens"));
    Usage {
        prompt_tokens,
        completion_tokens,
        cached_tokens: number(asked, "cached_tokens"),
        cache_write_tokens: number(asked, "cache_write_tokens"),
        reasoning_tokens: number(said, "reasoning_tokens"),
        other_tokens: tokens("total_tokens").saturating_sub(prompt_tokens + completion_tokens),
        estimated: false,
        cost: None,
    }
}
