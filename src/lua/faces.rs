//! The options by which a caller of a waiting function chooses how to wait.

use crate::shape::{Field, Kind, Options};
use crate::step::Face;
use crate::value::Slot;

pub const ASYNC: Field = Field::new(
    "async",
    Kind::OneOf(&[Kind::Bool, Kind::Enum(&["yield"])]),
    "",
    "true = a handle at once; false = block also in a coroutine; \"yield\" = suspend this coroutine",
);

pub const STREAM: Field = Field::new(
    "stream",
    Kind::OneOf(&[Kind::Function, Kind::Bool]),
    "",
    "`function(chunk)`, called as the answer arrives; returning false stops it. true = a handle to loop over",
);

pub fn face(options: &Options<'_>) -> Face {
    match options.get("async") {
        None => Face::Plain,
        Some(value) => match value.as_bool() {
            Some(true) => Face::Handle,
            Some(false) => Face::Blocking,
            None => Face::Yield,
        },
    }
}

/// Face and callback of a call that can be streamed.
pub fn streamed(options: &Options<'_>) -> (Face, Option<Slot>) {
    let callback = options.function("stream");
    let face = match (face(options), options.bool("stream")) {
        (_, Some(true)) => Face::Stream,
        (face, _) => face,
    };
    (face, callback)
}

/// Whether somebody will read chunks.
pub fn follows(face: Face, callback: Option<&Slot>) -> bool {
    callback.is_some() || matches!(face, Face::Handle | Face::Stream)
}
