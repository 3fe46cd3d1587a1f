//! Ollama's own chat, which knows more of its models than its OpenAI face: the length of the
//! context, how long a model stays loaded, schemas. Answers are a document on each line.

mod answer;
mod payload;

use serde_json::Value;

use super::abilities::Abilities;
use super::fields::{list_of_models, outgoing, post, unix, without};
use super::question::{Embed, Embeddings, Listing, Model};
use super::reading::{Reading, number};
use super::wire::{Decoder, Endpoint, Outgoing, Wire};
use super::{documents, failure};
use crate::chat::{Format, Request, Rung};
use crate::error::{Error, Result};
use crate::mock::Dialect;
use crate::net::Head;
use crate::value::Ref;

/// The protocol. It has no state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ollama;

impl Wire for Ollama {
    fn dialect(&self) -> Dialect {
        Dialect::Ollama
    }

    fn chat(&self, endpoint: &Endpoint, request: &Request) -> Result<Outgoing> {
        Ok(post(&without(endpoint, BASES), "/api/chat", payload::of(request)?, ""))
    }

    fn decoder(&self, _: &Request) -> Box<dyn Decoder> {
        Box::<Reading<answer::State>>::default()
    }

    fn models(&self, endpoint: &Endpoint, _: Option<&str>) -> Outgoing {
        outgoing("GET", &without(endpoint, BASES), "/api/tags")
    }

    fn read_models(&self, body: &[u8]) -> Result<Listing> {
        list_of_models(body, model_of, |_| None)
    }

    fn embed(&self, endpoint: &Endpoint, embed: &Embed) -> Result<Outgoing> {
        Ok(post(&without(endpoint, BASES), "/api/embed", payload::embed(embed)?, ""))
    }

    fn read_embeddings(&self, body: &[u8]) -> Result<Embeddings> {
        documents::read(body, "embeddings", |document| {
            let model = document.get("model").and_then(Ref::as_str).map(str::to_owned);
            let tokens = number(Some(document), "prompt_eval_count");
            // Servers that speak an older version of this answer one text with one vector.
            let vectors = match document.get("embeddings") {
                Some(all) => documents::vectors(all)?,
                None => vec![documents::vector(document.get("embedding")?)?],
            };
            Some(Embeddings { vectors, model, tokens })
        })
    }

    fn abilities(&self, _: &Endpoint) -> Abilities {
        Abilities { vision: true, embeddings: Some(MOST_TEXTS), count_tokens: false }
    }

    fn rung(&self, _: &Endpoint, _: &str, format: &Format) -> Rung {
        match format {
            Format::Json => Rung::Json,
            Format::Schema { .. } => Rung::Strict,
        }
    }

    fn error(&self, head: &Head, body: &[u8]) -> Error {
        failure::from_answer(head, body)
    }
}

/// Texts that are embedded at once: it has no limit, but takes long.
const MOST_TEXTS: usize = 128;

/// The usual base is that of its OpenAI face.
const BASES: &[&str] = &["/v1", "/api"];

fn model_of(item: &Value) -> Option<Model> {
    let id = item["model"].as_str().or_else(|| item["name"].as_str())?;
    Some(Model {
        id: id.to_owned(),
        name: item["name"].as_str().unwrap_or(id).to_owned(),
        created: item["modified_at"].as_str().and_then(unix),
        ..Model::default()
    })
}

#[cfg(test)]
mod tests;
