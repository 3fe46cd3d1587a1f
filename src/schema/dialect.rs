//! Schemas in the dialects of providers.
//!
//! OpenAI enforces a schema only if it is sealed: every object is closed, every property required,
//! and no keyword is used that its grammar does not know. Sealing never loosens a schema: what
//! was optional becomes nullable, remarks are dropped, and a schema that constrains in a way the
//! grammar cannot is not sealed at all.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::defaults::{Step, address, follow};
use super::keywords::{children_mut, drop_remarks, local, tidy};
use crate::value::MAX_DEPTH;

/// Keywords that constrain, and that sealed schemas may use.
const KNOWN: &[&str] = &[
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "definitions",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "multipleOf",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
];

/// Formats the grammar knows.
const FORMATS: &[&str] =
    &["date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"];

/// Deepest nesting of objects, and most properties, that are accepted.
const LEVELS: usize = 10;
const PROPERTIES: usize = 5000;

/// The sealed form of a schema, or `None` if it has none.
pub fn sealed(schema: &Value) -> Option<Value> {
    let mut schema = schema.clone();
    tidy(&mut schema);
    // The root has to be an object itself: no alternatives, no reference.
    if kind_of(&schema) != Some("object") || schema.get("anyOf").is_some() {
        return None;
    }
    let root = schema.clone();
    let mut seal = Seal { root: &root, properties: 0 };
    seal.schema(&mut schema, 0, 0)?;
    Some(schema)
}

/// Whether a schema has a sealed form.
pub fn can_seal(schema: &Value) -> bool {
    sealed(schema).is_some()
}

/// Takes out the bounds of numbers, texts and lists, for grammars that know none.
pub fn drop_bounds(schema: &mut Value) {
    const BOUNDS: &[&str] = &[
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "multipleOf",
    ];
    let Value::Object(members) = schema else { return };
    members.retain(|key, _| !BOUNDS.contains(&key.as_str()));
    let _ = children_mut(members, |child| -> Result<(), ()> {
        drop_bounds(child);
        Ok(())
    });
}

/// Undoes what sealing did to an answer: takes out the nulls that stand for optional members, so
/// that the answer fits the schema it was asked for. `schema` is the one before sealing.
pub fn unseal(schema: &Value, value: &mut Value) {
    let mut nulls =
        Nulls { root: schema, path: Vec::new(), found: Vec::new(), visited: HashSet::new() };
    nulls.visit(schema, value);
    for path in nulls.found {
        let Some((Step::Member(name), parents)) = path.split_last() else { continue };
        if let Some(Value::Object(parent)) = follow(value, parents) {
            parent.shift_remove(name);
        }
    }
}

/// Finds nulls that stand for optional members.
struct Nulls<'s> {
    root: &'s Value,
    path: Vec<Step>,
    found: Vec<Vec<Step>>,
    visited: HashSet<(usize, usize)>,
}

impl<'s> Nulls<'s> {
    fn visit(&mut self, schema: &'s Value, value: &Value) {
        let Value::Object(members) = schema else { return };
        if !self.visited.insert((address(value), address(schema))) {
            return;
        }
        let target = members.get("$ref").and_then(Value::as_str);
        if let Some(target) = target.and_then(|name| local(self.root, name)) {
            self.visit(target, value);
        }
        for key in ["allOf", "anyOf", "oneOf"] {
            let branches = members.get(key).and_then(Value::as_array).into_iter().flatten();
            branches.for_each(|branch| self.visit(branch, value));
        }
        match value {
            Value::Object(fields) => self.fields(members, fields),
            Value::Array(items) => {
                let Some(schema) = members.get("items") else { return };
                for (i, item) in items.iter().enumerate() {
                    self.inside(Step::Item(i), schema, item);
                }
            }
            _ => {}
        }
    }

    fn fields(&mut self, schema: &'s Map<String, Value>, fields: &Map<String, Value>) {
        let Some(Value::Object(properties)) = schema.get("properties") else { return };
        let required = schema.get("required").and_then(Value::as_array);
        let optional = |name: &str| required.is_none_or(|names| !names.iter().any(|n| n == name));
        for (name, schema) in properties {
            let step = Step::Member(name.clone());
            match fields.get(name) {
                Some(Value::Null) if optional(name) => {
                    self.found.push([self.path.as_slice(), &[step]].concat());
                }
                Some(value) => self.inside(step, schema, value),
                None => {}
            }
        }
    }

    fn inside(&mut self, step: Step, schema: &'s Value, value: &Value) {
        self.path.push(step);
        self.visit(schema, value);
        self.path.pop();
    }
}

struct Seal<'s> {
    root: &'s Value,
    properties: usize,
}

impl Seal<'_> {
    /// `depth` counts schemas inside schemas, `level` objects inside objects.
    fn schema(&mut self, schema: &mut Value, depth: usize, level: usize) -> Option<()> {
        if depth > MAX_DEPTH || level > LEVELS {
            return None;
        }
        let members = schema.as_object_mut()?;
        drop_remarks(members);
        unwrap_all_of(members);
        // Branches of `oneOf` that are meant to exclude each other do so as `anyOf` too.
        if let Some(branches) = members.shift_remove("oneOf")
            && members.insert("anyOf".into(), branches).is_some()
        {
            return None;
        }
        if !members.keys().all(|key| KNOWN.contains(&key.as_str())) {
            return None;
        }
        self.definitions(members, depth)?;
        if members.contains_key("$ref") {
            return self.reference(members);
        }
        self.constraints(members, depth, level)
    }

    fn definitions(&mut self, members: &mut Map<String, Value>, depth: usize) -> Option<()> {
        for key in ["$defs", "definitions"] {
            let Some(named) = members.get_mut(key) else { continue };
            for schema in named.as_object_mut()?.values_mut() {
                self.schema(schema, depth + 1, 0)?;
            }
        }
        Some(())
    }

    /// A reference may have nothing beside it.
    fn reference(&mut self, members: &mut Map<String, Value>) -> Option<()> {
        let target = members.get("$ref")?.as_str()?;
        local(self.root, target)?;
        members.retain(|key, _| !matches!(key.as_str(), "description" | "title"));
        let alone =
            members.keys().all(|key| matches!(key.as_str(), "$ref" | "$defs" | "definitions"));
        alone.then_some(())
    }

    fn constraints(
        &mut self,
        members: &mut Map<String, Value>,
        depth: usize,
        level: usize,
    ) -> Option<()> {
        if let Some(branches) = members.get_mut("anyOf") {
            for branch in branches.as_array_mut()? {
                self.schema(branch, depth + 1, level)?;
            }
        } else if !["type", "enum", "const"].iter().any(|key| members.contains_key(*key)) {
            return None; // Anything goes: a grammar cannot say that.
        }
        name_type(members);
        let format = members.get("format").and_then(Value::as_str);
        if format.is_some_and(|format| !FORMATS.contains(&format)) {
            return None;
        }
        if allows(members, "array") {
            self.schema(members.get_mut("items")?, depth + 1, level)?;
        }
        match allows(members, "object") {
            true => self.object(members, depth, level),
            false => Some(()),
        }
    }

    fn object(
        &mut self,
        members: &mut Map<String, Value>,
        depth: usize,
        level: usize,
    ) -> Option<()> {
        if !matches!(members.get("additionalProperties"), None | Some(Value::Bool(false))) {
            return None;
        }
        let required: Vec<Value> =
            members.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        // An object without named properties is one with any properties.
        let properties = members.get_mut("properties")?.as_object_mut()?;
        if !required.iter().all(|name| name.as_str().is_some_and(|n| properties.contains_key(n))) {
            return None;
        }
        self.properties += properties.len();
        if self.properties > PROPERTIES {
            return None;
        }
        for (name, schema) in properties.iter_mut() {
            self.schema(schema, depth + 1, level + 1)?;
            if !required.contains(&Value::from(name.as_str())) {
                nullable(schema);
            }
        }
        let names: Vec<Value> = properties.keys().map(|name| name.as_str().into()).collect();
        members.insert("required".into(), names.into());
        members.insert("additionalProperties".into(), false.into());
        Some(())
    }
}

/// `allOf` with a single schema is that schema.
fn unwrap_all_of(members: &mut Map<String, Value>) {
    let Some([Value::Object(only)]) =
        members.get("allOf").and_then(Value::as_array).map(Vec::as_slice)
    else {
        return;
    };
    let only = only.clone();
    if only.keys().any(|key| members.contains_key(key) && key != "description" && key != "title") {
        return;
    }
    members.shift_remove("allOf");
    for (key, value) in only {
        members.entry(key).or_insert(value);
    }
}

/// The grammar wants a type beside values that are listed.
fn name_type(members: &mut Map<String, Value>) {
    let listed = members.get("enum").and_then(Value::as_array).map(Vec::as_slice);
    let values = listed.or_else(|| members.get("const").map(std::slice::from_ref));
    let all = |is: fn(&Value) -> bool| values.is_some_and(|values| values.iter().all(is));
    let name = if all(Value::is_string) {
        "string"
    } else if all(|value| value.is_i64() || value.is_u64()) {
        "integer"
    } else if all(Value::is_number) {
        "number"
    } else if all(Value::is_boolean) {
        "boolean"
    } else {
        return;
    };
    members.entry("type").or_insert(name.into());
}

fn kind_of(schema: &Value) -> Option<&str> {
    schema.get("type")?.as_str()
}

fn allows(members: &Map<String, Value>, kind: &str) -> bool {
    match members.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|k| k == kind),
        Some(one) => one == kind,
        None => false,
    }
}

/// Lets a schema accept null besides.
fn nullable(schema: &mut Value) {
    let Value::Object(members) = schema else { return };
    let null = || Value::from("null");
    if let Some(Value::Array(branches)) = members.get_mut("anyOf") {
        if !branches.iter().any(|branch| kind_of(branch) == Some("null")) {
            branches.push(json!({ "type": "null" }));
        }
        return;
    }
    if members.contains_key("const")
        || !members.contains_key("type") && !members.contains_key("enum")
    {
        let inner = std::mem::take(members);
        members.insert("anyOf".into(), json!([inner, { "type": "null" }]));
        return;
    }
    match members.get_mut("type") {
        Some(Value::Array(kinds)) if !kinds.contains(&null()) => kinds.push(null()),
        Some(kind @ Value::String(_)) if *kind != "null" => *kind = json!([kind.clone(), "null"]),
        _ => {}
    }
    if let Some(Value::Array(values)) = members.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_is_closed_and_every_property_required() {
        let schema = json!({
            "$schema": "x", "type": "object", "required": ["name"],
            "properties": {
                "name": {"type": "string", "default": "a"},
                "age": {"type": "integer", "minimum": 0},
                "mood": {"enum": ["good", "bad"], "type": "string"},
                "pets": {"type": "array", "items": {
                    "type": "object", "properties": {"kind": {"const": "cat"}}}},
            },
        });
        assert_eq!(
            sealed(&schema).unwrap(),
            json!({
                "type": "object", "required": ["name", "age", "mood", "pets"],
                "properties": {
                    "name": {"type": "string"},
                    "age": {"type": ["integer", "null"], "minimum": 0},
                    "mood": {"enum": ["good", "bad", null], "type": ["string", "null"]},
                    "pets": {"type": ["array", "null"], "items": {
                        "type": "object", "required": ["kind"], "additionalProperties": false,
                        "properties": {"kind": {"anyOf": [
                            {"const": "cat", "type": "string"}, {"type": "null"}]}}}},
                },
                "additionalProperties": false,
            })
        );
    }

    #[test]
    fn references_and_alternatives_are_kept() {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": {"$ref": "#/$defs/node", "description": "x"},
                "b": {"oneOf": [{"type": "string"}, {"$ref": "#/$defs/node"}]},
                "c": {"allOf": [{"$ref": "#/$defs/node"}], "description": "x"},
            },
            "required": ["c"],
            "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}},
                               "required": ["next"]}},
        });
        let sealed = sealed(&schema).unwrap();
        let node = json!({"$ref": "#/$defs/node"});
        let none = json!({"type": "null"});
        assert_eq!(sealed["properties"]["a"], json!({"anyOf": [node, none]}));
        assert_eq!(sealed["properties"]["b"], json!({"anyOf": [{"type": "string"}, node, none]}));
        assert_eq!(sealed["properties"]["c"], node);
        assert_eq!(sealed["$defs"]["node"]["additionalProperties"], false);
    }

    #[test]
    fn nulls_of_optional_members_are_taken_out_again() {
        let schema = json!({
            "type": "object", "required": ["must", "list"],
            "properties": {"must": {"type": ["string", "null"]}, "may": {"type": "string"},
                           "list": {"items": {"$ref": "#/$defs/node"}}},
            "$defs": {"node": {"properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}]}}}},
        });
        let mut value = json!({"must": null, "may": null, "other": null,
                               "list": [{"next": null}, {"next": {"next": null}}]});
        unseal(&schema, &mut value);
        assert_eq!(value, json!({"must": null, "other": null, "list": [{}, {"next": {}}]}));
    }

    #[test]
    fn a_sealed_schema_is_sealed_already() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        let once = sealed(&schema).unwrap();
        assert_eq!(sealed(&once).unwrap(), once);
    }

    #[test]
    fn what_the_grammar_cannot_say_is_not_sealed() {
        let inside = |schema: Value| json!({"type": "object", "properties": {"a": schema}});
        for schema in [
            json!({"type": "array", "items": {"type": "string"}}),
            json!({"anyOf": [{"type": "object", "properties": {}}]}),
            json!({"type": "object"}),
            json!({"type": "object", "properties": {}, "additionalProperties": true}),
            json!({"type": "object", "properties": {}, "required": ["ghost"]}),
            inside(json!({})),
            inside(json!(true)),
            inside(json!({"type": "object", "additionalProperties": {"type": "string"}})),
            inside(json!({"type": "string", "minLength": 3})),
            inside(json!({"type": "string", "format": "uri"})),
            inside(json!({"type": "array"})),
            inside(json!({"type": "string", "not": {"const": "x"}})),
            inside(json!({"$ref": "https://example.com/x"})),
        ] {
            assert!(!can_seal(&schema), "{schema}");
        }
        assert!(can_seal(&json!({"type": "object", "properties": {}})));
    }
}
