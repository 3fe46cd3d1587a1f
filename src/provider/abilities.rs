//! What can be asked of a provider.

use serde_json::{Value, json};

use super::instance::Provider;
use super::wire::Endpoint;
use crate::chat::{Format, Rung};
use crate::error::{Error, Result};

/// What a protocol can carry to a server. Streams and tools are part of each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    pub vision: bool,
    /// Texts at once; none: it makes no embeddings.
    pub embeddings: Option<usize>,
    /// It tells how many tokens a request holds.
    pub count_tokens: bool,
}

/// What the engine inside the module can do.
const EMBEDDED: Abilities = Abilities { vision: false, embeddings: Some(64), count_tokens: true };

impl Provider {
    pub fn abilities(&self) -> Abilities {
        if self.model_path().is_some() {
            return EMBEDDED;
        }
        let none = Abilities { vision: false, embeddings: None, count_tokens: false };
        self.wire().map_or(none, |wire| wire.abilities(&self.place()))
    }

    /// As `provider.get` shows them.
    pub(super) fn capabilities(&self) -> Value {
        let abilities = self.abilities();
        json!({
            "streaming": self.row.built(),
            "tools": self.row.built(),
            "vision": abilities.vision,
            "json_schema": self.keeps_to_schemas(),
            "embeddings": abilities.embeddings.is_some(),
            "count_tokens": abilities.count_tokens,
        })
    }

    /// Whether its usual model is held to a schema, and not only told of it.
    fn keeps_to_schemas(&self) -> bool {
        if self.model_path().is_some() {
            return true;
        }
        let schema = json!({ "type": "object", "properties": {}, "required": [] });
        let format = Format::Schema { name: "any".into(), schema };
        self.wire()
            .is_ok_and(|wire| wire.rung(&self.place(), &self.model(), &format) == Rung::Strict)
    }

    /// Where it is, without the key.
    fn place(&self) -> Endpoint {
        Endpoint { base_url: self.base_url(), headers: Vec::new(), kind: self.row.name }
    }

    /// How many texts are embedded at once.
    pub fn embeds(&self) -> Result<usize> {
        self.abilities().embeddings.ok_or_else(|| no_embeddings(self))
    }
}

fn no_embeddings(provider: &Provider) -> Error {
    let (id, kind) = (&provider.id, provider.row.name);
    Error::unsupported(format!(
        "provider {id:?} (type {kind:?}) makes no embeddings: name a provider that does, such as \
         openai, cohere, mistral, gemini, or local with an embedding model"
    ))
}
