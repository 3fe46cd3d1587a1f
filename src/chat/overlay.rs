//! An answer that a hook has changed.

use serde_json::Value;

use super::{Answer, Finish, ToolCall};
use crate::error::{Error, Result};
use crate::value::{Ref, json};

impl Answer {
    /// The answer with what a table or a text says instead: `content`, `thinking`, `tool_calls`,
    /// `finish_reason`, `parsed`. What the table does not have stays.
    pub fn overlaid(mut self, given: Ref<'_>) -> Result<Answer> {
        if let Some(text) = given.as_str() {
            self.say(text);
            return Ok(self);
        }
        if !given.is_object() {
            return Err(Error::invalid("expected a response (a table with `content`) or a string"));
        }
        if let Some(text) = text(given, "content")? {
            self.say(text);
        }
        if let Some(text) = text(given, "thinking")? {
            text.clone_into(&mut self.reply.thinking);
        }
        if let Some(calls) = given.get("tool_calls") {
            self.call(calls)?;
        }
        self.finish_as(given)?;
        if let Some(parsed) = given.get("parsed") {
            self.parsed = Some(parsed.to_json());
        }
        Ok(self)
    }

    /// Sealed blocks tell what the model said: they do not go with anything else.
    fn say(&mut self, text: &str) {
        if self.reply.content != text {
            text.clone_into(&mut self.reply.content);
            self.reply.blocks = None;
        }
    }

    fn call(&mut self, calls: Ref<'_>) -> Result<()> {
        let own = &self.reply.tool_calls;
        let read = |(i, call): (usize, Ref<'_>)| tool_call(call, i, own);
        let calls = calls.items().enumerate().map(read).collect::<Result<Vec<_>>>()?;
        if calls != self.reply.tool_calls {
            self.reply.tool_calls = calls;
            self.reply.blocks = None;
        }
        Ok(())
    }

    fn finish_as(&mut self, given: Ref<'_>) -> Result<()> {
        let Some(name) = text(given, "finish_reason")? else { return Ok(()) };
        let unknown = || Error::invalid(format!("finish_reason: {name:?} is none"));
        self.finish_reason = Finish::of(name).ok_or_else(unknown)?.name();
        Ok(())
    }
}

fn text<'t>(given: Ref<'t>, key: &str) -> Result<Option<&'t str>> {
    let Some(value) = given.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
    let wrong = || Error::invalid(format!("{key}: expected a string"));
    value.as_str().map(Some).ok_or_else(wrong)
}

/// A call as a response shows it. Arguments that were changed win over their text.
fn tool_call(call: Ref<'_>, i: usize, own: &[ToolCall]) -> Result<ToolCall> {
    let path = |key: &str| format!("tool_calls[{}].{key}", i + 1);
    let said = |key: &str| call.get(key).and_then(Ref::as_str);
    let missing = |key: &str| Error::invalid(format!("{}: expected a string", path(key)));
    let id = said("id").unwrap_or_default();
    let name = said("name").ok_or_else(|| missing("name"))?;
    let before = own.iter().find(|before| before.id == id && before.name == name);
    let mut read = before.cloned().unwrap_or_else(|| ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments_json: said("arguments_json").unwrap_or("{}").to_owned(),
        whole: true,
    });
    if let Some(arguments) = call.get("arguments").filter(|value| !value.is_null()) {
        settle(&mut read, arguments);
    }
    Ok(read)
}

fn settle(call: &mut ToolCall, arguments: Ref<'_>) {
    let value = match arguments.as_str() {
        Some(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
        None => arguments.to_json(),
    };
    let same =
        call.arguments().map(json::without_nulls) == Some(json::without_nulls(value.clone()));
    if !same {
        call.arguments_json = value.to_string();
    }
}
