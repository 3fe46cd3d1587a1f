//! What programs and agents remember: values by scope, owner and key.
//!
//! [`Space`] holds what lies in the process; PERSISTENT entries lie in a store, as the same bytes
//! under the same keys. [`address`] says how a scope, an owner and a key are one.

pub mod address;
mod bounds;
mod change;
mod clear;
mod entry;
mod global;
mod keep;
mod search;
mod selection;
mod space;
mod survey;
mod value;
mod vectors;

use std::hash::{BuildHasher, RandomState};

use crate::runtime::Runtime;
use crate::store::{Expected, Shared};

pub use address::{Address, Scope};
pub use bounds::{BOUNDS, Bounds};
pub use change::{Change, How};
pub use clear::{clear, cleared};
pub use entry::{Entry, Extra};
pub use global::{Scalar, global, put_scalar, scalar};
pub use keep::{Item, Keep, write};
pub use search::{Embed, Query, Search, Wanted, is_nowhere};
pub use selection::Selection;
pub use space::{Counts, Put, Space};
pub use survey::Survey;
pub use value::Value;
pub use vectors::Direction;

/// How long an entry is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// In the process, until there are too many.
    #[default]
    Short,
    /// In the process.
    Long,
    /// In the store.
    Persistent,
}

impl Kind {
    pub const NAMES: &'static [&'static str] = &["short_term", "long_term", "persistent"];
    pub const ALL: [Kind; 3] = [Kind::Short, Kind::Long, Kind::Persistent];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Short => "short_term",
            Kind::Long => "long_term",
            Kind::Persistent => "persistent",
        }
    }

    pub fn parse(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// The memory of one instance. GLOBAL entries belong to the process, see [`global`].
#[derive(Debug)]
pub struct Memory {
    /// Entries of the scopes AGENT and SESSION.
    pub own: Space,
    /// The owner of the scope SESSION, unless `configure{session=}` names another.
    pub session: String,
}

impl Default for Memory {
    fn default() -> Memory {
        // Random, as sessions of other processes may lie in the same store.
        let random = RandomState::new().hash_one(std::process::id());
        Memory { own: Space::default(), session: format!("{random:016x}") }
    }
}

/// Where an entry lies: in which space, and under which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    pub scope: Scope,
    pub key: Vec<u8>,
}

impl Spot {
    pub fn new(address: &Address, key: &[u8]) -> Spot {
        Spot { scope: address.scope, key: address.key(key) }
    }
}

impl Runtime {
    /// The owner of the scope SESSION.
    pub fn session(&self) -> &str {
        self.config.session.as_deref().unwrap_or(&self.memory.session)
    }

    /// The store that PERSISTENT entries lie in; none: they stay in the process.
    pub fn backing(&mut self) -> Option<&Shared> {
        if self.store.place().is_memory() {
            return None;
        }
        Some(self.store.shared(&self.clock))
    }

    /// The entry at a spot in this process, for somebody who wants its value.
    pub fn recall(&mut self, spot: &Spot) -> Option<Entry> {
        let now = self.clock.unix_ms();
        self.memory.within(spot.scope, |space| space.get(&spot.key, now).cloned())
    }

    /// Keeps an entry in this process; whether there was one in its place.
    pub fn keep(&mut self, spot: &Spot, entry: Entry) -> bool {
        let (now, limit) = (self.clock.unix_ms(), self.config.memory.max_entries);
        self.memory.within(spot.scope, |space| space.put(&spot.key, entry, limit, now))
    }

    /// As [`Runtime::keep`], if what is expected is there.
    pub fn keep_if(&mut self, spot: &Spot, expected: Expected, entry: Entry) -> Put {
        let (now, limit) = (self.clock.unix_ms(), self.config.memory.max_entries);
        self.memory.within(spot.scope, |space| space.put_if(&spot.key, expected, entry, limit, now))
    }

    /// Forgets the entry at a spot in this process; whether there was one.
    pub fn forget(&mut self, spot: &Spot) -> bool {
        let now = self.clock.unix_ms();
        self.memory.within(spot.scope, |space| space.remove(&spot.key, now).is_some())
    }
}

impl Memory {
    /// Does something with the space that entries of a scope lie in. No Lua may run in it.
    pub fn within<T>(&mut self, scope: Scope, work: impl FnOnce(&mut Space) -> T) -> T {
        match scope {
            Scope::Global => work(&mut global()),
            Scope::Agent | Scope::Session => work(&mut self.own),
        }
    }
}
