//! Where data outlive the process: one small trait, an engine a file, one suite that all pass.
//!
//! A store maps a space and a key of any bytes to a [`Record`]. It knows nothing of what the bytes
//! mean. PERSISTENT memory, the journal of workflows, cached answers and recorded events lie side
//! by side in it, each in a [`Space`] of its own.

mod asking;
mod channel;
#[cfg(test)]
pub(crate) mod conformance;
mod engine;
pub mod filing;
mod flushing;
pub mod lines;
pub mod memory;
mod options;
mod place;
mod position;
#[cfg(feature = "redis")]
pub mod redis;
mod shared;
pub mod sqlite;

use crate::error::Result;

pub use asking::Asking;
pub use channel::{Channel, Direction, Message, Terms, Trouble};
pub use filing::Filing;
pub use flushing::Flushing;
pub use options::{BATCH, Batching, KIND, STORE, chosen, durability};
pub use place::{Place, Url};
pub use position::is_position;
pub use shared::{
    Alarm, Answer, Changing, Counters, Current, Doing, Pending, Policy, Question, Shared,
};

/// Whose keys they are; keys of different spaces never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    Memory = 1,
    Conversations = 2,
    Cache = 3,
    Journal = 4,
    Events = 5,
    Limits = 6,
    /// What lay in a process when it was told to persist.
    Snapshot = 7,
}

impl Space {
    pub const ALL: [Space; 7] = [
        Space::Memory,
        Space::Conversations,
        Space::Cache,
        Space::Journal,
        Space::Events,
        Space::Limits,
        Space::Snapshot,
    ];

    /// Stored: never changed.
    pub fn name(self) -> &'static str {
        match self {
            Space::Memory => "memory",
            Space::Conversations => "conversations",
            Space::Cache => "cache",
            Space::Journal => "journal",
            Space::Events => "events",
            Space::Limits => "limits",
            Space::Snapshot => "snapshot",
        }
    }

    /// Stored: never changed.
    pub fn number(self) -> i64 {
        self as i64
    }

    pub fn of(number: i64) -> Option<Space> {
        Space::ALL.into_iter().find(|space| space.number() == number)
    }
}

/// Unix time in milliseconds, by the clock of who asks: so virtual time reaches expiry too.
pub type UnixMs = i64;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Another one after each write, also after a deletion in between: never used again in a store.
    pub version: u64,
    /// From then on there is no such record.
    pub expires_at: Option<UnixMs>,
    pub bytes: Vec<u8>,
}

impl Record {
    pub fn expired(&self, now: UnixMs) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// What becomes of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Put {
        bytes: Vec<u8>,
        expires_at: Option<UnixMs>,
    },
    Delete,
    /// Of every key that begins with this one.
    DeleteAll,
    /// Nothing: the commit only depends on what the write expects to be there.
    Keep,
}

/// What must be there for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No record, or an expired one.
    Absent,
    Version(u64),
}

impl Expected {
    /// `found`: the version of the record there, not expired.
    pub fn holds(self, found: Option<u64>) -> bool {
        match self {
            Expected::Absent => found.is_none(),
            Expected::Version(version) => found == Some(version),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub space: Space,
    pub key: Vec<u8>,
    pub change: Change,
    pub only_if: Option<Expected>,
}

/// What a commit survives, besides the end of the process: [`Durability::Sync`] also a crash of the
/// machine. A Redis server decides that for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    Batched,
    Sync,
}

impl Durability {
    pub fn name(self) -> &'static str {
        match self {
            Durability::Batched => "batched",
            Durability::Sync => "sync",
        }
    }
}

/// What one write did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// Records, not expired, that it replaced, removed or kept.
    pub before: u64,
    /// Of the record it put; 0 where it put none.
    pub version: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// All of them, in their order.
    Done(Vec<Effect>),
    /// None of them: what this one expected was not there.
    Conflict(usize),
}

impl Committed {
    /// Records, not expired, that the writes replaced or removed.
    pub fn before(&self) -> u64 {
        match self {
            Committed::Done(effects) => effects.iter().map(|effect| effect.before).sum(),
            Committed::Conflict(_) => 0,
        }
    }
}

/// A stretch of keys, in the order of their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    pub space: Space,
    pub prefix: Vec<u8>,
    /// Keys after this one.
    pub after: Option<Vec<u8>>,
    pub limit: usize,
}

impl Range {
    /// Where the next page begins; none if this one was the last.
    pub fn next<T>(&self, page: &[(Vec<u8>, T)]) -> Option<Vec<u8>> {
        page.last().filter(|_| page.len() >= self.limit).map(|(key, _)| key.clone())
    }
}

/// An open store. Calls block: they are made on the store's own thread, never on Lua's.
///
/// Every failure is an `io_error`; `details.reason` is `"corrupt"` where data came back damaged,
/// `"foreign"` where the place holds something else, else what the system says in a word, as
/// `"full"`. Data of a newer format are `unsupported`. After a failure the store is as before and
/// the call may be made again.
pub trait Store: Send {
    fn get(&mut self, space: Space, key: &[u8], now: UnixMs) -> Result<Option<Record>>;

    /// Records in order of their keys, without expired ones; fewer than `limit`: that was all.
    fn scan(&mut self, range: &Range, now: UnixMs) -> Result<Vec<(Vec<u8>, Record)>>;

    /// All writes or none, in order, also towards other processes. Each sees those before it: so
    /// does what it expects.
    fn commit(
        &mut self,
        writes: &[Write],
        durability: Durability,
        now: UnixMs,
    ) -> Result<Committed>;

    /// Makes every earlier commit as durable as [`Durability::Sync`].
    fn sync(&mut self) -> Result<()>;
}
