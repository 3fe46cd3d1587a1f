//! A schema in one piece: what it refers to in other documents becomes a part of it, so that
//! everybody who gets it understands it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::keywords::{children_mut, escaped};

/// Documents that one schema may bring with it.
const MOST: usize = 200;

/// The schema with all documents it refers to in its `$defs`.
pub fn bundle(schema: &mut Value, documents: &BTreeMap<String, Value>) {
    if documents.is_empty() {
        return;
    }
    let mut bundle = Bundle { documents, names: BTreeMap::new(), waiting: Vec::new() };
    bundle.rewrite(schema, None);
    let mut parts = Map::new();
    while let Some((name, uri)) = bundle.waiting.pop() {
        let Some(mut part) = documents.get(&uri).cloned() else { continue };
        bundle.rewrite(&mut part, Some(&name));
        for key in ["$id", "$schema"] {
            part.as_object_mut().map(|members| members.shift_remove(key));
        }
        parts.insert(name, part);
    }
    if let (false, Value::Object(members)) = (parts.is_empty(), schema) {
        let all = members.entry("$defs").or_insert_with(|| json!({}));
        all.as_object_mut().into_iter().for_each(|all| all.extend(parts.clone()));
    }
}

struct Bundle<'d> {
    documents: &'d BTreeMap<String, Value>,
    /// Names in `$defs`, by document.
    names: BTreeMap<String, String>,
    /// Documents that are to be brought along.
    waiting: Vec<(String, String)>,
}

impl Bundle<'_> {
    /// `part`: the name under which the document of this schema stands in `$defs`.
    fn rewrite(&mut self, schema: &mut Value, part: Option<&str>) {
        let Value::Object(members) = schema else { return };
        if let Some(Value::String(reference)) = members.get_mut("$ref")
            && let Some(new) = self.place(reference, part)
        {
            *reference = new;
        }
        let _ = children_mut(members, |child| -> Result<(), ()> {
            self.rewrite(child, part);
            Ok(())
        });
    }

    /// Where what is referred to stands in the bundle; `None` if the reference is right already.
    fn place(&mut self, reference: &str, part: Option<&str>) -> Option<String> {
        let (uri, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        if uri.is_empty() {
            let part = part?;
            return Some(format!("#/$defs/{}{fragment}", escaped(part)));
        }
        if !self.documents.contains_key(uri) {
            return None;
        }
        let name = self.name_of(uri)?;
        Some(format!("#/$defs/{}{fragment}", escaped(&name)))
    }

    fn name_of(&mut self, uri: &str) -> Option<String> {
        if let Some(name) = self.names.get(uri) {
            return Some(name.clone());
        }
        if self.names.len() >= MOST {
            return None;
        }
        let last = uri.trim_end_matches('/').rsplit('/').next().unwrap_or(uri);
        let last = last.strip_suffix(".json").unwrap_or(last);
        let taken = |name: &String| self.names.values().any(|other| other == name);
        let mut name = last.to_owned();
        for n in 2.. {
            if !taken(&name) {
                break;
            }
            name = format!("{last}_{n}");
        }
        self.names.insert(uri.to_owned(), name.clone());
        self.waiting.push((name.clone(), uri.to_owned()));
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schema;

    #[test]
    fn documents_become_definitions() {
        let documents = BTreeMap::from([
            (
                "node".to_owned(),
                json!({"$id": "node", "properties": {
                "next": {"$ref": "#"}, "leaf": {"$ref": "https://x.y/leaf.json#/$defs/v"}}}),
            ),
            ("https://x.y/leaf.json".to_owned(), json!({"$defs": {"v": {"type": "integer"}}})),
        ]);
        let mut schema = json!({"type": "array", "items": {"$ref": "node"}});
        bundle(&mut schema, &documents);
        assert_eq!(schema["items"]["$ref"], "#/$defs/node");
        let schema = Schema::compile(&schema).unwrap();
        let fits = |value: Value| schema.fit_document(&value).is_ok();
        assert!(fits(json!([{"next": {"leaf": 1}}])));
        assert!(!fits(json!([{"next": {"leaf": "x"}}])));
    }

    #[test]
    fn schemas_of_one_piece_stay_as_they_are() {
        let documents = BTreeMap::from([("other".to_owned(), json!({}))]);
        let given = json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "unknown"}}});
        let mut schema = given.clone();
        bundle(&mut schema, &documents);
        assert_eq!(schema, given);
    }
}
