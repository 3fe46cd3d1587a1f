//! OpenAI chat completions, and the many servers that speak it.
//!
//! Who is asked shows in the host of `base_url`: OpenAI itself and Azure want
//! `max_completion_tokens`, know no `top_k`; Mistral has `random_seed` and refuses
//! `stream_options`; everybody else knows `max_tokens` and may know `top_k`. Members of
//! `extra` win over all of that; `null` in it takes a member out.

mod answer;
mod payload;

use serde_json::Value;

pub use answer::Answer;
pub use payload::tool;

use super::failure;
use super::fields::{accepted, outgoing, post};
use super::wire::{Decoder, Endpoint, Model, Outgoing, Wire};
use crate::chat::Request;
use crate::error::{Error, Result};
use crate::net::Head;

/// The protocol. It has no state.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAi;

impl Wire for OpenAi {
    fn chat(&self, endpoint: &Endpoint, request: &Request) -> Result<Outgoing> {
        let body = payload::of(request, Server::at(&endpoint.base_url))?;
        Ok(post(endpoint, "/chat/completions", body, accepted(request)))
    }

    fn decoder(&self, _: &Request) -> Box<dyn Decoder> {
        Box::new(Answer::default())
    }

    fn models(&self, endpoint: &Endpoint) -> Outgoing {
        outgoing("GET", endpoint, "/models")
    }

    fn parse_models(&self, body: &[u8]) -> Result<Vec<Model>> {
        list_of_models(body, model)
    }

    fn error(&self, head: &Head, body: &[u8]) -> Error {
        failure::from_answer(head, body)
    }
}

/// Whose dialect is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// OpenAI itself, also on Azure.
    OpenAi,
    Mistral,
    Compatible,
}

impl Server {
    fn at(base_url: &str) -> Server {
        let host = host_of(base_url).to_ascii_lowercase();
        let is = |name: &str| host == name || host.ends_with(&format!(".{name}"));
        if is("openai.com") || is("openai.azure.com") || is("services.ai.azure.com") {
            return Server::OpenAi;
        }
        if is("mistral.ai") { Server::Mistral } else { Server::Compatible }
    }

    /// Whether it knows the members it asked to have returned; others refuse what they do not know.
    fn takes_back(self) -> bool {
        self == Server::Compatible
    }
}

fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.rsplit_once(':').map_or(host, |(host, _)| host)
}

/// The models in a list, wherever it lies, sorted by id; the protocols share it.
pub fn list_of_models(body: &[u8], model: impl Fn(&Value) -> Option<Model>) -> Result<Vec<Model>> {
    let document: Value = serde_json::from_slice(body)
        .map_err(|_| failure::not_understood("the list of models is no JSON", body))?;
    let list = [&document["data"], &document["models"], &document]
        .into_iter()
        .find_map(Value::as_array)
        .ok_or_else(|| failure::not_understood("the answer lists no models", body))?;
    let mut models: Vec<Model> = list.iter().filter_map(model).collect();
    models.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(models)
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
