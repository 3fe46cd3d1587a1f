//! `on_error = "return"`: an execution whose failure is a result.

use super::executing::result;
use super::{only, with_journal};
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step as Next, Token, stopped};
use crate::value::Data;
use crate::workflow::Status;

pub struct Returning {
    number: u64,
}

/// The failure as a result.
pub fn failed(runtime: &Runtime, number: u64) -> Result<Data> {
    let execution = runtime.workflows.execution(number)?;
    if execution.scope.is_none() && matches!(execution.result, Data::Slot(_)) {
        // As it was recorded.
        return Ok(execution.result.clone());
    }
    result(runtime, number, Status::Failed).map(Data::Record)
}

impl Returning {
    pub fn operation(number: u64) -> Operation {
        Operation::new("workflow_returning", Returning { number })
    }

    fn start(&self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        runtime.workflows.watch(self.number, me)?;
        Ok(Next::Run(with_journal(runtime, self.number)?))
    }

    fn came_back(&self, runtime: &mut Runtime, output: Result<Output>) -> Result<Next> {
        match output {
            Err(_) if self.has_failed(runtime) => {
                Ok(Next::Done(Output::Data(failed(runtime, self.number)?)))
            }
            output => output.map(Next::Done),
        }
    }

    /// It, and not the claim of its run.
    fn has_failed(&self, runtime: &Runtime) -> bool {
        let execution = runtime.workflows.execution(self.number);
        execution.is_ok_and(|one| one.status == Status::Failed && one.started_at > 0.0)
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
