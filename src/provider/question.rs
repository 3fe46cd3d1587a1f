//! What a provider can be asked, and what its answers hold.
//!
//! Chats are answered in pieces. Everything else is answered by one document, which is read where
//! it arrives, off the thread of Lua.

use serde_json::{Map, Value};

use super::printed;
use super::wire::{Decoder, Endpoint, Outgoing, Wire};
use crate::chat::{Delta, Reply, Request, estimate};
use crate::error::{Error, Result};

#[derive(Clone, Copy, Debug)]
pub enum Question<'q> {
    Chat(&'q Request),
    /// The list of models; a long one continues after a mark.
    Models(Option<&'q str>),
    Embed(&'q Embed),
    /// How many tokens a request holds.
    Count(&'q Count),
}

/// Texts to be turned into vectors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embed {
    pub model: String,
    pub texts: Vec<String>,
    pub dimensions: Option<u32>,
    /// What the vectors are for, in the word of the provider.
    pub input_type: Option<String>,
    /// Merged verbatim into the body, last.
    pub extra: Map<String, Value>,
}

/// What is to be counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Count {
    pub request: Request,
    /// A mere text, which stands in the only message.
    pub text: bool,
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

/// What a document answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    Models(Listing),
    Embeddings(Embeddings),
    Count(u64),
}

/// A page of a list of models, in the server's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    pub models: Vec<Model>,
    /// Where the list continues.
    pub next: Option<String>,
}

impl Listing {
    /// The model asked where none is named.
    pub fn first(self) -> Result<String> {
        let none = || Error::invalid("model: none is named and the server lists none");
        Ok(self.models.into_iter().next().ok_or_else(none)?.id)
    }
}

/// A vector for each text, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embeddings {
    pub vectors: Vec<Vec<f64>>,
    pub model: Option<String>,
    /// Of the texts, if the provider tells.
    pub tokens: Option<u64>,
}

impl Question<'_> {
    /// The request that puts it to a server.
    pub fn outgoing(&self, wire: &dyn Wire, endpoint: &Endpoint) -> Result<Outgoing> {
        match self {
            Question::Chat(request) => wire.chat(endpoint, request),
            Question::Models(after) => Ok(wire.models(endpoint, *after)),
            Question::Embed(embed) => wire.embed(endpoint, embed),
            Question::Count(count) => wire.count(endpoint, count),
        }
    }

    /// What it takes of an allowance of tokens, as far as can be said before it is answered: texts,
    /// pictures and tools as they are estimated, and the longest answer that is asked for.
    pub fn tokens(&self) -> u64 {
        match self {
            Question::Chat(request) => {
                estimate::of_all(&request.messages, &request.tools)
                    + u64::from(request.settings.max_tokens.unwrap_or(0))
            }
            Question::Embed(embed) => {
                embed.texts.iter().map(|text| estimate::of_bytes(text.len())).sum()
            }
            Question::Models(_) | Question::Count(_) => 0,
        }
    }

    /// What reads the answer of a provider of that type.
    pub fn decoder(&self, wire: &'static dyn Wire, kind: &str) -> Box<dyn Decoder> {
        let read: Read = match self {
            Question::Chat(request) => {
                return printed::reading(wire.decoder(request), request, kind);
            }
            Question::Models(_) => |wire, body| wire.read_models(body).map(Found::Models),
            Question::Embed(_) => |wire, body| wire.read_embeddings(body).map(Found::Embeddings),
            Question::Count(_) => |wire, body| wire.read_count(body).map(Found::Count),
        };
        Box::new(Document { wire, read, body: Vec::new(), found: None })
    }
}

type Read = fn(&dyn Wire, &[u8]) -> Result<Found>;

/// An answer that is read as a whole.
struct Document {
    wire: &'static dyn Wire,
    read: Read,
    body: Vec<u8>,
    found: Option<Found>,
}

impl Decoder for Document {
    fn push(&mut self, bytes: &[u8], _: &mut Reply, _: &mut Delta) -> Result<bool> {
        self.body.extend_from_slice(bytes);
        Ok(true)
    }

    fn end(&mut self, _: &mut Reply, _: &mut Delta) -> Result<()> {
        self.found = Some((self.read)(self.wire, &self.body)?);
        Ok(())
    }

    fn found(&mut self) -> Option<Found> {
        self.found.take()
    }
}
