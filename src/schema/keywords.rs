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

/// Gives every empty Lua table in a schema the kind its keyword wants: `required = {}` is an array,
/// `properties = {}` an object.
pub fn tidy(schema: &mut Value) {
    let Value::Object(members) = schema else {
        if schema.as_array().is_some_and(Vec::is_empty) {
            *schema = Value::Object(Map::new());
        }
        return;
    };
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
    fn a_property_named_like_a_keyword_is_a_property() {
        let schema =
            json!({"properties": {"default": {"type": "string"}}, "const": {"default": 1}});
        assert!(!uses(&schema, "default"));
        assert!(uses(&json!({"items": {"default": 1}}), "default"));
    }
}
