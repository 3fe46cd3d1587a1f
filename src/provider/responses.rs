//! OpenAI's Responses.
//!
//! A conversation is a list of items: messages, calls, their outputs, and reasoning, which comes
//! back as it was. The server keeps answers unless `extra = {store = false}`; then ask for
//! `include = {"reasoning.encrypted_content"}`, so that reasoning can be brought back.

mod answer;
mod payload;

use super::abilities::Abilities;
use super::failure;
use super::fields::{accepted, outgoing, post};
use super::openai::OpenAi;
use super::question::{Count, Embed, Embeddings, Listing};
use super::reading::Reading;
use super::wire::{Decoder, Endpoint, Outgoing, Wire};
use crate::chat::{Format, Request, Rung};
use crate::error::{Error, Result};
use crate::mock::Dialect;
use crate::net::Head;

/// The protocol. It has no state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Responses;

impl Wire for Responses {
    fn dialect(&self) -> Dialect {
        Dialect::Responses
    }

    fn chat(&self, endpoint: &Endpoint, request: &Request) -> Result<Outgoing> {
        Ok(post(endpoint, "/responses", payload::of(request)?, accepted(request)))
    }

    fn decoder(&self, _: &Request) -> Box<dyn Decoder> {
        Box::<Reading<answer::State>>::default()
    }

    fn models(&self, endpoint: &Endpoint, _: Option<&str>) -> Outgoing {
        outgoing("GET", endpoint, "/models")
    }

    fn read_models(&self, body: &[u8]) -> Result<Listing> {
        OpenAi.read_models(body)
    }

    fn embed(&self, endpoint: &Endpoint, embed: &Embed) -> Result<Outgoing> {
        OpenAi.embed(endpoint, embed)
    }

    fn read_embeddings(&self, body: &[u8]) -> Result<Embeddings> {
        OpenAi.read_embeddings(body)
    }

    fn count(&self, endpoint: &Endpoint, count: &Count) -> Result<Outgoing> {
        let mut body = payload::of(&count.request)?;
        body.retain(|key, _| payload::COUNTED.contains(&key.as_str()));
        Ok(post(endpoint, "/responses/input_tokens", body, ""))
    }

    fn read_count(&self, body: &[u8]) -> Result<u64> {
        OpenAi.read_count(body)
    }

    fn abilities(&self, endpoint: &Endpoint) -> Abilities {
        Abilities { vision: true, count_tokens: true, ..OpenAi.abilities(endpoint) }
    }

    fn rung(&self, _: &Endpoint, _: &str, format: &Format) -> Rung {
        payload::rung(format)
    }

    fn error(&self, head: &Head, body: &[u8]) -> Error {
        failure::from_answer(head, body)
    }
}

#[cfg(test)]
mod tests;
