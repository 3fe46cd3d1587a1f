//! Where in a JSON Schema other schemas stand, so that walks never mistake data for a schema.

use serde_json::{Map, Value};

/// Keywords whose value is a schema.
const ONE: &[&str] = &[
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Keywords that say nothing about values, as do all that begin with "x-".
const REMARKS: &[&str] = &[
    "$comment",
    "$id",
    "$schema",
    "default",
    "deprecated",
    "discriminator",
    "example",
    "examples",
    "readOnly",
    "writeOnly",
];

/// Keywords whose value is an array of schemas.
const LIST: &[&str] = &["allOf", "anyOf", "items", "oneOf", "prefixItems"];

/// Keywords whose value is an object of schemas.
const NAMED: &[&str] = &[
    "$defs",
    "definitions",
    "dependencies",
    "dependentSchemas",
    "patternProperties",
    "properties",
];

/// Keywords whose value is an array, besides those in [`LIST`].
const ARRAYS: &[&str] = &["enum", "examples", "required", "type"];

/// Calls `each` with every schema directly inside `schema` and the JSON pointer to it.
pub fn children<'s>(schema: &'s Map<String, Value>, mut each: impl FnMut(String, &'s Value)) {
    for (key, value) in schema {
        match value {
            Value::Array(items) if LIST.contains(&key.as_str()) => {
                items.iter().enumerate().for_each(|(i, item)| each(format!("/{key}/{i}"), item));
            }
            Value::Object(named) if NAMED.contains(&key.as_str()) => {
                named.iter().for_each(|(name, v)| each(format!("/{key}/{}", escaped(name)), v));
            }
            value if ONE.contains(&key.as_str()) => each(format!("/{key}"), value),
            _ => {}
        }
    }
}

/// A member's name as a step of a JSON pointer.
pub fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// As [`children`], to change them. Stops at the first `Err`.
pub fn children_mut<E>(
    schema: &mut Map<String, Value>,
    mut each: impl FnMut(&mut Value) -> Result<(), E>,
) -> Result<(), E> {
    for (key, value) in schema {
        match value {
            Value::Array(items) if LIST.contains(&key.as_str()) => {
                items.iter_mut().try_for_each(&mut each)?;
            }
            Value::Object(named) if NAMED.contains(&key.as_str()) => {
                named.values_mut().try_for_each(&mut each)?;
            }
            value if ONE.contains(&key.as_str()) => each(value)?,
            _ => {}
        }
    }
    Ok(())
}

/// What published tool schemas call a type, and the JSON Schema type that is meant.
const FOREIGN_TYPES: &[(&str, &[&str])] = &[
    ("object", &["dict", "dictionary", "map", "hash", "hashmap", "struct", "record"]),
    ("array", &["list", "tuple", "set", "arraylist", "sequence", "vector"]),
    ("string", &["str", "text", "char", "varchar"]),
    ("number", &["float", "double", "decimal", "real", "numeric", "num", "long double"]),
    ("integer", &["int", "long", "short", "int32", "int64", "bigint", "uint"]),
    ("boolean", &["bool"]),
    ("null", &["none", "nil", "void", "nonetype"]),
];

/// Words that are no type at all: they are dropped.
const ANYTHING: &[&str] = &["any", "mixed", "unknown"];

/// The types of JSON Schema.
pub const TYPES: &[&str] = &["object", "array", "string", "number", "integer", "boolean", "null"];

/// The type that a word of other languages stands for: `dict`, `Float`, `STRING`. Words that are
/// nothing of the kind stay, to be refused by name.
fn known_type(word: &str) -> Option<&'static str> {
    let word = word.trim().to_ascii_lowercase();
    let same = TYPES.iter().find(|name| **name == word).copied();
    let meant = || FOREIGN_TYPES.iter().find(|(_, words)| words.contains(&word.as_str()));
    same.or_else(|| meant().map(|(name, _)| *name))
}

fn tidy_type(members: &mut Map<String, Value>) {
    let anything = |name: &Value| {
        name.as_str().is_some_and(|n| ANYTHING.iter().any(|word| n.eq_ignore_ascii_case(word)))
    };
    let rename = |name: &mut Value| {
        if let Some(known) = name.as_str().and_then(known_type) {
            *name = Value::from(known);
        }
    };
    let free = match members.get_mut("type") {
        Some(Value::Array(names)) => {
            names.iter_mut().for_each(rename);
            names.iter().any(anything)
        }
        Some(name) => {
            rename(name);
            anything(name)
        }
        None => false,
    };
    if free {
        members.shift_remove("type");
    }
}

/// Words listed beside `type = "array"` are those of the items: no array could be one of them.
fn tidy_enum(members: &mut Map<String, Value>) {
    let listed = members.get("enum").and_then(Value::as_array);
    let is_array = members.get("type").is_some_and(|name| name == "array");
    if !is_array || listed.is_none_or(|all| all.is_empty() || all.iter().any(Value::is_array)) {
        return;
    }
    if !members.get("items").is_none_or(Value::is_object) {
        return;
    }
    let Some(listed) = members.shift_remove("enum") else { return };
    let items = members.entry("items").or_insert_with(|| Value::Object(Map::new()));
    items.as_object_mut().into_iter().for_each(|items| {
        items.entry("enum").or_insert_with(|| listed.clone());
    });
}

/// Gives every empty Lua table in a schema the kind its keyword wants: `required = {}` is an array,
/// `properties = {}` an object. Types that other languages have become those of JSON.
pub fn tidy(schema: &mut Value) {
    let Value::Object(members) = schema else {
        if schema.as_array().is_some_and(Vec::is_empty) {
            *schema = Value::Object(Map::new());
        }
        return;
    };
    tidy_type(members);
    tidy_enum(members);
    let wants_array = members.get("type").and_then(Value::as_str) == Some("array");
    for (key, value) in members.iter_mut() {
        let key = key.as_str();
        let array = ARRAYS.contains(&key) || (LIST.contains(&key) && key != "items");
        if (array || (key == "default" && wants_array)) && is_empty_object(value) {
            *value = Value::Array(Vec::new());
        } else if NAMED.contains(&key) && value.as_array().is_some_and(Vec::is_empty) {
            *value = Value::Object(Map::new());
        }
    }
    let _ = children_mut(members, |child| -> Result<(), ()> {
        tidy(child);
        Ok(())
    });
}

fn is_empty_object(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty)
}

/// Whether any schema in `schema` has the keyword.
pub fn uses(schema: &Value, keyword: &str) -> bool {
    let Value::Object(members) = schema else { return false };
    let mut found = members.contains_key(keyword);
    children(members, |_, child| found = found || uses(child, keyword));
    found
}

/// The schema a `$ref` of the same document names.
pub fn local<'s>(root: &'s Value, reference: &str) -> Option<&'s Value> {
    match reference.strip_prefix('#')? {
        "" => Some(root),
        pointer if pointer.starts_with('/') => root.pointer(pointer),
        _ => None,
    }
}

/// Takes remarks out of one schema: what servers neither need nor know.
pub fn drop_remarks(members: &mut Map<String, Value>) {
    members.retain(|key, _| !REMARKS.contains(&key.as_str()) && !key.starts_with("x-"));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn empty_tables_become_what_their_keyword_wants() {
        let mut schema = json!({
            "type": "object", "required": {}, "properties": {
                "a": {"type": "array", "items": [], "default": {}},
                "b": [], "c": {"const": [], "enum": [{}], "default": {}, "required": {}},
            }, "$defs": [],
        });
        tidy(&mut schema);
        assert_eq!(
            schema,
            json!({
                "type": "object", "required": [], "properties": {
                    "a": {"type": "array", "items": [], "default": []},
                    "b": {}, "c": {"const": [], "enum": [{}], "default": {}, "required": []},
                }, "$defs": {},
            })
        );
    }

    #[test]
    fn types_of_other_languages_become_those_of_json() {
        let mut schema = json!({"type": "dict", "properties": {
            "a": {"type": "float"}, "b": {"type": "tuple", "items": {"type": "Any"}},
            "c": {"type": ["STRING", "None"]}, "type": {"type": "int"}, "d": {"type": "strange"},
        }});
        tidy(&mut schema);
        assert_eq!(
            schema,
            json!({"type": "object", "properties": {
                "a": {"type": "number"}, "b": {"type": "array", "items": {}},
                "c": {"type": ["string", "null"]}, "type": {"type": "integer"},
                "d": {"type": "strange"},
            }})
        );
    }

    #[test]
    fn words_beside_an_array_are_those_of_its_items() {
        let mut schema = json!({"type": "list", "enum": ["a", "b"], "items": {"type": "str"}});
        tidy(&mut schema);
        let items = json!({"type": "string", "enum": ["a", "b"]});
        assert_eq!(schema, json!({"type": "array", "items": items}));
        let arrays = json!({"type": "array", "enum": [[1], [2]]});
        let mut same = arrays.clone();
        tidy(&mut same);
        assert_eq!(same, arrays);
    }

    #[test]
    fn a_property_named_like_a_keyword_is_a_property() {
        let schema =
            json!({"properties": {"default": {"type": "string"}}, "const": {"default": 1}});
        assert!(!uses(&schema, "default"));
        assert!(uses(&json!({"items": {"default": 1}}), "default"));
    }
}
