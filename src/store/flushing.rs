//! Several stores flushed at once, as a machine.

use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step, Token, stopped};
use crate::value::Data;

use super::shared::{Pending, Shared};

/// Everything queued, out and durable: ends with the number of writes, in the store and elsewhere.
pub struct Flushing {
    others: Vec<Shared>,
    asked: Vec<Pending>,
    count: u64,
    failed: Option<Error>,
}

impl Flushing {
    /// A flush that the user called for.
    pub fn operation(name: &'static str, others: Vec<Shared>) -> Operation {
        Operation::new(name, Flushing { others, asked: Vec::new(), count: 0, failed: None })
    }

    fn ask(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let store = runtime.store.shared(&runtime.clock).clone();
        for shared in std::iter::once(store).chain(self.others.drain(..)) {
            self.asked.push(shared.flush(runtime.tasks.waker(me)?));
        }
        self.look()
    }

    /// One that fails keeps none of the others from being told.
    fn look(&mut self) -> Result<Step> {
        let mut waiting = Vec::new();
        for pending in self.asked.drain(..) {
            match pending.take() {
                None => waiting.push(pending),
                Some(answer) => match answer.and_then(super::Answer::flushed) {
                    Ok(count) => self.count += count,
                    Err(error) => drop(self.failed.get_or_insert(error)),
                },
            }
        }
        self.asked = waiting;
        match (self.asked.is_empty(), self.failed.take()) {
            (false, failed) => {
                self.failed = failed;
                Ok(Step::Wait(None))
            }
            (true, Some(error)) => Err(error),
            (true, None) => Ok(Step::Done(Output::Data(Data::from(self.count)))),
        }
    }
}

impl Machine for Flushing {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Start => self.ask(runtime, me),
            Outcome::Ready => self.look(),
            Outcome::Stop(stop) => {
                Err(stopped(&stop, "flush (what it asked of the store may still happen)"))
            }
            _ => Err(Error::internal("nothing was called")),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
