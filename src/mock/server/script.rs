//! What a server answers, one response after the other.

use std::sync::Arc;

use super::reply::Reply;

#[derive(Clone, Debug)]
pub enum Response {
    Scripted(Arc<Reply>),
    /// A function of the Lua state says it: that of the response at the same place.
    Asked,
}

/// The response whose turn it is, and its place.
#[derive(Debug)]
pub enum Turn {
    Now(usize, Response),
    /// There were so many, and each had its turn.
    Over(usize),
}

#[derive(Debug, Default)]
pub struct Script {
    pub responses: Vec<Response>,
    /// The last one answers all that follows.
    pub repeats_last: bool,
    next: usize,
}

impl Script {
    pub fn new(responses: Vec<Response>, repeats_last: bool) -> Script {
        Script { responses, repeats_last, next: 0 }
    }

    pub fn turn(&mut self) -> Turn {
        let count = self.responses.len();
        let at = match self.repeats_last {
            true => self.next.min(count.saturating_sub(1)),
            false => self.next,
        };
        self.next = at + 1;
        self.responses.get(at).map_or(Turn::Over(count), |said| Turn::Now(at, said.clone()))
    }

    /// From the start again.
    pub fn rewind(&mut self) {
        self.next = 0;
    }
}
