//! Entries that are changed in place.

use crate::error::Result;
use crate::lua::args::Args;
use crate::lua::faces::face;
use crate::memory::{Change, Entry, How, Spot, Value};
use crate::runtime::Runtime;
use crate::shape::{Options, Shape};
use crate::step::Ready;
use crate::value::Tape;

use super::options::{NEW, OWNER, SCOPE, address, entry, key};

pub static CHANGE: Shape = Shape::new("ChangeOptions", &[SCOPE], &[&OWNER, &NEW]);

pub fn update(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let function = args.get(1).and_then(|value| value.as_slot().cloned());
    let function = function.ok_or_else(|| crate::error::Error::internal("no function"))?;
    change(runtime, args, How::Function(function))
}

pub fn increment(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let by = args.get(1).map_or(Value::Int(1), Value::of);
    change(runtime, args, How::Add(by))
}

fn change(runtime: &mut Runtime, args: &Args<'_>, how: How) -> Result<Ready> {
    let options = args.options(2, &CHANGE);
    let key = key(args, 0);
    let address = address(runtime, &options)?;
    super::conversation::refuse(&key, &address)?;
    let spot = Spot::new(&address, &key);
    let shown = String::from_utf8_lossy(&key).into_owned();
    let change = Change::new(spot, shown, how, fresh(runtime, &options));
    let operation = change.operation();
    Ok(Ready::waits(operation, face(&options)))
}

/// What the entry is like if there is none.
fn fresh(runtime: &Runtime, options: &Options<'_>) -> Entry {
    let mut nothing = Tape::default();
    nothing.bool(false);
    let now = runtime.clock.unix_ms();
    let empty = Entry::new(Value::Bool(false), Default::default());
    nothing.root().map_or(empty, |value| entry(value, options, now))
}
