//! Objects: members found by their names, in whatever spelling.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::Fit;
use super::parts::Parts;
use super::walk::{FORCED, LEFT_OUT, Walk};
use super::words::fold;
use crate::schema::keywords::escaped;

/// Costs.
const OTHER_NAME: u32 = 1;
const UNKNOWN: u32 = 2;
const UNKNOWN_TREE: u32 = 3;
const FILLED: u32 = 1;
const MISSING: u32 = 1;
const ONE_OF_LIST: u32 = 3;
const IMPLIED: u32 = 4;

impl<'s> Walk<'s> {
    pub(super) fn object(&mut self, parts: &Parts<'s>, value: &Value) -> Option<Fit> {
        match value {
            Value::Object(members) => self.members(parts, members),
            Value::String(_) => {
                self.unwrapped(parts, value, '{').or_else(|| self.implied(parts, value))
            }
            Value::Array(items) => match items.as_slice() {
                [only @ Value::Object(_)] if self.rules.free => {
                    let fit = self.fit(parts, only)?;
                    Some(Fit::changed(fit.value, fit.cost + ONE_OF_LIST))
                }
                _ => self.implied(parts, value).or_else(|| self.in_order(parts, items)),
            },
            Value::Null => None,
            _ => self.implied(parts, value),
        }
    }

    /// The value of the only property, without the object around it. A text is no object: it would
    /// fit too many.
    fn implied(&mut self, parts: &Parts<'s>, value: &Value) -> Option<Fit> {
        let names = parts.properties();
        let [name] = names.as_slice() else { return None };
        if !self.rules.free {
            return None;
        }
        let wanted = parts.property(self.documents, name)?;
        let fit = self.fit(&wanted, value)?;
        let told = wanted.get("enum").or(wanted.get("const")).is_some();
        if fit.value.is_string() && !told {
            return None;
        }
        Some(Fit::changed(json!({ *name: fit.value }), fit.cost + IMPLIED))
    }

    /// The values of all properties in their order, without the names. Only what fits as it is
    /// tells that this is meant.
    fn in_order(&mut self, parts: &Parts<'s>, items: &[Value]) -> Option<Fit> {
        let names = parts.properties();
        let all = self.rules.free && self.rules.partial && names.len() > 1;
        if !all || names.len() != items.len() || !names.iter().all(|name| parts.requires(name)) {
            return None;
        }
        let mut members = Map::new();
        for (name, item) in names.into_iter().zip(items) {
            let wanted = parts.property(self.documents, name)?;
            let fit = self.fit(&wanted, item).filter(|fit| fit.cost == 0)?;
            members.insert(name.to_owned(), fit.value);
        }
        Some(Fit::changed(members.into(), IMPLIED))
    }

    fn members(&mut self, parts: &Parts<'s>, members: &Map<String, Value>) -> Option<Fit> {
        let mut object = Object { fit: Fit::same(Value::Null), members: Map::new() };
        let names = parts.properties();
        let given = given(parts, &names, members, self.rules.free);
        for name in &names {
            let wanted = parts.property(self.documents, name);
            match given.by_name.get(name) {
                Some((key, value)) => {
                    object.fit.cost += u32::from(key != name) * OTHER_NAME;
                    self.member(&mut object, parts, (name, wanted.as_ref()), value)?;
                }
                None => self.missing(&mut object, parts, name, wanted.as_ref())?,
            }
        }
        for (key, value) in given.others {
            self.other(&mut object, parts, key, value)?;
        }
        self.required(&object, parts, &names)?;
        object.fit.value = object.members.into();
        Some(object.fit)
    }

    fn member(
        &mut self,
        object: &mut Object,
        parts: &Parts<'s>,
        (name, wanted): (&str, Option<&Parts<'s>>),
        value: &Value,
    ) -> Option<()> {
        let fit = wanted.and_then(|wanted| self.fit(wanted, value));
        let stays = fit.as_ref().is_some_and(|fit| fit.cost < FORCED);
        // Models write null for what they do not tell.
        if value.is_null() && !stays && self.rules.free && !parts.requires(name) {
            object.fit.cost += FILLED;
            object.fit.changed.push(format!("/{}", escaped(name)));
            return Some(());
        }
        // Of a list, items that do not fit are left out whole.
        let fails = self.in_items && !value.is_null() && parts.requires(name);
        match fit {
            Some(fit) => object.put(name, fit),
            None if self.rules.partial && value.is_null() => {
                return self.missing(object, parts, name, wanted);
            }
            None if self.rules.partial && !fails => {
                object.fit.cost += LEFT_OUT;
                return self.missing(object, parts, name, wanted);
            }
            None if self.forced => object.put(name, Fit::same(value.clone())),
            None => return None,
        }
        Some(())
    }

    /// A property that was not given: its default, or nothing where that may be.
    fn missing(
        &mut self,
        object: &mut Object,
        parts: &Parts<'s>,
        name: &str,
        wanted: Option<&Parts<'s>>,
    ) -> Option<()> {
        let filled = |value: Value| Fit::changed(value, FILLED);
        if let Some(default) = wanted.and_then(|wanted| self.default(wanted)) {
            object.put(name, filled(default));
            return Some(());
        }
        if !parts.requires(name) {
            return Some(());
        }
        let nothing = wanted.and_then(|wanted| self.nothing(wanted));
        match nothing {
            Some(value) => object.put(name, filled(value)),
            None if self.rules.partial => object.fit.cost += MISSING,
            None if self.forced => {}
            None => return None,
        }
        Some(())
    }

    /// The default with its own defaults; none if it does not fit its own schema.
    fn default(&mut self, wanted: &Parts<'s>) -> Option<Value> {
        let default = wanted.get("default")?;
        self.aside(|walk| walk.fit(wanted, default)).map(|fit| fit.value)
    }

    /// What stands for a required value that is missing: null where that is allowed; in values that
    /// are unfinished also an empty list or map, and the only value there can be.
    fn nothing(&mut self, wanted: &Parts<'s>) -> Option<Value> {
        let constant = wanted.get("const").cloned();
        let simple = wanted.has_type() && wanted.union().is_none();
        let only = |name: &str, others: &[&str]| {
            simple && wanted.allows(name) && !others.iter().any(|other| wanted.allows(other))
        };
        let shaped = |key: &str| !wanted.has_type() && wanted.get(key).is_some();
        match self.rules.partial {
            true if constant.is_some() => constant,
            true if only("array", &["null", "object", "string"]) || shaped("items") => {
                Some(json!([]))
            }
            true if shaped("properties") => Some(json!({})),
            true if only("object", &["null", "array", "string"])
                && wanted.get("properties").is_none() =>
            {
                Some(json!({}))
            }
            true => None,
            false if self.rules.free => self
                .aside(|walk| walk.fit(wanted, &Value::Null))
                .map(|fit| fit.value)
                .filter(Value::is_null),
            false => None,
        }
    }

    /// A member that is no property.
    fn other(
        &mut self,
        object: &mut Object,
        parts: &Parts<'s>,
        key: &str,
        value: &Value,
    ) -> Option<()> {
        let (key, cost) = self.spelled(parts, key)?;
        let key = key.as_str();
        object.fit.cost += cost;
        let Some(wanted) = self.wanted_of_other(parts, key) else {
            let forbidden = parts.all("additionalProperties").any(|(_, more)| *more == false);
            let dropped = self.rules.described || forbidden && self.rules.free;
            let tree = value.is_array() || value.is_object();
            object.fit.cost += if tree { UNKNOWN_TREE } else { UNKNOWN };
            if dropped {
                object.fit.changed.push(format!("/{}", escaped(key)));
            } else {
                object.members.insert(key.to_owned(), value.clone());
            }
            return Some(());
        };
        match self.fit(&wanted, value) {
            Some(fit) => object.put(key, fit),
            None if self.rules.partial => object.fit.cost += LEFT_OUT,
            None if self.forced => object.put(key, Fit::same(value.clone())),
            None => return None,
        }
        Some(())
    }

    /// The name of a member as `propertyNames` lists it.
    fn spelled(&mut self, parts: &Parts<'s>, key: &str) -> Option<(String, u32)> {
        let same = Some((key.to_owned(), 0));
        let Some((root, schema)) = parts.all("propertyNames").next() else { return same };
        if !self.rules.free {
            return same;
        }
        let names = Parts::of(self.documents, root, schema)?;
        match self.aside(|walk| walk.fit(&names, &Value::from(key))) {
            Some(fit) => fit.value.as_str().map(|name| (name.to_owned(), fit.cost)),
            None => same,
        }
    }

    /// By `patternProperties`, else by `additionalProperties`; `None` if the schema does not
    /// describe such a member.
    fn wanted_of_other(&mut self, parts: &Parts<'s>, key: &str) -> Option<Parts<'s>> {
        let mut wanted: Option<Parts<'s>> = None;
        for (root, patterns) in parts.all("patternProperties") {
            for (pattern, schema) in patterns.as_object().into_iter().flatten() {
                if self.matches(pattern, key) {
                    wanted = Some(wanted.unwrap_or_default().and(self.documents, root, schema)?);
                }
            }
        }
        if wanted.is_some() {
            return wanted;
        }
        for keyword in ["additionalProperties", "unevaluatedProperties"] {
            for (root, schema) in parts.all(keyword) {
                wanted = Some(wanted.unwrap_or_default().and(self.documents, root, schema)?);
            }
        }
        wanted
    }

    /// Names that are required without being properties.
    fn required(&self, object: &Object, parts: &Parts<'s>, names: &[&str]) -> Option<()> {
        if self.rules.partial || self.forced {
            return Some(());
        }
        let lists = parts.all("required").filter_map(|(_, list)| list.as_array());
        let mut all = lists.flatten().filter_map(Value::as_str);
        all.all(|name| names.contains(&name) || object.members.contains_key(name)).then_some(())
    }
}

struct Object {
    fit: Fit,
    members: Map<String, Value>,
}

impl Object {
    fn put(&mut self, name: &str, fit: Fit) {
        self.fit.take(&format!("/{}", escaped(name)), &fit);
        self.members.insert(name.to_owned(), fit.value);
    }
}

/// Members by the property they are for.
struct Given<'n, 'v> {
    by_name: HashMap<&'n str, (&'v str, &'v Value)>,
    others: Vec<(&'v str, &'v Value)>,
}

fn given<'n, 'v>(
    parts: &Parts<'_>,
    names: &[&'n str],
    members: &'v Map<String, Value>,
    free: bool,
) -> Given<'n, 'v> {
    let mut by_name = HashMap::with_capacity(names.len());
    let mut others: Vec<(&str, &Value)> = Vec::new();
    let exact: HashMap<&str, &'n str> = names.iter().map(|name| (*name, *name)).collect();
    for (key, value) in members {
        match exact.get(key.as_str()) {
            Some(name) => drop(by_name.insert(*name, (key.as_str(), value))),
            None => others.push((key, value)),
        }
    }
    if free && !others.is_empty() && by_name.len() < names.len() {
        let spellings = spellings(parts, names);
        others.retain(|(key, value)| {
            let found = [(*key).to_owned(), fold(key)].into_iter().find_map(|key| {
                spellings.get(&key).copied().flatten().filter(|name| !by_name.contains_key(name))
            });
            if let Some(name) = found {
                by_name.insert(name, (key, value));
            }
            found.is_none()
        });
    }
    Given { by_name, others }
}

/// Properties by their aliases and by their names without case and punctuation; `None` where two
/// would be the same.
fn spellings<'n>(parts: &Parts<'_>, names: &[&'n str]) -> HashMap<String, Option<&'n str>> {
    let mut all: HashMap<String, Option<&'n str>> = HashMap::new();
    let alias = |name: &str| {
        let mut found = parts.all("properties").filter_map(|(_, p)| p.get(name)?.get("x-alias"));
        found.next().and_then(Value::as_str)
    };
    for name in names {
        let mut words = vec![fold(name)];
        if let Some(alias) = alias(name) {
            words.extend([alias.to_owned(), fold(alias)]);
        }
        words.sort();
        words.dedup();
        for word in words.into_iter().filter(|word| !word.is_empty()) {
            all.entry(word).and_modify(|other| *other = None).or_insert(Some(name));
        }
    }
    all
}
