//! A text into a value on a tape.

use super::auto::auto;
use super::markdown::{self, Wanted};
use super::{Format, Parsed, Prose, Reading, Recovery};
use crate::error::{Error, Result};
use crate::value::yaml::{self, Documents};
use crate::value::{Tape, place, repair, xml};

/// Reads a text onto the end of the tape.
pub fn parse(text: &str, reading: &Reading, tape: &mut Tape) -> Result<Parsed> {
    check_size(text, reading)?;
    match reading.format {
        None => auto(text, reading, tape),
        Some(Format::Markdown) => {
            let root = markdown::extract(text, &Wanted::default(), tape)?;
            Ok(Parsed::clean(root, Format::Markdown, text))
        }
        Some(Format::Plain) => Ok(plain(text, tape)),
        Some(Format::Json) => parse_json(text, reading, tape),
        Some(Format::Yaml) => {
            parse_yaml(text, reading, tape).or_else(|error| or_prose(text, reading, tape, error))
        }
        Some(Format::Xml) => {
            parse_xml(text, reading, tape).or_else(|error| or_prose(text, reading, tape, error))
        }
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

/// The text itself, where that is wanted of one without a document.
pub fn or_prose(text: &str, reading: &Reading, tape: &mut Tape, error: Error) -> Result<Parsed> {
    if reading.prose() == Prose::Error || text.trim().is_empty() {
        return Err(error);
    }
    let format = reading.format.unwrap_or(Format::Plain);
    Ok(Parsed { format, fixes: vec!["prose"], ..plain(text, tape) })
}

pub fn parse_json(text: &str, reading: &Reading, tape: &mut Tape) -> Result<Parsed> {
    let options = repair::Options {
        level: reading.recovery,
        missing: reading.missing,
        prose: reading.prose,
        max_depth: reading.max_depth,
        all: reading.all,
    };
    let found = repair::read(text.as_bytes(), &options, tape)?;
    let repair::Found { root, start, stop, fixes, warnings } = found;
    Ok(Parsed { root, format: Format::Json, fixes, warnings, start, stop })
}

pub fn parse_yaml(text: &str, reading: &Reading, tape: &mut Tape) -> Result<Parsed> {
    let strict = reading.recovery == Recovery::Strict;
    let documents = match (reading.all, strict) {
        (true, _) => Documents::All,
        (false, true) => Documents::Whole,
        (false, false) => Documents::First,
    };
    let options = yaml::Options { documents, unique_keys: strict, max_depth: reading.max_depth };
    if strict {
        let read = yaml::read(text, &options, tape)?;
        return Ok(Parsed {
            warnings: read.warnings,
            ..Parsed::clean(read.root, Format::Yaml, text)
        });
    }
    let rough = reading.recovery == Recovery::BestEffort;
    let found = yaml::read_lenient(text, &options, rough, tape)?;
    let yaml::Found { root, fixes, warnings, start, stop } = found;
    Ok(Parsed { root, format: Format::Yaml, fixes, warnings, start, stop })
}

pub fn parse_xml(text: &str, reading: &Reading, tape: &mut Tape) -> Result<Parsed> {
    let options =
        xml::Options { level: reading.recovery, all: reading.all, max_depth: reading.max_depth };
    let xml::Read { root, fixes, start, stop } = xml::read(text, &options, tape)?;
    Ok(Parsed { root, format: Format::Xml, fixes, warnings: Vec::new(), start, stop })
}

/// The text without the space around it.
pub fn plain(text: &str, tape: &mut Tape) -> Parsed {
    let (root, trimmed) = (tape.len(), text.trim());
    tape.str(trimmed.as_bytes());
    let start = text.len() - text.trim_start().len();
    Parsed { start, stop: start + trimmed.len(), ..Parsed::clean(root, Format::Plain, text) }
}
