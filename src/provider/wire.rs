//! A provider's protocol as pure bytes and data: no socket, no clock, no Lua.

use super::abilities::Abilities;
use super::question::{Count, Embed, Embeddings, Found, Listing};
use crate::chat::{Delta, Format, Reply, Request, Rung};
use crate::error::{Error, Result};
use crate::mock::Dialect;
use crate::net::Head;

/// Where and as whom to ask.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    /// Without a trailing slash.
    pub base_url: String,
    /// Complete, also the authorization header.
    pub headers: Vec<(String, String)>,
    /// The type of the provider; empty where that is unknown.
    pub kind: &'static str,
}

/// An HTTP request as a protocol builds it.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub method: &'static str,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// One protocol.
pub trait Wire: std::fmt::Debug + Send + Sync {
    /// In whose words a script answers for it.
    fn dialect(&self) -> Dialect;

    /// The request that asks for `request`. An option the protocol cannot express is
    /// `unsupported`; nothing is dropped.
    fn chat(&self, endpoint: &Endpoint, request: &Request) -> Result<Outgoing>;

    /// Reads the answer to `request`.
    fn decoder(&self, request: &Request) -> Box<dyn Decoder>;

    /// The request for the list of models, or for its continuation.
    fn models(&self, endpoint: &Endpoint, after: Option<&str>) -> Outgoing;
    fn read_models(&self, body: &[u8]) -> Result<Listing>;

    /// The request for embeddings, where the protocol has them.
    fn embed(&self, _: &Endpoint, _: &Embed) -> Result<Outgoing> {
        Err(Error::unsupported("this provider makes no embeddings"))
    }
    fn read_embeddings(&self, _: &[u8]) -> Result<Embeddings> {
        Err(Error::internal("no embeddings were asked for"))
    }

    /// The request that asks how many tokens another holds, where the protocol has it.
    fn count(&self, _: &Endpoint, _: &Count) -> Result<Outgoing> {
        Err(Error::unsupported("this provider does not count tokens"))
    }
    fn read_count(&self, _: &[u8]) -> Result<u64> {
        Err(Error::internal("no tokens were to be counted"))
    }

    /// What can be asked of the server there.
    fn abilities(&self, endpoint: &Endpoint) -> Abilities;

    /// How far the server there goes to make an answer of `model` fit.
    fn rung(&self, endpoint: &Endpoint, model: &str, format: &Format) -> Rung;

    /// The error that an answer with a status of 400 or more stands for.
    fn error(&self, head: &Head, body: &[u8]) -> Error;
}

/// Reads an answer piece by piece, wherever the bytes were split.
pub trait Decoder: Send {
    /// Adds what `bytes` hold to both `reply` (all so far) and `delta` (since last taken).
    /// `Ok(true)` if there was content in them.
    fn push(&mut self, bytes: &[u8], reply: &mut Reply, delta: &mut Delta) -> Result<bool>;

    /// Nothing that matters can follow what was pushed.
    fn is_over(&self) -> bool {
        false
    }

    /// The body has ended. An answer that was cut off is an error.
    fn end(&mut self, reply: &mut Reply, delta: &mut Delta) -> Result<()>;

    /// After the end: what a document that is no reply has said.
    fn found(&mut self) -> Option<Found> {
        None
    }
}
