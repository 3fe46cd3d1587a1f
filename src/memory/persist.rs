//! Memory is written where it outlives the process: into a snapshot file, or into the store.
//!
//! In the store PERSISTENT entries lie already. What else there is goes into a space of its own,
//! where it is nobody else's memory; it takes the place of what this process wrote there before.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;

use super::extent::kept_key;
use super::files;
use super::pages::{Found, Pages};
use super::snapshot::Snapshot;
use super::{Address, Entry, Extent, Kind, Scope, Talk, Versions, address, forget};
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step, Token, stopped};
use crate::store::{Change, Durability, Filing, Pending, Question, Space, Write};
use crate::value::Data;

pub struct Persist {
    extent: Extent,
    /// None: the store.
    path: Option<PathBuf>,
    snapshot: Snapshot,
    /// Spaces of the store that are still to be read.
    left: Vec<Space>,
    reading: Option<Space>,
    found: Found,
    waits: Waits,
    count: usize,
    /// Of what is written.
    versions: Versions,
}

enum Waits {
    Nothing,
    Store(Pending),
    File(Filing<()>),
}

impl Persist {
    pub fn operation(extent: Extent, path: Option<PathBuf>) -> Operation {
        Operation::new(
            "memory_write",
            Persist {
                extent,
                path,
                snapshot: Snapshot::default(),
                left: Vec::new(),
                reading: None,
                found: Rc::default(),
                waits: Waits::Nothing,
                count: 0,
                versions: Versions::default(),
            },
        )
    }

    fn begin(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        if self.path.is_none() && runtime.backing().is_none() {
            return Err(Error::state("there is no store: give a path, or configure{store=} first"));
        }
        runtime.settle_persistent()?;
        self.gather(runtime);
        if self.path.is_some() && runtime.backing().is_some() {
            let persistent = self.extent.takes_kind(Kind::Persistent);
            self.left.extend(persistent.then_some(Space::Memory));
            self.left.extend(self.extent.talks.then_some(Space::Conversations));
        }
        self.next(runtime, me)
    }

    /// What lies in the process.
    fn gather(&mut self, runtime: &mut Runtime) {
        self.versions = runtime.memory.versions();
        let now = runtime.clock.unix_ms();
        let (extent, entries) = (&self.extent, &mut self.snapshot.entries);
        extent.selection().each(&mut runtime.memory, now, |key, entry| {
            if extent.takes_kind(entry.kind) {
                entries.push((key.to_vec(), entry.clone()));
            }
        });
        if extent.talks {
            self.snapshot.talks = runtime.talks();
        }
    }

    fn next(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        self.reading = self.left.pop();
        match (self.reading, self.path.clone()) {
            (Some(space), _) => {
                let memory = space == Space::Memory;
                let prefix = if memory { self.extent.prefix() } else { Vec::new() };
                Ok(Step::Run(Pages::operation(space, prefix, &self.found)))
            }
            (None, Some(path)) => self.write_file(runtime, me, path),
            (None, None) => self.write_store(runtime, me),
        }
    }

    fn read(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let mut stored = Vec::new();
        for (key, record) in self.found.take() {
            if self.reading == Some(Space::Memory) {
                self.snapshot.entries.push((key, Entry::from_record(&record)?));
            } else {
                stored.push(Talk::from_bytes(&key, &record.bytes)?);
            }
        }
        // What an agent of this process says now is newer than what it said when it was persisted.
        let own = runtime.own_talkers();
        self.snapshot.talks.extend(stored.into_iter().filter(|talk| !own.contains(&talk.agent)));
        self.next(runtime, me)
    }

    fn write_file(&mut self, runtime: &mut Runtime, me: Token, path: PathBuf) -> Result<Step> {
        let waker = runtime.tasks.waker(me)?;
        let snapshot = std::mem::take(&mut self.snapshot);
        self.count = snapshot.entries.len() + snapshot.talks.len();
        let saved_at = runtime.clock.unix();
        let write = move || files::replace(&path, &snapshot.to_text(saved_at));
        self.waits = Waits::File(Filing::start(&runtime.clock, waker, write)?);
        self.look(runtime)
    }

    fn write_store(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let writes = self.writes(runtime);
        let question = match writes.is_empty() {
            true => Question::Flush,
            false => Question::Commit { writes, durability: Durability::Sync },
        };
        self.waits = Waits::Store(runtime.ask_store(me, question)?);
        self.look(runtime)
    }

    fn writes(&mut self, runtime: &mut Runtime) -> Vec<Write> {
        let snapshot = std::mem::take(&mut self.snapshot);
        let put = |key, change| Write { space: Space::Snapshot, key, change, only_if: None };
        let mut writes = Vec::new();
        for prefix in self.replaced(runtime, &snapshot) {
            writes.push(put(prefix, Change::DeleteAll));
        }
        for (key, entry) in snapshot.entries {
            // It may have been of another type the last time.
            let other = if entry.kind == Kind::Short { Kind::Long } else { Kind::Short };
            if self.extent.kinds.is_some() {
                writes.push(put(kept_key(other, &key), Change::Delete));
            }
            let (bytes, expires_at) = (entry.to_bytes(), entry.expires_at);
            writes.push(put(kept_key(entry.kind, &key), Change::Put { bytes, expires_at }));
            self.count += 1;
        }
        if self.extent.talks {
            writes.extend(runtime.own_talkers().iter().map(|agent| forget(agent)));
        }
        self.count += snapshot.talks.len();
        writes.extend(snapshot.talks.iter().map(|talk| talk.write(None)));
        writes
    }

    /// Prefixes of what this process wrote the last time: of each of its owners.
    fn replaced(&self, runtime: &mut Runtime, snapshot: &Snapshot) -> Vec<Vec<u8>> {
        let own = [Address::default(), Address::new(Scope::Session, runtime.session())];
        let agents = runtime.agents.iter().map(|(_, agent)| agent.owner());
        let agents = agents.map(|owner| Address::new(Scope::Agent, owner));
        let seen = snapshot.entries.iter().filter_map(|(key, _)| address::parse(key));
        let all = own.into_iter().chain(agents).chain(seen.map(|(address, _)| address));
        let mut prefixes: BTreeSet<Vec<u8>> = all.map(|address| address.prefix()).collect();
        prefixes.append(&mut runtime.memory.persisted);
        runtime.memory.persisted.clone_from(&prefixes);
        let extent = &self.extent;
        let kinds = [Kind::Short, Kind::Long].into_iter().filter(|kind| extent.takes_kind(*kind));
        let prefixes: Vec<_> =
            prefixes.into_iter().filter(|p| p.starts_with(&extent.prefix())).collect();
        kinds.flat_map(|kind| prefixes.iter().map(move |p| kept_key(kind, p))).collect()
    }

    fn look(&mut self, runtime: &mut Runtime) -> Result<Step> {
        let done = match &self.waits {
            Waits::Nothing => None,
            Waits::Store(pending) => pending.take().map(|answer| answer.map(drop)),
            Waits::File(filing) => filing.take(),
        };
        match done {
            None => Ok(Step::Wait(None)),
            Some(done) => done.map(|()| {
                if self.path.is_some() && self.extent.is_whole() {
                    runtime.memory.saved = self.versions;
                }
                let results = vec![Data::Bool(true), Data::from(self.count)];
                Step::Done(Output::Data(Data::Many(results)))
            }),
        }
    }
}

impl Machine for Persist {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Start => self.begin(runtime, me),
            Outcome::Finished(outputs) => {
                outputs.into_iter().try_for_each(|output| output.map(drop))?;
                self.read(runtime, me)
            }
            Outcome::Stop(stop) => Err(stopped(&stop, "persisting (it may still happen)")),
            _ => self.look(runtime),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
