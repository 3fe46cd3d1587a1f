//! A store in the memory of this process: what tests use, and what there is without a file.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use super::{Change, Committed, Durability, Effect, Range, Record, Space, Store, UnixMs, Write};
use crate::error::Result;
use crate::net::lock;

/// A handle; clones share the records.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Records>>);

type Place = (Space, Vec<u8>);

#[derive(Debug, Default)]
struct Records {
    by_place: BTreeMap<Place, Record>,
    versions: u64,
}

/// What was there before a commit changed it.
type Undo = Vec<(Place, Option<Record>)>;

impl Store for Memory {
    fn get(&mut self, space: Space, key: &[u8], now: UnixMs) -> Result<Option<Record>> {
        Ok(lock(&self.0).alive(&(space, key.to_vec()), now).cloned())
    }

    fn scan(&mut self, range: &Range, now: UnixMs) -> Result<Vec<(Vec<u8>, Record)>> {
        let records = lock(&self.0);
        let alive = records.stretch(range).filter(|(_, record)| !record.expired(now));
        let page = alive.take(range.limit);
        Ok(page.map(|((_, key), record)| (key.clone(), record.clone())).collect())
    }

    fn commit(
        &mut self,
        writes: &[Write],
        _durability: Durability,
        now: UnixMs,
    ) -> Result<Committed> {
        Ok(lock(&self.0).commit(writes, now))
    }

    fn sync(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Records {
    fn alive(&self, place: &Place, now: UnixMs) -> Option<&Record> {
        self.by_place.get(place).filter(|record| !record.expired(now))
    }

    fn stretch<'a>(&'a self, range: &'a Range) -> impl Iterator<Item = (&'a Place, &'a Record)> {
        let from = match &range.after {
            Some(after) if *after >= range.prefix => Bound::Excluded((range.space, after.clone())),
            _ => Bound::Included((range.space, range.prefix.clone())),
        };
        self.by_place
            .range((from, Bound::Unbounded))
            .take_while(|((space, key), _)| *space == range.space && key.starts_with(&range.prefix))
    }

    fn commit(&mut self, writes: &[Write], now: UnixMs) -> Committed {
        let mut undo = Undo::new();
        let mut effects = Vec::with_capacity(writes.len());
        for (n, write) in writes.iter().enumerate() {
            let place = (write.space, write.key.clone());
            let found = self.alive(&place, now).map(|record| record.version);
            if write.only_if.is_some_and(|expected| !expected.holds(found)) {
                self.restore(undo);
                return Committed::Conflict(n);
            }
            effects.push(self.write(place, &write.change, now, &mut undo));
        }
        Committed::Done(effects)
    }

    fn write(&mut self, place: Place, change: &Change, now: UnixMs, undo: &mut Undo) -> Effect {
        match change {
            Change::Put { bytes, expires_at } => {
                self.versions += 1;
                let version = self.versions;
                let record = Record { version, expires_at: *expires_at, bytes: bytes.clone() };
                Effect { before: self.set(place, Some(record), now, undo), version }
            }
            Change::Delete => Effect { before: self.set(place, None, now, undo), version: 0 },
            Change::Keep => {
                let before = u64::from(self.alive(&place, now).is_some());
                Effect { before, version: 0 }
            }
            Change::DeleteAll => {
                let range = Range { space: place.0, prefix: place.1, after: None, limit: 0 };
                let places: Vec<Place> = self.stretch(&range).map(|(p, _)| p.clone()).collect();
                let before = places.into_iter().map(|p| self.set(p, None, now, undo)).sum();
                Effect { before, version: 0 }
            }
        }
    }

    /// How many records, not expired, were there before.
    fn set(&mut self, place: Place, to: Option<Record>, now: UnixMs, undo: &mut Undo) -> u64 {
        let old = match to {
            Some(record) => self.by_place.insert(place.clone(), record),
            None => self.by_place.remove(&place),
        };
        let before = old.as_ref().is_some_and(|record| !record.expired(now));
        undo.push((place, old));
        u64::from(before)
    }

    fn restore(&mut self, undo: Undo) {
        for (place, old) in undo.into_iter().rev() {
            match old {
                Some(record) => drop(self.by_place.insert(place, record)),
                None => drop(self.by_place.remove(&place)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;

    fn fresh() -> Option<conformance::Place> {
        let memory = Memory::default();
        Some(Box::new(move || Box::new(memory.clone())))
    }

    conformance::suite!(fresh);
}
