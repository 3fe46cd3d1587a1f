//! What `following.lua` asks of the core: how the executions stand that handles follow.

use crate::error::Result;
use crate::runtime::Runtime;
use crate::shape::Kind;
use crate::value::{Data, Failure};
use crate::workflow::Status;
use crate::workflow::{cancel, failed};

use super::args::Args;
use super::bridge::Param;
use super::inner::Inner;
use super::instance::Instance;

const ID: Param = Param::new("id", Kind::Name);

pub static INNER: &[Inner] = &[
    Inner { name: "next_changed", params: &[], run: next_changed },
    Inner { name: "execution_status", params: &[ID], run: execution_status },
    Inner { name: "execution_standing", params: &[ID], run: execution_standing },
    Inner { name: "execution_token", params: &[ID], run: execution_token },
    Inner {
        name: "cancel_execution",
        params: &[ID, Param::new("reason", Kind::Text).optional()],
        run: cancel_execution,
    },
];

fn number(runtime: &Runtime, args: &Args<'_>) -> Option<u64> {
    runtime.workflows.executions.find(args.text(0).unwrap_or_default())
}

/// next_changed() → id of the next execution that stands otherwise than before
fn next_changed(instance: &mut Instance, _: &Args<'_>) -> Result<Data> {
    let workflows = &mut instance.runtime.workflows;
    while let Some(number) = workflows.changed.pop_front() {
        if let Ok(execution) = workflows.execution(number) {
            return Ok(Data::from(execution.id.as_str()));
        }
    }
    Ok(Data::Nil)
}

/// execution_status(id) → its status; nil if it is not known any more
fn execution_status(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let runtime = &instance.runtime;
    let execution = number(runtime, args).and_then(|n| runtime.workflows.execution(n).ok());
    Ok(execution.map_or(Data::Nil, |execution| Data::from(execution.status.name())))
}

/// execution_standing(id) → its status, and how that shows to who awaits it: whether it is well, and
/// a result or an error. Once told, an end is told to no handle again.
fn execution_standing(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let runtime = &mut instance.runtime;
    let Some(number) = number(runtime, args) else { return Ok(Data::Nil) };
    let execution = runtime.workflows.execution(number)?;
    let (status, error) = (execution.status, execution.error.clone());
    let (ok, value) = match (status, error) {
        (Status::Failed, Some(_)) if execution.returns => (true, failed(runtime, number)?),
        (Status::Failed | Status::Cancelled, Some(error)) => (false, raised(error)),
        _ => (true, execution.result.clone()),
    };
    if status.has_ended() {
        runtime.unfollow(number);
    }
    Ok(Data::Many(vec![Data::from(status.name()), Data::Bool(ok), value]))
}

fn raised(failure: Failure) -> Data {
    Data::Error(Box::new(failure))
}

/// execution_token(id) → the token of its machine, while one is under way
fn execution_token(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let runtime = &instance.runtime;
    let execution = number(runtime, args).and_then(|n| runtime.workflows.execution(n).ok());
    Ok(Data::from(execution.and_then(|execution| execution.token)))
}

/// cancel_execution(id, reason?) → whether it was running or paused
fn cancel_execution(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let runtime = &mut instance.runtime;
    let Some(number) = number(runtime, args) else { return Ok(Data::Bool(false)) };
    cancel(runtime, number, args.text(1)).map(Data::Bool)
}
