//! THE dispatcher: every public function passes here, whatever bridge it belongs to.
//!
//! It checks the arguments against the declaration, runs the operation, counts, and turns a panic
//! into an error of code `internal`. No Lua is touched: reading came before, pushing comes after.

use crate::error::{Error, Result};
use crate::guard::guarded;
use crate::runtime::Runtime;
use crate::shape::Check;
use crate::step::Ready;
use crate::value::Data;

use super::args::Args;
use super::bridge::{Entry, Run};
use super::drive::{self, Action};
use super::inner::Inner;
use super::instance::{Frame, Instance};
use super::{late, memo};

/// Runs a function that answers at once.
pub fn now(instance: &mut Instance, entry: &'static Entry, frame: &mut Frame) {
    let since = instance.begins();
    instance.metrics.called(entry.number);
    frame.action = match guarded(|| answer(instance, entry, frame)) {
        Ok(data) => Action::Return(data),
        Err(error) => {
            instance.metrics.failed(entry.number, error.code());
            Action::Raise(error)
        }
    };
    instance.took(entry.number, since);
}

fn answer(instance: &mut Instance, entry: &'static Entry, frame: &mut Frame) -> Result<Data> {
    let args = checked(&instance.runtime, entry, frame)?;
    match entry.function.run {
        Run::Now(run) | Run::Short(_, run) => match entry.cached {
            Some(place) if instance.runtime.cache.is_on(place) => {
                memo::answer(&mut instance.runtime, place, run, &args)
            }
            _ => run(&mut instance.runtime, &args),
        },
        Run::Instance(run) => run(instance, &args),
        Run::Waits(_) | Run::Perhaps(..) | Run::Lua => {
            Err(Error::internal("called as if it answered at once"))
        }
    }
}

/// Checks the arguments of a function that is written in Lua. Answers when it began, in
/// milliseconds of the clock, if it is measured.
pub fn check(instance: &mut Instance, entry: &'static Entry, frame: &mut Frame) {
    instance.metrics.called(entry.number);
    frame.action = match guarded(|| checked(&instance.runtime, entry, frame).map(drop)) {
        Ok(()) => Action::Return(Data::from(instance.begins().map(drive::ms))),
        Err(error) => {
            instance.metrics.failed(entry.number, error.code());
            Action::Raise(error)
        }
    };
}

/// Runs a function that only the chunks know: nothing is counted.
pub fn inner(instance: &mut Instance, inner: &'static Inner, frame: &mut Frame) {
    frame.action = match guarded(|| inner_answer(instance, inner, frame)) {
        Ok(data) => Action::Return(data),
        Err(error) => Action::Raise(error),
    };
}

fn inner_answer(instance: &mut Instance, inner: &'static Inner, frame: &mut Frame) -> Result<Data> {
    if let Some(error) = frame.error.take() {
        return Err(error);
    }
    let args = Args::check(inner.params, &frame.tape, &frame.places, Check { strict: true })?;
    (inner.run)(instance, &args)
}

/// Sets up a call that waits; `drive.lua` goes on from there.
pub fn start(instance: &mut Instance, entry: &'static Entry, parent: u64, frame: &mut Frame) {
    instance.metrics.called(entry.number);
    instance.runtime.tasks.around = parent;
    frame.action = match guarded(|| set_up(&mut instance.runtime, entry, frame)) {
        Ok(Ready::Waits(start)) => drive::started(instance, entry, start, parent, frame),
        Ok(Ready::Now(data)) => Action::Return(at_once(data)),
        Err(error) => {
            instance.metrics.failed(entry.number, error.code());
            Action::Raise(error)
        }
    };
}

/// Results behind a nil, where a token would stand.
fn at_once(data: Data) -> Data {
    let mut values = vec![Data::Nil];
    match data {
        Data::Many(results) => values.extend(results),
        result => values.push(result),
    }
    Data::Many(values)
}

fn set_up(runtime: &mut Runtime, entry: &'static Entry, frame: &mut Frame) -> Result<Ready> {
    let args = checked(runtime, entry, frame)?;
    match entry.function.run {
        Run::Waits(run) => run(runtime, &args).map(Ready::Waits),
        Run::Perhaps(..) if late::watches(runtime, entry) => late::start(runtime, entry, frame),
        Run::Perhaps(_, run) => run(runtime, &args),
        Run::Now(_) | Run::Short(..) | Run::Instance(_) | Run::Lua => {
            Err(Error::internal("called as if it waited"))
        }
    }
}

/// The arguments, or what reading or checking them found wrong.
fn checked<'f>(runtime: &Runtime, entry: &'static Entry, frame: &'f mut Frame) -> Result<Args<'f>> {
    if let Some(error) = frame.error.take() {
        return Err(error);
    }
    let check = Check { strict: runtime.config.strict };
    Args::check(entry.function.params, &frame.tape, &frame.places, check)
}
