//! Executions as machines.
//!
//! [`Executing`] is the whole of one; it goes through a [`Chain`](chain::Chain) of steps, or what
//! else its pattern says. Each step is an operation of its own, [`StepRun`](step::StepRun), around
//! the machine that does its work. What has ended is written down by the paths of steps; one that
//! stops goes on by beginning anew and passing over what is written down.

mod agent;
mod awaiting;
mod chain;
mod child;
pub mod distant;
mod executing;
mod fan;
mod fetching;
mod kept;
mod looping;
mod over;
mod owning;
mod resuming;
mod returning;
mod step;
mod stepping;
mod tool;
mod work;

#[cfg(test)]
mod tests;

pub use awaiting::{Awaiting, standing};
pub use distant::{Distant, Expecting};
pub use executing::check_input;
pub use fetching::{Fetching, Recovering};
pub use kept::Kept;
pub use resuming::Resuming;
pub use returning::failed;
pub use stepping::Stepping;

use executing::Executing;
use owning::Owning;
use returning::Returning;

use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Operation, Output, Rest};
use crate::value::Data;

/// What a machine ends with that stops before its end: all around it stop, too.
fn paused() -> Output {
    Output::Paused { response: Data::Nil, rest: Rest::new(()) }
}

/// All of an execution that is left.
pub fn whole(runtime: &Runtime, number: u64) -> Result<Operation> {
    if runtime.workflows.execution(number)?.returns {
        return Ok(Returning::operation(number));
    }
    with_journal(runtime, number)
}

/// The same, whose failure is an error; one that is durable claims its run first.
fn with_journal(runtime: &Runtime, number: u64) -> Result<Operation> {
    if runtime.workflows.execution(number)?.claim.is_some() {
        return Ok(Owning::operation(number));
    }
    Ok(Executing::new(runtime, number)?.operation(runtime))
}

/// The only output of a machine that was run.
fn only(outputs: Vec<Result<Output>>) -> Result<Output> {
    let none = || Err(Error::internal("a machine without an end"));
    outputs.into_iter().next().unwrap_or_else(none)
}
