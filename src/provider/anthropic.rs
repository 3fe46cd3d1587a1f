//! Anthropic's Messages, and the servers that speak them.
//!
//! System messages stand apart, results of tools belong into one user message, and blocks of an
//! answer (signed thinking, what the server's own tools did) come back as they were.

mod answer;
mod model;
mod payload;

use serde_json::Value;

pub(super) use payload::tool;

use super::abilities::Abilities;
use super::fields::{accepted, list_of_models, outgoing, page, post, unix, without};
use super::question::{Count, Listing, Model};
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
pub struct Anthropic;

impl Wire for Anthropic {
    fn dialect(&self) -> Dialect {
        Dialect::Anthropic
    }

    fn chat(&self, endpoint: &Endpoint, request: &Request) -> Result<Outgoing> {
        let body = payload::of(request)?;
        Ok(post(&without(endpoint, BASES), "/v1/messages", body, accepted(request)))
    }

    fn decoder(&self, _: &Request) -> Box<dyn Decoder> {
        Box::<Reading<answer::State>>::default()
    }

    fn models(&self, endpoint: &Endpoint, after: Option<&str>) -> Outgoing {
        let path = page("/v1/models?limit=1000", "after_id", after);
        outgoing("GET", &without(endpoint, BASES), &path)
    }

    fn read_models(&self, body: &[u8]) -> Result<Listing> {
        list_of_models(body, model_of, |list| {
            list.get("last_id")
                .filter(|_| list.get("has_more").and_then(Ref::as_bool) == Some(true))
        })
    }

    fn count(&self, endpoint: &Endpoint, count: &Count) -> Result<Outgoing> {
        let mut body = payload::of(&count.request)?;
        body.retain(|key, _| payload::COUNTED.contains(&key.as_str()));
        Ok(post(&without(endpoint, BASES), "/v1/messages/count_tokens", body, ""))
    }

    fn read_count(&self, body: &[u8]) -> Result<u64> {
        documents::read(body, "the number of tokens", |document| {
            number(Some(document), "input_tokens")
        })
    }

    fn abilities(&self, _: &Endpoint) -> Abilities {
        Abilities { vision: true, embeddings: None, count_tokens: true }
    }

    fn rung(&self, _: &Endpoint, model: &str, format: &Format) -> Rung {
        payload::rung(format, model)
    }

    fn error(&self, head: &Head, body: &[u8]) -> Error {
        failure::from_answer(head, body)
    }
}

/// Ends of a base that are part of the paths here.
const BASES: &[&str] = &["/v1/messages", "/v1"];

fn model_of(item: &Value) -> Option<Model> {
    let id = item["id"].as_str()?;
    Some(Model {
        id: id.to_owned(),
        name: item["display_name"].as_str().unwrap_or(id).to_owned(),
        owned_by: None,
        created: item["created_at"].as_str().and_then(unix),
        context_length: item["max_input_tokens"].as_u64().filter(|n| *n > 0),
        max_output_tokens: item["max_tokens"].as_u64().filter(|n| *n > 0),
    })
}

#[cfg(test)]
mod tests;
