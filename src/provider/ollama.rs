//! Ollama's own chat, which knows more of its models than its OpenAI face: the length of the
//! context, how long a model stays loaded, schemas. Answers are a document on each line.

mod answer;
mod payload;

use serde_json::Value;

use super::failure;
use super::fields::{list_of_models, outgoing, post, unix, without};
use super::question::{Listing, Model};
use super::reading::Reading;
use super::wire::{Decoder, Endpoint, Outgoing, Wire};
use crate::chat::Request;
use crate::error::{Error, Result};
use crate::net::Head;

/// The protocol. It has no state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ollama;

impl Wire for Ollama {
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
        list_of_models(body, model_of)
    }

    fn error(&self, head: &Head, body: &[u8]) -> Error {
        failure::from_answer(head, body)
    }
}

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
