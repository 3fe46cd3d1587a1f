//! A run becomes ours: a new one, or one that nobody living has.

use serde_json::json;

use super::layout;
use super::read::{contents, head, lease, named};
use super::records::{self, Lease};
use super::{Head, Options, Owner, Plain, Recorded, abandoned};
use crate::chance;
use crate::clock::Clock;
use crate::error::{Code, Error, Result, quoted};
use crate::store::{Change, Committed, Durability, Expected, Space, Store, UnixMs, Write};
use crate::workflow::Status;

/// How long a run stays ours without a sign of life.
pub const LEASE_MS: UnixMs = 10_000;

/// Who lost it so often to others will not get it.
const ATTEMPTS: u32 = 100;

/// How often a claim of which nobody knows whether it was made is made again.
const DOUBTS: u32 = 3;

/// What is wanted of which run.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    pub run: String,
    /// Name of the workflow.
    pub workflow: String,
    pub version: String,
    /// Hash of its definition, without functions.
    pub definition: u64,
    /// None: as recorded.
    pub input: Option<Plain>,
    /// Of a new run; one that goes on has its own.
    pub options: Options,
    /// Begin the run if there is none.
    pub create: bool,
}

/// What became of a claim.
pub enum Taken {
    /// Ours now; what is recorded of it, unless it is new.
    Ours(Box<Ownership>, Option<Box<Recorded>>),
    Over(Box<Recorded>),
}

/// What one who has a run knows of it.
#[derive(Clone, Debug)]
pub struct Ownership {
    pub head: Head,
    /// Version of the head: as long as it lies there the run is ours.
    pub fence: u64,
    pub lease: Lease,
    /// As they lie in the store.
    pub input: Vec<u8>,
}

/// A run that is there already.
struct Known {
    head: Head,
    version: u64,
    input: Plain,
    bytes: Vec<u8>,
}

impl Known {
    fn find(store: &mut dyn Store, run: &str, now: UnixMs) -> Result<Option<Known>> {
        let Some((head, version)) = head(store, run, now)? else { return Ok(None) };
        let key = layout::input(run);
        let record = store.get(Space::Journal, &key, now)?;
        let bytes = record.ok_or_else(|| super::codec::corrupt(&key))?.bytes;
        let (input, _) = records::read_input(&key, &bytes)?;
        Ok(Some(Known { head, version, input, bytes }))
    }
}

impl Claim {
    /// Fails where the run is somebody's, or another one than meant.
    pub fn take(&self, store: &mut dyn Store, me: &Owner, clock: &Clock) -> Result<Taken> {
        let mine = Lease { owner: me.clone(), token: chance::random() };
        let mut doubts = 0;
        for _ in 0..ATTEMPTS {
            match self.attempt(store, &mine, clock) {
                Ok(Some(taken)) => return Ok(taken),
                Ok(None) => {}
                Err(error) if is_unknown(&error) && doubts < DOUBTS => doubts += 1,
                Err(error) => return Err(error),
            }
        }
        Err(Error::state(format!("{}: others claim it all the time", named(&self.run))))
    }

    /// None: somebody was faster with something.
    fn attempt(&self, store: &mut dyn Store, mine: &Lease, clock: &Clock) -> Result<Option<Taken>> {
        let now = clock.unix_ms();
        let Some(known) = Known::find(store, &self.run, now)? else {
            return self.begin(store, mine, clock);
        };
        self.check(&known)?;
        if known.head.is_over() {
            return Ok(Some(Taken::Over(Box::new(contents(store, known.head, now)?))));
        }
        let held = lease(store, &self.run, now)?;
        if held.as_ref().is_some_and(|(held, _)| held == mine) {
            return self.had(store, known, mine, now).map(Some);
        }
        refuse(&known.head, held.as_ref().map(|(held, _)| held))?;
        self.go_on(store, known, held.map(|(_, version)| version), mine, clock)
    }

    fn begin(&self, store: &mut dyn Store, mine: &Lease, clock: &Clock) -> Result<Option<Taken>> {
        if !self.create {
            return Err(Error::not_found("run", &self.run));
        }
        let head = self.new_head(mine, clock.unix());
        let (key, input) = (layout::input(&self.run), self.input.clone().unwrap_or_default());
        let input = records::seal_input(&input, &self.options, &key);
        let mut writes = claiming(&head, Expected::Absent, None, mine, clock);
        writes.push(layout::put(key, None, |_| input.clone()));
        writes.push(layout::write(layout::details(&self.run), Change::DeleteAll));
        writes.push(layout::write(layout::ending(&self.run), Change::Delete));
        let fence = commit(store, &writes, clock)?;
        let owned = |fence| Ownership { head, fence, lease: mine.clone(), input };
        Ok(fence.map(|fence| Taken::Ours(Box::new(owned(fence)), None)))
    }

    fn new_head(&self, mine: &Lease, at: f64) -> Head {
        Head {
            run: self.run.clone(),
            workflow: self.workflow.clone(),
            version: self.version.clone(),
            definition: self.definition,
            status: Status::Running,
            open: false,
            created_at: at,
            changed_at: at,
            finished_at: None,
            fence: 1,
            owner: mine.owner.clone(),
            is_owned: true,
        }
    }

    fn go_on(
        &self,
        store: &mut dyn Store,
        known: Known,
        held: Option<u64>,
        mine: &Lease,
        clock: &Clock,
    ) -> Result<Option<Taken>> {
        let was_open = known.head.open;
        let head = Head {
            status: Status::Running,
            open: false,
            changed_at: clock.unix(),
            finished_at: None,
            fence: known.head.fence + 1,
            owner: mine.owner.clone(),
            is_owned: true,
            ..known.head
        };
        let writes = claiming(&head, Expected::Version(known.version), held, mine, clock);
        let Some(fence) = commit(store, &writes, clock)? else { return Ok(None) };
        // Behind the fence nobody else changes it. What cannot be read is not kept from others.
        let before = Head { open: was_open, ..head.clone() };
        let recorded = match contents(store, before, clock.unix_ms()) {
            Ok(recorded) => recorded,
            Err(error) => {
                drop(give_back(store, &self.run, fence, clock));
                return Err(error);
            }
        };
        let ownership = Ownership { head, fence, lease: mine.clone(), input: known.bytes };
        Ok(Some(Taken::Ours(Box::new(ownership), Some(Box::new(recorded)))))
    }

    /// The answer to our claim was lost, and it had been made.
    fn had(&self, store: &mut dyn Store, known: Known, mine: &Lease, now: UnixMs) -> Result<Taken> {
        let head = Head { is_owned: true, ..known.head };
        let is_new = head.fence == 1;
        let recorded = contents(store, head.clone(), now)?;
        let ownership =
            Ownership { head, fence: known.version, lease: mine.clone(), input: known.bytes };
        Ok(Taken::Ours(Box::new(ownership), (!is_new).then(|| Box::new(recorded))))
    }

    /// The run must be the one that is meant.
    fn check(&self, known: &Known) -> Result<()> {
        let head = &known.head;
        let taken =
            |what: &str| Error::new(Code::AlreadyExists, format!("{} {what}", named(&self.run)));
        if head.workflow != self.workflow {
            return Err(taken(&format!("is one of the workflow {}", quoted(&head.workflow))));
        }
        if self.input.as_ref().is_some_and(|input| !input.same(&known.input)) {
            return Err(taken("has another input"));
        }
        if (head.definition, &head.version) != (self.definition, &self.version) {
            return Err(self.other_definition(head));
        }
        Ok(())
    }

    fn other_definition(&self, head: &Head) -> Error {
        let details = json!({ "recorded": head.version, "current": self.version });
        let versions = match head.version == self.version {
            true => format!("both are of version {}", quoted(&self.version)),
            false => format!("version {}, now {}", quoted(&head.version), quoted(&self.version)),
        };
        let (run, workflow) = (named(&self.run), quoted(&head.workflow));
        let message =
            format!("{run} was recorded with another definition of {workflow}: {versions}");
        Error::new(Code::VersionMismatch, message).with(|f| f.details = Some(details))
    }
}

/// The version of the head, which is the fence; `None`: somebody was faster.
fn commit(store: &mut dyn Store, writes: &[Write], clock: &Clock) -> Result<Option<u64>> {
    match store.commit(writes, Durability::Sync, clock.unix_ms())? {
        Committed::Done(effects) => Ok(effects.first().map(|effect| effect.version)),
        Committed::Conflict(_) => Ok(None),
    }
}

/// The lease goes, unless somebody else has the run by now.
pub fn give_back(store: &mut dyn Store, run: &str, fence: u64, clock: &Clock) -> Result<()> {
    let only_if = Some(Expected::Version(fence));
    let fenced = Write { only_if, ..layout::write(layout::head(run), Change::Keep) };
    let lease = layout::write(layout::lease(run), Change::Delete);
    store.commit(&[fenced, lease], Durability::Batched, clock.unix_ms()).map(drop)
}

/// The head comes first: its version is the fence.
fn claiming(
    head: &Head,
    expected: Expected,
    lease: Option<u64>,
    mine: &Lease,
    clock: &Clock,
) -> Vec<Write> {
    let run = &head.run;
    let fence = layout::put(layout::head(run), None, |key| head.seal(key));
    let until = Some(clock.unix_ms() + LEASE_MS);
    let held = layout::put(layout::lease(run), until, |key| mine.seal(key));
    let no_other = lease.map_or(Expected::Absent, Expected::Version);
    vec![
        Write { only_if: Some(expected), ..fence },
        Write { only_if: Some(no_other), ..held },
        layout::write(layout::wish(run), Change::Delete),
    ]
}

/// A run with a lease is its owner's, unless that one is gone.
fn refuse(head: &Head, held: Option<&Lease>) -> Result<()> {
    let held = held.filter(|held| !held.owner.is_gone() && !abandoned::has(held));
    let Some(owner) = held.map(|held| &held.owner) else { return Ok(()) };
    let details = json!({
        "reason": "owned",
        "run_id": head.run,
        "owner": { "host": owner.host, "pid": owner.pid },
    });
    let whose = format!("process {} on {}", owner.pid, quoted(&owner.host));
    Err(Error::state(format!("{} is under way in {whose}", named(&head.run)))
        .with(|f| f.details = Some(details)))
}

/// Nobody knows whether the commit was made.
pub fn is_unknown(error: &Error) -> bool {
    error.members().get("unknown").is_some_and(|unknown| unknown == true)
}
