//! What a schema says, in short.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Draft;
use super::keywords::children;
use crate::value::MAX_DEPTH;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// Names of the properties, sorted.
    pub properties: Vec<String>,
    pub required: Vec<String>,
    /// Schemas inside each other; the whole schema is the first.
    pub depth: usize,
    /// Every keyword, reference and format used anywhere, sorted.
    pub keywords: BTreeSet<String>,
    pub refs: BTreeSet<String>,
    pub formats: BTreeSet<String>,
}

pub fn info(schema: &Value) -> Info {
    let mut info = Info::default();
    if let Value::Object(members) = schema {
        let named = members.get("properties").and_then(Value::as_object);
        info.properties = named.map(|n| n.keys().cloned().collect()).unwrap_or_default();
        info.properties.sort();
        info.required = texts(members.get("required"));
    }
    info.look(schema, 1);
    info
}

impl Info {
    fn look(&mut self, schema: &Value, depth: usize) {
        self.depth = self.depth.max(depth);
        let Value::Object(members) = schema else { return };
        self.keywords.extend(members.keys().cloned());
        let text = |key: &str| members.get(key).and_then(Value::as_str).map(str::to_owned);
        self.refs.extend(["$ref", "$dynamicRef", "$recursiveRef"].into_iter().filter_map(text));
        self.formats.extend(text("format"));
        if depth <= 2 * MAX_DEPTH {
            children(members, |_, child| self.look(child, depth + 1));
        }
    }
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The type a schema names, or the only one its keywords are about.
pub fn type_of(schema: &Value) -> Option<Value> {
    let members: &Map<String, Value> = schema.as_object()?;
    let has = |key: &str| members.contains_key(key);
    let meant = || match () {
        () if has("properties") || has("additionalProperties") => Some("object".into()),
        () if has("items") || has("prefixItems") => Some("array".into()),
        () => None,
    };
    members.get("type").cloned().or_else(meant)
}

/// The dialect that `$schema` names: "7", "2020-12".
pub fn dialect(schema: &Value, draft: Option<Draft>) -> &'static str {
    let named = schema.get("$schema").and_then(Value::as_str).unwrap_or_default();
    let mentioned = [
        ("draft-04", Draft::Draft4),
        ("draft-06", Draft::Draft6),
        ("draft-07", Draft::Draft7),
        ("2019-09", Draft::Draft201909),
    ];
    let found = mentioned.into_iter().find(|(word, _)| named.contains(word));
    match draft.or(found.map(|(_, draft)| draft)) {
        Some(Draft::Draft4) => "4",
        Some(Draft::Draft6) => "6",
        Some(Draft::Draft7) => "7",
        Some(Draft::Draft201909) => "2019-09",
        _ => "2020-12",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_described_in_short() {
        let schema = json!({
            "required": ["b"], "properties": {
                "b": {"type": "string", "format": "date"}, "a": {"items": {"$ref": "#/$defs/x"}}},
            "$defs": {"x": {"minimum": 1}},
        });
        let info = info(&schema);
        assert_eq!(info.properties, ["a", "b"]);
        assert_eq!((info.required.as_slice(), info.depth), (["b".to_owned()].as_slice(), 3));
        assert_eq!(info.refs.into_iter().collect::<Vec<_>>(), ["#/$defs/x"]);
        assert_eq!(info.formats.into_iter().collect::<Vec<_>>(), ["date"]);
        assert!(info.keywords.contains("minimum") && !info.keywords.contains("x"));
        assert_eq!(type_of(&schema), Some(json!("object")));
    }

    #[test]
    fn the_dialect_is_the_one_named() {
        let named = json!({"$schema": "http://json-schema.org/draft-07/schema#"});
        assert_eq!(dialect(&named, None), "7");
        assert_eq!(dialect(&json!(true), None), "2020-12");
        assert_eq!(dialect(&named, Some(Draft::Draft4)), "4");
    }
}
