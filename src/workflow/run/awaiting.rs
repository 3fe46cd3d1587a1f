//! `workflow.get_result` that waits: until an execution has ended.

use crate::error::{Error, Phase, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Outcome, Output, Step as Next, Stop, Token, stopped};
use crate::value::Data;
use crate::workflow::Status;

pub struct Awaiting {
    number: u64,
    timeout_ms: Option<f64>,
}

/// How an execution has ended: its result, or nil, the status and the error. Of one that has not
/// ended nil and the status.
pub fn standing(runtime: &Runtime, number: u64) -> Result<Data> {
    let execution = runtime.workflows.execution(number)?;
    if execution.status == Status::Completed {
        return Ok(execution.result.clone());
    }
    let mut values = vec![Data::Nil, Data::from(execution.status.name())];
    let error = execution.error.clone();
    values.extend(error.map(|error| Data::Error(Box::new(error))));
    Ok(Data::Many(values))
}

impl Awaiting {
    pub fn new(number: u64, timeout_ms: Option<f64>) -> Awaiting {
        Awaiting { number, timeout_ms }
    }

    fn look(&self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        let execution = runtime.workflows.execution(self.number)?;
        if !execution.status.has_ended() {
            runtime.workflows.watch(self.number, me)?;
            return Ok(Next::Wait(None));
        }
        let standing = standing(runtime, self.number)?;
        runtime.workflows.unwatch(self.number, me);
        Ok(Next::Done(Output::Data(standing)))
    }

    fn stop(&self, runtime: &Runtime, stop: &Stop) -> Error {
        let execution = runtime.workflows.execution(self.number);
        let Some((ms, execution)) = self.timeout_ms.zip(execution.ok()) else {
            return stopped(stop, "waiting for the result");
        };
        match stop {
            Stop::Deadline => {
                let (id, status) = (&execution.id, execution.status.name());
                let message = format!("execution {id} is still {status} after {ms} ms");
                Error::timeout(Phase::Total, message)
            }
            stop => stopped(stop, "waiting for the result"),
        }
    }
}

impl Machine for Awaiting {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        let Outcome::Stop(stop) = outcome else { return self.look(runtime, me) };
        runtime.workflows.unwatch(self.number, me);
        Err(self.stop(runtime, &stop))
    }

    fn abandon(&mut self, runtime: &mut Runtime, me: Token) {
        runtime.workflows.unwatch(self.number, me);
    }
}
