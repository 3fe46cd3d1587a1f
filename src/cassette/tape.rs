//! What a cassette holds, as plain data.

use crate::net::{Failure, Head};

/// A recorded run.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    /// Unix seconds.
    pub recorded_at: f64,
    pub entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
pub enum Entry {
    Exchange(Exchange),
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
