//! Messages between processes that share a store: each goes into a named stream, and whoever reads
//! that stream gets it.
//!
//! Nobody waits in here: threads of the channel do the sending and the reading.

use crate::error::Error;

#[cfg(feature = "redis")]
pub use super::redis::{Channel, finish};
#[cfg(not(feature = "redis"))]
pub use none::{Channel, finish};

#[cfg(not(feature = "redis"))]
mod none;

/// What a channel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Both,
    /// It only sends.
    Out,
    /// It only reads.
    In,
}

impl Direction {
    pub fn sends(self) -> bool {
        self != Direction::In
    }

    pub fn reads(self) -> bool {
        self != Direction::Out
    }
}

/// What is agreed on when a channel is opened.
#[derive(Clone, Debug)]
pub struct Terms {
    pub stream: String,
    /// Those who share the messages; without one everybody gets each.
    pub group: Option<String>,
    /// The position after which reading begins; `None`: now.
    pub since: Option<String>,
    pub direction: Direction,
    /// The stream keeps so many messages, about; 0: all.
    pub max_len: u64,
    /// A member of a group that is not heard of for so long is believed to be dead.
    pub claim_ms: u64,
    /// A member of a group has so many at once that it has not handled.
    pub prefetch: usize,
    /// By whom what is sent is known: it does not get its own messages back.
    pub origin: String,
    /// Its name in the group.
    pub member: String,
    /// It was open before, in the process that this one was forked from.
    pub again: bool,
}

/// A message that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub position: String,
    /// Who sent it.
    pub origin: String,
    pub bytes: Vec<u8>,
}

/// Something went wrong while nobody was waiting for it.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub error: Error,
    /// Messages that could not be sent, and are given up.
    pub lost: u64,
}
