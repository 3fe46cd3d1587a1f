//! Recorded events by criteria.

use crate::error::{Error, Result};
use crate::lua::args::Args;
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Shape};
use crate::step::Ready;

pub static CRITERIA: Shape = Shape::new(
    "EventCriteria",
    &[Field::new("pattern", Kind::Name, "\"*\"", "of the events' names")],
    &[],
);

pub fn query(_: &mut Runtime, _: &Args<'_>) -> Result<Ready> {
    Err(Error::unsupported("events are not recorded: pass a callback as argument #2"))
}
