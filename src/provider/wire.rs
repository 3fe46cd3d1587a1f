//! A provider's protocol as pure bytes and data: no socket, no clock, no Lua.

use crate::chat::{Delta, Reply, Request};
use crate::error::{Error, Result};
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

/// A model as a provider lists it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub id: String,
    pub name: String,
    pub owned_by: Option<String>,
    pub created: Option<f64>,
    pub context_length: Option<u64>,
    pub max_output_tokens: Option<u64>,
}

/// One protocol.
pub trait Wire: std::fmt::Debug + Send + Sync {
    /// The request that asks for `request`. An option the protocol cannot express is
    /// `unsupported`; nothing is dropped.
    fn chat(&self, endpoint: &Endpoint, request: &Request) -> Result<Outgoing>;

    /// Reads the answer to `request`.
    fn decoder(&self, request: &Request) -> Box<dyn Decoder>;

    fn models(&self, endpoint: &Endpoint) -> Outgoing;
    fn parse_models(&self, body: &[u8]) -> Result<Vec<Model>>;

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
}
