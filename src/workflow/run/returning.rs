//! `on_error = "return"`: an execution whose failure is a result.

use super::executing::{Executing, result};
use super::only;
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step as Next, Token, stopped};
use crate::value::Record;
use crate::workflow::Status;

pub struct Returning {
    number: u64,
}

/// The failure as a result.
pub fn failed(runtime: &Runtime, number: u64) -> Result<Record> {
    result(runtime, number, Status::Failed)
}

impl Returning {
    pub fn operation(number: u64) -> Operation {
        Operation::new("workflow_returning", Returning { number })
    }

    fn start(&self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        runtime.workflows.watch(self.number, me)?;
        let executing = Executing::new(runtime, self.number)?;
        Ok(Next::Run(executing.operation(runtime)))
    }

    fn came_back(&self, runtime: &mut Runtime, output: Result<Output>) -> Result<Next> {
        let status = runtime.workflows.execution(self.number)?.status;
        match output {
            Err(_) if status == Status::Failed => {
                Ok(Next::Done(Output::Data(failed(runtime, self.number)?.into())))
            }
            output => output.map(Next::Done),
        }
    }
}

impl Machine for Returning {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        match outcome {
            Outcome::Start => self.start(runtime, me),
            Outcome::Finished(outputs) => {
                let came = self.came_back(runtime, only(outputs));
                runtime.workflows.unwatch(self.number, me);
                came
            }
            Outcome::Stop(stop) => {
                runtime.workflows.unwatch(self.number, me);
                Err(stopped(&stop, "the workflow"))
            }
            _ => Err(Error::internal("an execution waits for its end only")),
        }
    }

    fn abandon(&mut self, runtime: &mut Runtime, me: Token) {
        runtime.workflows.never_began(self.number);
        runtime.workflows.unwatch(self.number, me);
    }
}
