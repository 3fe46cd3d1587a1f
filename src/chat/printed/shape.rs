//! Which JSON is a call: the names that models give to name and arguments.

use serde_json::{Map, Value};

use crate::value::repair::{Level, Options, read};
use crate::value::{Tape, json};

const NAMES: &[&str] = &["name", "tool_name", "function_name", "tool", "action", "function"];
const ARGUMENTS: &[&str] =
    &["arguments", "parameters", "args", "input", "params", "action_input", "tool_input", "kwargs"];
/// What may stand beside name and arguments of a bare call.
const BESIDE: &[&str] = &["id", "type", "tool_call_id", "call_id", "index", "thought", "thoughts"];

/// Whether the first member of a call may be named so, or begin so.
pub fn may_be_key(key: &str, complete: bool) -> bool {
    let mut keys = NAMES.iter().chain(ARGUMENTS).chain(BESIDE).chain(&["tool_calls"]);
    keys.any(|known| if complete { *known == key } else { known.starts_with(key) })
}

/// How surely something is a call before one looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sure {
    /// It stands in marks that only calls have.
    Marked,
    /// Its name must be one of the tools given.
    Known,
    /// Nothing but its shape says so.
    Bare,
}

/// The calls that a value is; none if any part of it is something else.
pub fn calls(value: &Value, sure: Sure) -> Vec<(String, Value)> {
    match value {
        Value::Array(items) => {
            let all: Vec<_> = items.iter().map(|item| calls(item, sure)).collect();
            let whole = all.iter().all(|calls| calls.len() == 1);
            if whole { all.into_iter().flatten().collect() } else { Vec::new() }
        }
        Value::Object(members) => match members.get("tool_calls").filter(|it| it.is_array()) {
            Some(inner) => calls(inner, Sure::Marked),
            None => call(members, sure).into_iter().collect(),
        },
        _ => Vec::new(),
    }
}

fn call(members: &Map<String, Value>, sure: Sure) -> Option<(String, Value)> {
    // {"type": "function", "function": {"name": …, "arguments": …}}
    if let Some(Value::Object(inner)) = members.get("function") {
        return call(inner, sure);
    }
    let named = |key: &&&str| members.get(**key).is_some_and(Value::is_string);
    let key = NAMES.iter().find(named)?;
    let name = members.get(*key)?.as_str()?.to_owned();
    let given = ARGUMENTS.iter().find_map(|key| Some((*key, members.get(*key)?)));
    let fits = match (sure, given) {
        (Sure::Marked | Sure::Known, Some(_)) => true,
        (Sure::Marked, None) => members.len() == 1,
        (Sure::Bare, Some((given, value))) => {
            let plain = matches!(given, "arguments" | "parameters") && *key == "name";
            plain && !is_schema(value) && only(members, &[key, given])
        }
        (_, None) => false,
    };
    let value = given.map_or(Value::Object(Map::new()), |(_, value)| value.clone());
    (fits && !is_schema(&value)).then_some((name, value))
}

/// The definition of a tool is no call of it.
fn is_schema(value: &Value) -> bool {
    let object = value.get("type").and_then(Value::as_str) == Some("object");
    object && value.get("properties").is_some_and(Value::is_object)
}

fn only(members: &Map<String, Value>, keys: &[&str]) -> bool {
    members.keys().all(|key| keys.contains(&key.as_str()) || BESIDE.contains(&key.as_str()))
}

/// Arguments as an object: JSON text is read, a lone value goes to the first parameter.
pub fn arguments(value: Value, parameters: &[String]) -> Value {
    let value = match value {
        Value::String(text) => from_text(text),
        other => other,
    };
    let value = match value {
        Value::Null => Value::Object(Map::new()),
        Value::Array(items) if items.is_empty() => Value::Object(Map::new()),
        Value::Array(items) if items.len() <= parameters.len() => {
            parameters.iter().cloned().zip(items).collect()
        }
        Value::Object(members) => Value::Object(members),
        other => match parameters {
            [only] => Value::Object([(only.clone(), other)].into_iter().collect()),
            _ => other,
        },
    };
    json::without_nulls(value)
}

/// JSON text in a string, or the string.
fn from_text(text: String) -> Value {
    if text.trim().is_empty() {
        return Value::Null;
    }
    if !text.trim_start().starts_with(['{', '[', '`']) {
        return Value::String(text);
    }
    let options = Options::document(Level::BestEffort);
    let mut tape = Tape::default();
    let found = read(text.as_bytes(), &options, &mut tape);
    match found.ok().and_then(|found| tape.at(found.root)) {
        Some(value) => value.to_json(),
        None => Value::String(text),
    }
}

/// A value as it is printed between tags: JSON where it is some, else text.
pub fn plain(text: &str) -> Value {
    let text = text.strip_prefix('\n').unwrap_or(text);
    let text = text.strip_suffix('\n').unwrap_or(text);
    let trimmed = text.trim();
    let literal = matches!(trimmed, "True" | "False" | "None");
    if literal || trimmed.starts_with(['{', '[']) {
        let options = Options::document(Level::Lenient);
        let mut tape = Tape::default();
        if let Ok(found) = read(trimmed.as_bytes(), &options, &mut tape)
            && found.start == 0
            && found.stop == trimmed.len()
            && let Some(value) = tape.at(found.root)
        {
            return value.to_json();
        }
    }
    match trimmed {
        "True" => Value::Bool(true),
        "False" => Value::Bool(false),
        "None" => Value::Null,
        _ => serde_json::from_str(trimmed).unwrap_or_else(|_| Value::String(text.to_owned())),
    }
}
