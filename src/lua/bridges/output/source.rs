//! The text that a function is to read: a string, or what a model answered.

use crate::error::{Error, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Param, Read};
use crate::shape::Kind;
use crate::value::{Ref, Slot, place};

/// First parameter of the functions that read.
pub const TEXT: Param = Param::new("text", Kind::OneOf(&[Kind::Text, Kind::Open])).read(Read::Text);

pub enum Source<'t> {
    Text(&'t str),
    /// A table that is no answer of a model: it has been read already.
    Table(Slot),
}

/// The first argument.
pub fn source<'t>(args: &Args<'t>) -> Result<Source<'t>> {
    if let Some(bytes) = args.bytes(0).or_else(|| text_bytes(args.get(0)?)) {
        return utf8(bytes).map(Source::Text);
    }
    let missing = || Error::invalid("argument #1: text: expected a string or a table, got nil");
    args.given(0).map(Source::Table).ok_or_else(missing)
}

/// As [`source`], for what cannot do without text.
pub fn text<'t>(args: &Args<'t>) -> Result<&'t str> {
    match source(args)? {
        Source::Text(text) => Ok(text),
        Source::Table(_) => Err(Error::invalid(
            "argument #1: text: expected a string or a response, got a table without content",
        )),
    }
}

/// A string, or the content of an agent's or provider's response.
fn text_bytes<'t>(value: Ref<'t>) -> Option<&'t [u8]> {
    value.as_bytes().or_else(|| {
        value.get("finish_reason")?.as_bytes()?;
        value.get("content")?.as_bytes()
    })
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| {
        place::parse_failed("text", bytes, error.valid_up_to(), "a byte that is not UTF-8")
    })
}
