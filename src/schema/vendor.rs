//! Schemas as the servers of each provider take them, to hold a model's answer to them.
//!
//! OpenAI's strict mode is in [`dialect`](super::dialect). The others differ in which keywords
//! they know, so each is a row: what a server does not know is left out of the schema and told to
//! the model in the description instead. The answer is checked against the schema as it was given,
//! whatever the server did.
//!
//! ```
//! use serde_json::json;
//! use zigllms::schema::vendor::{ANTHROPIC, sent};
//! let age = json!({"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}}});
//! assert_eq!(
//!     sent(&age, &ANTHROPIC).unwrap(),
//!     json!({"type": "object", "additionalProperties": false, "properties": {
//!         "age": {"type": "integer", "description": "minimum: 0"}}})
//! );
//! ```

use serde_json::{Map, Value, json};

use super::keywords::{children_mut, drop_remarks, local, tidy};
use crate::value::MAX_DEPTH;

/// What the servers of one provider take.
#[derive(Debug)]
pub struct Vendor {
    pub name: &'static str,
    /// Keywords they know, besides those all know.
    knows: &'static [&'static str],
    /// Values of `format` they know; `None`: all.
    formats: Option<&'static [&'static str]>,
    /// Every object has to be closed; so one with members of any name cannot be told.
    closed: bool,
    /// A schema may refer to itself.
    recursive: bool,
    /// The whole answer has to be an object.
    object: bool,
    /// Every object needs a required member.
    requires: bool,
    /// A list of values may hold more than texts.
    any_enum: bool,
}

/// Known to all of them.
const COMMON: &[&str] = &[
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "definitions",
    "description",
    "enum",
    "format",
    "items",
    "properties",
    "required",
    "title",
    "type",
];

pub static ANTHROPIC: Vendor = Vendor {
    name: "anthropic",
    knows: &["allOf", "const"],
    formats: Some(&[
        "date",
        "date-time",
        "duration",
        "email",
        "hostname",
        "ipv4",
        "ipv6",
        "time",
        "uri",
        "uuid",
    ]),
    closed: true,
    recursive: false,
    object: false,
    requires: false,
    any_enum: true,
};

pub static COHERE: Vendor = Vendor {
    name: "cohere",
    knows: &["const", "pattern"],
    formats: Some(&["date", "date-time", "time", "uuid"]),
    closed: false,
    recursive: true,
    object: true,
    requires: true,
    any_enum: true,
};

pub static GEMINI: Vendor = Vendor {
    name: "gemini",
    knows: &["maxItems", "maximum", "minItems", "minimum", "prefixItems"],
    formats: Some(&["date", "date-time", "duration", "time"]),
    closed: false,
    recursive: true,
    object: false,
    requires: false,
    any_enum: false,
};

/// Servers that make a grammar of the schema: llama.cpp, Ollama and their like.
pub static GRAMMAR: Vendor = Vendor {
    name: "grammar",
    knows: &[
        "allOf",
        "const",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "pattern",
        "prefixItems",
    ],
    formats: Some(&["date", "date-time", "time", "uuid"]),
    closed: true,
    recursive: true,
    object: false,
    requires: false,
    any_enum: true,
};

/// More repetitions than this make grammars too large.
const MOST_REPETITIONS: u64 = 1000;

/// The schema as a server takes it; `None` if it cannot hold an answer to it.
pub fn sent(schema: &Value, vendor: &'static Vendor) -> Option<Value> {
    let mut schema = schema.clone();
    tidy(&mut schema);
    if vendor.object && schema.get("type").is_none_or(|name| name != "object") {
        return None;
    }
    if !vendor.recursive && is_recursive(&schema, &schema, &mut Vec::new()) {
        return None;
    }
    rewrite(&mut schema, vendor, 0)?;
    Some(schema)
}

/// Whether references lead back to a schema they stand in.
fn is_recursive<'s>(root: &'s Value, schema: &'s Value, around: &mut Vec<&'s Value>) -> bool {
    let Value::Object(members) = schema else { return false };
    if around.iter().any(|outer| std::ptr::eq(*outer, schema)) || around.len() > MAX_DEPTH {
        return true;
    }
    around.push(schema);
    let target = members.get("$ref").and_then(Value::as_str).and_then(|name| local(root, name));
    let mut found = target.is_some_and(|target| is_recursive(root, target, around));
    super::keywords::children(members, |step, child| {
        let definition = step.starts_with("/$defs/") || step.starts_with("/definitions/");
        found = found || !definition && is_recursive(root, child, around);
    });
    around.pop();
    found
}

fn rewrite(schema: &mut Value, vendor: &'static Vendor, depth: usize) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    let members = match schema {
        Value::Object(members) => members,
        // Anything goes.
        Value::Bool(true) => {
            *schema = json!({});
            return Some(());
        }
        _ => return None,
    };
    drop_remarks(members);
    one_of(members)?;
    constant(members, vendor);
    let untold = drop_unknown(members, vendor);
    describe(members, &untold);
    object(members, vendor)?;
    children_mut(members, |child| match child {
        Value::Bool(false) => Ok(()),
        child => rewrite(child, vendor, depth + 1).ok_or(()),
    })
    .ok()
}

/// Branches that are meant to exclude each other do so as `anyOf` too.
fn one_of(members: &mut Map<String, Value>) -> Option<()> {
    let Some(branches) = members.shift_remove("oneOf") else { return Some(()) };
    members.insert("anyOf".into(), branches).is_none().then_some(())
}

/// A constant as a list of one value, where servers know only lists, and only of texts.
fn constant(members: &mut Map<String, Value>, vendor: &Vendor) {
    if !vendor.knows.contains(&"const")
        && let Some(value) = members.shift_remove("const")
    {
        members.insert("enum".into(), json!([value]));
    }
    let texts = members
        .get("enum")
        .and_then(Value::as_array)
        .is_none_or(|all| all.iter().all(Value::is_string));
    if !vendor.any_enum && !texts {
        // The model is told; see `describe`.
        let listed = members.shift_remove("enum").unwrap_or_default();
        members.insert("one of".into(), listed);
    }
}

/// Takes out what the server does not know, and gives it.
fn drop_unknown(members: &mut Map<String, Value>, vendor: &Vendor) -> Vec<(String, Value)> {
    let grammar = vendor.name == GRAMMAR.name;
    let too_many = |key: &str, value: &Value| {
        grammar
            && ["minItems", "maxItems", "minLength", "maxLength"].contains(&key)
            && value.as_u64().is_none_or(|n| n > MOST_REPETITIONS)
    };
    // Grammars match whole texts.
    let loose = |key: &str, value: &Value| {
        let whole = |p: &str| p.starts_with('^') && p.ends_with('$');
        grammar && key == "pattern" && !value.as_str().is_some_and(whole)
    };
    let knows = |key: &str, value: &Value| match key {
        "format" => vendor.formats.is_none_or(|all| all.iter().any(|name| value == name)),
        key => {
            (COMMON.contains(&key) || vendor.knows.contains(&key))
                && !too_many(key, value)
                && !loose(key, value)
        }
    };
    let mut untold = Vec::new();
    members.retain(|key, value| {
        let known = knows(key, value);
        if !known {
            untold.push((key.clone(), value.take()));
        }
        known
    });
    untold
}

/// Tells the model what the server does not hold it to.
fn describe(members: &mut Map<String, Value>, untold: &[(String, Value)]) {
    let notes: Vec<String> = untold.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    if notes.is_empty() {
        return;
    }
    let notes = notes.join("; ");
    let said = members.get("description").and_then(Value::as_str).unwrap_or_default();
    let all = if said.is_empty() { notes } else { format!("{said} ({notes})") };
    members.insert("description".into(), all.into());
}

fn object(members: &mut Map<String, Value>, vendor: &Vendor) -> Option<()> {
    let is_object = members.contains_key("properties")
        || members.get("type").is_some_and(|name| name == "object");
    if !is_object {
        return Some(());
    }
    let open = members.get("additionalProperties").is_some_and(|more| *more != false);
    if vendor.closed && vendor.name != GRAMMAR.name {
        if open || !members.contains_key("properties") {
            return None;
        }
        members.insert("additionalProperties".into(), false.into());
    } else if vendor.closed && !open && members.contains_key("properties") {
        members.insert("additionalProperties".into(), false.into());
    }
    let required = members.get("required").and_then(Value::as_array).map_or(0, Vec::len);
    (!vendor.requires || required > 0).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person() -> Value {
        json!({"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string", "minLength": 1, "description": "who"},
            "kind": {"const": "person"},
            "age": {"type": "integer", "minimum": 0, "default": 1},
            "mail": {"type": "string", "format": "email"},
            "either": {"oneOf": [{"type": "null"}, {"enum": [1, 2]}]}}})
    }

    #[test]
    fn anthropic_closes_objects_and_is_told_limits_in_words() {
        let sent = sent(&person(), &ANTHROPIC).unwrap();
        assert_eq!(sent["additionalProperties"], false);
        assert_eq!(sent["properties"]["name"]["description"], "who (minLength: 1)");
        assert_eq!(
            sent["properties"]["age"],
            json!({"type": "integer", "description": "minimum: 0"})
        );
        assert_eq!(sent["properties"]["mail"]["format"], "email");
        assert_eq!(sent["properties"]["either"]["anyOf"][1], json!({"enum": [1, 2]}));
    }

    #[test]
    fn cohere_wants_objects_with_something_required() {
        let told = sent(&person(), &COHERE).unwrap();
        assert_eq!(told["properties"]["mail"]["description"], "format: \"email\"");
        assert_eq!(sent(&json!({"type": "array", "items": {}}), &COHERE), None);
        assert_eq!(sent(&json!({"type": "object", "properties": {"a": {}}}), &COHERE), None);
    }

    #[test]
    fn gemini_lists_texts_only() {
        let sent = sent(&person(), &GEMINI).unwrap();
        assert_eq!(sent["properties"]["kind"], json!({"enum": ["person"]}));
        assert_eq!(sent["properties"]["age"]["minimum"], 0);
        assert_eq!(sent["properties"]["either"]["anyOf"][1]["description"], "one of: [1,2]");
    }

    #[test]
    fn grammars_match_whole_texts_and_repeat_little() {
        let schema = json!({"type": "object", "properties": {
            "a": {"type": "string", "pattern": "^a+$"}, "b": {"type": "string", "pattern": "b"},
            "c": {"type": "string", "maxLength": 100_000, "minLength": 2}}});
        let sent = sent(&schema, &GRAMMAR).unwrap();
        assert_eq!(sent["properties"]["a"]["pattern"], "^a+$");
        assert_eq!(sent["properties"]["b"]["description"], "pattern: \"b\"");
        assert_eq!(sent["properties"]["c"]["minLength"], 2);
        assert!(sent["properties"]["c"].get("maxLength").is_none());
        assert_eq!(sent["additionalProperties"], false);
    }

    #[test]
    fn what_a_server_cannot_hold_an_answer_to_is_not_sent() {
        let map = json!({"type": "object", "additionalProperties": {"type": "integer"}});
        assert_eq!(sent(&map, &ANTHROPIC), None);
        assert!(sent(&map, &GRAMMAR).is_some());
        let tree = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
        assert_eq!(sent(&tree, &ANTHROPIC), None);
        assert!(sent(&tree, &GEMINI).is_some());
        let shared = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/x"},
            "b": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"type": "string"}}});
        assert!(sent(&shared, &ANTHROPIC).is_some());
    }
}
