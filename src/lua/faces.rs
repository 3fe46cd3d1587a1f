//! The options by which a caller of a waiting function chooses how to wait.

use crate::error::{Error, Result};
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

pub const DETACH: Field = Field::new(
    "detach",
    Kind::Bool,
    "false",
    "true = a handle at once, for work that outlives its owner: it ends neither with the request or call it \
     was started in nor with its handle, and has no stream or `on` callbacks",
);

pub fn face(options: &Options<'_>) -> Face {
    if options.bool("detach") == Some(true) {
        return Face::Detached;
    }
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
pub fn streamed(options: &Options<'_>, callback: Option<Slot>) -> Result<(Face, Option<Slot>)> {
    let callback = callback.or_else(|| options.function("stream"));
    let looped = options.bool("stream") == Some(true);
    match face(options) {
        Face::Detached if looped || callback.is_some() => Err(Error::invalid(
            "options.detach: a detached call cannot be streamed, its owner may be gone",
        )),
        _ if looped && callback.is_none() => Ok((Face::Stream, None)),
        face => Ok((face, callback)),
    }
}

/// Whether somebody will read chunks.
pub fn follows(face: Face, callback: Option<&Slot>) -> bool {
    callback.is_some() || matches!(face, Face::Handle | Face::Stream)
}
