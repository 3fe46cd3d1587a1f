//! Several schemas in one.
//!
//! ```
//! use serde_json::json;
//! use zigllms::schema::merge::{Strategy, merge};
//! let merged = merge(vec![json!({"minimum": 1}), json!({"minimum": 3})], Strategy::Deep);
//! assert_eq!(merged, json!({"minimum": 3}));
//! ```

use serde_json::{Map, Value, json};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Keyword by keyword: what fits the result fits all of them, as far as keywords can be joined.
    #[default]
    Deep,
    /// Side by side, in `allOf`: exact, whatever they say.
    AllOf,
    /// Keywords of later schemas replace those of earlier ones.
    Override,
}

/// How two values of one keyword become one.
enum Join {
    /// Schemas by name.
    Named,
    Schema,
    Schemas,
    Union,
    UnionByName,
    Intersection,
    Types,
    Larger,
    Smaller,
    Either,
    Append,
    Multiple,
    Later,
}

fn join_of(keyword: &str) -> Join {
    match keyword {
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
            Join::Named
        }
        "items"
        | "additionalProperties"
        | "additionalItems"
        | "contains"
        | "propertyNames"
        | "unevaluatedItems"
        | "unevaluatedProperties" => Join::Schema,
        "prefixItems" => Join::Schemas,
        "required" => Join::Union,
        "dependentRequired" => Join::UnionByName,
        "enum" => Join::Intersection,
        "type" => Join::Types,
        "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties"
        | "minContains" => Join::Larger,
        "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties"
        | "maxContains" => Join::Smaller,
        "uniqueItems" => Join::Either,
        "allOf" => Join::Append,
        "multipleOf" => Join::Multiple,
        _ => Join::Later,
    }
}

pub fn merge(schemas: Vec<Value>, strategy: Strategy) -> Value {
    match strategy {
        Strategy::Deep => schemas.into_iter().reduce(deep),
        Strategy::Override => schemas.into_iter().reduce(overridden),
        Strategy::AllOf => Some(all_of(schemas)),
    }
    .unwrap_or_else(|| json!({}))
}

fn overridden(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Object(mut first), Value::Object(second)) => {
            first.extend(second);
            first.into()
        }
        (_, second) => second,
    }
}

/// Definitions go to the root, where references look for them.
fn all_of(mut schemas: Vec<Value>) -> Value {
    let mut root = Map::new();
    for key in ["$defs", "definitions"] {
        for schema in schemas.iter_mut().filter_map(Value::as_object_mut) {
            let Some(Value::Object(named)) = schema.shift_remove(key) else { continue };
            let all = root.entry(key).or_insert_with(|| json!({}));
            all.as_object_mut().into_iter().for_each(|all| all.extend(named.clone()));
        }
    }
    root.insert("allOf".into(), schemas.into());
    root.into()
}

fn deep(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Object(first), Value::Object(second)) => keywords(first, second).into(),
        (Value::Bool(true), other) | (other, Value::Bool(true)) => other,
        (Value::Bool(false), _) | (_, Value::Bool(false)) => Value::Bool(false),
        (_, second) => second,
    }
}

fn keywords(mut first: Map<String, Value>, second: Map<String, Value>) -> Map<String, Value> {
    for (keyword, new) in second {
        let joined = match first.get_mut(&keyword) {
            Some(old) => join(join_of(&keyword), old.take(), new),
            None => new,
        };
        first.insert(keyword, joined);
    }
    first
}

fn join(how: Join, old: Value, new: Value) -> Value {
    match (how, old, new) {
        (Join::Named, Value::Object(old), Value::Object(new)) => named(old, new, deep).into(),
        (Join::UnionByName, Value::Object(old), Value::Object(new)) => {
            named(old, new, |old, new| join(Join::Union, old, new)).into()
        }
        (Join::Schema, old, new) if !old.is_array() && !new.is_array() => deep(old, new),
        (Join::Schemas | Join::Schema, Value::Array(old), Value::Array(new)) => {
            side_by_side(old, new).into()
        }
        (Join::Union, Value::Array(old), Value::Array(new)) => union(old, new).into(),
        (Join::Intersection, Value::Array(old), Value::Array(new)) => {
            old.into_iter().filter(|value| new.contains(value)).collect()
        }
        (Join::Types, old, new) => types(old, new),
        (Join::Larger, old, new) if old.as_f64() > new.as_f64() => old,
        (Join::Smaller, old, new) if old.as_f64() < new.as_f64() => old,
        (Join::Either, Value::Bool(true), _) => Value::Bool(true),
        (Join::Append, Value::Array(mut old), Value::Array(new)) => {
            old.extend(new);
            old.into()
        }
        (Join::Multiple, old, new) => multiple(&old, &new).unwrap_or(new),
        (_, _, new) => new,
    }
}

fn named(
    mut old: Map<String, Value>,
    new: Map<String, Value>,
    join: impl Fn(Value, Value) -> Value,
) -> Map<String, Value> {
    for (name, value) in new {
        let joined = match old.get_mut(&name) {
            Some(there) => join(there.take(), value),
            None => value,
        };
        old.insert(name, joined);
    }
    old
}

fn side_by_side(mut old: Vec<Value>, new: Vec<Value>) -> Vec<Value> {
    for (i, schema) in new.into_iter().enumerate() {
        match old.get_mut(i) {
            Some(there) => *there = deep(there.take(), schema),
            None => old.push(schema),
        }
    }
    old
}

fn union(mut old: Vec<Value>, new: Vec<Value>) -> Vec<Value> {
    for value in new {
        if !old.contains(&value) {
            old.push(value);
        }
    }
    old
}

/// The types both allow; where there are none, the later ones.
fn types(old: Value, new: Value) -> Value {
    let (before, after) = (listed(&old), listed(&new));
    let both = before.iter().flat_map(|a| after.iter().map(move |b| common(a, b)));
    let both = union(Vec::new(), both.flatten().collect());
    match both.len() {
        0 => new,
        1 => both.into_iter().next().unwrap_or_default(),
        _ => both.into(),
    }
}

fn listed(types: &Value) -> Vec<Value> {
    types.as_array().cloned().unwrap_or_else(|| vec![types.clone()])
}

fn common(a: &Value, b: &Value) -> Option<Value> {
    match (a.as_str(), b.as_str()) {
        (a, b) if a == b => a.map(Value::from),
        (Some("integer"), Some("number")) | (Some("number"), Some("integer")) => {
            Some("integer".into())
        }
        _ => None,
    }
}

/// The least common multiple of two integers.
fn multiple(old: &Value, new: &Value) -> Option<Value> {
    let (a, b) = (old.as_u64()?, new.as_u64()?);
    let (mut high, mut low) = (a, b);
    while low > 0 {
        (high, low) = (low, high % low);
    }
    a.checked_div(high)?.checked_mul(b).map(Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deep_of(schemas: &[Value]) -> Value {
        merge(schemas.to_vec(), Strategy::Deep)
    }

    #[test]
    fn properties_merge_recursively_and_required_is_the_union() {
        let merged = deep_of(&[
            json!({"type": "object", "required": ["a"], "title": "old",
                   "properties": {"a": {"type": "number", "minimum": 0}, "b": true}}),
            json!({"required": ["b", "a"], "title": "new",
                   "properties": {"a": {"type": "integer", "minimum": -1, "maximum": 9}}}),
        ]);
        assert_eq!(
            merged,
            json!({"type": "object", "required": ["a", "b"], "title": "new",
                   "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 9},
                                  "b": true}})
        );
    }

    #[test]
    fn the_tighter_of_two_says_wins() {
        for (one, other, both) in [
            (json!({"enum": [1, 2, 3]}), json!({"enum": [3, 1, 7]}), json!({"enum": [1, 3]})),
            (json!({"minLength": 2}), json!({"minLength": 5}), json!({"minLength": 5})),
            (json!({"maxItems": 2}), json!({"maxItems": 5}), json!({"maxItems": 2})),
            (
                json!({"additionalProperties": false}),
                json!({"additionalProperties": {"type": "string"}}),
                json!({"additionalProperties": false}),
            ),
            (
                json!({"type": ["string", "null"]}),
                json!({"type": "string"}),
                json!({"type": "string"}),
            ),
            (json!({"type": "string"}), json!({"type": "array"}), json!({"type": "array"})),
            (json!({"multipleOf": 4}), json!({"multipleOf": 6}), json!({"multipleOf": 12})),
            (
                json!({"uniqueItems": true}),
                json!({"uniqueItems": false}),
                json!({"uniqueItems": true}),
            ),
            (json!(true), json!({"type": "null"}), json!({"type": "null"})),
            (json!({"type": "null"}), json!(false), json!(false)),
            (json!({"pattern": "a"}), json!({"pattern": "b"}), json!({"pattern": "b"})),
        ] {
            assert_eq!(deep_of(&[one, other]), both);
        }
    }

    #[test]
    fn other_strategies_keep_schemas_apart_or_replace() {
        let pair = vec![
            json!({"minimum": 1, "$defs": {"a": {}}}),
            json!({"minimum": 0, "$defs": {"b": {}}}),
        ];
        assert_eq!(
            merge(pair.clone(), Strategy::AllOf),
            json!({"$defs": {"a": {}, "b": {}}, "allOf": [{"minimum": 1}, {"minimum": 0}]})
        );
        assert_eq!(merge(pair, Strategy::Override), json!({"minimum": 0, "$defs": {"b": {}}}));
        assert_eq!(merge(Vec::new(), Strategy::Deep), json!({}));
    }
}
