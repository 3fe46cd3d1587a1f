//! What stops executions from outside.

use crate::error::{Error, Result};
use crate::event::Builtin;
use crate::runtime::Runtime;
use crate::step::{Machine, Outcome, Output, Step, Stop, Token, stopped};
use crate::value::{Data, Failure, Record};

use super::{GONE, KEPT, Status, Workflows};

impl Workflows {
    /// The execution stops at the next boundary, with those inside it; whether it is running.
    pub fn pause(&mut self, number: u64) -> Result<bool> {
        let execution = self.executions.get_mut(number)?;
        if !execution.is_under_way() {
            return Ok(false);
        }
        execution.pause = true;
        for child in execution.children.values().copied().collect::<Vec<_>>() {
            self.pause(child)?;
        }
        Ok(true)
    }

    /// It does not stop at the next boundary after all.
    pub fn unpause(&mut self, number: u64) -> Result<()> {
        let execution = self.executions.get_mut(number)?;
        execution.pause = false;
        let children: Vec<u64> = execution.children.values().copied().collect();
        children.into_iter().try_for_each(|child| self.unpause(child))
    }
}

/// `workflow.cancel`.
pub struct Cancelling {
    number: u64,
    reason: Option<String>,
}

impl Cancelling {
    pub fn new(number: u64, reason: Option<&str>) -> Cancelling {
        Cancelling { number, reason: reason.map(str::to_owned) }
    }
}

impl Machine for Cancelling {
    fn step(&mut self, runtime: &mut Runtime, _: Token, _: Outcome) -> Result<Step> {
        let ends = cancel(runtime, self.number, self.reason.as_deref())?;
        Ok(Step::Done(Output::Data(Data::Bool(ends))))
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}

/// Ends it; whether it was running or paused. One that runs ends at once where it waits, else before
/// its next step.
pub fn cancel(runtime: &mut Runtime, number: u64, reason: Option<&str>) -> Result<bool> {
    let execution = runtime.workflows.executions.get_mut(number)?;
    match execution.status {
        Status::Pending | Status::Running if execution.is_under_way() => {
            execution.cancelled = Some(reason.unwrap_or_default().to_owned());
            if let Some(token) = execution.token {
                runtime.tasks.stop(token, reason.unwrap_or_default());
            }
            Ok(true)
        }
        Status::Paused => cancel_paused(runtime, number, reason).map(|()| true),
        _ => Ok(false),
    }
}

/// `workflow.destroy`.
pub struct Destroying {
    workflow: u64,
}

impl Destroying {
    pub fn new(workflow: u64) -> Destroying {
        Destroying { workflow }
    }
}

impl Machine for Destroying {
    fn step(&mut self, runtime: &mut Runtime, _: Token, _: Outcome) -> Result<Step> {
        for number in runtime.workflows.executions.of(self.workflow) {
            // One that ends may be the end of others: not all that have ended are kept.
            if runtime.workflows.execution(number).is_ok() {
                cancel(runtime, number, Some("the workflow was destroyed"))?;
            }
        }
        let existed = runtime.workflows.known.remove(self.workflow).is_some();
        runtime.workflows.executions.hand_over(self.workflow, GONE);
        runtime.workflows.executions.keep(GONE, KEPT);
        Ok(Step::Done(Output::Data(Data::Bool(existed))))
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}

fn cancel_paused(runtime: &mut Runtime, number: u64, reason: Option<&str>) -> Result<()> {
    let clock = runtime.clock.clone();
    let error = stopped(&Stop::Cancelled(reason.map(str::to_owned)), "the workflow");
    let failure = Failure { error, function: "workflow.execute" };
    let execution = runtime.workflows.executions.get_mut(number)?;
    execution.error = Some(failure.clone());
    execution.stops(Status::Cancelled, &clock);
    let children: Vec<u64> = execution.children.values().copied().collect();
    let (workflow, name, id) = (execution.workflow, execution.name.clone(), execution.id.clone());
    let told = Record::new()
        .set("workflow_id", runtime.workflows.known.id(workflow))
        .set("workflow_name", name)
        .set("execution_id", id)
        .set("duration_ms", runtime.workflows.execution(number)?.worked_ms);
    for child in children {
        cancel(runtime, child, reason)?;
    }
    runtime.events.tell(Builtin::WorkflowCancelled, told, Some(failure));
    runtime.tell_watchers(number);
    runtime.workflows.settle(number);
    Ok(())
}

/// The error of an execution that was cancelled while it did not wait.
pub fn refusal(reason: &str) -> Error {
    let reason = Some(reason).filter(|reason| !reason.is_empty()).map(str::to_owned);
    stopped(&Stop::Cancelled(reason), "the workflow")
}
