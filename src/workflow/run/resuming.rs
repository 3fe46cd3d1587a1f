//! `workflow.resume`: a paused execution goes on.

use super::{only, whole};
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Outcome, Output, Step as Next, Token, stopped};
use crate::value::Data;
use crate::workflow::Status;
use crate::workflow::execution::Stepping;

/// Ends with whether there was one, and its result.
pub struct Resuming {
    number: u64,
}

/// Takes what is paused for the one that goes on with it; whether it is paused.
pub fn take_up(runtime: &mut Runtime, number: u64) -> Result<bool> {
    let execution = runtime.workflows.executions.get_mut(number)?;
    if execution.status != Status::Paused {
        return Ok(false);
    }
    if let Some(run) = &execution.part_of {
        // Alone it would record nothing of what it does.
        let message = format!("{} is a part of run {run:?}: resume that", execution.id);
        return Err(Error::state(message));
    }
    (execution.status, execution.stepping) = (Status::Running, Stepping::No);
    Ok(true)
}

impl Resuming {
    pub fn new(number: u64) -> Resuming {
        Resuming { number }
    }

    fn start(&self, runtime: &mut Runtime) -> Result<Next> {
        if take_up(runtime, self.number)? {
            return Ok(Next::Run(whole(runtime, self.number)?));
        }
        Ok(Next::Done(Output::Data(Data::Bool(false))))
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
