//! What was computed, kept by its question until something goes: within limits of number and bytes,
//! in the order of a policy, until a moment, and as long as what was read has not changed.
//!
//! A key is compared in full; its hash only says where to look. Every operation costs the same,
//! whether a thousand entries are kept or a million.
//!
//! ```
//! use zigllms::clock::Moment;
//! use zigllms::optimize::memo::{Eviction, Limits, Memo, New};
//! let mut memo = Memo::new(Limits { entries: 2, bytes: 1 << 20, eviction: Eviction::Lru });
//! let new = |key: &[u8], value| New { key: key.into(), group: 0, stamp: [0; 4], until: None, weight: 8, value };
//! memo.put(new(b"a", 1));
//! memo.put(new(b"b", 2));
//! assert_eq!(memo.get(b"a", [0; 4], || Moment::START), Ok(&1));
//! memo.put(new(b"c", 3)); // "b" was not used for longest
//! assert!(memo.get(b"b", [0; 4], || Moment::START).is_err());
//! ```

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::clock::Moment;

mod order;
#[cfg(test)]
mod tests;

use order::Order;

/// Bytes an entry takes besides its key and its value, about.
const OVERHEAD: usize = 160;

/// Generations of what a value was made from: another one, and it is not true any more.
pub type Stamp = [u64; 4];

/// Which entry makes room: the one not used for longest, the one used least, the oldest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Eviction {
    #[default]
    Lru,
    Lfu,
    Fifo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub entries: usize,
    pub bytes: usize,
    pub eviction: Eviction,
}

pub struct Memo<V> {
    limits: Limits,
    entries: Vec<Option<Entry<V>>>,
    /// Places to be used again.
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    order: Order,
    bytes: usize,
}

struct Entry<V> {
    hash: u64,
    key: Box<[u8]>,
    group: u16,
    stamp: Stamp,
    until: Option<Moment>,
    bytes: usize,
    value: V,
}

/// What is to be kept.
pub struct New<V> {
    pub key: Box<[u8]>,
    /// What may be dropped together.
    pub group: u16,
    pub stamp: Stamp,
    pub until: Option<Moment>,
    /// Bytes of the value.
    pub weight: usize,
    pub value: V,
}

/// Why there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    Unknown,
    /// Its time was over.
    Expired,
    /// What it was made from has changed.
    Outdated,
}

impl<V> Memo<V> {
    pub fn new(limits: Limits) -> Memo<V> {
        Memo {
            order: Order::new(limits.eviction),
            limits,
            entries: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            bytes: 0,
        }
    }

    /// The value for a key, if it is still true. `now` is asked only where a time limit is set.
    pub fn get(
        &mut self,
        key: &[u8],
        stamp: Stamp,
        now: impl FnOnce() -> Moment,
    ) -> Result<&V, Absent> {
        let Some(at) = self.find(self.hasher.hash_one(key), key) else {
            return Err(Absent::Unknown);
        };
        let entry = self.entry(at).ok_or(Absent::Unknown)?;
        let outdated = entry.stamp != stamp;
        if outdated || entry.until.is_some_and(|until| now() >= until) {
            self.remove(at);
            return Err(if outdated { Absent::Outdated } else { Absent::Expired });
        }
        self.order.touch(at);
        self.entry(at).map(|entry| &entry.value).ok_or(Absent::Unknown)
    }

    /// Keeps a value in the place of an older one; says how many others made room. One that is
    /// larger than everything there is room for is not kept.
    pub fn put(&mut self, new: New<V>) -> u64 {
        let hash = self.hasher.hash_one(&*new.key);
        if let Some(old) = self.find(hash, &new.key) {
            self.remove(old);
        }
        let bytes = new.key.len() + new.weight + OVERHEAD;
        if self.limits.entries == 0 || bytes > self.limits.bytes {
            return 0;
        }
        let New { key, group, stamp, until, value, .. } = new;
        let evicted = self.shrink(self.limits.entries - 1, self.limits.bytes - bytes);
        self.insert(Entry { hash, key, group, stamp, until, bytes, value });
        evicted
    }

    fn insert(&mut self, entry: Entry<V>) {
        let hash = entry.hash;
        self.bytes += entry.bytes;
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.entries.push(None);
                self.entries.len() as u32 - 1
            }
        };
        if let Some(place) = self.entries.get_mut(at as usize) {
            *place = Some(entry);
        }
        let entries = &self.entries;
        self.index.insert_unique(hash, at, |at| hash_of(entries, *at));
        self.order.add(at);
    }

    /// Lets go until no more are left than that.
    fn shrink(&mut self, entries: usize, bytes: usize) -> u64 {
        let mut gone = 0;
        while self.len() > entries || self.bytes > bytes {
            let Some(next) = self.order.next() else { break };
            self.remove(next);
            gone += 1;
        }
        gone
    }

    /// Changes the limits; says how many entries had to go. Another policy knows no uses, so it
    /// begins with nothing.
    pub fn limit(&mut self, limits: Limits) -> u64 {
        if limits.eviction != self.limits.eviction {
            let gone = self.len() as u64;
            *self = Memo::new(limits);
            return gone;
        }
        self.limits = limits;
        self.shrink(limits.entries, limits.bytes)
    }

    /// Drops the entries of some groups; says how many those were.
    pub fn drop_groups(&mut self, mut which: impl FnMut(u16) -> bool) -> usize {
        let found = (0..self.entries.len() as u32)
            .filter(|at| self.entry(*at).is_some_and(|entry| which(entry.group)));
        let found: Vec<u32> = found.collect();
        found.iter().for_each(|at| self.remove(*at));
        if self.index.is_empty() {
            *self = Memo::new(self.limits);
        }
        found.len()
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let same = |at: &u32| self.entry(*at).is_some_and(|e| e.hash == hash && *e.key == *key);
        self.index.find(hash, same).copied()
    }

    fn entry(&self, at: u32) -> Option<&Entry<V>> {
        self.entries.get(at as usize)?.as_ref()
    }

    fn remove(&mut self, at: u32) {
        let Some(entry) = self.entries.get_mut(at as usize).and_then(Option::take) else { return };
        if let Ok(found) = self.index.find_entry(entry.hash, |other| *other == at) {
            found.remove();
        }
        self.order.remove(at);
        self.bytes -= entry.bytes;
        self.free.push(at);
    }
}

fn hash_of<V>(entries: &[Option<Entry<V>>], at: u32) -> u64 {
    entries.get(at as usize).and_then(Option::as_ref).map_or(0, |entry| entry.hash)
}

impl<V> std::fmt::Debug for Memo<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Memo({} entries, {} bytes)", self.len(), self.bytes)
    }
}
