//! A run that this process has: what is to be written, and under which fence.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::claim::{LEASE_MS, Ownership, give_back, is_unknown};
use super::layout::{self, Kind};
use super::read::named;
use super::{Ending, Entry, Head, Step, Wish, abandoned, records};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::net::lock;
use crate::net::workers::Home;
use crate::store::{Change, Committed, Durability, Expected, Space, Store, UnixMs, Write};

/// What the store's thread needs of it, and whoever else has the run.
#[derive(Debug)]
pub struct Held {
    pub owned: Box<Ownership>,
    /// A forked child has inherited the words, and not the run.
    home: Home,
    outbox: Mutex<Outbox>,
}

#[derive(Debug)]
struct Outbox {
    /// In their order.
    writes: Vec<Write>,
    /// So many were queued so far.
    queued: u64,
    /// So many are in the store.
    written: u64,
    /// Number of the step that ends next.
    order: u64,
    lost: Option<Error>,
    /// It was left: nothing is written any more.
    over: bool,
}

/// How often a commit is made again of which nobody knows whether it was made.
const DOUBTS: u32 = 3;

impl Held {
    /// `order`: greater than that of any step that has ended.
    pub fn new(owned: Box<Ownership>, order: u64) -> Arc<Held> {
        let (writes, lost) = (Vec::new(), None);
        let outbox = Outbox { writes, queued: 0, written: 0, order, lost, over: false };
        Arc::new(Held { owned, home: Home::here(), outbox: Mutex::new(outbox) })
    }

    pub fn run(&self) -> &str {
        &self.owned.head.run
    }

    pub fn lost(&self) -> Option<Error> {
        if !self.home.is_here() {
            return Some(lost(self.run()));
        }
        lock(&self.outbox).lost.clone()
    }

    /// It is not to be written any more, for whatever reason.
    pub fn is_over(&self) -> bool {
        let outbox = lock(&self.outbox);
        outbox.over || outbox.lost.is_some()
    }

    /// Puts what an entry of a part says behind what is to be written.
    pub fn queue(&self, part: &str, entry: Entry) {
        let mut outbox = lock(&self.outbox);
        let order = outbox.order;
        outbox.order += u64::from(matches!(entry, Entry::Ended { .. }));
        let writes = writes_of(self.run(), part, entry, order);
        outbox.queued += writes.len() as u64;
        outbox.writes.extend(writes);
    }

    pub fn queued(&self) -> u64 {
        lock(&self.outbox).queued
    }

    /// Writes what was queued, unless somebody else did meanwhile.
    pub fn flush(&self, store: &mut dyn Store, upto: u64, clock: &Clock) -> Result<()> {
        let Some(writes) = self.take(upto)? else { return Ok(()) };
        let mut all = vec![self.fence()];
        all.extend(writes);
        let outcome = self.commit(store, &all, clock);
        let mut outbox = lock(&self.outbox);
        match outcome {
            Ok(()) => outbox.written += all.len() as u64 - 1,
            Err(_) => {
                let later = std::mem::take(&mut outbox.writes);
                outbox.writes = all.into_iter().skip(1).chain(later).collect();
            }
        }
        outcome
    }

    /// None: it is written already.
    fn take(&self, upto: u64) -> Result<Option<Vec<Write>>> {
        if let Some(lost) = self.lost() {
            return Err(lost);
        }
        let mut outbox = lock(&self.outbox);
        Ok((outbox.written < upto).then(|| std::mem::take(&mut outbox.writes)))
    }

    fn fence(&self) -> Write {
        let expected = Some(Expected::Version(self.owned.fence));
        Write { only_if: expected, ..layout::write(layout::head(self.run()), Change::Keep) }
    }

    /// The first of the writes meets the fence.
    fn commit(&self, store: &mut dyn Store, writes: &[Write], clock: &Clock) -> Result<()> {
        let mut doubts = 0;
        loop {
            match store.commit(writes, Durability::Sync, clock.unix_ms()) {
                Ok(Committed::Done(_)) => return Ok(()),
                Ok(Committed::Conflict(_)) => return Err(self.lose()),
                Err(error) if is_unknown(&error) && doubts < DOUBTS => doubts += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn lose(&self) -> Error {
        let error = lost(self.run());
        lock(&self.outbox).lost = Some(error.clone());
        error
    }

    /// The run is ours no more: with all that was queued, and how it stopped.
    pub fn leave(
        &self,
        store: &mut dyn Store,
        ending: &Ending,
        keep_ms: u64,
        clock: &Clock,
    ) -> Result<()> {
        let writes = self.take(u64::MAX)?.unwrap_or_default();
        let queued = writes.len();
        let (head, fence) = (&self.owned.head, self.owned.fence);
        let mut all = vec![self.fence()];
        all.extend(writes);
        all.extend(ending_of(head, fence, &self.owned.input, ending, keep_ms, clock));
        let outcome = self.commit(store, &all, clock);
        let mut outbox = lock(&self.outbox);
        match outcome {
            Ok(()) => outbox.over = true,
            Err(_) => outbox.writes = all.into_iter().skip(1).take(queued).collect(),
        }
        outcome
    }

    /// Nothing of the run changes, but it is not ours any more.
    pub fn release(&self, store: &mut dyn Store, clock: &Clock) -> Result<()> {
        lock(&self.outbox).over = true; // no renewal that comes behind this
        let given = give_back(store, self.run(), self.owned.fence, clock);
        if given.is_err() {
            abandoned::note(&self.owned.lease);
        }
        given
    }

    /// It is ours for another while. What another process wishes is taken out of the store.
    pub fn renew(&self, store: &mut dyn Store, clock: &Clock) -> Result<()> {
        if self.is_over() {
            return Ok(());
        }
        let now = clock.unix_ms();
        let key = layout::lease(self.run());
        let lease = layout::put(key, Some(now + LEASE_MS), |key| self.owned.lease.seal(key));
        match store.commit(&[self.fence(), lease], Durability::Batched, now)? {
            Committed::Done(_) => Ok(()),
            Committed::Conflict(_) => Err(self.lose()),
        }
    }

    pub fn hear(&self, store: &mut dyn Store, now: UnixMs) -> Result<Option<Wish>> {
        let key = layout::wish(self.run());
        let Some(record) = store.get(Space::Journal, &key, now)? else { return Ok(None) };
        let wish = Wish::read(&key, &record.bytes)?;
        let heard = Write {
            only_if: Some(Expected::Version(record.version)),
            ..layout::write(key, Change::Delete)
        };
        match store.commit(&[self.fence(), heard], Durability::Batched, now)? {
            Committed::Done(_) => Ok(Some(wish)),
            // Another wish came meanwhile, or the run is ours no more.
            Committed::Conflict(_) => Ok(None),
        }
    }

    /// In a forked child nothing is to be done.
    pub fn is_here(&self) -> bool {
        self.home.is_here()
    }
}

/// Somebody else has claimed the run, or its records are gone.
fn lost(run: &str) -> Error {
    let details = json!({ "reason": "lease_lost", "run_id": run });
    let why = "somebody else has claimed it, or its records are gone";
    Error::state(format!("{} is not this process's any more: {why}", named(run)))
        .with(|f| f.details = Some(details))
}

/// How a run stops: nothing that would only be needed to go on is kept of one that never will.
pub fn ending_of(
    head: &Head,
    fence: u64,
    input: &[u8],
    ending: &Ending,
    keep_ms: u64,
    clock: &Clock,
) -> Vec<Write> {
    let (run, is_final) = (&head.run, ending.over.is_final());
    let (at, status) = (clock.unix(), ending.over.status());
    let kept = clock.unix_ms().saturating_add(UnixMs::try_from(keep_ms).unwrap_or(UnixMs::MAX));
    let until = is_final.then_some(kept);
    let head = Head {
        status,
        open: !is_final && status.has_ended(),
        changed_at: at,
        finished_at: status.has_ended().then_some(at),
        ..head.clone()
    };
    let fenced = layout::put(layout::head(run), until, |key| head.seal(key));
    let mut writes = vec![
        Write { only_if: Some(Expected::Version(fence)), ..fenced },
        layout::put(layout::ending(run), until, |key| ending.seal(key)),
        layout::write(layout::lease(run), Change::Delete),
        layout::write(layout::wish(run), Change::Delete),
    ];
    if is_final {
        writes.push(layout::put(layout::input(run), until, |_| input.to_vec()));
        writes.push(layout::write(layout::details(run), Change::DeleteAll));
    }
    writes
}

fn writes_of(run: &str, part: &str, entry: Entry, order: u64) -> Vec<Write> {
    let key = |kind, path: &str| layout::detail(run, part, kind, path);
    let put = |kind, path: &str, seal: &dyn Fn(&[u8]) -> Vec<u8>| {
        vec![layout::put(key(kind, path), None, seal)]
    };
    match entry {
        Entry::Started { path, id, attempt, at } => {
            let step = Step::Started { id, attempt, at };
            put(Kind::Step, &path, &|key| step.seal(key))
        }
        Entry::Ended { path, id, end } => {
            let step = Step::Ended { id, order, end };
            let mut writes = put(Kind::Step, &path, &|key| step.seal(key));
            writes.push(layout::write(key(Kind::Waiting, &path), Change::Delete));
            writes
        }
        Entry::Decided { path, value } => {
            put(Kind::Decided, &path, &|key| records::seal_value(&value, key))
        }
        Entry::Boundary(boundary) => put(Kind::Boundary, "", &|key| boundary.seal(key)),
        Entry::Child { path, child } => put(Kind::Child, &path, &|key| child.seal(key)),
        Entry::Waiting { path, state } => {
            put(Kind::Waiting, &path, &|key| records::seal_value(&state, key))
        }
        Entry::Forget { path } => {
            let own = Kind::OF_STEPS.map(|kind| layout::write(key(kind, &path), Change::Delete));
            let called = layout::called_at(run, part, &path);
            own.into_iter().chain([layout::write(called, Change::DeleteAll)]).collect()
        }
        Entry::ForgetInside { place } => {
            let own =
                Kind::OF_STEPS.map(|kind| layout::write(key(kind, &place), Change::DeleteAll));
            let called = layout::write(layout::called(run, part, &place), Change::DeleteAll);
            own.into_iter().chain([called]).collect()
        }
    }
}
