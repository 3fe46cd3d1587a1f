//! Reads an answer: each line adds to it, the last one says how it ended.

use serde_json::{Value, json};

use crate::chat::{Finish, Fragment, Growing, Usage};
use crate::error::Result;
use crate::provider::failure;
use crate::provider::fields::unix;
use crate::provider::reading::{Dialect, has_error, number, text_of};
use crate::value::{Kind, Ref, json as text};

/// Under which blocks of this protocol are kept.
pub const NAME: &str = "ollama";

#[derive(Default)]
pub struct State {
    complete: bool,
}

impl Dialect for State {
    const NAME: &'static str = NAME;
    const LINES: bool = true;
    const MISSING: &'static str = "the answer has no message";

    fn event(&mut self, _: &str, line: Ref<'_>, growing: &mut Growing<'_>) -> Result<()> {
        if has_error(line) {
            return Err(failure::from_document(&line.to_json()));
        }
        let created = text_of(line, "created_at").and_then(unix);
        growing.facts(None, text_of(line, "model"), created);
        if let Some(message) = line.get("message").filter(|message| message.is_object()) {
            add(message, growing);
        }
        if line.get("done").and_then(Ref::as_bool) == Some(true) {
            self.complete = true;
            growing.reply.usage = usage_of(line);
            let native = text_of(line, "done_reason").unwrap_or("stop");
            growing.finish(native, finish_of(native));
        }
        Ok(())
    }

    fn document(&mut self, document: Ref<'_>, growing: &mut Growing<'_>) -> Result<bool> {
        self.event("", document, growing)?;
        Ok(document.get("message").is_some())
    }

    fn is_complete(&self) -> bool {
        self.complete
    }

    /// A round of tools wants its thinking back.
    fn finish(&mut self, growing: &mut Growing<'_>) -> Option<Value> {
        growing.complete(false);
        let reply = &*growing.reply;
        let wanted = !reply.tool_calls.is_empty() && !reply.thinking.is_empty();
        wanted.then(|| json!({ "thinking": reply.thinking }))
    }
}

fn add(message: Ref<'_>, growing: &mut Growing<'_>) {
    growing.thinking(text_of(message, "thinking").unwrap_or_default());
    growing.text(text_of(message, "content").unwrap_or_default());
    // Calls come whole, wherever they stand in the list of their line.
    for call in message.get("tool_calls").into_iter().flat_map(Ref::items) {
        let function = call.get("function").unwrap_or(call);
        let arguments = function.get("arguments").map(|arguments| match arguments.kind() {
            Kind::Str => arguments.to_text(),
            Kind::Null => String::new(),
            _ => text::to_string(arguments),
        });
        let arguments = arguments.unwrap_or_default();
        let (id, name) = (text_of(call, "id"), text_of(function, "name"));
        let slot = growing.reply.tool_calls.len();
        growing.call(slot, Fragment { id, name, arguments: &arguments });
    }
}

fn finish_of(native: &str) -> Finish {
    match native {
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        _ => Finish::Unknown,
    }
}

/// A prompt that was read before is not counted: then the member is missing.
fn usage_of(line: Ref<'_>) -> Option<Usage> {
    let completion_tokens = number(Some(line), "eval_count");
    let prompt_tokens = number(Some(line), "prompt_eval_count");
    completion_tokens.or(prompt_tokens)?;
    Some(Usage {
        prompt_tokens: prompt_tokens.unwrap_or(0),
        completion_tokens: completion_tokens.unwrap_or(0),
        ..Usage::default()
    })
}
