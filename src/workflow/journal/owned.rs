//! A run that is ours, as machines use it.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::asked::{Asked, no_store};
use super::beat::Keeping;
use super::claim::{Claim, Taken};
use super::held::Held;
use super::{Ending, Entry, Owner, Recorded, Step, keeper, layout};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step as Next, Token, stopped};
use crate::store::{Durability, Question, Shared, Store};
use crate::value::Data;

/// Cheap to clone. With the last one that is dropped others may have the run.
#[derive(Clone, Debug)]
pub struct Journal {
    keeping: Arc<Keeping>,
    part: Rc<str>,
}

/// A claim on its way. Whoever drops it before it is answered does not keep the run from others.
pub struct Claiming {
    asked: Asked<Taken>,
    store: Shared,
    gone: Arc<AtomicBool>,
}

pub enum Claimed {
    New(Journal),
    Going(Journal, Box<Recorded>),
    /// How it ended, it is recorded; nothing runs.
    Finished(Box<Recorded>),
}

impl Claiming {
    pub fn ask(runtime: &mut Runtime, me: Token, claim: Claim) -> Result<Claiming> {
        layout::check_run(&claim.run).map_err(|error| error.at("options.run_id"))?;
        let (owner, gone) = (Owner::here(), Arc::new(AtomicBool::new(false)));
        let unwanted = gone.clone();
        let work = move |store: &mut dyn Store, clock: &Clock| {
            let taken = claim.take(store, &owner, clock)?;
            match taken {
                Taken::Ours(owned, _) if unwanted.load(Ordering::Acquire) => {
                    Held::new(owned, 0).release(store, clock)?;
                    Err(Error::internal("nobody wants the run any more"))
                }
                taken => Ok(taken),
            }
        };
        let store = runtime.backing().ok_or_else(no_store)?.clone();
        Ok(Claiming { asked: Asked::of(runtime, me, work)?, store, gone })
    }

    /// None: not yet; the machine's token is posted then.
    pub fn take(&self, runtime: &mut Runtime) -> Option<Result<Claimed>> {
        let taken = self.asked.take()?;
        Some(taken.and_then(|taken| Claimed::of(runtime, taken)))
    }
}

impl Drop for Claiming {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Release);
        if let Some(Ok(Taken::Ours(owned, _))) = self.asked.take() {
            let held = Held::new(owned, 0);
            let release = move |store: &mut dyn Store, clock: &Clock| held.release(store, clock);
            self.store.tell(Question::Do(Box::new(release)));
        }
    }
}

impl Claimed {
    fn of(runtime: &mut Runtime, taken: Taken) -> Result<Claimed> {
        let (owned, recorded) = match taken {
            Taken::Over(recorded) => return Ok(Claimed::Finished(recorded)),
            Taken::Ours(owned, recorded) => (owned, recorded),
        };
        let order = recorded.as_ref().map_or(0, |recorded| recorded.next_order());
        let store = runtime.backing().ok_or_else(no_store)?.clone();
        let keeping = Keeping::begin(Held::new(owned, order), store)?;
        let journal = Journal { keeping, part: "".into() };
        Ok(match recorded {
            None => Claimed::New(journal),
            Some(recorded) => Claimed::Going(journal, recorded),
        })
    }
}

impl Recorded {
    /// What is recorded of the part that a journal writes.
    pub fn part(&self, journal: &Journal) -> Option<&super::Progress> {
        if journal.part.is_empty() { Some(&self.own) } else { self.parts.get(&*journal.part) }
    }

    fn next_order(&self) -> u64 {
        let parts = std::iter::once(&self.own).chain(self.parts.values());
        let steps = parts.flat_map(|part| part.steps.values());
        let orders = steps.map(|step| match step {
            Step::Ended { order, .. } => order + 1,
            Step::Started { .. } => 0,
        });
        orders.max().unwrap_or(0)
    }
}

impl Journal {
    pub fn run(&self) -> &str {
        self.keeping.held.run()
    }

    pub fn fence(&self) -> u64 {
        self.keeping.held.owned.head.fence
    }

    /// For the records of the workflow that is called at that path.
    #[must_use]
    pub fn part(&self, path: &str) -> Journal {
        let part = layout::part(&self.part, path).into();
        Journal { keeping: self.keeping.clone(), part }
    }

    /// Why nothing can be written any more, if somebody else has the run.
    pub fn lost(&self) -> Option<Error> {
        self.keeping.held.lost()
    }

    /// To be written with the next commit.
    pub fn queue(&self, entry: Entry) {
        self.keeping.held.queue(&self.part, entry);
    }

    /// Writes all that is queued, in one batch, and ends when it is on the disk. What agents and
    /// tools have put into memory by then is in the store before it.
    pub fn commit(&self) -> Operation {
        Operation::new(
            "journal_commit",
            Writing { journal: self.clone(), ending: None, asked: None },
        )
    }

    /// The same for a machine that waits by itself.
    pub fn committing(&self, runtime: &mut Runtime, me: Token) -> Result<Committing> {
        self.ask(runtime, me, None)
    }

    /// The run stops, with all that is queued: somebody else may have it, or nobody needs to.
    pub fn leave(&self, ending: Ending) -> Operation {
        let writing = Writing { journal: self.clone(), ending: Some(ending), asked: None };
        Operation::new("journal_commit", writing)
    }

    /// The same for a machine that waits by itself, or that nobody lets wait any more.
    pub fn leaving(&self, runtime: &mut Runtime, me: Token, ending: Ending) -> Result<Committing> {
        self.ask(runtime, me, Some(ending))
    }

    /// What other processes wish is done to that execution, for as long as the run is ours.
    pub fn keeper(&self, execution: u64) -> Operation {
        keeper::operation(&self.keeping, execution)
    }

    fn ask(&self, runtime: &mut Runtime, me: Token, ending: Option<Ending>) -> Result<Committing> {
        let waker = runtime.tasks.waker(me)?;
        let (store, held) = (self.keeping.store(), self.keeping.held.clone());
        if store.queued() > 0 {
            store.tell(Question::Commit { writes: Vec::new(), durability: Durability::Batched });
        }
        let (upto, keep_ms) = (held.queued(), runtime.config.journal_keep_ms);
        Ok(Committing(Asked::ask(&store, waker, move |store, clock| match &ending {
            Some(ending) => held.leave(store, ending, keep_ms, clock),
            None => held.flush(store, upto, clock),
        })))
    }
}

/// A commit on its way.
#[derive(Debug)]
pub struct Committing(Asked<()>);

impl Committing {
    /// None: not yet; the machine's token is posted then.
    pub fn take(&self) -> Option<Result<()>> {
        self.0.take()
    }
}

/// A commit, or the last one, as a machine.
struct Writing {
    journal: Journal,
    ending: Option<Ending>,
    asked: Option<Committing>,
}

impl Writing {
    fn look(&mut self) -> Result<Next> {
        match self.asked.as_ref().and_then(Committing::take) {
            None => Ok(Next::Wait(None)),
            Some(answer) => {
                let keeping = &self.journal.keeping;
                if keeping.held.is_over() {
                    keeping.wake();
                }
                answer.map(|()| Next::Done(Output::Data(Data::Nil)))
            }
        }
    }
}

impl Machine for Writing {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        match outcome {
            Outcome::Start => {
                self.asked = Some(self.journal.ask(runtime, me, self.ending.take())?);
                self.look()
            }
            Outcome::Stop(stop) => Err(stopped(&stop, "writing the journal (it may still happen)")),
            _ => self.look(),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
