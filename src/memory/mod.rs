//! What programs and agents remember: values by scope, owner and key.
//!
//! [`Space`] holds what lies in the process; PERSISTENT entries lie in a store, as the same bytes
//! under the same keys. [`address`] says how a scope, an owner and a key are one.

pub mod address;
mod bounds;
mod change;
mod clear;
mod conversations;
mod entry;
mod extent;
pub mod files;
mod gate;
mod global;
mod keep;
mod load;
mod pages;
mod persist;
mod search;
mod selection;
mod snapshot;
mod space;
mod survey;
mod told;
mod value;
mod vectors;

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};

use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;
use crate::step::Token;
use crate::store::{Change as Gone, Expected, Pending, Question, Shared, Space as Store, Write};

pub use address::{Address, Scope};
pub use bounds::{BOUNDS, Bounds};
pub use change::{Change, How};
pub use clear::{clear, cleared};
pub use conversations::{Talk, forget};
pub use entry::{Entry, Extra};
pub use extent::Extent;
pub use files::absolute;
pub use gate::{Gate, about, name};
pub use global::{Scalar, global, guard_forks, put_scalar, scalar};
pub use keep::{Item, Keep, write};
pub use load::Load;
pub use persist::Persist;
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
    /// Conversations that were loaded, of agents that are not there yet.
    pub waiting: Vec<Talk>,
    /// Prefixes of what was persisted into the store, or loaded from it: the next time it is replaced.
    persisted: BTreeSet<Vec<u8>>,
    /// Versions of both spaces that a snapshot file has.
    saved: Versions,
}

/// Of the last changes to GLOBAL entries and to the others.
#[derive(Clone, Copy, Debug, Default)]
struct Versions {
    global: u64,
    own: u64,
}

/// Data that came back damaged.
fn corrupt(what: &str) -> Error {
    let details = serde_json::json!({ "reason": "corrupt" });
    Error::new(Code::IoError, what).with(|f| f.details = Some(details))
}

impl Default for Memory {
    fn default() -> Memory {
        // Random, as sessions of other processes may lie in the same store.
        let random = RandomState::new().hash_one(std::process::id());
        Memory {
            own: Space::default(),
            session: format!("{random:016x}"),
            waiting: Vec::new(),
            persisted: BTreeSet::new(),
            saved: Versions::default(),
        }
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

    /// By the whole key.
    fn of(key: &[u8]) -> Spot {
        Spot { scope: address::scope(key), key: key.to_vec() }
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

    /// Asks the store, which `configure` may have taken away since somebody saw one.
    fn ask_store(&mut self, me: Token, question: Question) -> Result<Pending> {
        let waker = self.tasks.waker(me)?;
        let gone =
            || Error::state("configure{store=} took the store away in the middle of the call");
        Ok(self.backing().ok_or_else(gone)?.ask(question, waker))
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

/// Everything goes that lies under an address, also in the store; what a state had persisted too.
pub fn forget_all(runtime: &mut Runtime, address: &Address) -> Result<()> {
    let now = runtime.clock.unix_ms();
    let prefix = address.prefix();
    let selection = Selection { prefix: prefix.clone(), ..Selection::default() };
    selection.forget(&mut runtime.memory, now);
    let kept = Kind::ALL.map(|kind| extent::kept_key(kind, &prefix));
    let stored = std::iter::once((Store::Memory, prefix));
    let all = stored.chain(kept.into_iter().map(|key| (Store::Snapshot, key)));
    let gone = |(space, key)| Write { space, key, change: Gone::DeleteAll, only_if: None };
    runtime.tell_store(all.map(gone).collect())
}

impl Runtime {
    /// Writes that the store learns of without anybody waiting for it; nothing where there is none.
    pub fn tell_store(&mut self, writes: Vec<Write>) -> Result<()> {
        let policy = self.config.batch.policy;
        self.backing().map_or(Ok(()), |store| store.queue(writes, policy))
    }

    /// PERSISTENT entries that lie in the process because there was no store go into the one there
    /// is now; gives how many.
    pub fn settle_persistent(&mut self) -> Result<usize> {
        if self.backing().is_none() {
            return Ok(0);
        }
        let now = self.clock.unix_ms();
        let (mut writes, mut spots) = (Vec::new(), Vec::new());
        let all = Selection { kind: Some(Kind::Persistent), ..Selection::default() };
        all.each(&mut self.memory, now, |key, entry| {
            let spot = Spot::of(key);
            writes.push(write(&spot, Some(entry)));
            spots.push(spot);
        });
        self.tell_store(writes)?;
        for spot in &spots {
            self.forget(spot);
        }
        Ok(spots.len())
    }
}

impl Memory {
    /// Entries of agents and sessions go, and what waits for agents.
    pub fn forget_own(&mut self) {
        self.own = Space::counting(self.own.counts);
        self.saved.own = 0;
        self.waiting.clear();
    }

    fn versions(&self) -> Versions {
        Versions { global: global().version(), own: self.own.version() }
    }

    /// Whether a PERSISTENT entry of this process and this version lies nowhere else.
    pub fn is_dirty(&self, scope: Scope, version: u64) -> bool {
        let Versions { global, own } = self.saved;
        let saved = if scope == Scope::Global { global } else { own };
        version > saved
    }

    /// Does something with the space that entries of a scope lie in. No Lua may run in it.
    pub fn within<T>(&mut self, scope: Scope, work: impl FnOnce(&mut Space) -> T) -> T {
        match scope {
            Scope::Global => work(&mut global()),
            Scope::Agent | Scope::Session => work(&mut self.own),
        }
    }
}
