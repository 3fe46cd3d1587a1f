//! One question to the store, as a machine.

use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step, Token, stopped};
use crate::value::Data;

use super::shared::{Answer, Pending, Question};

/// What a call makes of the answer.
type Then = Box<dyn FnOnce(&mut Runtime, Answer) -> Result<Data>>;

/// Asks, waits, and ends with what is made of the answer. A cancel or a deadline ends the wait
/// only: what was asked for happens all the same.
pub struct Asking {
    name: &'static str,
    asked: Asked,
    then: Option<Then>,
}

enum Asked {
    Not(Question),
    Now(Pending),
    Over,
}

impl Asking {
    pub fn operation(
        name: &'static str,
        question: Question,
        then: impl FnOnce(&mut Runtime, Answer) -> Result<Data> + 'static,
    ) -> Operation {
        operation(name, Asked::Not(question), Box::new(then))
    }

    fn ask(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let waker = runtime.tasks.waker(me)?;
        let store = runtime.store.shared(&runtime.clock);
        self.asked = match std::mem::replace(&mut self.asked, Asked::Over) {
            Asked::Not(question) => Asked::Now(store.ask(question, waker)),
            asked => asked,
        };
        self.look(runtime)
    }

    fn look(&mut self, runtime: &mut Runtime) -> Result<Step> {
        let answer = match &self.asked {
            Asked::Now(pending) => pending.take(),
            _ => None,
        };
        let Some(answer) = answer else { return Ok(Step::Wait(None)) };
        let then = self.then.take().ok_or_else(|| Error::internal("answered twice"))?;
        then(runtime, answer?).map(|data| Step::Done(Output::Data(data)))
    }
}

fn operation(name: &'static str, asked: Asked, then: Then) -> Operation {
    Operation::new(name, Asking { name, asked, then: Some(then) })
}

impl Machine for Asking {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Start => self.ask(runtime, me),
            Outcome::Ready => self.look(runtime),
            Outcome::Stop(stop) => Err(stopped(
                &stop,
                &format!("{} (what it asked of the store may still happen)", self.name),
            )),
            _ => Err(Error::internal("nothing was called")),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
