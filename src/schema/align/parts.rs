//! The schemas that apply to one value at the same time: a schema, what it refers to, and what
//! stands in its `allOf`, flat.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::value::percent::decoded;

/// References and `allOf`s that are followed from one schema.
const HOPS: usize = 64;

/// One schema object, with the document its references are of.
#[derive(Clone, Copy)]
pub struct Part<'s> {
    pub root: &'s Value,
    pub map: &'s Map<String, Value>,
    /// Which of its alternatives were chosen already, a bit for each of [`UNIONS`].
    pub chosen: u8,
}

/// Keywords whose value is a list of alternatives.
pub const UNIONS: [&str; 2] = ["anyOf", "oneOf"];

/// All parts of a schema; `None` if nothing fits it.
#[derive(Clone, Default)]
pub struct Parts<'s>(pub Vec<Part<'s>>);

/// Where references lead.
#[derive(Clone, Copy)]
pub struct Documents<'s>(pub &'s BTreeMap<String, Value>);

impl<'s> Documents<'s> {
    /// The schema that a reference in the document `root` names, and its own document.
    fn find(self, root: &'s Value, reference: &str) -> Option<(&'s Value, &'s Value)> {
        let (uri, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let own = root.get("$id").and_then(Value::as_str);
        let document = match uri {
            "" => root,
            uri if own == Some(uri) => root,
            uri => match embedded(root, "$id", uri, 0) {
                Some(inner) => inner,
                None => self.0.get(uri)?,
            },
        };
        let found = match fragment {
            "" => document,
            pointer if pointer.starts_with('/') => document.pointer(&decoded(pointer))?,
            anchor => embedded(document, "$anchor", anchor, 0)
                .or_else(|| embedded(document, "$dynamicAnchor", anchor, 0))?,
        };
        Some((document, found))
    }
}

/// The schema below `schema` whose keyword `key` says `word`.
fn embedded<'s>(schema: &'s Value, key: &str, word: &str, depth: usize) -> Option<&'s Value> {
    let members = schema.as_object()?;
    if members.get(key).and_then(Value::as_str) == Some(word) {
        return Some(schema);
    }
    if depth > HOPS {
        return None;
    }
    let mut found = None;
    super::super::keywords::children(members, |_, child| {
        found = found.or_else(|| embedded(child, key, word, depth + 1));
    });
    found
}

impl<'s> Parts<'s> {
    pub fn of(documents: Documents<'s>, root: &'s Value, schema: &'s Value) -> Option<Parts<'s>> {
        let mut parts = Parts::default();
        parts.add(documents, root, schema, 0)?;
        Some(parts)
    }

    /// As well as what is there already.
    pub fn and(
        &self,
        documents: Documents<'s>,
        root: &'s Value,
        schema: &'s Value,
    ) -> Option<Self> {
        let mut parts = self.clone();
        parts.add(documents, root, schema, 0)?;
        Some(parts)
    }

    fn add(
        &mut self,
        documents: Documents<'s>,
        root: &'s Value,
        schema: &'s Value,
        hops: usize,
    ) -> Option<()> {
        let map = match schema {
            Value::Object(map) => map,
            Value::Bool(false) => return None,
            _ => return Some(()),
        };
        // A branch that leads back to the schema it is a branch of is no way to fit it.
        if let Some(same) = self.0.iter().find(|part| std::ptr::eq(part.map, map)) {
            return (same.chosen == 0).then_some(());
        }
        if hops > HOPS {
            return Some(());
        }
        self.0.push(Part { root, map, chosen: 0 });
        for key in ["$ref", "$dynamicRef", "$recursiveRef"] {
            let target = map.get(key).and_then(Value::as_str);
            if let Some((document, found)) = target.and_then(|t| documents.find(root, t)) {
                self.add(documents, document, found, hops + 1)?;
            }
        }
        for part in map.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.add(documents, root, part, hops + 1)?;
        }
        Some(())
    }

    /// The first alternatives that were not chosen yet: part, keyword, branches.
    pub fn union(&self) -> Option<(usize, usize, &'s [Value])> {
        self.0.iter().enumerate().find_map(|(i, part)| {
            UNIONS.iter().enumerate().find_map(|(bit, key)| {
                let branches = part.map.get(*key).and_then(Value::as_array)?;
                (part.chosen & (1 << bit) == 0).then_some((i, bit, branches.as_slice()))
            })
        })
    }

    /// With one branch of a union chosen; `None` if that branch admits nothing.
    pub fn choose(
        &self,
        documents: Documents<'s>,
        (at, bit): (usize, usize),
        branch: &'s Value,
    ) -> Option<Parts<'s>> {
        let mut chosen = self.clone();
        let part = chosen.0.get_mut(at)?;
        part.chosen |= 1 << bit;
        let root = part.root;
        chosen.and(documents, root, branch)
    }

    /// Tells the parts from others, for remembering what was tried.
    pub fn identity(&self) -> Vec<(usize, u8)> {
        self.0.iter().map(|p| (std::ptr::from_ref(p.map) as usize, p.chosen)).collect()
    }

    /// The value of a keyword, where it first stands.
    pub fn get(&self, keyword: &str) -> Option<&'s Value> {
        self.0.iter().find_map(|part| part.map.get(keyword))
    }

    pub fn all(&self, keyword: &str) -> impl Iterator<Item = (&'s Value, &'s Value)> {
        self.0.iter().filter_map(move |part| Some((part.root, part.map.get(keyword)?)))
    }

    /// Whether a type may stand here.
    pub fn allows(&self, name: &str) -> bool {
        let fits = |word: &Value| word == name || name == "integer" && word == "number";
        self.all("type").all(|(_, types)| match types {
            Value::Array(words) => words.iter().any(fits),
            word => fits(word),
        })
    }

    /// Whether any part names a type.
    pub fn has_type(&self) -> bool {
        self.get("type").is_some()
    }

    /// Names of all properties, in their order.
    pub fn properties(&self) -> Vec<&'s str> {
        let mut names: Vec<&str> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for (_, properties) in self.all("properties") {
            let keys = properties.as_object().into_iter().flat_map(Map::keys);
            names.extend(keys.map(String::as_str).filter(|name| seen.insert(*name)));
        }
        names
    }

    /// What a property has to be; `None` if no part names it or nothing fits.
    pub fn property(&self, documents: Documents<'s>, name: &str) -> Option<Parts<'s>> {
        let mut found: Option<Parts<'s>> = None;
        for (root, properties) in self.all("properties") {
            let Some(schema) = properties.get(name) else { continue };
            found = Some(found.unwrap_or_default().and(documents, root, schema)?);
        }
        found
    }

    pub fn requires(&self, name: &str) -> bool {
        self.all("required")
            .any(|(_, list)| list.as_array().is_some_and(|names| names.iter().any(|n| n == name)))
    }
}
