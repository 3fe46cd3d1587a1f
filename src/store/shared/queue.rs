//! Writes that wait for their commit, and what reads see of them meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use crate::clock::Moment;
use crate::store::{Change, Range, Record, Space, UnixMs, Write};

/// When what is queued is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Otherwise each write is committed by itself, as soon as the store's thread comes to it.
    pub enabled: bool,
    /// So many are committed at once.
    pub max_batch_size: usize,
    /// So long after the oldest they are committed, however few.
    pub timeout_ms: u64,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy { enabled: true, max_batch_size: 100, timeout_ms: 20 }
    }
}

/// Why a batch was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Full,
    Timeout,
    Barrier,
    Manual,
}

/// A write with its place in the order of all that was asked of the store.
#[derive(Clone, Debug)]
pub struct Queued {
    pub order: u64,
    pub write: Write,
    due: Moment,
    /// Not to be committed with others.
    alone: bool,
}

#[derive(Default)]
pub struct Queue {
    /// In order.
    log: VecDeque<Queued>,
    /// The last write to each key, unless all keys there were deleted after it.
    latest: BTreeMap<(Space, Vec<u8>), u64>,
    cleared: Vec<(u64, Space, Vec<u8>)>,
    bytes: usize,
    /// So many are a full batch.
    most: usize,
    due: Option<Moment>,
    /// After a failure: nothing is tried again before then, unless somebody asks for it.
    not_before: Option<Moment>,
}

/// What the queue knows of a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing: ask the store.
    Unknown,
    Gone,
    Put(Record),
}

/// No commit is larger, unless one write is.
const MOST_WRITES: usize = 10_000;
const MOST_BYTES: usize = 8 << 20;

impl Queue {
    pub fn len(&self) -> usize {
        self.log.len()
    }

    pub fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn push(&mut self, order: u64, write: Write, policy: Policy, now: Moment) {
        let due = if policy.enabled { now.after_ms(policy.timeout_ms) } else { now };
        self.note(order, &write);
        self.bytes += size(&write);
        self.log.push_back(Queued { order, write, due, alone: !policy.enabled });
        self.most = if policy.enabled { policy.max_batch_size } else { 1 };
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    fn note(&mut self, order: u64, write: &Write) {
        if write.change != Change::DeleteAll {
            self.latest.insert((write.space, write.key.clone()), order);
            return;
        }
        let gone = keys(&self.latest, write.space, &write.key, None).map(|(key, _)| key.to_owned());
        for key in gone.collect::<Vec<_>>() {
            self.latest.remove(&(write.space, key));
        }
        self.cleared.push((order, write.space, write.key.clone()));
    }

    /// When the next batch is due, unless it fills before.
    pub fn due(&self) -> Option<Moment> {
        self.due.max(self.not_before.filter(|_| self.due.is_some()))
    }

    /// What is queued is due now.
    pub fn hurry(&mut self) {
        self.due = (!self.is_empty()).then_some(Moment::START);
    }

    fn is_full(&self) -> bool {
        !self.is_empty() && (self.log.len() >= self.most || self.bytes >= MOST_BYTES)
    }

    /// Why what came before `before` is to be committed now, if it is.
    pub fn ripe(&self, now: Moment, before: u64) -> Option<Reason> {
        self.log.front().filter(|oldest| oldest.order < before)?;
        match self.not_before {
            Some(not_before) if not_before > now => None,
            _ if self.is_full() => Some(Reason::Full),
            _ => (self.due? <= now).then_some(Reason::Timeout),
        }
    }

    /// A batch of what came after `after` and before `before`.
    pub fn batch(&self, after: Option<u64>, before: u64) -> Vec<Queued> {
        let start = after.map_or(0, |after| self.log.partition_point(|q| q.order <= after));
        let mut batch: Vec<Queued> = Vec::new();
        let mut bytes = 0;
        for queued in self.log.range(start..).take_while(|q| q.order < before) {
            bytes += size(&queued.write);
            let ends = batch.len() == MOST_WRITES
                || bytes > MOST_BYTES
                || queued.alone
                || batch.last().is_some_and(|last| last.alone);
            if ends && !batch.is_empty() {
                break;
            }
            batch.push(queued.clone());
        }
        batch
    }

    /// Takes out what has been committed.
    pub fn committed(&mut self, orders: &[u64]) {
        for order in orders {
            let Ok(at) = self.log.binary_search_by_key(order, |q| q.order) else { continue };
            let Some(queued) = self.log.remove(at) else { continue };
            self.bytes -= size(&queued.write);
            self.forget(queued);
        }
        self.due = self.log.iter().map(|q| q.due).min();
    }

    fn forget(&mut self, queued: Queued) {
        if queued.write.change == Change::DeleteAll {
            self.cleared.retain(|(order, ..)| *order != queued.order);
            return;
        }
        let key = (queued.write.space, queued.write.key);
        if self.latest.get(&key) == Some(&queued.order) {
            self.latest.remove(&key);
        }
    }

    /// Takes out all of it, in order.
    pub fn take(&mut self) -> Vec<Write> {
        let all = std::mem::take(self);
        all.log.into_iter().map(|queued| queued.write).collect()
    }

    pub fn postpone(&mut self, until: Option<Moment>) {
        self.not_before = until;
    }

    pub fn seen(&self, space: Space, key: &[u8], now: UnixMs) -> Seen {
        if let Some(order) = self.latest.get(&(space, key.to_owned())) {
            return self.put(*order, now);
        }
        let is_gone =
            |(_, of, prefix): &(u64, Space, Vec<u8>)| *of == space && key.starts_with(prefix);
        if self.cleared.iter().any(is_gone) { Seen::Gone } else { Seen::Unknown }
    }

    fn put(&self, order: u64, now: UnixMs) -> Seen {
        let at = self.log.binary_search_by_key(&order, |q| q.order);
        match at.ok().and_then(|at| self.log.get(at)).map(|q| &q.write.change) {
            Some(Change::Put { bytes, expires_at }) if expires_at.is_none_or(|at| at > now) => {
                let record = Record { version: 0, expires_at: *expires_at, bytes: bytes.clone() };
                Seen::Put(record)
            }
            _ => Seen::Gone,
        }
    }

    /// Whether anything is queued that concerns one of these keys.
    pub fn touches(&self, write: &Write) -> bool {
        self.log.iter().any(|queued| overlap(&queued.write, write))
    }

    /// A page of the store as it will be: `until` is where the page ends, if more follow.
    pub fn over(
        &self,
        page: Vec<(Vec<u8>, Record)>,
        range: &Range,
        until: Option<&[u8]>,
        now: UnixMs,
    ) -> Vec<(Vec<u8>, Record)> {
        if self.is_empty() {
            return page;
        }
        let unknown = |key: &[u8]| self.seen(range.space, key, now) == Seen::Unknown;
        let mut all: Vec<_> = page.into_iter().filter(|(key, _)| unknown(key)).collect();
        let queued = keys(&self.latest, range.space, &range.prefix, range.after.as_deref())
            .take_while(|(key, _)| until.is_none_or(|until| *key <= until));
        all.extend(queued.filter_map(|(key, order)| match self.put(order, now) {
            Seen::Put(record) => Some((key.to_owned(), record)),
            _ => None,
        }));
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }
}

fn keys<'q>(
    latest: &'q BTreeMap<(Space, Vec<u8>), u64>,
    space: Space,
    prefix: &'q [u8],
    after: Option<&[u8]>,
) -> impl Iterator<Item = (&'q [u8], u64)> {
    let start = match after.filter(|after| *after >= prefix) {
        Some(after) => Bound::Excluded((space, after.to_owned())),
        None => Bound::Included((space, prefix.to_owned())),
    };
    latest
        .range((start, Bound::Unbounded))
        .map(|((of, key), order)| (*of, key.as_slice(), *order))
        .take_while(move |(of, key, _)| *of == space && key.starts_with(prefix))
        .map(|(_, key, order)| (key, order))
}

/// Whether the order of the two matters.
pub fn overlap(one: &Write, other: &Write) -> bool {
    let covers =
        |all: &Write, key: &[u8]| all.change == Change::DeleteAll && key.starts_with(&all.key);
    one.space == other.space
        && (one.key == other.key || covers(one, &other.key) || covers(other, &one.key))
}

fn size(write: &Write) -> usize {
    const OVERHEAD: usize = 128;
    let bytes = match &write.change {
        Change::Put { bytes, .. } => bytes.len(),
        Change::Delete | Change::DeleteAll | Change::Keep => 0,
    };
    OVERHEAD + 2 * write.key.len() + bytes
}
