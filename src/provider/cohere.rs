//! Cohere's chat, version 2.

mod answer;
mod payload;

use serde_json::Value;

use super::abilities::Abilities;
use super::fields::{accepted, list_of_models, outgoing, page, post, without};
use super::question::{Embed, Embeddings, Listing, Model};
use super::reading::{Reading, count};
use super::wire::{Decoder, Endpoint, Outgoing, Wire};
use super::{documents, failure};
use crate::chat::{Format, Request, Rung};
use crate::error::{Error, Result};
use crate::mock::Dialect;
use crate::net::Head;

/// The protocol. It has no state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cohere;

impl Wire for Cohere {
    fn dialect(&self) -> Dialect {
        Dialect::Cohere
    }

    fn chat(&self, endpoint: &Endpoint, request: &Request) -> Result<Outgoing> {
        let body = payload::of(request)?;
        Ok(post(&without(endpoint, BASES), "/v2/chat", body, accepted(request)))
    }

    fn decoder(&self, _: &Request) -> Box<dyn Decoder> {
        Box::<Reading<answer::State>>::default()
    }

    fn models(&self, endpoint: &Endpoint, after: Option<&str>) -> Outgoing {
        let path = page("/v1/models?page_size=1000", "page_token", after);
        outgoing("GET", &without(endpoint, BASES), &path)
    }

    fn read_models(&self, body: &[u8]) -> Result<Listing> {
        list_of_models(body, model_of, |list| list.get("next_page_token"))
    }

    fn embed(&self, endpoint: &Endpoint, embed: &Embed) -> Result<Outgoing> {
        Ok(post(&without(endpoint, BASES), "/v2/embed", payload::embed(embed), ""))
    }

    fn read_embeddings(&self, body: &[u8]) -> Result<Embeddings> {
        documents::read(body, "embeddings", |document| {
            let all = document.get("embeddings")?;
            let tokens = count(document.pointer("/meta/billed_units/input_tokens"));
            let vectors = documents::vectors(all.get("float").unwrap_or(all))?;
            Some(Embeddings { vectors, model: None, tokens })
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

/// Texts that are embedded at once.
const MOST_TEXTS: usize = 96;

/// Ends of a base that are part of the paths here.
const BASES: &[&str] = &["/v2/chat", "/v2", "/v1"];

fn model_of(item: &Value) -> Option<Model> {
    let id = item["name"].as_str()?.to_owned();
    let length = item["context_length"].as_f64().filter(|n| *n > 0.0);
    Some(Model {
        name: id.clone(),
        id,
        context_length: length.map(|n| n as u64),
        ..Model::default()
    })
}

#[cfg(test)]
mod tests;
