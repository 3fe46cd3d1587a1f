//! What a cassette holds, as plain data.

use serde_json::Value;

use crate::net::{Failure, Head};

/// A recorded run.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    /// Unix seconds.
    pub recorded_at: f64,
    /// Calls of tools are in it.
    pub tools: bool,
    pub entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
pub enum Entry {
    Exchange(Exchange),
    Tool(Called),
}

/// A call of a tool, whose function a replay does not call.
#[derive(Clone, Debug)]
pub struct Called {
    pub at: u64,
    pub name: String,
    pub input: Value,
    pub outcome: Outcome,
}

#[derive(Clone, Debug)]
pub enum Outcome {
    Returned {
        value: Value,
        /// How a model reads it, if otherwise.
        words: Option<String>,
        ms: f64,
    },
    /// As [`written`](super::failing::written) by its error.
    Failed(Value),
    /// What came of it is no plain data, or nobody waited for it: it is called again.
    Runs,
}

/// A request and its answer. Times are milliseconds since the recording began.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    pub at: u64,
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub head: Option<(u64, Head)>,
    pub pieces: Vec<(u64, Vec<u8>)>,
    /// `None`: it was still going on when the recording ended.
    pub end: Option<(u64, Result<(), Failure>)>,
}

impl Exchange {
    /// Whether nobody heard how the answer would have ended.
    pub fn is_open(&self) -> bool {
        matches!(self.end, None | Some((_, Err(Failure::Cancelled))))
    }
}
