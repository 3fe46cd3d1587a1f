//! A schema of common keywords as a plain tree, for saying yes without a tape.
//!
//! Small arguments of tools are checked more often than anything else, nearly always they fit, and
//! reading them onto a tape costs most of it. The tree answers only what it knows for certain: a
//! schema with any other keyword has none, and a value that does not fit goes the long way, which
//! also says why.

use serde_json::{Map, Value};

use super::Draft;

/// Levels of schemas inside each other.
pub const DEEPEST: usize = 16;
/// Properties of one object.
const MOST: usize = 64;

/// Types a value may have, a bit each.
pub mod kinds {
    pub const NULL: u8 = 1;
    pub const BOOLEAN: u8 = 2;
    pub const INTEGER: u8 = 4;
    pub const NUMBER: u8 = 8;
    pub const STRING: u8 = 16;
    pub const ARRAY: u8 = 32;
    pub const OBJECT: u8 = 64;
    pub const SCALARS: u8 = NULL | BOOLEAN | INTEGER | NUMBER | STRING;
}

#[derive(Debug)]
pub struct Quick {
    pub kinds: u8,
    pub least: f64,
    pub most: f64,
    /// Characters of a text.
    pub length: (usize, usize),
    /// The only texts, if not empty.
    pub texts: Vec<Box<str>>,
    pub items: Option<Box<Quick>>,
    pub count: (usize, usize),
    pub properties: Vec<Property>,
    /// Length and first byte of each property's name, close together: they tell most names apart.
    tags: Vec<u16>,
    /// How many properties are required: they stand first.
    pub required: usize,
    /// No other members.
    pub closed: bool,
}

#[derive(Debug)]
pub struct Property {
    pub name: Box<str>,
    pub value: Quick,
}

impl Quick {
    pub fn of(schema: &Value, draft: Option<Draft>, formats: bool) -> Option<Quick> {
        let known = |draft| !matches!(draft, Draft::Draft4 | Draft::Unknown);
        if !draft.is_none_or(known) {
            return None;
        }
        build(schema, formats, 0)
    }

    /// The property of that name, and its place.
    pub fn property(&self, name: &[u8]) -> Option<(usize, &Property)> {
        let tag = tag(name);
        for (at, known) in self.tags.iter().enumerate() {
            if *known == tag
                && let Some(property) = self.properties.get(at)
                && property.name.as_bytes() == name
            {
                return Some((at, property));
            }
        }
        None
    }

    pub fn admits_text(&self, text: &str) -> bool {
        // A character takes one to four bytes: most lengths are known without counting.
        let (least, most) = self.length;
        let long = least == 0 || text.len() > 4 * (least - 1).min(usize::MAX / 4);
        let short = text.len() <= most;
        if !(long && short) {
            let length = text.chars().count();
            if length < least || length > most {
                return false;
            }
        }
        self.texts.is_empty() || self.texts.iter().any(|known| **known == *text)
    }

    pub fn admits_number(&self, number: f64) -> bool {
        number >= self.least && number <= self.most
    }
}

fn tag(name: &[u8]) -> u16 {
    let first = name.first().copied().unwrap_or_default();
    u16::from(first) << 8 | (name.len() as u16 & 0xff)
}

fn build(schema: &Value, formats: bool, depth: usize) -> Option<Quick> {
    let members = match schema {
        Value::Object(members) => members,
        Value::Bool(true) => &Map::new(),
        _ => return None,
    };
    if depth > DEEPEST || !members.keys().all(|key| knows(key, formats)) {
        return None;
    }
    let kinds = kinds_of(members)?;
    let mut quick = Quick {
        kinds,
        least: number(members, "minimum", f64::NEG_INFINITY)?,
        most: number(members, "maximum", f64::INFINITY)?,
        length: range(members, "minLength", "maxLength")?,
        texts: texts(members)?,
        items: None,
        count: range(members, "minItems", "maxItems")?,
        properties: Vec::new(),
        tags: Vec::new(),
        required: 0,
        closed: members.get("additionalProperties").is_some_and(|more| *more == false),
    };
    // Listed texts leave no other value.
    if !quick.texts.is_empty() {
        quick.kinds &= kinds::STRING;
    }
    if let Some(items) = members.get("items") {
        quick.items = Some(Box::new(build(items, formats, depth + 1)?));
    }
    properties(&mut quick, members, formats, depth)?;
    Some(quick)
}

fn knows(key: &str, formats: bool) -> bool {
    match key {
        "type"
        | "minimum"
        | "maximum"
        | "minLength"
        | "maxLength"
        | "enum"
        | "items"
        | "minItems"
        | "maxItems"
        | "properties"
        | "required"
        | "additionalProperties"
        | "title"
        | "description"
        | "default"
        | "examples"
        | "$comment" => true,
        "format" => !formats,
        key => key.starts_with("x-"),
    }
}

/// `None` if a table might be either.
fn kinds_of(members: &Map<String, Value>) -> Option<u8> {
    let bit = |name: &Value| {
        Some(match name.as_str()? {
            "null" => kinds::NULL,
            "boolean" => kinds::BOOLEAN,
            "integer" => kinds::INTEGER,
            "number" => kinds::NUMBER | kinds::INTEGER,
            "string" => kinds::STRING,
            "array" => kinds::ARRAY,
            "object" => kinds::OBJECT,
            _ => return None,
        })
    };
    match members.get("type") {
        // Without a type, tables go the long way.
        None => Some(kinds::SCALARS),
        Some(Value::Array(names)) => {
            let all = names.iter().try_fold(0, |all, name| Some(all | bit(name)?))?;
            let both = kinds::ARRAY | kinds::OBJECT;
            (all & both != both).then_some(all)
        }
        Some(name) => bit(name),
    }
}

fn number(members: &Map<String, Value>, key: &str, default: f64) -> Option<f64> {
    // Beyond this, floats are no exact bounds.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match members.get(key) {
        None => Some(default),
        Some(value) => value.as_f64().filter(|n| n.abs() < EXACT),
    }
}

fn range(members: &Map<String, Value>, least: &str, most: &str) -> Option<(usize, usize)> {
    let bound = |key: &str, default| match members.get(key) {
        None => Some(default),
        Some(value) => value.as_u64().map(|n| n as usize),
    };
    Some((bound(least, 0)?, bound(most, usize::MAX)?))
}

fn texts(members: &Map<String, Value>) -> Option<Vec<Box<str>>> {
    let Some(listed) = members.get("enum") else { return Some(Vec::new()) };
    let listed = listed.as_array().filter(|all| !all.is_empty() && all.len() <= MOST)?;
    listed.iter().map(|value| value.as_str().map(Box::from)).collect()
}

fn properties(
    quick: &mut Quick,
    members: &Map<String, Value>,
    formats: bool,
    depth: usize,
) -> Option<()> {
    if !matches!(members.get("additionalProperties"), None | Some(Value::Bool(_))) {
        return None;
    }
    let empty = Map::new();
    let named = match members.get("properties") {
        None => &empty,
        Some(named) => named.as_object()?,
    };
    let required: Vec<&str> = match members.get("required") {
        None => Vec::new(),
        Some(names) => names.as_array()?.iter().map(Value::as_str).collect::<Option<_>>()?,
    };
    let others = named.keys().map(String::as_str).filter(|name| !required.contains(name));
    let names: Vec<&str> = required.iter().copied().chain(others).collect();
    if names.len() > MOST || !required.iter().all(|name| named.contains_key(*name)) {
        return None;
    }
    for name in names {
        let value = build(named.get(name)?, formats, depth + 1)?;
        quick.tags.push(tag(name.as_bytes()));
        quick.properties.push(Property { name: name.into(), value });
    }
    quick.required = required.len();
    // A name that is required twice would count twice.
    let distinct: std::collections::HashSet<&str> = required.iter().copied().collect();
    (distinct.len() == required.len()).then_some(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_known_for_certain_is_built() {
        let of = |schema: Value| Quick::of(&schema, None, true);
        assert!(of(json!({"type": "object", "properties": {"a": {"type": "integer"}}})).is_some());
        for schema in [
            json!({"pattern": "a"}),
            json!({"format": "date"}),
            json!({"$ref": "#"}),
            json!({"type": ["array", "object"]}),
            json!({"additionalProperties": {"type": "string"}}),
            json!({"enum": [1, "a"]}),
            json!({"minimum": 1e300}),
            json!({"properties": {"a": {"anyOf": []}}}),
            json!({"required": ["a"]}),
            json!(false),
        ] {
            assert!(of(schema.clone()).is_none(), "{schema}");
        }
        assert!(Quick::of(&json!({"type": "integer"}), Some(Draft::Draft4), true).is_none());
        assert!(Quick::of(&json!({"format": "date"}), None, false).is_some());
    }

    #[test]
    fn texts_are_counted_in_characters() {
        let quick = Quick::of(&json!({"minLength": 2, "maxLength": 3}), None, true).unwrap();
        let admitted = ["ä", "äö", "äöü", "äöüß"].map(|text| quick.admits_text(text));
        assert_eq!(admitted, [false, true, true, false]);
    }
}
