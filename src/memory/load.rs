//! Memory is read from where it was persisted: all of it, or nothing.

use std::path::PathBuf;
use std::rc::Rc;

use super::extent::kept;
use super::files;
use super::pages::{Found, Pages};
use super::snapshot::Snapshot;
use super::{Entry, Extent, Kind, Spot, Talk, address, write};
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step, Token, stopped};
use crate::store::{Change, Filing, Pending, Question, Record, Space, Write};
use crate::value::Data;

pub struct Load {
    extent: Extent,
    /// What is not loaded goes.
    replace: bool,
    /// None: the store.
    path: Option<PathBuf>,
    snapshot: Snapshot,
    left: Vec<Space>,
    reading: Option<Space>,
    found: Found,
    waits: Waits,
}

enum Waits {
    Nothing,
    File(Filing<Snapshot>),
    /// For the PERSISTENT entries that have keys of the snapshot.
    Newer(Pending),
    Commit(Pending),
}

impl Load {
    pub fn operation(extent: Extent, replace: bool, path: Option<PathBuf>) -> Operation {
        Operation::new(
            "memory_read",
            Load {
                extent,
                replace,
                path,
                snapshot: Snapshot::default(),
                left: Vec::new(),
                reading: None,
                found: Rc::default(),
                waits: Waits::Nothing,
            },
        )
    }

    fn begin(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let Some(path) = self.path.clone() else { return self.read_store(runtime, me) };
        let (waker, now) = (runtime.tasks.waker(me)?, runtime.clock.unix_ms());
        let read = move || {
            let bytes = files::read(&path)?;
            Snapshot::from_text(&bytes, now)
                .map_err(|error| error.at(&crate::error::quoted(&path.to_string_lossy())))
        };
        self.waits = Waits::File(Filing::start(&runtime.clock, waker, read)?);
        self.look(runtime, me)
    }

    fn read_store(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        if runtime.backing().is_none() {
            return Err(Error::state("there is no store: give a path, or configure{store=} first"));
        }
        self.left.extend(self.extent.talks.then_some(Space::Conversations));
        self.left.push(Space::Snapshot);
        self.next(runtime, me)
    }

    fn next(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        self.reading = self.left.pop();
        match self.reading {
            Some(space) => Ok(Step::Run(Pages::operation(space, Vec::new(), &self.found))),
            None => self.newer(runtime, me),
        }
    }

    fn read(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        for (key, record) in self.found.take() {
            if self.reading == Some(Space::Snapshot) {
                self.entry(&key, &record)?;
            } else {
                self.snapshot.talks.push(Talk::from_bytes(&key, &record.bytes)?);
            }
        }
        self.next(runtime, me)
    }

    fn entry(&mut self, key: &[u8], record: &Record) -> Result<()> {
        let unknown = || super::corrupt("the store holds a damaged snapshot");
        let (kind, key) = kept(key).ok_or_else(unknown)?;
        let entry = Entry::from_bytes(&record.bytes, 0, record.expires_at)?;
        self.snapshot.entries.push((key.to_vec(), Entry { kind, ..entry }));
        Ok(())
    }

    /// What has since become PERSISTENT is newer than what was persisted.
    fn newer(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let keys: Vec<_> = self.snapshot.entries.iter().map(|(key, _)| key.clone()).collect();
        let question = Question::Get { space: Space::Memory, keys };
        self.waits = Waits::Newer(runtime.ask_store(me, question)?);
        self.look(runtime, me)
    }

    fn without(&mut self, newer: Vec<Option<Record>>) {
        let mut newer = newer.into_iter();
        self.snapshot.entries.retain(|_| newer.next().flatten().is_none());
    }

    /// Everything is known: the store first, as it may fail.
    fn apply(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let now = runtime.clock.unix_ms();
        let extent = &self.extent;
        self.snapshot.entries.retain(|(key, e)| extent.takes(key, e.kind) && e.is_live(now));
        if !extent.talks {
            self.snapshot.talks.clear();
        }
        runtime.check_talks(&self.snapshot.talks, self.replaces_talks())?;
        let writes = self.writes(runtime);
        if writes.is_empty() {
            return self.finish(runtime);
        }
        let durability = runtime.config.durability;
        let question = Question::Commit { writes, durability };
        self.waits = Waits::Commit(runtime.ask_store(me, question)?);
        self.look(runtime, me)
    }

    fn replaces_talks(&self) -> bool {
        self.replace && self.extent.talks
    }

    /// What the store must know of entries that came out of a file.
    fn writes(&self, runtime: &mut Runtime) -> Vec<Write> {
        if self.path.is_none() || runtime.backing().is_none() {
            return Vec::new();
        }
        let mut writes = Vec::new();
        let persistent = self.extent.takes_kind(Kind::Persistent);
        if self.replace && persistent {
            let (space, key) = (Space::Memory, self.extent.prefix());
            writes.push(Write { space, key, change: Change::DeleteAll, only_if: None });
        }
        let now = runtime.clock.unix_ms();
        for (key, entry) in &self.snapshot.entries {
            let spot = Spot::of(key);
            let here = |space: &mut super::Space| space.peek(key, now).is_some();
            if entry.kind == Kind::Persistent {
                writes.push(write(&spot, Some(entry)));
            } else if !runtime.memory.within(spot.scope, here) {
                writes.push(write(&spot, None));
            }
        }
        writes
    }

    /// Nothing of this can fail.
    fn finish(&mut self, runtime: &mut Runtime) -> Result<Step> {
        let Snapshot { entries, talks } = std::mem::take(&mut self.snapshot);
        let count = entries.len() + talks.len();
        let now = runtime.clock.unix_ms();
        if self.replace {
            for kind in Kind::ALL.into_iter().filter(|kind| self.extent.takes_kind(*kind)) {
                let mut selection = self.extent.selection();
                selection.kind = Some(kind);
                selection.forget(&mut runtime.memory, now);
            }
        }
        let backed = runtime.backing().is_some();
        for (key, entry) in entries {
            let spot = Spot::of(&key);
            if self.path.is_none()
                && let Some((address, _)) = address::parse(&key)
            {
                runtime.memory.persisted.insert(address.prefix());
            }
            if backed && entry.kind == Kind::Persistent {
                runtime.forget(&spot);
            } else {
                runtime.keep(&spot, entry);
            }
        }
        runtime.attach(talks, self.replaces_talks(), self.path.is_some());
        runtime.tell_entries("load", count as u64);
        Ok(Step::Done(Output::Data(Data::Many(vec![Data::Bool(true), Data::from(count)]))))
    }

    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let waits = std::mem::replace(&mut self.waits, Waits::Nothing);
        match &waits {
            Waits::Nothing => {}
            Waits::File(filing) => {
                if let Some(snapshot) = filing.take() {
                    self.snapshot = snapshot?;
                    return self.apply(runtime, me);
                }
            }
            Waits::Newer(pending) => {
                if let Some(answer) = pending.take() {
                    self.without(answer?.records()?);
                    return self.apply(runtime, me);
                }
            }
            Waits::Commit(pending) => {
                if let Some(answer) = pending.take() {
                    answer?;
                    return self.finish(runtime);
                }
            }
        }
        self.waits = waits;
        Ok(Step::Wait(None))
    }
}

impl Machine for Load {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Start => self.begin(runtime, me),
            Outcome::Finished(outputs) => {
                outputs.into_iter().try_for_each(|output| output.map(drop))?;
                self.read(runtime, me)
            }
            Outcome::Stop(stop) => Err(stopped(&stop, "loading")),
            _ => self.look(runtime, me),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
