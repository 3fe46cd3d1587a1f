//! Which members a value lacks that its schema has a `default` for.
//!
//! The walk follows `properties`, `items`, `prefixItems`, `allOf` and local `$ref`s: places where
//! a schema applies for certain. Alternatives (`anyOf`, `oneOf`, `if`) give no defaults.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::keywords::{escaped, local};
use crate::value::{Kind, MAX_DEPTH, Ref};

/// Most defaults one value can get: documents of nested defaults grow faster than their schemas.
const MOST: usize = 100_000;

/// A step from a value to one inside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Member(String),
    /// Counted from 0.
    Item(usize),
}

/// A member that is missing; the last step of `path` is its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    pub path: Vec<Step>,
    pub value: Value,
}

/// A value the walk can look at.
trait View: Copy {
    fn member(self, name: &str) -> Option<Self>;
    fn items(self) -> Vec<Self>;
    fn is_object(self) -> bool;
    /// Tells one value from another during a walk.
    fn identity(self) -> usize;
}

impl View for Ref<'_> {
    fn member(self, name: &str) -> Option<Self> {
        self.get(name)
    }

    fn items(self) -> Vec<Self> {
        Ref::items(self).collect()
    }

    fn is_object(self) -> bool {
        matches!(self.kind(), Kind::Object | Kind::Empty)
    }

    fn identity(self) -> usize {
        self.position()
    }
}

impl View for &Value {
    fn member(self, name: &str) -> Option<Self> {
        self.get(name)
    }

    fn items(self) -> Vec<Self> {
        self.as_array().map(|items| items.iter().collect()).unwrap_or_default()
    }

    fn is_object(self) -> bool {
        Value::is_object(self)
    }

    fn identity(self) -> usize {
        address(self)
    }
}

/// Tells schemas from each other, and values that do not change.
pub fn address(value: &Value) -> usize {
    std::ptr::from_ref(value) as usize
}

/// What is missing in `value`.
pub fn missing(schema: &Value, value: Ref<'_>) -> Vec<Missing> {
    collect(schema, value)
}

/// Sets what is missing in `value`; gives JSON pointers to it.
pub fn fill(schema: &Value, value: &mut Value) -> Vec<String> {
    let missing = collect(schema, &*value);
    let places = missing.iter().map(|found| pointer(&found.path)).collect();
    set(value, missing);
    places
}

fn set(value: &mut Value, missing: Vec<Missing>) {
    for found in missing {
        let Some((Step::Member(name), parents)) = found.path.split_last() else { continue };
        if let Some(Value::Object(parent)) = follow(value, parents) {
            parent.insert(name.clone(), found.value);
        }
    }
}

/// The JSON pointer that a path is.
pub fn pointer(path: &[Step]) -> String {
    let step = |step: &Step| match step {
        Step::Member(name) => format!("/{}", escaped(name)),
        Step::Item(index) => format!("/{index}"),
    };
    path.iter().map(step).collect()
}

/// The value at a path.
pub fn follow<'v>(value: &'v mut Value, path: &[Step]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |here, step| match step {
        Step::Member(name) => here.get_mut(name),
        Step::Item(index) => here.get_mut(index),
    })
}

fn collect<V: View>(root: &Value, value: V) -> Vec<Missing> {
    let mut walk = Walk::new(root, MOST, &[]);
    walk.visit(root, value);
    walk.found
}

struct Walk<'s, 'a> {
    root: &'s Value,
    path: Vec<Step>,
    found: Vec<Missing>,
    /// Paths of what was found: several schemas may speak of one member, the first wins.
    seen: HashSet<Vec<Step>>,
    /// Values and the schemas that were applied to them: references may lead to one in many ways.
    visited: HashSet<(usize, usize)>,
    /// Defaults that may still be set.
    left: usize,
    /// Schemas whose defaults are being completed: one that contains itself would never end.
    around: &'a [&'s Value],
}

impl<'s, 'a> Walk<'s, 'a> {
    fn new(root: &'s Value, left: usize, around: &'a [&'s Value]) -> Walk<'s, 'a> {
        let (path, found) = (Vec::new(), Vec::new());
        let (seen, visited) = (HashSet::new(), HashSet::new());
        Walk { root, path, found, seen, visited, left, around }
    }

    fn visit<V: View>(&mut self, schema: &'s Value, value: V) {
        if !self.visited.insert((value.identity(), address(schema))) {
            return;
        }
        let Value::Object(schema) = schema else { return };
        if let Some(target) = target(self.root, schema) {
            self.visit(target, value);
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.visit(part, value);
        }
        if value.is_object() {
            self.members(schema, value);
        }
        self.items(schema, value);
    }

    fn members<V: View>(&mut self, schema: &'s Map<String, Value>, value: V) {
        let Some(Value::Object(properties)) = schema.get("properties") else { return };
        for (name, schema) in properties {
            match value.member(name) {
                Some(member) => self.inside(Step::Member(name.clone()), schema, member),
                None => self.missing(name, schema),
            }
        }
    }

    fn items<V: View>(&mut self, schema: &'s Map<String, Value>, value: V) {
        let first = ["prefixItems", "items"].iter().find_map(|key| schema.get(*key)?.as_array());
        let rest = schema.get("items").filter(|items| items.is_object());
        if first.is_none() && rest.is_none() {
            return;
        }
        for (index, item) in value.items().into_iter().enumerate() {
            if let Some(schema) = first.and_then(|first| first.get(index)).or(rest) {
                self.inside(Step::Item(index), schema, item);
            }
        }
    }

    fn inside<V: View>(&mut self, step: Step, schema: &'s Value, value: V) {
        self.path.push(step);
        self.visit(schema, value);
        self.path.pop();
    }

    fn missing(&mut self, name: &str, schema: &'s Value) {
        let Some(default) = default_of(self.root, schema, 0) else { return };
        if self.left == 0 {
            return;
        }
        let mut path = self.path.clone();
        path.push(Step::Member(name.to_owned()));
        if !self.seen.insert(path.clone()) {
            return;
        }
        self.left = self.left.saturating_sub(1);
        let value = self.completed(schema, default.clone());
        self.found.push(Missing { path, value });
    }

    /// A default may itself lack members that have one.
    fn completed(&mut self, schema: &'s Value, mut value: Value) -> Value {
        if self.left == 0 || self.around.iter().any(|outer| std::ptr::eq(*outer, schema)) {
            return value;
        }
        let around = [self.around, &[schema]].concat();
        let mut inner = Walk::new(self.root, self.left, &around);
        inner.visit(schema, &value);
        self.left = inner.left;
        let found = inner.found;
        set(&mut value, found);
        value
    }
}

/// The schema of the same document that this one refers to.
fn target<'s>(root: &'s Value, schema: &Map<String, Value>) -> Option<&'s Value> {
    local(root, schema.get("$ref")?.as_str()?)
}

/// The default of a schema or of the one it refers to.
fn default_of<'s>(root: &'s Value, schema: &'s Value, hops: usize) -> Option<&'s Value> {
    let schema = schema.as_object()?;
    let inner = || match hops < MAX_DEPTH {
        true => default_of(root, target(root, schema)?, hops + 1),
        false => None,
    };
    schema.get("default").or_else(inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::Schema;
    use crate::value::{Tape, json as text};

    fn filled(schema: Value, value: Value) -> Value {
        let schema = Schema::compile(&schema).unwrap();
        let mut in_place = value.clone();
        schema.fill_defaults(&mut in_place);
        // The list for the tape has to lead to the same value.
        let mut tape = Tape::default();
        text::put(&value, &mut tape);
        let mut from_list = value;
        set(&mut from_list, schema.missing_defaults(tape.root().unwrap()));
        assert_eq!(in_place, from_list);
        in_place
    }

    #[test]
    fn members_with_a_default_are_set_and_others_left_alone() {
        let schema = json!({"properties": {
            "unit": {"default": "C"}, "city": {"type": "string"}, "deep": {"properties": {
                "n": {"default": 1}}}, "none": {"default": null}}});
        assert_eq!(
            filled(schema.clone(), json!({"unit": "F", "deep": {}})),
            json!({"unit": "F", "deep": {"n": 1}, "none": null})
        );
        assert_eq!(filled(schema, json!({})), json!({"unit": "C", "none": null}));
    }

    #[test]
    fn defaults_are_found_through_items_references_and_all_of() {
        let schema = json!({
            "allOf": [{"properties": {"a": {"default": 1}}}],
            "properties": {"list": {"items": {"$ref": "#/$defs/item"}},
                           "pair": {"prefixItems": [{}, {"$ref": "#/$defs/item"}]},
                           "one": {"$ref": "#/$defs/whole"}},
            "$defs": {"item": {"properties": {"x": {"default": 0}}},
                      "whole": {"default": {}, "properties": {"y": {"default": [1]}}}},
        });
        assert_eq!(
            filled(schema, json!({"list": [{}, {"x": 5}], "pair": [{}, {}]})),
            json!({"list": [{"x": 0}, {"x": 5}], "pair": [{}, {"x": 0}], "one": {"y": [1]}, "a": 1})
        );
    }

    #[test]
    fn schemas_that_name_themselves_end() {
        let tree = json!({"properties": {"next": {"$ref": "#"}, "v": {"default": 1}}});
        assert_eq!(
            filled(tree, json!({"next": {"next": {}}})),
            json!({"next": {"next": {"v": 1}, "v": 1}, "v": 1})
        );
        let endless = json!({"properties": {"a": {"default": {}, "$ref": "#"}}});
        filled(endless, json!({}));
    }

    #[test]
    fn references_that_branch_at_every_level_take_no_exponential_time() {
        let next = json!({"properties": {"n": {"$ref": "#"}, "v": {"default": 1}}});
        let schema = json!({"allOf": [next, next, {"$ref": "#"}]});
        let value = (0..80).fold(json!({}), |inner, _| json!({ "n": inner }));
        assert_eq!(filled(schema, value)["n"]["n"]["v"], 1);
    }

    #[test]
    fn alternatives_and_other_kinds_of_values_get_nothing() {
        let schema = json!({"anyOf": [{"properties": {"a": {"default": 1}}}],
                            "properties": {"b": {"default": 1}}});
        assert_eq!(filled(schema.clone(), json!([1])), json!([1]));
        assert_eq!(filled(schema, json!({"b": null})), json!({"b": null}));
    }
}
