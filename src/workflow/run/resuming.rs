//! `workflow.resume`: a paused execution goes on.

use super::{only, whole};
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Outcome, Output, Step as Next, Token, stopped};
use crate::value::Data;
use crate::workflow::Status;

/// Ends with whether there was one, and its result.
pub struct Resuming {
    number: Option<u64>,
}

impl Resuming {
    pub fn new(number: Option<u64>) -> Resuming {
        Resuming { number }
    }

    fn start(&self, runtime: &Runtime) -> Result<Next> {
        let paused = |number: &u64| {
            let execution = runtime.workflows.execution(*number);
            execution.is_ok_and(|execution| execution.status == Status::Paused)
        };
        match self.number.filter(paused) {
            Some(number) => Ok(Next::Run(whole(runtime, number)?)),
            None => Ok(Next::Done(Output::Data(Data::Bool(false)))),
        }
    }
}

impl Machine for Resuming {
    fn step(&mut self, runtime: &mut Runtime, _: Token, outcome: Outcome) -> Result<Next> {
        match outcome {
            Outcome::Start => self.start(runtime),
            Outcome::Finished(outputs) => {
                let result = only(outputs)?.into_data();
                Ok(Next::Done(Output::Data(Data::Many(vec![Data::Bool(true), result]))))
            }
            Outcome::Stop(stop) => Err(stopped(&stop, "the workflow")),
            _ => Err(Error::internal("an execution waits for its end only")),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
