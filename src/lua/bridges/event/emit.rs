//! What `emit` takes besides name and data; `emit.lua` does the rest.

use crate::shape::{Field, Kind, Shape};

use super::{CATEGORY, PRIORITY};

pub static OPTIONS: Shape = Shape::new(
    "EmitOptions",
    &[
        Field::new("priority", PRIORITY, "\"normal\"", "of the event, as `min_priority` asks for"),
        Field::new("category", CATEGORY, "by its name", "\"user\" where the name says none")
            .or(&["type"]),
        Field::new("source", Kind::Name, "\"user\"", "who emits it"),
        Field::new("tags", Kind::List(&Kind::Text), "", "words about it"),
        Field::new("metadata", Kind::Map, "", "more about it"),
        Field::new("correlation_id", Kind::Name, "", "what it belongs to"),
        Field::new("strict", Kind::Bool, "false", "what a handler raises ends the emit, unchanged"),
    ],
    &[],
);
