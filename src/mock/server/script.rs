//! What a server answers, one response after the other.

use std::sync::Arc;

use super::changes::Changes;
use super::reply::Reply;
use crate::mock::Said;

#[derive(Clone, Debug)]
pub enum Response {
    /// Bytes, whatever is asked.
    Scripted(Arc<Reply>),
    /// In the words of the vendor, and what goes wrong with it.
    Said(Arc<Said>, Changes),
    /// A function of the Lua state says it: that of the response at the same place.
    Asked,
}

/// The response whose turn it is, and its place.
#[derive(Debug)]
pub enum Turn {
    Now(usize, Response),
    /// The server answers by itself: the script waits for a chat.
    Aside,
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

impl Response {
    /// Bytes come to whoever asks next.
    fn is_for_chats(&self) -> bool {
        matches!(self, Response::Said(..))
    }

    /// Of it the client sees nothing but the end of its connection.
    fn is_silent(&self) -> bool {
        matches!(self, Response::Scripted(reply) if reply.silent)
    }
}

impl Script {
    pub fn new(responses: Vec<Response>, repeats_last: bool) -> Script {
        Script { responses, repeats_last, next: 0 }
    }

    pub fn turn(&mut self) -> Turn {
        let (at, count) = (self.place(), self.responses.len());
        self.next = at + 1;
        self.responses.get(at).map_or(Turn::Over(count), |said| Turn::Now(at, said.clone()))
    }

    /// Whether the next response waits until there is a chat; of a script that is over, whether it
    /// had such ones.
    pub fn waits_for_chats(&self) -> bool {
        let had_some = || self.responses.iter().any(Response::is_for_chats);
        self.upcoming().map_or_else(had_some, Response::is_for_chats)
    }

    /// The response that comes next.
    fn upcoming(&self) -> Option<&Response> {
        self.responses.get(self.place())
    }

    /// Whether the next response breaks the connection in silence. On one that was used before, a
    /// client takes that for the end of an idle connection, and asks again.
    pub fn breaks_next(&self) -> bool {
        self.upcoming().is_some_and(Response::is_silent)
    }

    fn place(&self) -> usize {
        match self.repeats_last {
            true => self.next.min(self.responses.len().saturating_sub(1)),
            false => self.next,
        }
    }

    /// From the start again.
    pub fn rewind(&mut self) {
        self.next = 0;
    }
}
