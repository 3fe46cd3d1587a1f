//! Bounds and search of memory, as `configure{memory=}` sets them.

use serde_json::{Map, Value};

use crate::shape::{Field, Kind, Shape};

pub static BOUNDS: Shape = Shape::new(
    "MemoryConfig",
    &[
        Field::new(
            "max_entries",
            Kind::Int(1, 1_000_000_000),
            "10000",
            "SHORT_TERM entries kept; the one unused for longest goes first",
        ),
        Field::new(
            "embed_provider",
            Kind::Id("a provider"),
            "",
            "asked for embeddings by `memory.search` and `embed=true`",
        ),
        Field::new("embed_model", Kind::Name, "the provider's", "its model"),
    ],
    &[],
);

#[derive(Clone, Debug)]
pub struct Bounds {
    pub max_entries: usize,
    pub embed_provider: Option<String>,
    pub embed_model: Option<String>,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { max_entries: 10_000, embed_provider: None, embed_model: None }
    }
}

impl Bounds {
    pub fn configure(&mut self, options: &Map<String, Value>) {
        let usual = Bounds::default();
        let text =
            |value: &Value| value.as_str().or_else(|| value["id"].as_str()).map(str::to_owned);
        for (key, value) in options {
            match key.as_str() {
                "max_entries" => {
                    self.max_entries = value.as_u64().map_or(usual.max_entries, |n| n as usize);
                }
                "embed_provider" => self.embed_provider = text(value),
                "embed_model" => self.embed_model = text(value),
                _ => {}
            }
        }
    }

    pub fn shown(&self) -> Value {
        let mut all = serde_json::json!({ "max_entries": self.max_entries });
        if let Some(provider) = &self.embed_provider {
            all["embed_provider"] = Value::from(provider.as_str());
        }
        if let Some(model) = &self.embed_model {
            all["embed_model"] = Value::from(model.as_str());
        }
        all
    }
}
