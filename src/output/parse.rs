//! A text into a value on a tape.

use super::{Format, Parsed, Reading};
use crate::error::{Error, Result};
use crate::value::{Tape, json, place};

/// Reads a text onto the end of the tape.
pub fn parse(text: &str, reading: &Reading, tape: &mut Tape) -> Result<Parsed> {
    check_size(text, reading)?;
    match reading.format.unwrap_or(Format::Json) {
        Format::Json => parse_json(text, reading, tape),
        format => Err(Error::unsupported(format!("cannot parse {} yet", format.name()))),
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
