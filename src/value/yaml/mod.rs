//! YAML 1.2 text onto a tape, and back.
//!
//! ```
//! use zigllms::value::{Tape, json, yaml};
//! let mut tape = Tape::default();
//! let read = yaml::read("a: [1, no]", &yaml::Options::default(), &mut tape).unwrap();
//! assert_eq!(json::to_string(tape.at(read.root).unwrap()), r#"{"a":[1,"no"]}"#);
//! ```
//!
//! What the standard leaves open, or JSON cannot hold:
//!
//! - Plain scalars are typed by the core schema: `no` and `2026-11-22` are strings, `0o17` is 15.
//!   Integers beyond 64 bits become floats. A tag of the core schema wins; other tags are ignored.
//! - Keys are strings: a scalar's own text (`1: a` has the key "1"), the JSON text of a list or
//!   mapping, which is worth a warning.
//! - `<<: *base` merges, as everybody writes it: members of the mapping itself win.
//! - A key twice is an error, or a warning and the last one wins.
//! - An alias stands for a copy. All aliases of a text together may add a bounded number of values.

mod lenient;
mod mend;
mod nodes;
mod onto;
mod resolve;
mod write;

pub use lenient::{Found, read_lenient};
pub(crate) use write::sorted;
pub use write::write;

use std::ops::Range;

use super::{MAX_DEPTH, Tape, place};
use crate::error::{Error, Result};
use nodes::Reader;
use onto::Onto;

/// Which documents of a text are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Documents {
    /// The first; what follows is not looked at.
    First,
    /// The only one, or an array of several.
    #[default]
    Whole,
    /// An array, whatever their number.
    All,
}

#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub documents: Documents,
    /// A key twice is an error.
    pub unique_keys: bool,
    pub max_depth: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { documents: Documents::Whole, unique_keys: true, max_depth: MAX_DEPTH }
    }
}

#[derive(Clone, Debug)]
pub struct Read {
    /// Position of the value on the tape.
    pub root: usize,
    /// Number of documents read.
    pub documents: usize,
    pub warnings: Vec<String>,
}

/// Reads a text onto the end of the tape.
pub fn read(text: &str, options: &Options, tape: &mut Tape) -> Result<Read> {
    read_part(text, 0..text.len(), options, tape)
}

/// As [`read`], of a part of the text; errors count from the beginning of the whole.
pub fn read_part(
    text: &str,
    part: Range<usize>,
    options: &Options,
    tape: &mut Tape,
) -> Result<Read> {
    let at = tape.len();
    let reader = Reader::new(text, part, options.max_depth);
    documents(reader, options, tape).inspect_err(|_| tape.truncate(at))
}

fn documents(mut reader: Reader<'_>, options: &Options, tape: &mut Tape) -> Result<Read> {
    let at = tape.len();
    let text = reader.whole;
    let mut warnings = Vec::new();
    if options.documents == Documents::First {
        let count = usize::from(document(&mut reader, options, tape, &mut warnings)?);
        return done(text, at, count, warnings);
    }
    let several = tape.open_array();
    let mut count = 0;
    while document(&mut reader, options, tape, &mut warnings)? {
        count += 1;
    }
    tape.close(several, count);
    match (options.documents, count) {
        (Documents::Whole, 0 | 1) => done(text, at + 1, count, warnings),
        _ => Ok(Read { root: at, documents: count, warnings }),
    }
}

/// Reads one document; false if there is none.
fn document(
    reader: &mut Reader<'_>,
    options: &Options,
    tape: &mut Tape,
    warnings: &mut Vec<String>,
) -> Result<bool> {
    let found = reader.document()?;
    if found {
        Onto::new(reader, tape, options, warnings).document()?;
    }
    Ok(found)
}

fn done(text: &str, root: usize, documents: usize, warnings: Vec<String>) -> Result<Read> {
    match documents {
        0 => Err(failed(text, text.len(), "no document")),
        _ => Ok(Read { root, documents, warnings }),
    }
}

fn failed(text: &str, at: usize, reason: &str) -> Error {
    place::parse_failed("YAML", text.as_bytes(), at, reason)
}

#[cfg(test)]
mod tests;
