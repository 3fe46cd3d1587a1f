//! XML text onto a tape, and back.
//!
//! ```
//! use zigllms::value::{Tape, json, xml};
//! let mut tape = Tape::default();
//! let text = r#"<city code="OSL"><name>Oslo</name><day>Mon</day><day>Tue</day></city>"#;
//! let read = xml::read(text, &xml::Options::default(), &mut tape).unwrap();
//! let value = json::to_string(tape.at(read.root).unwrap());
//! assert_eq!(value, r#"{"city":{"@code":"OSL","name":"Oslo","day":["Mon","Tue"]}}"#);
//! ```
//!
//! How an element becomes a value:
//!
//! - With neither attributes nor children it is its text, without the space around it; `<a/>` is
//!   the empty string. CDATA is kept to the letter.
//! - Otherwise it is an object: attributes as "@name", children by name, several of one name as an
//!   array. Text between children is "#text": its pieces, trimmed, with one space between them.
//! - Names stand as written, prefixes included. Comments and processing instructions are left out.
//! - Only the five entities of XML and character references are replaced. Nothing of a document
//!   type declaration is ever read: one that declares something is an error.
//!
//! Lenient reading forgives, as fixes: prose and fences around, end tags that are missing, crossed
//! or astray, `&` and `<` that are only meant as characters, attributes without quotes or value,
//! elements of HTML that are never closed.

mod entity;
mod onto;
mod scan;
mod tree;
mod write;

pub use write::write;

pub use super::repair::Level;
use super::{MAX_DEPTH, Tape, place};
use crate::error::{Error, Result};

#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub level: Level,
    /// Every outermost element, as an array.
    pub all: bool,
    pub max_depth: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { level: Level::Strict, all: false, max_depth: MAX_DEPTH }
    }
}

#[derive(Clone, Debug)]
pub struct Read {
    /// Position of the value on the tape.
    pub root: usize,
    pub fixes: Vec<&'static str>,
    /// The bytes it was read from.
    pub start: usize,
    pub stop: usize,
}

/// Reads a text onto the end of the tape.
pub fn read(text: &str, options: &Options, tape: &mut Tape) -> Result<Read> {
    let at = tape.len();
    // What is valid is read as it is: nothing in it is prose, whatever it looks like.
    let strict = Options { level: Level::Strict, ..*options };
    let tree = tree::build(text, &strict).or_else(|error| match options.level {
        Level::Strict => Err(error),
        Level::Lenient | Level::BestEffort => tree::build(text, options),
    })?;
    onto::roots(&tree, options, tape).inspect_err(|_| tape.truncate(at))?;
    Ok(Read { root: at, fixes: tree.fixes, start: tree.start, stop: tree.stop })
}

fn failed(text: &str, at: usize, reason: &str) -> Error {
    place::parse_failed("XML", text.as_bytes(), at, reason)
}

/// Whether a name may begin with it.
fn starts_name(c: char) -> bool {
    matches!(c, ':' | 'A'..='Z' | '_' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}'
        | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}'
        | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
        | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

fn in_name(c: char) -> bool {
    starts_name(c)
        || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}'
            | '\u{203F}'..='\u{2040}')
}

/// Whether a document may hold it.
fn is_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests;
