//! `on_error = "return"`: an execution whose failure is a result.

use super::executing::result;
use super::{only, whole};
use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step as Next, Token, stopped};
use crate::value::Data;

pub struct Returning {
    number: u64,
}

impl Returning {
    pub fn operation(number: u64) -> Operation {
        Operation::new("workflow_returning", Returning { number })
    }

    fn failed(&self, runtime: &mut Runtime) -> Result<Next> {
        let execution = runtime.workflows.execution(self.number)?;
        if execution.scope.is_none() && matches!(execution.result, Data::Slot(_)) {
            // As it was recorded.
            return Ok(Next::Done(Output::Data(execution.result.clone())));
        }
        let status = execution.status;
        let record = result(runtime, self.number, status)?;
        Ok(Next::Done(Output::Data(Data::Record(record))))
    }
}

impl Machine for Returning {
    fn step(&mut self, runtime: &mut Runtime, _: Token, outcome: Outcome) -> Result<Next> {
        match outcome {
            Outcome::Start => {
                Ok(Next::Run(whole(runtime, self.number)?))
            }
            Outcome::Finished(outputs) => match only(outputs) {
                Ok(output) => Ok(Next::Done(output)),
                Err(error) if error.code() == Code::Cancelled => Err(error),
                Err(_) => self.failed(runtime),
            },
            Outcome::Stop(stop) => Err(stopped(&stop, "the workflow")),
            _ => Err(Error::internal("an execution waits for its end only")),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
