//! Calls that answer at once and whose answers are kept: what was asked before, with the same
//! arguments and of the same state, is not computed again.

use std::sync::Arc;

use crate::error::Result;
use crate::optimize::functions::{Area, FUNCTIONS, Function};
use crate::optimize::memo::Stamp;
use crate::optimize::{Key, Recall};
use crate::runtime::Runtime;
use crate::value::Data;

use super::args::Args;

/// The answer of `run`, or the same from before. Errors are not kept, nor what holds a Lua value.
pub fn answer(
    runtime: &mut Runtime,
    place: usize,
    run: fn(&mut Runtime, &Args<'_>) -> Result<Data>,
    args: &Args<'_>,
) -> Result<Data> {
    let Some(recall) = question(runtime, place, args) else { return run(runtime, args) };
    if let Some(data) = runtime.cache.find::<Arc<Data>>(&recall) {
        return Ok(Data::Shared(data));
    }
    let data = run(runtime, args)?;
    let Some(weight) = data.weight() else { return Ok(data) };
    let data = Arc::new(data);
    runtime.cache.keep(recall, weight, Arc::clone(&data));
    Ok(Data::Shared(data))
}

/// The call as a question; `None` if its answer cannot be kept, or is not worth it.
fn question(runtime: &Runtime, place: usize, args: &Args<'_>) -> Option<Recall> {
    let function = FUNCTIONS.get(place)?;
    if args.bytes(0).is_some_and(|text| text.len() < function.from_bytes) {
        return None;
    }
    let mut key = Key::of(place);
    args.write(&mut key);
    key.bytes().filter(|bytes| bytes.len() >= function.from_bytes)?;
    Some(Recall::new(key, stamp(runtime, function, args)?))
}

/// Generations of what it reads; `None` where that is not there.
fn stamp(runtime: &Runtime, function: &Function, args: &Args<'_>) -> Option<Stamp> {
    let mut stamp = Stamp::default();
    let mut places = stamp.iter_mut();
    for area in function.reads {
        *places.next()? = match area {
            Area::Agents => runtime.agents.changes(),
            Area::Agent => {
                let number = runtime.agents.find(&args.id(0)).ok()??;
                *places.next()? = runtime.agents.changes_of(number);
                runtime.agents.set_changes()
            }
            Area::Tools => runtime.tools.changes(),
            Area::Providers => runtime.providers.changes(),
            Area::Schemas => runtime.schemas.changes(),
            Area::SchemaUses => runtime.schemas.uses(),
            Area::Config => runtime.config.changes,
        };
    }
    Some(stamp)
}
