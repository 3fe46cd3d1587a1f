//! Cohere's chat, version 2.

mod answer;
mod payload;

use serde_json::Value;

use super::failure;
use super::fields::{accepted, list_of_models, outgoing, post, without};
use super::question::{Listing, Model};
use super::reading::Reading;
use super::wire::{Decoder, Endpoint, Outgoing, Wire};
use crate::chat::Request;
use crate::error::{Error, Result};
use crate::net::Head;

/// The protocol. It has no state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cohere;

impl Wire for Cohere {
    fn chat(&self, endpoint: &Endpoint, request: &Request) -> Result<Outgoing> {
        let body = payload::of(request)?;
        Ok(post(&without(endpoint, BASES), "/v2/chat", body, accepted(request)))
    }

    fn decoder(&self, _: &Request) -> Box<dyn Decoder> {
        Box::<Reading<answer::State>>::default()
    }

    fn models(&self, endpoint: &Endpoint, _: Option<&str>) -> Outgoing {
        outgoing("GET", &without(endpoint, BASES), "/v1/models?page_size=1000")
    }

    fn read_models(&self, body: &[u8]) -> Result<Listing> {
        list_of_models(body, model_of)
    }

    fn error(&self, head: &Head, body: &[u8]) -> Error {
        failure::from_answer(head, body)
    }
}

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
