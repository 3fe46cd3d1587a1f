//! A text into a value on a tape.

use super::markdown::{self, Wanted};
use super::{Format, Parsed, Reading, Recovery};
use crate::error::Result;
use crate::value::yaml::{self, Documents};
use crate::value::{Tape, json, place, xml};

/// Reads a text onto the end of the tape.
pub fn parse(text: &str, reading: &Reading, tape: &mut Tape) -> Result<Parsed> {
    check_size(text, reading)?;
    match reading.format.unwrap_or(Format::Json) {
        Format::Json => parse_json(text, reading, tape),
        Format::Yaml => parse_yaml(text, reading, tape),
        Format::Xml => parse_xml(text, reading, tape),
        Format::Markdown => {
            let root = markdown::extract(text, &Wanted::default(), tape)?;
            Ok(Parsed::clean(root, Format::Markdown, text))
        }
        Format::Plain => Ok(plain(text, tape)),
    }
}

fn check_size(text: &str, reading: &Reading) -> Result<()> {
    match reading.max_bytes {
        Some(most) if text.len() > most => {
            let message = format!("the text has {} bytes, more than max_bytes={most}", text.len());
            Err(place::too_large(&message))
        }
        _ => Ok(()),
    }
}

/// Strict only so far; the recovering reader of `value::repair` hangs in here.
fn parse_json(text: &str, _reading: &Reading, tape: &mut Tape) -> Result<Parsed> {
    let root = json::parse(text.as_bytes(), tape)?;
    Ok(Parsed::clean(root, Format::Json, text))
}

fn parse_yaml(text: &str, reading: &Reading, tape: &mut Tape) -> Result<Parsed> {
    let strict = reading.recovery == Recovery::Strict;
    let documents = match (reading.all, strict) {
        (true, _) => Documents::All,
        (false, true) => Documents::Whole,
        (false, false) => Documents::First,
    };
    let options = yaml::Options { documents, unique_keys: strict, max_depth: reading.max_depth };
    let read = yaml::read(text, &options, tape)?;
    Ok(Parsed { warnings: read.warnings, ..Parsed::clean(read.root, Format::Yaml, text) })
}

fn parse_xml(text: &str, reading: &Reading, tape: &mut Tape) -> Result<Parsed> {
    let level = match reading.recovery {
        Recovery::Strict => xml::Level::Strict,
        Recovery::Lenient => xml::Level::Lenient,
        Recovery::BestEffort => xml::Level::BestEffort,
    };
    let options = xml::Options { level, all: reading.all, max_depth: reading.max_depth };
    let xml::Read { root, fixes, start, stop } = xml::read(text, &options, tape)?;
    Ok(Parsed { root, format: Format::Xml, fixes, warnings: Vec::new(), start, stop })
}

/// The text without the space around it.
fn plain(text: &str, tape: &mut Tape) -> Parsed {
    let (root, trimmed) = (tape.len(), text.trim());
    tape.str(trimmed.as_bytes());
    let start = text.len() - text.trim_start().len();
    Parsed { start, stop: start + trimmed.len(), ..Parsed::clean(root, Format::Plain, text) }
}
