//! An execution that a handle follows: it begins, or goes on, by itself.

use super::resuming::take_up;
use super::{only, whole};
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step as Next, Token, stopped};
use crate::value::Data;
use crate::workflow::Status;

/// Ends with what the execution has ended with, or with its result so far where that is paused.
pub struct Kept {
    number: u64,
}

impl Kept {
    /// The subject is the execution, so that the edge finds its handle.
    pub fn operation(runtime: &mut Runtime, number: u64) -> Result<Operation> {
        runtime.follow(number)?;
        let subject = runtime.workflows.execution(number)?.id.clone();
        Ok(Operation { subject, ..Operation::new("workflow_kept", Kept { number }) })
    }

    fn start(&self, runtime: &mut Runtime) -> Result<Next> {
        let status = runtime.workflows.execution(self.number)?.status;
        if status == Status::Pending || take_up(runtime, self.number)? {
            return Ok(Next::Run(whole(runtime, self.number)?));
        }
        // Somebody else goes on with it.
        Ok(Next::Done(Output::Data(Data::Nil)))
    }

    /// Whoever heard of the pause may have gone on with it already.
    fn came_back(&self, runtime: &Runtime, output: Output) -> Result<Output> {
        let Output::Paused { response, .. } = output else { return Ok(output) };
        let execution = runtime.workflows.execution(self.number)?;
        match (&execution.error, execution.status) {
            (_, Status::Completed) => Ok(Output::Data(execution.result.clone())),
            (Some(failure), Status::Failed | Status::Cancelled) => Err(failure.error.clone()),
            _ => Ok(Output::Data(response)),
        }
    }
}

impl Machine for Kept {
    fn step(&mut self, runtime: &mut Runtime, _: Token, outcome: Outcome) -> Result<Next> {
        match outcome {
            Outcome::Start => self.start(runtime),
            Outcome::Finished(outputs) => self.came_back(runtime, only(outputs)?).map(Next::Done),
            Outcome::Stop(stop) => Err(stopped(&stop, "the workflow")),
            _ => Err(Error::internal("an execution waits for its end only")),
        }
    }

    fn abandon(&mut self, runtime: &mut Runtime, _: Token) {
        runtime.workflows.never_began(self.number);
    }
}
