//! Reads an answer. Compatible servers differ in how they send tool calls, thinking and usage; all
//! of that is evened out here, and what must come back in the next request is kept in `blocks`.

use serde_json::{Map, Value, json};

use crate::chat::{Finish, Fragment, Growing, Reply, ToolCall, Usage};
use crate::error::Result;
use crate::provider::failure;
use crate::provider::reading::{Dialect, Reading, has_error, number, text_of};
use crate::value::{Kind, Ref, json as text};

/// Under which blocks of this protocol are kept.
pub const NAME: &str = "chat";

/// Decodes one answer.
pub type Answer = Reading<State>;

#[derive(Default)]
pub struct State {
    calls: Vec<Call>,
    /// The provider has said that nothing follows.
    complete: bool,
    refused: bool,
    /// The key under which thinking came, if it is one that wants its text back.
    thinking_key: Option<&'static str>,
    /// Pieces that must come back verbatim.
    details: Vec<Value>,
    extras: Map<String, Value>,
}

/// How the fragments of a tool call are told from those of others; parallel to the reply's calls.
#[derive(Default)]
struct Call {
    index: Option<i64>,
    extra: Option<Value>,
}

impl Dialect for State {
    const NAME: &'static str = NAME;
    /// Tokens are counted behind the reason.
    const ENDS: bool = false;
    const MISSING: &'static str = "the answer has no choices";

    fn event(&mut self, name: &str, event: Ref<'_>, growing: &mut Growing<'_>) -> Result<()> {
        self.read(event, name == "error", growing)
    }

    fn document(&mut self, document: Ref<'_>, growing: &mut Growing<'_>) -> Result<bool> {
        self.read(document, false, growing)?;
        Ok(document.get("choices").is_some_and(|choices| !choices.is_empty()))
    }

    fn is_complete(&self) -> bool {
        self.complete
    }

    fn finish(&mut self, growing: &mut Growing<'_>) -> Option<Value> {
        growing.complete(self.refused);
        self.blocks(growing)
    }
}

impl State {
    /// One chunk, or the whole document.
    fn read(&mut self, root: Ref<'_>, is_error: bool, growing: &mut Growing<'_>) -> Result<()> {
        let choice = root.get("choices").and_then(first_choice);
        let error = [Some(root), choice].into_iter().flatten().find(|part| has_error(*part));
        if let Some(part) = error.or(is_error.then_some(root)) {
            return Err(failure::from_document(&part.to_json()));
        }
        facts(root, choice, growing);
        let Some(choice) = choice else { return Ok(()) };
        let message = ["delta", "message"].iter().find_map(|key| choice.get(key));
        if let Some(message) = message.filter(|message| message.is_object()) {
            self.message(message, growing);
        }
        if let Some(native) = text_of(choice, "finish_reason") {
            self.complete = true;
            growing.finish(native, finish_of(native));
        }
        Ok(())
    }

    fn message(&mut self, message: Ref<'_>, growing: &mut Growing<'_>) {
        if let Some(content) = message.get("content") {
            add_content(content, growing);
        }
        if let Some(refusal) = text_of(message, "refusal") {
            self.refused = true;
            growing.text(refusal);
        }
        self.thinking(message, growing);
        let alone = listed(message.get("tool_calls")).count() == 1;
        for (at, call) in listed(message.get("tool_calls")).enumerate() {
            let last = growing.reply.tool_calls.len().saturating_sub(1);
            self.call(call, if alone { last } else { at }, growing);
        }
        if let Some(function) = message.get("function_call").filter(|f| f.is_object()) {
            self.fragment(function, 0, None, None, growing);
        }
    }

    fn thinking(&mut self, message: Ref<'_>, growing: &mut Growing<'_>) {
        let keys = ["reasoning_content", "reasoning"];
        let found = keys.into_iter().find_map(|key| Some((key, text_of(message, key)?)));
        if let Some((key, text)) = found {
            self.thinking_key = Some(key);
            growing.thinking(text);
        }
        self.details.extend(listed(message.get("reasoning_details")).map(Ref::to_json));
    }

    fn call(&mut self, call: Ref<'_>, at: usize, growing: &mut Growing<'_>) {
        let index = call.get("index").and_then(Ref::as_i64);
        let id = text_of(call, "id");
        // Some servers leave out the wrapper around name and arguments.
        let function = call.get("function").filter(|f| f.is_object()).unwrap_or(call);
        let slot = self.slot(index, id, function, at, growing.reply);
        self.fragment(function, slot, index, id, growing);
        if let (Some(extra), Some(kept)) = (call.get("extra_content"), self.calls.get_mut(slot)) {
            kept.extra = Some(extra.to_json());
        }
    }

    /// Which call a fragment belongs to: by index, else by id, else by its position in the list;
    /// a fragment alone in its list belongs to the last call.
    fn slot(
        &self,
        index: Option<i64>,
        id: Option<&str>,
        function: Ref<'_>,
        at: usize,
        reply: &Reply,
    ) -> usize {
        let by_id = || reply.tool_calls.iter().position(|call| Some(call.id.as_str()) == id);
        let next = reply.tool_calls.len();
        let found = match (index, id) {
            (Some(_), _) => self.calls.iter().rposition(|call| call.index == index),
            (None, Some(_)) => by_id(),
            (None, None) => Some(at).filter(|at| *at < next),
        };
        match found {
            // Some servers number every call 0: a whole call at a place that is taken is new.
            Some(slot) => match reply.tool_calls.get(slot) {
                Some(call) if !is_another(call, id, function) => slot,
                _ => next,
            },
            None => next,
        }
    }

    fn fragment(
        &mut self,
        function: Ref<'_>,
        slot: usize,
        index: Option<i64>,
        id: Option<&str>,
        growing: &mut Growing<'_>,
    ) {
        let known = growing.reply.tool_calls.get(slot);
        let so_far = known.map_or("", |call| call.arguments_json.as_str());
        let added = function.get("arguments").map(|arguments| added_arguments(arguments, so_far));
        let arguments = added.unwrap_or_default();
        growing.call(slot, Fragment { id, name: text_of(function, "name"), arguments: &arguments });
        self.calls.resize_with(growing.reply.tool_calls.len(), || Call { index, extra: None });
    }

    /// DeepSeek and Kimi want the thinking of a tool round back, OpenRouter its details, Gemini
    /// what it attached to a call. Plain answers take nothing back.
    fn blocks(&mut self, growing: &Growing<'_>) -> Option<Value> {
        let (mut blocks, reply) = (Map::new(), &*growing.reply);
        if let Some(key) = self.thinking_key.filter(|_| !reply.tool_calls.is_empty()) {
            blocks.insert(key.into(), Value::from(reply.thinking.as_str()));
        }
        if !self.details.is_empty() {
            blocks.insert("reasoning_details".into(), std::mem::take(&mut self.details).into());
        }
        for (call, kept) in reply.tool_calls.iter().zip(&mut self.calls) {
            if let Some(extra) = kept.extra.take() {
                self.extras.insert(call.id.clone(), json!({ "extra_content": extra }));
            }
        }
        if !self.extras.is_empty() {
            blocks.insert("tool_calls".into(), std::mem::take(&mut self.extras).into());
        }
        (!blocks.is_empty()).then(|| blocks.into())
    }
}

fn facts(root: Ref<'_>, choice: Option<Ref<'_>>, growing: &mut Growing<'_>) {
    let created = root.get("created").and_then(Ref::as_f64);
    growing.facts(text_of(root, "id"), text_of(root, "model"), created);
    // Groq and Moonshot have their own places for it.
    let places = [Some(root), choice, root.get("x_groq")];
    let found = places.into_iter().flatten().find_map(|part| part.get("usage"));
    if let Some(usage) = found.filter(|usage| usage.kind() == Kind::Object) {
        growing.reply.usage = Some(usage_of(usage));
    }
}

/// Only the first answer is read where several were asked for.
fn first_choice(choices: Ref<'_>) -> Option<Ref<'_>> {
    choices
        .items()
        .find(|choice| choice.get("index").and_then(Ref::as_i64).is_none_or(|index| index == 0))
}

/// The items of an array; anything else but null stands for itself.
fn listed(value: Option<Ref<'_>>) -> impl Iterator<Item = Ref<'_>> {
    let single = value.filter(|value| value.kind() == Kind::Object);
    value.into_iter().flat_map(Ref::items).chain(single)
}

/// Text, or parts of which some may be thinking (Mistral).
fn add_content(content: Ref<'_>, growing: &mut Growing<'_>) {
    if let Some(text) = content.as_str() {
        return growing.text(text);
    }
    for part in content.items() {
        if let Some(thinking) = part.get("thinking") {
            let inner = thinking.items().filter_map(|part| text_of(part, "text"));
            for text in thinking.as_str().into_iter().chain(inner) {
                growing.thinking(text);
            }
        } else if let Some(text) = text_of(part, "text").or_else(|| part.as_str()) {
            growing.text(text);
        }
    }
}

/// Whether a fragment begins another call although it is addressed like one that is complete.
fn is_another(call: &ToolCall, id: Option<&str>, function: Ref<'_>) -> bool {
    let other_id = id.is_some_and(|id| !call.id.is_empty() && id != call.id);
    let unnamed = id.is_none() && call.id.is_empty();
    let has_name = text_of(function, "name").is_some();
    has_name && (other_id || unnamed) && is_complete(&call.arguments_json)
}

fn is_complete(arguments: &str) -> bool {
    arguments.ends_with('}') && serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_ok()
}

/// What a fragment adds: text as it is, a document as its text, a repeated whole nothing.
fn added_arguments(arguments: Ref<'_>, so_far: &str) -> String {
    match arguments.kind() {
        Kind::Null => String::new(),
        Kind::Str => match arguments.as_str() {
            Some(text) if text == so_far && is_complete(text) => String::new(),
            text => text.unwrap_or_default().to_owned(),
        },
        _ if so_far.is_empty() => text::to_string(arguments),
        _ => String::new(),
    }
}

fn finish_of(native: &str) -> Finish {
    match native {
        "stop" => Finish::Stop,
        "length" | "model_length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        "content_filter" => Finish::ContentFilter,
        _ => Finish::Unknown,
    }
}

fn usage_of(usage: Ref<'_>) -> Usage {
    let prompt = usage.get("prompt_tokens_details");
    let completion = usage.get("completion_tokens_details");
    let tokens = |key: &str| number(Some(usage), key).unwrap_or(0);
    let (prompt_tokens, completion_tokens) = (tokens("prompt_tokens"), tokens("completion_tokens"));
    Usage {
        prompt_tokens,
        completion_tokens,
        cached_tokens: number(prompt, "cached_tokens")
            .or_else(|| number(Some(usage), "prompt_cache_hit_tokens")),
        cache_write_tokens: number(prompt, "cache_write_tokens"),
        reasoning_tokens: number(completion, "reasoning_tokens"),
        other_tokens: tokens("total_tokens").saturating_sub(prompt_tokens + completion_tokens),
        estimated: false,
        cost: None,
    }
}
