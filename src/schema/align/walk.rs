//! The walk over a value and the schemas that apply to it.
//!
//! A pair of schema and value is looked at once, so nested alternatives take no exponential time,
//! and schemas that refer to themselves end; what is left is bounded by a budget.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::parts::{Documents, Part, Parts};
use super::{Fit, Rules, scalar};
use crate::schema::{Options, Schema};
use crate::value::{Tape, json as text};

/// Pairs of schema and value that one reading may look at.
const BUDGET: usize = 400_000;
/// Schemas and values inside each other.
const DEEPEST: usize = 220;

/// Costs of turning one kind of value into another.
const FROM_TEXT: u32 = 1;
const WRAPPED: u32 = 2;
pub(super) const LEFT_OUT: u32 = 5;
pub(super) const FORCED: u32 = 1000;

type Pair = (Vec<(usize, u8)>, usize);

pub struct Walk<'s> {
    pub documents: Documents<'s>,
    pub rules: Rules,
    /// What does not fit stays as it is: to say what is wrong once all that can be done is done.
    pub forced: bool,
    formats: bool,
    budget: usize,
    depth: usize,
    /// Inside alternatives.
    unions: usize,
    /// Inside a list.
    pub in_items: bool,
    tried: HashMap<Pair, Option<Fit>>,
    /// Compiled patterns and formats, by the place they stand at.
    checks: HashMap<usize, Option<Schema>>,
}

/// The cheapest way to read a value.
pub fn fit(schema: &Schema, value: &Value, rules: Rules) -> Option<Fit> {
    Walk::new(schema, rules).root(schema, value)
}

/// The value with everything done that can be done.
pub fn nearest(schema: &Schema, value: &Value, rules: Rules) -> Value {
    let mut walk = Walk::new(schema, rules);
    walk.forced = true;
    walk.root(schema, value).map_or_else(|| value.clone(), |fit| fit.value)
}

impl<'s> Walk<'s> {
    fn new(schema: &'s Schema, rules: Rules) -> Walk<'s> {
        Walk {
            documents: Documents(&schema.0.documents),
            rules,
            forced: false,
            formats: schema.0.formats,
            budget: BUDGET,
            depth: 0,
            unions: 0,
            in_items: false,
            tried: HashMap::new(),
            checks: HashMap::new(),
        }
    }

    fn root(&mut self, schema: &'s Schema, value: &Value) -> Option<Fit> {
        let root = schema.source();
        let parts = Parts::of(self.documents, root, root)?;
        self.fit(&parts, value)
    }

    pub fn fit(&mut self, parts: &Parts<'s>, value: &Value) -> Option<Fit> {
        if self.depth >= DEEPEST {
            return None;
        }
        self.budget = self.budget.checked_sub(1)?;
        let pair = (parts.identity(), std::ptr::from_ref(value) as usize);
        if let Some(known) = self.tried.get(&pair) {
            return known.clone();
        }
        // A schema that leads back to itself with the same value fits in no way of its own.
        self.tried.insert(pair.clone(), None);
        self.depth += 1;
        let found = self.look(parts, value);
        self.depth -= 1;
        self.tried.insert(pair, found.clone());
        found
    }

    fn look(&mut self, parts: &Parts<'s>, value: &Value) -> Option<Fit> {
        let found = match parts.union() {
            Some(union) => self.alternatives(parts, union, value),
            None => self.single(parts, value).filter(|fit| self.holds(parts, &fit.value)),
        };
        let found = found.or_else(|| self.default_for_null(parts, value));
        match found {
            None if self.forced => Some(Fit { cost: FORCED, ..Fit::same(value.clone()) }),
            found => found,
        }
    }

    /// The cheapest branch; the first among equals.
    fn alternatives(
        &mut self,
        parts: &Parts<'s>,
        (at, bit, branches): (usize, usize, &'s [Value]),
        value: &Value,
    ) -> Option<Fit> {
        let mut best: Option<Fit> = None;
        self.unions += 1;
        for branch in branches {
            let chosen = parts.choose(self.documents, (at, bit), branch);
            let Some(fit) = chosen.and_then(|chosen| self.fit(&chosen, value)) else { continue };
            if best.as_ref().is_none_or(|best| fit.cost < best.cost) {
                best = Some(fit);
            }
            if best.as_ref().is_some_and(|best| best.cost == 0) {
                break;
            }
        }
        self.unions -= 1;
        best
    }

    fn default_for_null(&self, parts: &Parts<'s>, value: &Value) -> Option<Fit> {
        let default = parts.get("default").filter(|_| value.is_null() && !self.forced)?;
        Some(Fit::changed(default.clone(), FROM_TEXT))
    }

    fn single(&mut self, parts: &Parts<'s>, value: &Value) -> Option<Fit> {
        let constant = parts.get("const").map(std::slice::from_ref);
        let listed = parts.get("enum").and_then(Value::as_array).map(Vec::as_slice);
        if let Some(options) = constant.or(listed) {
            let found = scalar::listed(parts, options, value, self.rules);
            return found.or_else(|| self.lone(parts, value));
        }
        if !parts.has_type() {
            return self.untyped(parts, value);
        }
        let mut best: Option<Fit> = None;
        for name in kinds(value).into_iter().filter(|name| parts.allows(name)) {
            let Some(fit) = self.as_type(name, parts, value) else { continue };
            if fit.cost == 0 {
                return Some(fit);
            }
            if best.as_ref().is_none_or(|best| fit.cost < best.cost) {
                best = Some(fit);
            }
        }
        best.or_else(|| self.lone(parts, value))
    }

    /// The only member of an object, where no object is wanted: `{"answer": 42}`.
    fn lone(&mut self, parts: &Parts<'s>, value: &Value) -> Option<Fit> {
        let members = value.as_object().filter(|members| members.len() == 1)?;
        let inner = members.values().next().filter(|v| !v.is_object() && !v.is_array())?;
        if !self.rules.free || parts.has_type() && parts.allows("object") {
            return None;
        }
        let fit = self.fit(parts, inner)?;
        Some(Fit::changed(fit.value, fit.cost + WRAPPED))
    }

    fn as_type(&mut self, name: &str, parts: &Parts<'s>, value: &Value) -> Option<Fit> {
        match name {
            "null" => scalar::null(value, self.rules),
            "boolean" => scalar::boolean(value, self.rules),
            "integer" => scalar::number(value, self.rules, true),
            "number" => scalar::number(value, self.rules, false),
            "string" => scalar::string(value, self.rules),
            "array" => self.array(parts, value),
            _ => self.object(parts, value),
        }
    }

    /// Without a type, keywords tell what is meant; any other value may stand as well.
    fn untyped(&mut self, parts: &Parts<'s>, value: &Value) -> Option<Fit> {
        let has = |keys: &[&str]| keys.iter().any(|key| parts.get(key).is_some());
        let object = has(&["properties", "required", "additionalProperties", "patternProperties"]);
        let array = has(&["items", "prefixItems"]);
        match value {
            Value::Object(_) if object => self.object(parts, value),
            Value::Array(_) if array => self.array(parts, value),
            _ if self.rules.free && object => self.object(parts, value),
            _ if self.rules.free && array => self.array(parts, value),
            _ => Some(Fit::same(value.clone())),
        }
    }

    fn array(&mut self, parts: &Parts<'s>, value: &Value) -> Option<Fit> {
        match value {
            Value::Array(items) => self.items(parts, items),
            Value::Null => None,
            // A Lua table without members is a list where one is wanted.
            Value::Object(members) if members.is_empty() && !self.rules.free => {
                Some(Fit::same(json!([])))
            }
            value => self.unwrapped(parts, value, '[').or_else(|| self.wrapped(parts, value)),
        }
    }

    /// A single value where a list is wanted.
    fn wrapped(&mut self, parts: &Parts<'s>, value: &Value) -> Option<Fit> {
        let inner = match self.item(parts, 0) {
            Item::Any => Some(Fit::same(value.clone())),
            Item::None => None,
            Item::Parts(item) => self.fit(&item, value),
        };
        inner.map(|fit| Fit::changed(json!([fit.value]), fit.cost + WRAPPED))
    }

    fn items(&mut self, parts: &Parts<'s>, items: &[Value]) -> Option<Fit> {
        let mut list = Fit::same(Value::Null);
        let mut values = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            let outside = std::mem::replace(&mut self.in_items, true);
            let fit = match self.item(parts, i) {
                Item::Any => Some(Fit::same(item.clone())),
                Item::None => None,
                Item::Parts(wanted) => self.fit(&wanted, item),
            };
            self.in_items = outside;
            match fit {
                Some(fit) => {
                    list.take(&format!("/{i}"), &fit);
                    values.push(fit.value);
                }
                None if self.rules.partial => list.cost += LEFT_OUT,
                None if self.forced => values.push(item.clone()),
                None => return None,
            }
        }
        list.value = values.into();
        Some(list)
    }

    /// What the item at a place has to be.
    fn item(&self, parts: &Parts<'s>, at: usize) -> Item<'s> {
        let mut wanted: Option<Parts<'s>> = None;
        for part in &parts.0 {
            let Some(schema) = item_schema(part, at) else { continue };
            match wanted.unwrap_or_default().and(self.documents, part.root, schema) {
                Some(all) => wanted = Some(all),
                None => return Item::None,
            }
        }
        wanted.map_or(Item::Any, Item::Parts)
    }

    /// JSON text in a string, where what it holds is wanted.
    pub fn unwrapped(&mut self, parts: &Parts<'s>, value: &Value, opens: char) -> Option<Fit> {
        let text = value.as_str()?.trim();
        if !text.starts_with(opens) {
            return None;
        }
        let inner = super::text::document(text, self.rules.free)?;
        let kind = if opens == '[' { inner.is_array() } else { inner.is_object() };
        let fit = if kind { self.aside(|walk| walk.fit(parts, &inner)) } else { None }?;
        Some(Fit::changed(fit.value, fit.cost + FROM_TEXT))
    }

    /// For values that do not live as long as the walk: their addresses mean nothing later.
    pub fn aside<T>(&mut self, run: impl FnOnce(&mut Walk<'s>) -> T) -> T {
        let tried = std::mem::take(&mut self.tried);
        let result = run(self);
        self.tried = tried;
        result
    }

    /// Limits, and inside alternatives also what has to be compiled first.
    fn holds(&mut self, parts: &Parts<'s>, value: &Value) -> bool {
        if self.forced {
            return true;
        }
        scalar::holds(parts, value)
            && (self.unions == 0
                || !value.is_string()
                || parts.0.iter().all(|part| self.text_holds(part, value)))
    }

    fn text_holds(&mut self, part: &Part<'s>, value: &Value) -> bool {
        let map = part.map;
        let checked = map.contains_key("pattern") || self.formats && map.contains_key("format");
        if !checked {
            return true;
        }
        let formats = self.formats;
        let check = self.checks.entry(std::ptr::from_ref(map) as usize).or_insert_with(|| {
            let kept = ["pattern", "format"].iter().filter_map(|k| Some((*k, map.get(*k)?)));
            let schema: serde_json::Map<_, _> =
                kept.map(|(k, v)| (k.to_owned(), v.clone())).collect();
            let options = Options { formats, ..Options::default() };
            Schema::compile_with(&schema.into(), options).ok()
        });
        check.as_ref().is_none_or(|check| valid(check, value))
    }

    /// Whether a member's name fits a pattern of `patternProperties`.
    pub fn matches(&mut self, pattern: &'s str, name: &str) -> bool {
        let check = self
            .checks
            .entry(pattern.as_ptr() as usize)
            .or_insert_with(|| Schema::compile(&json!({ "pattern": pattern })).ok());
        check.as_ref().is_some_and(|check| valid(check, &Value::from(name)))
    }
}

fn valid(schema: &Schema, value: &Value) -> bool {
    let mut tape = Tape::default();
    let at = text::put(value, &mut tape);
    schema.is_valid(tape.view(at))
}

enum Item<'s> {
    Any,
    None,
    Parts(Parts<'s>),
}

fn item_schema<'s>(part: &Part<'s>, at: usize) -> Option<&'s Value> {
    let first = ["prefixItems", "items"].iter().find_map(|key| part.map.get(*key)?.as_array());
    let rest = || match part.map.get("items") {
        Some(Value::Array(_)) => part.map.get("additionalItems"),
        items => items,
    };
    first.and_then(|first| first.get(at)).or_else(rest)
}

impl Fit {
    /// Adds what was done to a value inside.
    pub fn take(&mut self, step: &str, inner: &Fit) {
        self.cost += inner.cost;
        self.changed.extend(inner.changed.iter().map(|path| format!("{step}{path}")));
    }
}

/// All types, the value's own first: it wins among equals.
fn kinds(value: &Value) -> [&'static str; 7] {
    match value {
        Value::Null => ["null", "string", "integer", "number", "boolean", "array", "object"],
        Value::Bool(_) => ["boolean", "string", "integer", "number", "null", "array", "object"],
        Value::Number(_) => ["integer", "number", "boolean", "string", "null", "array", "object"],
        Value::String(_) => ["string", "integer", "number", "boolean", "null", "array", "object"],
        Value::Array(_) => ["array", "object", "integer", "number", "boolean", "null", "string"],
        Value::Object(_) => ["object", "array", "integer", "number", "boolean", "null", "string"],
    }
}
