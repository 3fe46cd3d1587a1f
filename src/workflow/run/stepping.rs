//! `workflow.step`: one step of an execution, which stands still then.

use super::resuming::take_up;
use super::{only, whole};
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Outcome, Output, Step as Next, Token, stopped};
use crate::value::{Data, Record};
use crate::workflow::Status;
use crate::workflow::execution;

/// Ends with how the step did, and how its execution stands.
pub struct Stepping {
    number: u64,
}

impl Stepping {
    pub fn new(number: u64) -> Stepping {
        Stepping { number }
    }

    fn start(&self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        let execution = runtime.workflows.execution(self.number)?;
        if execution.status == Status::Paused {
            take_up(runtime, self.number)?;
        }
        let execution = runtime.workflows.executions.get_mut(self.number)?;
        execution.stepping = execution::Stepping::One;
        runtime.workflows.hold(self.number, me)?;
        Ok(Next::Run(whole(runtime, self.number)?))
    }

    fn told(&self, runtime: &Runtime, result: Data) -> Result<Record> {
        let execution = runtime.workflows.execution(self.number)?;
        let mut record = match &execution.stepping {
            execution::Stepping::Taken(id) => {
                let ended = execution.latest.get(id).map(|ended| ended.to_record());
                ended.unwrap_or_default().set("id", id.as_ref())
            }
            _ => Record::new(),
        };
        record.put("execution_id", execution.id.as_str());
        record.put("execution_status", execution.status.name());
        record.put("result", result);
        Ok(record)
    }
}

impl Machine for Stepping {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        match outcome {
            Outcome::Start => self.start(runtime, me),
            Outcome::Finished(outputs) => {
                let output = only(outputs).map(Output::into_data);
                let told = output.and_then(|result| self.told(runtime, result));
                runtime.workflows.let_go(self.number, me);
                Ok(Next::Done(Output::Data(told?.into())))
            }
            Outcome::Stop(stop) => {
                runtime.workflows.let_go(self.number, me);
                Err(stopped(&stop, "the workflow"))
            }
            _ => Err(Error::internal("an execution waits for its end only")),
        }
    }

    fn abandon(&mut self, runtime: &mut Runtime, me: Token) {
        runtime.workflows.never_began(self.number);
        runtime.workflows.let_go(self.number, me);
    }
}
