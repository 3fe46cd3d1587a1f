//! Schemas in shorthand: `{name = "string", age = "integer?", tags = {"string"}}`.
//!
//! A specification is a type name (with `?` for an optional member), an array of exactly one
//! specification (a list of such items), an object in shorthand, or a JSON Schema. A name may
//! carry the `?` too, for lists and objects: `["tags?"] = {"string"}`. The name `any` allows
//! everything.
//!
//! A table is shorthand if each of its values is a specification and none of its members makes it
//! a JSON Schema, which these do: a name that begins with `$`; `type` that is a type name or an
//! array of them; `enum` or `anyOf`, `oneOf`, `allOf` that are arrays of other things than one
//! type name; `properties` that are all tables; `items`, `not`, `additionalProperties` that are a
//! JSON Schema; tables as `contains`, `prefixItems`, `if` and their like. So `{type = "string"}` is a JSON Schema, `{title = "string"}` shorthand for an
//! object with a title, and an object that has a member named `type` needs the long form.

use serde_json::{Map, Value, json};

const NAMES: &[&str] =
    &["any", "array", "boolean", "integer", "null", "number", "object", "string"];

/// Keywords that hold schemas and that nobody would call a member.
const APPLIED: &[&str] = &[
    "additionalItems",
    "contains",
    "definitions",
    "dependencies",
    "dependentSchemas",
    "else",
    "if",
    "patternProperties",
    "prefixItems",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// The JSON Schema that a table in shorthand stands for; `None` if it is no shorthand.
pub fn from_shorthand(value: &Value) -> Option<Value> {
    let members = value.as_object()?;
    if members.is_empty() || is_schema(members) {
        return None;
    }
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (key, specification) in members {
        let (schema, mut optional) = expand(specification)?;
        let name = key.strip_suffix('?').unwrap_or(key);
        optional |= name.len() < key.len();
        if !optional {
            required.push(Value::from(name));
        }
        properties.insert(name.to_owned(), schema);
    }
    Some(json!({"type": "object", "properties": properties, "required": required}))
}

/// The schema of one specification, and whether it is optional.
fn expand(specification: &Value) -> Option<(Value, bool)> {
    match specification {
        Value::String(text) => {
            let name = text.strip_suffix('?').unwrap_or(text);
            NAMES.contains(&name).then(|| (named(name), name.len() < text.len()))
        }
        Value::Array(items) => match items.as_slice() {
            [item] => Some((json!({"type": "array", "items": expand(item)?.0}), false)),
            _ => None,
        },
        Value::Object(members) if is_schema(members) => Some((specification.clone(), false)),
        Value::Object(_) => Some((from_shorthand(specification)?, false)),
        _ => None,
    }
}

fn named(name: &str) -> Value {
    match name {
        "any" => json!({}),
        name => json!({ "type": name }),
    }
}

fn is_schema(members: &Map<String, Value>) -> bool {
    members.iter().any(|(key, value)| match key.as_str() {
        "type" => match value {
            Value::Array(names) => !names.is_empty() && names.iter().all(is_type),
            name => is_type(name),
        },
        "enum" | "anyOf" | "oneOf" | "allOf" => value.as_array().is_some_and(|items| {
            items.len() != 1 || expand(&items[0]).is_none() || key != "enum" && items[0].is_object()
        }),
        "properties" => value.as_object().is_some_and(|named| named.values().all(Value::is_object)),
        "items" | "not" | "additionalProperties" => match value {
            Value::Object(members) => members.is_empty() || is_schema(members),
            // In older drafts, a list of one.
            Value::Array(items) => items.iter().all(|item| item.as_object().is_some_and(is_schema)),
            value => value.is_boolean(),
        },
        key if APPLIED.contains(&key) => value.is_object() || value.is_array(),
        key => key.starts_with('$'),
    })
}

fn is_type(name: &Value) -> bool {
    name.as_str().is_some_and(|name| name != "any" && NAMES.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lists_and_objects_are_expanded() {
        let shorthand = json!({
            "name": "string", "age": "integer?", "tags": ["string"], "extra?": {"a": "any"},
            "when": {"type": "string", "format": "date"},
        });
        assert_eq!(
            from_shorthand(&shorthand).unwrap(),
            json!({
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "age": {"type": "integer"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "extra": {"type": "object", "properties": {"a": {}}, "required": ["a"]},
                    "when": {"type": "string", "format": "date"},
                },
                "required": ["name", "tags", "when"],
            })
        );
    }

    #[test]
    fn members_named_like_keywords_are_members() {
        for shorthand in [
            json!({"title": "string", "description": "string?"}),
            json!({"items": ["string"]}),
            json!({"items": [{"name": "string", "count": "integer"}]}),
            json!({"format": "string", "pattern": "string", "required": "boolean"}),
            json!({"properties": {"color": "string"}}),
        ] {
            assert!(from_shorthand(&shorthand).is_some(), "{shorthand}");
        }
    }

    #[test]
    fn json_schemas_are_no_shorthand() {
        for schema in [
            json!({}),
            json!({"type": "string"}),
            json!({"type": ["string", "null"]}),
            json!({"type": "dict", "description": "x"}),
            json!({"properties": {"a": {"type": "string"}}}),
            json!({"enum": ["a", "b"]}),
            json!({"anyOf": [{"type": "string"}]}),
            json!({"items": {"type": "string"}}),
            json!({"items": [{"type": "string"}]}),
            json!({"$ref": "string"}),
            json!({"description": "a city"}),
            json!({"minimum": 1}),
            json!({"contains": {"type": "number"}}),
            json!({"prefixItems": [{"type": "number"}]}),
            json!(true),
            json!("string"),
        ] {
            assert_eq!(from_shorthand(&schema), None, "{schema}");
        }
    }
}
