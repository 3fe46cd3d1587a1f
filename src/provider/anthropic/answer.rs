//! Reads an answer. It consists of blocks, which arrive piece by piece or whole; they are kept as
//! they are, for the next request may have to bring them back.

use serde_json::{Map, Value, json};

use crate::chat::{Finish, Fragment, Growing, Usage};
use crate::error::Result;
use crate::provider::failure;
use crate::provider::reading::{Dialect, has_error, number, text_of};
use crate::value::{Kind, Ref, json as text};

/// Under which blocks of this protocol are kept.
pub const NAME: &str = "messages";

#[derive(Default)]
pub struct State {
    blocks: Vec<Block>,
    counts: Counts,
    /// The provider has said why it stopped.
    complete: bool,
}

/// One block, as far as it has come.
struct Block {
    /// As events call it.
    index: i64,
    value: Map<String, Value>,
    /// The tool call that it is.
    slot: Option<usize>,
    /// Pieces of the input of a tool.
    input: String,
}

/// Tokens: what a later event says is the whole again.
#[derive(Default)]
struct Counts {
    input: Option<u64>,
    written: Option<u64>,
    cached: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
}

impl Dialect for State {
    const NAME: &'static str = NAME;
    const MISSING: &'static str = "the answer has no content";

    fn event(&mut self, name: &str, event: Ref<'_>, growing: &mut Growing<'_>) -> Result<()> {
        let kind = text_of(event, "type").unwrap_or(name);
        let index = event.get("index").and_then(Ref::as_i64).unwrap_or(0);
        match kind {
            "message_start" => self.head(event.get("message").unwrap_or(event), growing),
            "content_block_start" => {
                if let Some(block) = event.get("content_block") {
                    self.open(index, block, growing);
                }
            }
            "content_block_delta" => {
                if let Some(delta) = event.get("delta") {
                    self.grow(index, delta, growing);
                }
            }
            "content_block_stop" => self.close(index, growing),
            "message_delta" => {
                self.count(event.get("usage"), growing);
                self.stop(event.get("delta").unwrap_or(event), growing);
            }
            "message_stop" => self.complete = true,
            kind if kind == "error" || has_error(event) => {
                return Err(failure::from_document(&event.to_json()));
            }
            _ => {}
        }
        Ok(())
    }

    fn document(&mut self, document: Ref<'_>, growing: &mut Growing<'_>) -> Result<bool> {
        if text_of(document, "type") == Some("error") || has_error(document) {
            return Err(failure::from_document(&document.to_json()));
        }
        let Some(content) = document.get("content").filter(|content| content.is_array()) else {
            return Ok(false);
        };
        self.head(document, growing);
        for (index, block) in content.items().enumerate() {
            self.open(index as i64, block, growing);
            self.close(index as i64, growing);
        }
        self.stop(document, growing);
        Ok(true)
    }

    fn is_complete(&self) -> bool {
        self.complete
    }

    fn finish(&mut self, growing: &mut Growing<'_>) -> Option<Value> {
        growing.complete(false);
        // Thinking that was cut off has no signature: it would be refused.
        self.blocks.retain(|block| block.kind() != "thinking" || is_signed(&block.value));
        let special = self.blocks.iter().any(|block| !block.is_plain());
        let values = self.blocks.drain(..).map(|block| Value::Object(block.value));
        special.then(|| values.collect())
    }
}

impl State {
    fn head(&mut self, message: Ref<'_>, growing: &mut Growing<'_>) {
        growing.facts(text_of(message, "id"), text_of(message, "model"), None);
        self.count(message.get("usage"), growing);
    }

    fn stop(&mut self, part: Ref<'_>, growing: &mut Growing<'_>) {
        if let Some(native) = text_of(part, "stop_reason") {
            self.complete = true;
            growing.finish(native, finish_of(native));
        }
    }

    fn count(&mut self, usage: Option<Ref<'_>>, growing: &mut Growing<'_>) {
        let Some(usage) = usage.filter(|usage| usage.kind() == Kind::Object) else { return };
        let counts = &mut self.counts;
        let details = usage.get("output_tokens_details");
        for (known, said) in [
            (&mut counts.input, number(Some(usage), "input_tokens")),
            (&mut counts.written, number(Some(usage), "cache_creation_input_tokens")),
            (&mut counts.cached, number(Some(usage), "cache_read_input_tokens")),
            (&mut counts.output, number(Some(usage), "output_tokens")),
            (&mut counts.thinking, number(details, "thinking_tokens")),
        ] {
            *known = said.or(*known);
        }
        growing.reply.usage = Some(counts.usage());
    }

    fn open(&mut self, index: i64, block: Ref<'_>, growing: &mut Growing<'_>) {
        let Value::Object(value) = block.to_json() else { return };
        let mut opened = Block { index, value, slot: None, input: String::new() };
        match opened.kind() {
            "text" => growing.text(text_of(block, "text").unwrap_or_default()),
            "thinking" => growing.thinking(text_of(block, "thinking").unwrap_or_default()),
            "tool_use" => {
                let slot = growing.reply.tool_calls.len();
                let (id, name) = (text_of(block, "id"), text_of(block, "name"));
                growing.call(slot, Fragment { id, name, arguments: "" });
                opened.slot = Some(slot);
            }
            // Tools of the server are at work: the answer goes on.
            _ => growing.moved = true,
        }
        if let Some(input) = block.get("input").filter(|input| !input.is_empty()) {
            opened.input = text::to_string(input);
        }
        self.blocks.push(opened);
    }

    fn grow(&mut self, index: i64, delta: Ref<'_>, growing: &mut Growing<'_>) {
        let Some(block) = self.blocks.iter_mut().rfind(|block| block.index == index) else {
            return;
        };
        match text_of(delta, "type").unwrap_or_default() {
            "text_delta" => growing.text(block.append(delta, "text")),
            "thinking_delta" => growing.thinking(block.append(delta, "thinking")),
            "signature_delta" => block.set(delta, "signature"),
            "citations_delta" => block.cite(delta),
            "input_json_delta" => block.add_input(delta, growing),
            _ => delta.members().for_each(|(key, _)| block.set(delta, &key.to_text())),
        }
        growing.moved |= block.slot.is_none();
    }

    fn close(&mut self, index: i64, growing: &mut Growing<'_>) {
        let Some(block) = self.blocks.iter_mut().rfind(|block| block.index == index) else {
            return;
        };
        if let Some(slot) = block.slot
            && growing.reply.tool_calls.get(slot).is_some_and(|call| call.arguments_json.is_empty())
        {
            // The input came with the block.
            growing.call(slot, Fragment { arguments: &block.input, ..Fragment::default() });
        }
        if !block.input.is_empty() {
            let input = serde_json::from_str::<Value>(&block.input).ok().filter(Value::is_object);
            let input = input.unwrap_or_else(|| json!({ "invalid_json": block.input }));
            block.value.insert("input".into(), input);
        } else if let Some(input @ Value::Null) = block.value.get_mut("input") {
            *input = json!({});
        }
    }
}

impl Block {
    fn kind(&self) -> &str {
        self.value.get("type").and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether nothing is lost where it is built anew from text and tool calls.
    fn is_plain(&self) -> bool {
        let known: &[&str] = match self.kind() {
            "text" => &["type", "text"],
            "tool_use" => &["type", "id", "name", "input"],
            _ => return false,
        };
        let empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        self.value.iter().all(|(key, value)| known.contains(&key.as_str()) || empty(value))
    }

    /// Adds a piece of text; gives it.
    fn append<'d>(&mut self, delta: Ref<'d>, key: &str) -> &'d str {
        let piece = text_of(delta, key).unwrap_or_default();
        match self.value.get_mut(key) {
            Some(Value::String(text)) => text.push_str(piece),
            _ => drop(self.value.insert(key.into(), piece.into())),
        }
        piece
    }

    fn set(&mut self, delta: Ref<'_>, key: &str) {
        if let Some(value) = delta.get(key).filter(|_| key != "type") {
            self.value.insert(key.into(), value.to_json());
        }
    }

    fn cite(&mut self, delta: Ref<'_>) {
        let Some(citation) = delta.get("citation").map(Ref::to_json) else { return };
        match self.value.get_mut("citations") {
            Some(Value::Array(all)) => all.push(citation),
            _ => drop(self.value.insert("citations".into(), json!([citation]))),
        }
    }

    fn add_input(&mut self, delta: Ref<'_>, growing: &mut Growing<'_>) {
        let piece = text_of(delta, "partial_json").unwrap_or_default();
        // Pieces replace what came with the block.
        if self.value.get("input").is_some_and(|input| !input.is_null()) {
            self.value.insert("input".into(), Value::Null);
            self.input.clear();
        }
        self.input.push_str(piece);
        if let Some(slot) = self.slot {
            growing.call(slot, Fragment { arguments: piece, ..Fragment::default() });
        }
    }
}

impl Counts {
    /// What the cache took or gave stands apart here, and is part of the prompt everywhere else.
    fn usage(&self) -> Usage {
        let prompt = [self.input, self.written, self.cached];
        Usage {
            prompt_tokens: prompt.into_iter().flatten().sum(),
            completion_tokens: self.output.unwrap_or(0),
            cached_tokens: self.cached,
            cache_write_tokens: self.written,
            reasoning_tokens: self.thinking,
            ..Usage::default()
        }
    }
}

fn is_signed(block: &Map<String, Value>) -> bool {
    block.get("signature").and_then(Value::as_str).is_some_and(|text| !text.is_empty())
}

fn finish_of(native: &str) -> Finish {
    match native {
        "end_turn" | "stop_sequence" => Finish::Stop,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "refusal" => Finish::ContentFilter,
        "pause_turn" => Finish::Pause,
        _ => Finish::Unknown,
    }
}
