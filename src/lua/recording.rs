//! What `recording.lua` asks of the core.

use crate::error::Result;
use crate::shape::Kind;
use crate::value::Data;

use super::args::Args;
use super::bridge::{Param, Read};
use super::inner::Inner;
use super::instance::Instance;

pub static INNER: &[Inner] = &[
    Inner {
        name: "record_event",
        params: &[Param::new("event", Kind::Any).read(Read::Bytes)],
        run: record_event,
    },
    Inner {
        name: "set_emitter",
        params: &[Param::new("fn", Kind::Function).read(Read::Reference)],
        run: set_emitter,
    },
];

/// record_event(event): by whoever records events of its name
fn record_event(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let event = args.get(0);
    event.map_or(Ok(()), |event| instance.runtime.record_event(event)).map(|()| Data::Nil)
}

/// set_emitter(fn): how events are told that are there already
fn set_emitter(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    instance.runtime.events.recorders.emitter = args.slot(0);
    Ok(Data::Nil)
}
