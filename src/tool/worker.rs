//! What does the work of a tool that is no Lua function of its user's: built-in ones and their like.

use std::fmt::Debug;

use serde_json::Value;

use super::builtin::Builtin;
use super::builtin::http::HTTP_REQUEST;
use crate::clock::Moment;
use crate::error::Result;
use crate::runtime::Runtime;
use crate::step::{Machine, Rest};
use crate::value::{Document, Record};

/// Does the work of a tool. Around it stand hooks, events, retries, the time limit and the cache of
/// every tool call.
pub trait Worker: Debug {
    /// `type` of `tool.get_info`, `source` of `tool.discover`.
    fn kind(&self) -> &'static str;

    /// Whether the calls of a round run side by side.
    fn overlaps(&self) -> bool;

    /// Name of the agent that does it: by that it is found again in another process.
    fn agent_name(&self) -> Option<&str> {
        None
    }

    /// Id of that agent, or else its name: by that it is asked.
    fn agent_key(&self) -> Option<&str> {
        None
    }

    /// The Lua text that it runs sandboxed.
    fn source(&self) -> Option<&str> {
        None
    }

    /// Whether what it asks others is heard by a cassette, which then need not know what comes of it.
    fn is_heard(&self, _: &Runtime) -> bool {
        false
    }

    /// An error that is `retryable` may be followed by another start.
    fn start(&self, runtime: &mut Runtime, asked: Asked) -> Result<Work>;
}

/// A call, as a worker sees it.
pub struct Asked {
    /// Anything if the check against the schema was switched off.
    pub input: Value,
    /// The input in its place where strings in it are no text: sandboxed tools get those.
    pub bytes: Option<Document>,
    /// What a function would learn about its caller: `agent_id`, `call_id`, …
    pub info: Record,
    /// When the tool's time is over; the call is stopped then.
    pub deadline: Option<Moment>,
    /// The call had stopped for a decision, and goes on with it.
    pub resumed: Option<Rest>,
}

/// What became of a call.
pub enum Work {
    Done(Value),
    /// It goes on elsewhere. The machine is stepped as a part of the call, and ends with
    /// [`Data::Json`](crate::value::Data), or with an [`Output::Tool`](crate::step::Output) if a
    /// model reads something else than the result, or with an [`Output::Paused`](crate::step::Output).
    Goes(Box<dyn Machine>),
}

impl Worker for Builtin {
    fn kind(&self) -> &'static str {
        "builtin"
    }

    fn overlaps(&self) -> bool {
        self.capabilities.contains(&"asynchronous")
    }

    fn is_heard(&self, _: &Runtime) -> bool {
        self.name == HTTP_REQUEST.name
    }

    fn start(&self, runtime: &mut Runtime, asked: Asked) -> Result<Work> {
        (self.start)(runtime, asked.input)
    }
}
