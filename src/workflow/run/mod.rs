//! Executions as machines.
//!
//! [`Executing`] is the whole of one; it goes through a [`Chain`](chain::Chain) of steps, or what
//! else its pattern says. Each step is an operation of its own, [`StepRun`](step::StepRun), around
//! the machine that does its work. What has ended is written down by the paths of steps; one that
//! stops goes on by beginning anew and passing over what is written down.

mod agent;
mod chain;
mod child;
mod executing;
mod fan;
mod looping;
mod resuming;
mod returning;
mod step;
mod tool;
mod work;

#[cfg(test)]
mod tests;

pub use executing::{Executing, check_input};
pub use resuming::Resuming;
pub use returning::Returning;

use crate::error::{Error, Result};
use crate::step::{Output, Rest};
use crate::value::Data;

/// What a machine ends with that stops before its end: all around it stop, too.
fn paused() -> Output {
    Output::Paused { response: Data::Nil, rest: Rest::new(()) }
}

/// The only output of a machine that was run.
fn only(outputs: Vec<Result<Output>>) -> Result<Output> {
    let none = || Err(Error::internal("a machine without an end"));
    outputs.into_iter().next().unwrap_or_else(none)
}
