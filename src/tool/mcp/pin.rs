//! What a server says of a tool, and the mark by which a later change is noticed.

use std::collections::HashMap;

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::value::{Ref, Tape, json as text};

/// A tool as `tools/list` describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    pub name: String,
    pub title: Option<String>,
    pub description: String,
    pub input: Value,
    pub output: Option<Value>,
    pub annotations: Value,
    /// The server lists others under the same name.
    pub is_ambiguous: bool,
}

pub type Pin = [u8; 32];

impl Definition {
    /// `None` for what has no name.
    pub fn read(item: &Value) -> Option<Definition> {
        let name = item["name"].as_str().filter(|name| !name.is_empty())?.to_owned();
        let shown = |value: &Value| value.as_str().map(str::to_owned);
        Some(Definition {
            name,
            title: shown(&item["title"]).or_else(|| shown(&item["annotations"]["title"])),
            description: shown(&item["description"]).unwrap_or_default(),
            input: item["inputSchema"].clone(),
            output: item.get("outputSchema").filter(|schema| schema.is_object()).cloned(),
            annotations: item["annotations"].clone(),
            is_ambiguous: false,
        })
    }

    /// The first of each name, for nobody can say which of several a call is for; and the names of
    /// those that are left out.
    pub fn apart(all: Vec<Definition>) -> (Vec<Definition>, Vec<String>) {
        let (mut places, mut first, mut left_out) = (HashMap::new(), Vec::new(), Vec::new());
        for tool in all {
            match places.get(&tool.name).and_then(|place: &usize| first.get_mut(*place)) {
                Some(known) => {
                    let known: &mut Definition = known;
                    known.is_ambiguous = true;
                    left_out.push(tool.name);
                }
                None => {
                    places.insert(tool.name.clone(), first.len());
                    first.push(tool);
                }
            }
        }
        (first, left_out)
    }

    /// Equal for equal definitions, in whatever order their members stand.
    pub fn pin(&self) -> Pin {
        let all = json!([
            self.name,
            self.title,
            self.description,
            self.input,
            self.output,
            self.annotations
        ]);
        let mut tape = Tape::default();
        let at = text::put(&all, &mut tape);
        let sorted = tape.at(at).map(|root: Ref<'_>| text::to_sorted(root)).unwrap_or_default();
        let mut pin = [0; 32];
        pin.copy_from_slice(digest(&SHA256, sorted.as_bytes()).as_ref());
        pin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(item: Value) -> Pin {
        Definition::read(&item).unwrap().pin()
    }

    #[test]
    fn a_pin_changes_with_what_a_model_or_a_user_was_told_and_with_nothing_else() {
        let item = json!({
            "name": "a", "description": "d", "inputSchema": { "type": "object", "required": ["x"] },
            "annotations": { "readOnlyHint": true },
        });
        let own = pin(item.clone());
        let turned = json!({
            "inputSchema": { "required": ["x"], "type": "object" }, "description": "d", "name": "a",
            "annotations": { "readOnlyHint": true }, "_meta": { "n": 1 },
        });
        assert_eq!(pin(turned), own);
        for (name, value) in [
            ("description", json!("D")),
            ("title", json!("A")),
            ("inputSchema", json!({ "type": "object" })),
            ("outputSchema", json!({ "type": "object" })),
            ("annotations", json!({ "readOnlyHint": false })),
        ] {
            let mut other = item.clone();
            other[name] = value;
            assert_ne!(pin(other), own, "{name}");
        }
    }
}
