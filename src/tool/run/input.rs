//! The input of a call: read as the tool's schema means it, filled up with defaults, checked.

use serde_json::{Map, Value};

use crate::error::{Code, Error, Result};
use crate::schema::{Missing, Schema, Step as PathStep};
use crate::tool::Tool;
use crate::value::repair::{self, Level, Options};
use crate::value::{Data, Document, Key, Kind, Patch, Ref, Slot, Tape, json};

/// A tool's input that passed its schema.
pub struct Input(Data);

impl Input {
    /// From Lua: the very table the caller passed, with defaults added to a copy of its spine. A
    /// worker, being no function, gets plain data.
    pub fn from_lua(
        tool: &Tool,
        checks: bool,
        works: bool,
        value: Option<Ref<'_>>,
        slot: Option<Slot>,
    ) -> Result<Input> {
        let Some(slot) = slot else {
            return Input::checked(tool, checks, Value::Object(Map::new()));
        };
        let Some(value) = value else { return Ok(Input(Data::Slot(slot))) };
        if let Some(text) = value.as_str().filter(|_| tool.takes_object()) {
            return Input::checked(tool, checks, document(text)?);
        }
        if works {
            return Input::checked(tool, checks, plain(tool, value));
        }
        // Nulls stand for what is absent; only a copy can be without them.
        if tool.parameters.is_some() && has_nulls(value) {
            return Input::checked(tool, checks, plain(tool, value));
        }
        let patches = patches(tool, checks, value)?;
        Ok(Input(if patches.is_empty() { Data::Slot(slot) } else { Data::Patched(slot, patches) }))
    }

    /// From Lua, with strings that are no text: for those who take any bytes. The check sees them
    /// with replacement characters.
    pub fn from_bytes(tool: &Tool, checks: bool, value: Ref<'_>) -> Result<Input> {
        let Input(Data::Json(read)) = Input::checked(tool, checks, plain(tool, value))? else {
            return Err(Error::internal("a checked input is no document"));
        };
        Ok(Input(Data::from(with_defaults(value, &read))))
    }

    /// From a model: a document of its own.
    pub fn from_json(tool: &Tool, value: Value) -> Result<Input> {
        Input::checked(tool, tool.validates(), value)
    }

    fn checked(tool: &Tool, checks: bool, mut value: Value) -> Result<Input> {
        value = json::without_nulls(value);
        if tool.parameters.is_some() {
            let schema = tool.schema()?;
            let filled = schema.fill_defaults(&mut value);
            value = json::without_nulls(value);
            if checks {
                schema.fit_filled(&value, &filled)?;
            }
        } else if checks && !value.is_object() {
            return Err(no_object(&value));
        }
        Ok(Input(Data::Json(value)))
    }

    pub fn into_data(self) -> Data {
        self.0
    }
}

/// A copy, with the members that it has not.
fn with_defaults(value: Ref<'_>, read: &Value) -> Document {
    let Some(read) = read.as_object().filter(|_| value.is_object()) else {
        return Document::copy(value);
    };
    let mut document = Document::default();
    let (tape, mut count) = (&mut document.tape, 0);
    let mark = tape.open_object();
    for (name, member) in value.members().filter(|(_, member)| !member.is_null()) {
        tape.copy(name.walk());
        tape.copy(member.walk());
        count += 1;
    }
    for (name, member) in read.iter().filter(|(name, _)| value.get(name).is_none()) {
        let bytes = |(key, _): (Ref<'_>, Ref<'_>)| key.to_text() == **name;
        if !value.members().any(bytes) {
            tape.str(name.as_bytes());
            json::put(member, tape);
            count += 1;
        }
    }
    tape.close(mark, count);
    document
}

/// Text that a model wrote, read with the repairs that neither lose nor invent anything.
fn document(text: &str) -> Result<Value> {
    let options = Options::document(Level::Lenient);
    let mut tape = Tape::default();
    let found = repair::read(text.as_bytes(), &options, &mut tape);
    let found = found.map_err(|e| not_json(e.message()))?;
    Ok(tape.at(found.root).map(Ref::to_json).unwrap_or_default())
}

fn not_json(why: &str) -> Error {
    Error::new(Code::ValidationFailed, format!("the input is not valid JSON: {why}"))
}

fn no_object(value: &Value) -> Error {
    let kind = match value {
        Value::Array(_) => "an array",
        Value::String(_) => "a string",
        Value::Number(_) => "a number",
        Value::Bool(_) => "a boolean",
        Value::Null | Value::Object(_) => "null",
    };
    Error::new(Code::ValidationFailed, format!("the input must be an object, not {kind}"))
}

/// Defaults that a Lua value lacks, after it passed the check that they are part of.
fn patches(tool: &Tool, checks: bool, value: Ref<'_>) -> Result<Vec<Patch>> {
    if tool.parameters.is_none() {
        return if value.is_object() || !checks {
            Ok(Vec::new())
        } else {
            Err(no_object(&value.to_json()))
        };
    }
    let schema = tool.schema()?;
    let mut missing = schema.missing_defaults(value);
    missing.retain(|default| !default.value.is_null());
    if checks {
        check_with_defaults(schema, value, &missing)?;
    }
    Ok(missing.into_iter().map(patch).collect())
}

fn check_with_defaults(schema: &Schema, value: Ref<'_>, missing: &[Missing]) -> Result<()> {
    if missing.is_empty() {
        return schema.fit(value);
    }
    let mut document = settled(schema, value);
    let filled = schema.fill_defaults(&mut document);
    schema.fit_filled(&json::without_nulls(document), &filled)
}

/// A Lua value as a document of its own.
fn plain(tool: &Tool, value: Ref<'_>) -> Value {
    match tool.schema() {
        Ok(schema) if tool.has_schema() => settled(schema, value),
        _ => value.to_json(),
    }
}

/// Its empty tables are arrays where only those fit.
fn settled(schema: &Schema, value: Ref<'_>) -> Value {
    if value.empties().next().is_none() {
        return value.to_json();
    }
    let mut tape = value.tape().clone();
    for at in schema.examine(value).arrays {
        tape.settle_empty(at, Kind::Array);
    }
    tape.view(value.position()).to_json()
}

fn has_nulls(value: Ref<'_>) -> bool {
    let inside = |value: Ref<'_>| value.is_null() || has_nulls(value);
    value.items().any(has_nulls) || value.members().any(|(_, member)| inside(member))
}

fn patch(missing: Missing) -> Patch {
    let key = |step| match step {
        PathStep::Member(name) => Key::Name(name),
        PathStep::Item(index) => Key::Index(index),
    };
    Patch { path: missing.path.into_iter().map(key).collect(), value: missing.value }
}
