//! What other processes wish of a run that is ours, done to its execution.

use std::sync::{Arc, Weak};

use super::Wish;
use super::beat::Keeping;
use crate::error::Result;
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step, Token, stopped};
use crate::value::Data;
use crate::workflow::control;

pub fn operation(keeping: &Arc<Keeping>, execution: u64) -> Operation {
    Operation::new("journal_keep", Keeper { keeping: Arc::downgrade(keeping), execution })
}

/// Ends with the run.
struct Keeper {
    keeping: Weak<Keeping>,
    execution: u64,
}

impl Keeper {
    fn look(&self, runtime: &mut Runtime) -> Result<Step> {
        let Some(keeping) = self.keeping.upgrade() else { return Ok(done()) };
        let wishes = keeping.wishes();
        if keeping.held.is_over() {
            return Ok(done());
        }
        wishes.into_iter().try_for_each(|wish| self.perform(runtime, wish))?;
        Ok(Step::Wait(None))
    }

    fn perform(&self, runtime: &mut Runtime, wish: Wish) -> Result<()> {
        match wish {
            Wish::Pause => runtime.workflows.pause(self.execution).map(drop),
            Wish::Resume => runtime.workflows.unpause(self.execution),
            Wish::Cancel(reason) => {
                control::cancel(runtime, self.execution, reason.as_deref()).map(drop)
            }
        }
    }
}

fn done() -> Step {
    Step::Done(Output::Data(Data::Nil))
}

impl Machine for Keeper {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Start => {
                let waker = runtime.tasks.waker(me)?;
                if let Some(keeping) = self.keeping.upgrade() {
                    keeping.listen(waker);
                }
                self.look(runtime)
            }
            Outcome::Stop(stop) => Err(stopped(&stop, "keeping the run")),
            _ => self.look(runtime),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
