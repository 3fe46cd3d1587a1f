//! OpenAI chat completions, and the many servers that speak it.
//!
//! Who is asked shows in the host of `base_url` or in the type of the provider; what that changes
//! stands in `server.rs`. Members of `extra` win over all of it; `null` in it takes a member out.

mod answer;
mod ask;
mod payload;
mod server;

use serde_json::Value;

pub use answer::Answer;
pub use payload::tool;
use server::Server;

use super::abilities::Abilities;
use super::fields::{accepted, list_of_models, outgoing, post};
use super::question::{Count, Embed, Embeddings, Listing, Model};
use super::wire::{Decoder, Endpoint, Outgoing, Wire};
use super::{documents, failure};
use crate::chat::{Format, Request, Rung};
use crate::error::{Error, Result};
use crate::mock::Dialect;
use crate::net::Head;

/// The protocol. It has no state.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAi;

impl Wire for OpenAi {
    fn dialect(&self) -> Dialect {
        Dialect::OpenAi
    }

    fn chat(&self, endpoint: &Endpoint, request: &Request) -> Result<Outgoing> {
        let body = payload::of(request, server(endpoint))?;
        Ok(post(endpoint, "/chat/completions", body, accepted(request)))
    }

    fn decoder(&self, _: &Request) -> Box<dyn Decoder> {
        Box::new(Answer::default())
    }

    fn models(&self, endpoint: &Endpoint, _: Option<&str>) -> Outgoing {
        outgoing("GET", endpoint, "/models")
    }

    fn read_models(&self, body: &[u8]) -> Result<Listing> {
        list_of_models(body, model, |_| None)
    }

    fn embed(&self, endpoint: &Endpoint, embed: &Embed) -> Result<Outgoing> {
        ask::embeddings(endpoint, embed, server(endpoint).embeddings)
    }

    fn read_embeddings(&self, body: &[u8]) -> Result<Embeddings> {
        documents::read(body, "embeddings", documents::embeddings)
    }

    fn count(&self, endpoint: &Endpoint, count: &Count) -> Result<Outgoing> {
        ask::count(endpoint, count, server(endpoint))
    }

    fn read_count(&self, body: &[u8]) -> Result<u64> {
        ask::read_count(body)
    }

    fn abilities(&self, endpoint: &Endpoint) -> Abilities {
        let server = server(endpoint);
        Abilities {
            vision: server.vision,
            embeddings: server.embeddings.map(|how| how.most),
            count_tokens: server.counts.is_some(),
        }
    }

    fn rung(&self, endpoint: &Endpoint, _: &str, format: &Format) -> Rung {
        payload::rung(format, server(endpoint))
    }

    fn error(&self, head: &Head, body: &[u8]) -> Error {
        failure::from_answer(head, body)
    }
}

fn server(endpoint: &Endpoint) -> &'static Server {
    Server::at(&endpoint.base_url, endpoint.kind)
}

/// Servers name the length of the context in many ways.
fn model(item: &Value) -> Option<Model> {
    let text = |key: &str| item[key].as_str().map(str::to_owned);
    let id = text("id").or_else(|| text("name")).or_else(|| text("model"))?;
    let number = |paths: &[&str]| paths.iter().find_map(|path| count(item.pointer(path)?));
    Some(Model {
        name: text("name").or_else(|| text("display_name")).unwrap_or_else(|| id.clone()),
        id,
        owned_by: text("owned_by"),
        created: item["created"].as_f64(),
        context_length: number(&[
            "/context_length",
            "/context_window",
            "/max_model_len",
            "/max_context_length",
            "/meta/n_ctx",
            "/meta/n_ctx_train",
            "/top_provider/context_length",
            "/limits/max_input_tokens",
        ]),
        max_output_tokens: number(&[
            "/max_completion_tokens",
            "/max_output_tokens",
            "/top_provider/max_completion_tokens",
            "/limits/max_output_tokens",
        ]),
    })
}

fn count(value: &Value) -> Option<u64> {
    let number = value.as_f64()?;
    (number > 0.0).then_some(number as u64)
}

#[cfg(test)]
mod tests;
