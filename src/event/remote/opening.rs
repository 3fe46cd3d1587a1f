//! The call that opens a link, as a machine: it ends when the first connection stands.

use crate::clock::Busy;
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step, Token, stopped};
use crate::value::Data;

use super::{Links, Plan};

pub struct Opening {
    number: u64,
    _busy: Busy,
}

impl Opening {
    pub fn operation(runtime: &mut Runtime, plan: Plan) -> Result<Operation> {
        let number = runtime.events.links.insert(plan, &mut runtime.tasks)?;
        let machine = Box::new(Opening { number, _busy: runtime.clock.busy() });
        let subject = Links::id(number);
        Ok(Operation { name: "event_bridge", subject, machine, deadline: None })
    }

    fn look(&self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let waker = runtime.tasks.waker(me)?;
        let gone = || Error::state("the bridge was ended while it was being opened");
        let link = runtime.events.links.get_mut(self.number).ok_or_else(gone)?;
        match link.opened(&waker) {
            None => Ok(Step::Wait(None)),
            Some(Err(error)) => Err(error),
            Some(Ok(())) => {
                runtime.events.changed();
                Ok(Step::Done(Output::Data(Data::from(Links::id(self.number)))))
            }
        }
    }

    fn advance(&self, runtime: &mut Runtime, me: Token, outcome: &Outcome) -> Result<Step> {
        match outcome {
            Outcome::Start => {
                let Runtime { events, clock, .. } = runtime;
                events.links.open(self.number, clock)?;
                self.look(runtime, me)
            }
            Outcome::Ready => self.look(runtime, me),
            Outcome::Stop(stop) => Err(stopped(stop, "opening the bridge")),
            _ => Err(Error::internal("nothing was called")),
        }
    }

    fn remove(&self, runtime: &mut Runtime) {
        runtime.events.links.remove(self.number);
    }
}

impl Machine for Opening {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        let step = self.advance(runtime, me, &outcome);
        step.inspect_err(|_| self.remove(runtime))
    }

    fn abandon(&mut self, runtime: &mut Runtime, _: Token) {
        self.remove(runtime);
    }
}
