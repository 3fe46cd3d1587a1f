//! Help for built-in tools: what they do, and what they take.

use std::fmt::Write;

use serde_json::Value;

use crate::tool::builtin::{ALL, Bounds, Builtin, find};

pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|tool| tool.name)
}

/// A tool by its name, or by another one that it has.
pub fn text(topic: &str) -> Option<String> {
    find(topic).map(tool_text)
}

fn tool_text(tool: &'static Builtin) -> String {
    let mut text = format!("{}: a built-in tool\n\n{}\n", tool.name, tool.description);
    if !(tool.offered)(&Bounds::default()) {
        text.push_str("It is there once configure{tools=} says what it may do.\n");
    }
    text.push_str("\ninput: a table\n");
    let schema = (tool.parameters)(&Bounds::default());
    let required = |name: &str| {
        schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name))
    };
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        property_text(&mut text, name, property, required(name));
    }
    let _ = write!(text, "\nExample:\nzigllms.tool.execute({:?}, {{ … }})\n", tool.name);
    text
}

fn property_text(text: &mut String, name: &str, property: &Value, required: bool) {
    let doc = property["description"].as_str().map_or(String::new(), |doc| format!(": {doc}"));
    let default = match (&property["default"], required) {
        (Value::Null, true) => " [required]".into(),
        (Value::Null, false) => String::new(),
        (default, _) => format!(" [{default}]"),
    };
    let _ = writeln!(text, "  {name:<24} {}{doc}{default}", kind(property));
}

/// What a value may be, in a few words.
fn kind(property: &Value) -> String {
    if let Some(words) = property["enum"].as_array() {
        let words: Vec<String> = words.iter().map(Value::to_string).collect();
        return format!("one of {}", words.join(", "));
    }
    let types = match &property["type"] {
        Value::String(one) => one.clone(),
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "any value".into(),
    };
    match (property["minimum"].as_i64(), property["maximum"].as_i64()) {
        (Some(low), Some(high)) => format!("{types} from {low} to {high}"),
        (Some(low), None) => format!("{types} from {low}"),
        (None, Some(high)) => format!("{types} up to {high}"),
        (None, None) => types,
    }
}
