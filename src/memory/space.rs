//! Entries that lie in the process, with a bound on the short-lived ones.
//!
//! SHORT_TERM entries are kept in the order of their last use; the one unused for longest goes when
//! there are too many. All work is constant time, but listing, and a logarithm for what expires.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hashlink::LinkedHashMap;
use hashlink::linked_hash_map::RawEntryMut;

use super::vectors::{Block, Vectors};
use super::{Entry, Kind};
use crate::store::{Expected, UnixMs};

type Key = Box<[u8]>;

#[derive(Debug, Default)]
pub struct Space {
    /// The longest unused first.
    short: LinkedHashMap<Key, Entry>,
    long: LinkedHashMap<Key, Entry>,
    /// When keys expire; an entry may since have been replaced.
    expiring: BinaryHeap<Reverse<(UnixMs, Key)>>,
    /// Those of the entries in both maps.
    vectors: Vectors,
    bytes: usize,
    version: u64,
    pub counts: Counts,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub hits: u64,
    pub misses: u64,
    pub expired: u64,
    pub evicted: u64,
}

impl Counts {
    /// So many that were not in the process were in the store.
    pub fn found(&mut self, count: u64) {
        self.hits += count;
        // What missed may have missed in another space: only the sum is told.
        self.misses = self.misses.wrapping_sub(count);
    }
}

/// What became of a [`Space::put`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    Done,
    /// What was expected was not there.
    Conflict,
}

impl Space {
    /// An empty one that goes on counting.
    pub fn counting(counts: Counts) -> Space {
        Space { counts, ..Space::default() }
    }

    /// Of the change that was made last.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn len(&self) -> usize {
        self.short.len() + self.long.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of keys and values, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is anything that may be over.
    pub fn has_expiring(&self) -> bool {
        !self.expiring.is_empty()
    }

    /// Looks an entry up for somebody who wants its value.
    pub fn get(&mut self, key: &[u8], now: UnixMs) -> Option<&Entry> {
        self.expire(now);
        let known = self.short.contains_key(key) || self.long.contains_key(key);
        self.counts.hits += u64::from(known);
        self.counts.misses = self.counts.misses.wrapping_add(u64::from(!known));
        if known && !self.long.contains_key(key) {
            return self.short.to_back(key).map(|entry| &*entry);
        }
        self.long.get(key)
    }

    /// Looks an entry up without counting it as used.
    pub fn peek(&mut self, key: &[u8], now: UnixMs) -> Option<&Entry> {
        self.expire(now);
        self.short.get(key).or_else(|| self.long.get(key))
    }

    /// Keeps an entry in the place of what the key had, and at most `limit` short-lived ones.
    /// Whether there was one.
    pub fn put(&mut self, key: &[u8], mut entry: Entry, limit: usize, now: UnixMs) -> bool {
        self.expire(now);
        self.version += 1;
        entry.version = self.version;
        self.vectors.note(key, &entry);
        if let Some(at) = entry.expires_at {
            self.expiring.push(Reverse((at, key.into())));
        }
        let (map, other) = match entry.kind {
            Kind::Short => (&mut self.short, &mut self.long),
            Kind::Long | Kind::Persistent => (&mut self.long, &mut self.short),
        };
        let mut before = false;
        if let Some(old) = (!other.is_empty()).then(|| other.remove(key)).flatten() {
            self.bytes -= key.len() + old.size();
            before = true;
        }
        self.bytes += key.len() + entry.size();
        match map.raw_entry_mut().from_key(key) {
            RawEntryMut::Occupied(mut place) => {
                self.bytes -= key.len() + place.get().size();
                *place.get_mut() = entry;
                place.to_back();
                before = true;
            }
            RawEntryMut::Vacant(place) => {
                place.insert(key.into(), entry);
            }
        }
        while self.short.len() > limit {
            self.evict();
        }
        before
    }

    /// As [`Space::put`], if what is expected is there.
    pub fn put_if(
        &mut self,
        key: &[u8],
        expected: Expected,
        entry: Entry,
        limit: usize,
        now: UnixMs,
    ) -> Put {
        let there = self.peek(key, now).map(|entry| entry.version);
        let fits = match expected {
            Expected::Absent => there.is_none(),
            Expected::Version(version) => there == Some(version),
        };
        if !fits {
            return Put::Conflict;
        }
        self.put(key, entry, limit, now);
        Put::Done
    }

    fn evict(&mut self) {
        if let Some((key, entry)) = self.short.pop_front() {
            self.vectors.remove(&key);
            self.bytes -= key.len() + entry.size();
            self.counts.evicted += 1;
        }
    }

    /// Takes an entry out; `None` if there was none.
    pub fn remove(&mut self, key: &[u8], now: UnixMs) -> Option<Entry> {
        self.expire(now);
        self.take(key)
    }

    fn take(&mut self, key: &[u8]) -> Option<Entry> {
        let entry = self.short.remove(key).or_else(|| self.long.remove(key))?;
        self.bytes -= key.len() + entry.size();
        self.vectors.remove(key);
        Some(entry)
    }

    /// The embeddings of all entries.
    pub fn vectors(&mut self, now: UnixMs) -> &[Block] {
        self.expire(now);
        self.vectors.blocks()
    }

    /// All entries whose keys begin so, in no order.
    pub fn select<'s>(
        &'s mut self,
        prefix: &'s [u8],
        now: UnixMs,
    ) -> impl Iterator<Item = (&'s [u8], &'s Entry)> {
        self.expire(now);
        let all = self.short.iter().chain(self.long.iter());
        all.map(|(key, entry)| (&**key, entry)).filter(move |(key, _)| key.starts_with(prefix))
    }

    /// Drops what is over. What was replaced since has another time, or none.
    fn expire(&mut self, now: UnixMs) {
        while let Some(Reverse((at, _))) = self.expiring.peek()
            && *at <= now
        {
            let Some(Reverse((at, key))) = self.expiring.pop() else { return };
            let entry = self.short.get(&key).or_else(|| self.long.get(&key));
            if entry.is_some_and(|entry| entry.expires_at == Some(at)) {
                self.take(&key);
                self.counts.expired += 1;
            }
        }
        // A key that is stored anew again and again, each time for long, must not pile up here.
        if self.expiring.len() > 2 * self.len() + 64 {
            let (short, long) = (&self.short, &self.long);
            self.expiring.retain(|Reverse((at, key))| {
                let entry = short.get(key).or_else(|| long.get(key));
                entry.is_some_and(|entry| entry.expires_at == Some(*at))
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Value;
    use super::*;

    fn entry(n: i64, kind: Kind) -> Entry {
        Entry::new(Value::Int(n), kind)
    }

    #[test]
    fn the_longest_unused_goes_first_and_only_short_ones() {
        let mut space = Space::default();
        space.put(b"long", entry(0, Kind::Long), 2, 0);
        space.put(b"a", entry(1, Kind::Short), 2, 0);
        space.put(b"b", entry(2, Kind::Short), 2, 0);
        assert!(space.get(b"a", 0).is_some());
        space.put(b"c", entry(3, Kind::Short), 2, 0);
        assert!(space.get(b"b", 0).is_none());
        assert!(space.get(b"a", 0).is_some() && space.get(b"long", 0).is_some());
        let counts = Counts { hits: 3, misses: 1, expired: 0, evicted: 1 };
        assert_eq!(space.counts, counts);
    }

    #[test]
    fn entries_expire_at_their_time_and_not_by_the_time_of_an_older_one() {
        let mut space = Space::default();
        let until = |at| Entry { expires_at: Some(at), ..entry(1, Kind::Long) };
        space.put(b"k", until(10), 9, 0);
        space.put(b"k", until(20), 9, 0);
        assert!(space.get(b"k", 19).is_some());
        assert!(space.get(b"k", 20).is_none());
        assert_eq!((space.counts.expired, space.bytes(), space.len()), (1, 0, 0));
        for n in 0..10_000 {
            space.put(b"k", until(1_000 + n), 9, 0);
        }
        assert!(space.expiring.len() < 200);
    }

    #[test]
    fn a_key_has_one_entry_whatever_its_kind() {
        let mut space = Space::default();
        space.put(b"k", entry(1, Kind::Short), 9, 0);
        space.put(b"k", entry(2, Kind::Long), 9, 0);
        assert_eq!((space.len(), space.peek(b"k", 0).unwrap().value.clone()), (1, Value::Int(2)));
        space.put(b"k", entry(3, Kind::Short), 9, 0);
        assert_eq!((space.len(), space.bytes()), (1, 9));
    }

    #[test]
    fn conditions_see_versions() {
        let mut space = Space::default();
        let put =
            |space: &mut Space, expected| space.put_if(b"k", expected, entry(1, Kind::Long), 9, 0);
        assert_eq!(put(&mut space, Expected::Absent), Put::Done);
        assert_eq!(put(&mut space, Expected::Absent), Put::Conflict);
        let version = space.peek(b"k", 0).unwrap().version;
        assert_eq!(put(&mut space, Expected::Version(version)), Put::Done);
        assert_eq!(put(&mut space, Expected::Version(version)), Put::Conflict);
    }
}
