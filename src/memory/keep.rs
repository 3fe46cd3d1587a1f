//! Entries are kept, one or many: in the process, in the store, or where there is none yet.
//!
//! A key has one entry. So what is kept in the process is taken out of the store, and the other way
//! round; writes to the store are queued, unless somebody wants to know that they are there.

use std::collections::VecDeque;

use super::{Entry, Kind, Put, Spot};
use crate::error::{Error, Result};
use crate::event::Builtin;
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step, Token, stopped};
use crate::store::{
    Answer, Change, Committed, Durability, Expected, Pending, Question, Shared, Space, Write,
};
use crate::value::Data;

/// One entry that is to be kept.
pub struct Item {
    pub spot: Spot,
    /// None: forgotten.
    pub entry: Option<Entry>,
    pub if_absent: bool,
    pub sync: bool,
}

/// Keeps items in their order.
pub struct Keep {
    items: VecDeque<Item>,
    /// Writes that the caller waits for.
    awaited: Vec<Write>,
    /// They shall be durable.
    sync: bool,
    /// The item that waits for the store.
    open: Option<Item>,
    /// The one that was chosen when it began.
    store: Option<Shared>,
    pending: Option<Pending>,
    pub kept: u64,
    /// What is to be told once all is kept.
    changed: Vec<(Vec<u8>, &'static str)>,
    /// What the machine ends with.
    result: fn(u64) -> Data,
}

impl Keep {
    pub fn new(items: Vec<Item>, result: fn(u64) -> Data) -> Keep {
        let (awaited, open, store, pending) = (Vec::new(), None, None, None);
        let (items, sync, kept, changed) = (items.into(), false, 0, Vec::new());
        Keep { items, awaited, sync, open, store, pending, kept, changed, result }
    }

    pub fn operation(self) -> Operation {
        let (name, subject) = ("memory_write", String::new());
        Operation { name, subject, machine: Box::new(self), deadline: None }
    }

    /// Keeps what can be kept at once. The result, unless the store has to be asked.
    pub fn begin(&mut self, runtime: &mut Runtime) -> Result<Option<Data>> {
        while let Some(item) = self.items.pop_front() {
            let Some(open) = self.one(runtime, item)? else { continue };
            // What came before it may be of its key.
            if self.awaited.is_empty() {
                self.open = Some(open);
            } else {
                self.items.push_front(open);
            }
            return Ok(None);
        }
        if !self.awaited.is_empty() {
            return Ok(None);
        }
        self.changed.drain(..).for_each(|(key, op)| runtime.tell_entry(&key, op));
        Ok(Some((self.result)(self.kept)))
    }

    fn changes(&mut self, runtime: &Runtime, key: &[u8], op: &'static str) {
        if runtime.events.wants(Builtin::MemoryUpdated) {
            self.changed.push((key.to_vec(), op));
        }
    }

    /// Gives the item back if the store must be asked first.
    fn one(&mut self, runtime: &mut Runtime, item: Item) -> Result<Option<Item>> {
        if item.if_absent && item.entry.is_some() {
            return self.if_absent(runtime, item);
        }
        self.put(runtime, item)?;
        Ok(None)
    }

    fn if_absent(&mut self, runtime: &mut Runtime, item: Item) -> Result<Option<Item>> {
        let now = runtime.clock.unix_ms();
        let is_here = |space: &mut super::Space| space.peek(&item.spot.key, now).is_some();
        if runtime.memory.within(item.spot.scope, is_here) {
            return Ok(None);
        }
        if self.store(runtime).is_some() {
            return Ok(Some(item));
        }
        self.put_absent(runtime, item);
        Ok(None)
    }

    fn store(&mut self, runtime: &mut Runtime) -> Option<&Shared> {
        if self.store.is_none() {
            self.store = runtime.backing().cloned();
        }
        self.store.as_ref()
    }

    /// Nothing is in the store.
    fn put_absent(&mut self, runtime: &mut Runtime, item: Item) {
        let Some(entry) = item.entry else { return };
        if runtime.keep_if(&item.spot, Expected::Absent, entry) == Put::Done {
            self.kept += 1;
            self.changes(runtime, &item.spot.key, "store");
        }
    }

    fn put(&mut self, runtime: &mut Runtime, item: Item) -> Result<()> {
        self.kept += 1;
        self.changes(
            runtime,
            &item.spot.key,
            if item.entry.is_some() { "store" } else { "delete" },
        );
        let backed = self.store(runtime).is_some();
        let Item { spot, entry, sync, .. } = item;
        let there = match entry {
            Some(entry) if !backed || entry.kind != Kind::Persistent => {
                // What is in the process already was taken out of the store then.
                let new = !runtime.keep(&spot, entry);
                (backed && new).then(|| write(&spot, None))
            }
            entry => {
                runtime.forget(&spot);
                backed.then(|| write(&spot, entry.as_ref()))
            }
        };
        match there {
            Some(write) if sync => {
                self.sync = true;
                self.awaited.push(write);
            }
            Some(write) => return self.send(runtime, write),
            None => {}
        }
        Ok(())
    }

    fn send(&mut self, runtime: &mut Runtime, write: Write) -> Result<()> {
        let policy = runtime.config.batch.policy;
        match self.store(runtime) {
            Some(store) if policy.enabled && store.has_room() => store.queue(vec![write], policy),
            // Nothing shall be put off, or the store does not keep up: its caller waits for it.
            _ => {
                self.awaited.push(write);
                Ok(())
            }
        }
    }

    /// What the store is asked next.
    fn question(&mut self) -> Question {
        let Some(item) = &self.open else {
            let writes = std::mem::take(&mut self.awaited);
            return Question::Commit { writes, durability: durability(self.sync) };
        };
        match &item.entry {
            Some(entry) if entry.kind == Kind::Persistent => {
                let only_if = Some(Expected::Absent);
                let writes = vec![Write { only_if, ..write(&item.spot, Some(entry)) }];
                Question::Commit { writes, durability: durability(item.sync) }
            }
            _ => Question::Get { space: Space::Memory, keys: vec![item.spot.key.clone()] },
        }
    }

    fn ask(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let waker = runtime.tasks.waker(me)?;
        let question = self.question();
        self.pending = self.store(runtime).map(|store| store.ask(question, waker));
        self.look(runtime, me)
    }

    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let Some(answer) = self.pending.as_ref().and_then(Pending::take) else {
            return Ok(Step::Wait(None));
        };
        self.pending = None;
        self.answered(runtime, answer?)?;
        match self.begin(runtime)? {
            Some(data) => Ok(Step::Done(Output::Data(data))),
            None => self.ask(runtime, me),
        }
    }

    fn answered(&mut self, runtime: &mut Runtime, answer: Answer) -> Result<()> {
        let Some(item) = self.open.take() else { return Ok(()) };
        match answer {
            Answer::Committed(Committed::Done(_)) => {
                self.kept += 1;
                self.changes(runtime, &item.spot.key, "store");
            }
            Answer::Committed(Committed::Conflict(_)) => {}
            Answer::Records(found) if found.iter().all(Option::is_none) => {
                self.put_absent(runtime, item);
            }
            Answer::Records(_) => {}
            _ => return Err(Error::internal("the store answered something else")),
        }
        Ok(())
    }
}

impl Machine for Keep {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Start => self.ask(runtime, me),
            Outcome::Stop(stop) => Err(stopped(&stop, "storing (it may still happen)")),
            _ => self.look(runtime, me),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}

fn durability(sync: bool) -> Durability {
    if sync { Durability::Sync } else { Durability::Batched }
}

/// What a store is told of an entry; none: that it is gone.
pub fn write(spot: &Spot, entry: Option<&Entry>) -> Write {
    let change = match entry {
        Some(entry) => Change::Put { bytes: entry.to_bytes(), expires_at: entry.expires_at },
        None => Change::Delete,
    };
    Write { space: Space::Memory, key: spot.key.clone(), change, only_if: None }
}
