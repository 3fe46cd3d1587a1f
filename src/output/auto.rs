//! A text of unknown format: the first reader that finds a document in it.

use super::detect::{LIKELY, may_be_yaml, named, of_yaml};
use super::parse::{or_prose, parse_json, parse_xml, parse_yaml};
use super::{Format, Parsed, Prose, Reading, Recovery};
use crate::error::{Error, Result};
use crate::value::fence::fences;
use crate::value::{Kind, Tape, place};

/// Valid documents first; then what a fence says it holds; then what can be found and mended. A
/// text that is only prose is no document of any format.
pub fn auto(text: &str, reading: &Reading, tape: &mut Tape) -> Result<Parsed> {
    let strict = Reading { recovery: Recovery::Strict, ..reading.clone() };
    if let Some(parsed) = valid(text, &strict, tape) {
        return Ok(parsed);
    }
    if reading.recovery == Recovery::Strict {
        return Err(nothing(text, reading));
    }
    let wary = Reading { prose: Some(Prose::Error), ..reading.clone() };
    if let Some(parsed) = mended(text, &wary, tape) {
        return Ok(parsed);
    }
    or_prose(text, reading, tape, nothing(text, reading))
}

fn valid(text: &str, strict: &Reading, tape: &mut Tape) -> Option<Parsed> {
    if let Ok(parsed) = parse_json(text, strict, tape) {
        return Some(parsed);
    }
    if text.trim_start().starts_with('<')
        && let Ok(parsed) = parse_xml(text, strict, tape)
    {
        return Some(parsed);
    }
    likely_yaml(text, strict, tape)
}

/// YAML that looks as if it was meant to be.
fn likely_yaml(text: &str, reading: &Reading, tape: &mut Tape) -> Option<Parsed> {
    if !may_be_yaml(text) {
        return None;
    }
    let at = tape.len();
    let parsed = parse_yaml(text, reading, tape).ok()?;
    let likeness = tape.at(parsed.root).map_or(0.0, |value| {
        let inner = &text[parsed.start.min(text.len())..];
        of_yaml(value, inner)
    });
    if likeness < LIKELY {
        tape.truncate(at);
        return None;
    }
    Some(parsed)
}

fn mended(text: &str, wary: &Reading, tape: &mut Tape) -> Option<Parsed> {
    if let Some(format) = fences(text).iter().find_map(|fence| named(fence.language))
        && let Some(parsed) = one(format, text, wary, tape)
    {
        return Some(parsed);
    }
    let order: &[Format] = match text.trim_start().chars().next() {
        Some('<') => &[Format::Xml, Format::Json, Format::Yaml],
        Some('{' | '[') => &[Format::Json, Format::Xml, Format::Yaml],
        _ if text.contains(['{', '[']) => &[Format::Json, Format::Yaml, Format::Xml],
        _ => &[Format::Yaml, Format::Xml, Format::Json],
    };
    order.iter().find_map(|format| one(*format, text, wary, tape))
}

fn one(format: Format, text: &str, wary: &Reading, tape: &mut Tape) -> Option<Parsed> {
    match format {
        Format::Json => container(parse_json(text, wary, tape).ok()?, tape),
        Format::Xml => parse_xml(text, wary, tape).ok().filter(|found| stands_alone(text, found)),
        Format::Yaml => likely_yaml(text, wary, tape),
        Format::Markdown | Format::Plain => None,
    }
}

/// A word or number in a sentence is no document.
fn container(parsed: Parsed, tape: &Tape) -> Option<Parsed> {
    let kind = tape.at(parsed.root)?.kind();
    matches!(kind, Kind::Array | Kind::Object).then_some(parsed)
}

/// Tags within a line of prose are no document.
fn stands_alone(text: &str, found: &Parsed) -> bool {
    let line = text[..found.start].rsplit('\n').next().unwrap_or_default();
    line.trim().is_empty()
}

fn nothing(text: &str, reading: &Reading) -> Error {
    let strict = Reading { recovery: Recovery::Strict, ..reading.clone() };
    let mut tape = Tape::default();
    let told = match text.trim_start().chars().next() {
        Some('{' | '[') => parse_json(text, &strict, &mut tape).err(),
        Some('<') => parse_xml(text, &strict, &mut tape).err(),
        _ => None,
    };
    told.unwrap_or_else(|| {
        place::parse_failed("text", text.as_bytes(), 0, "no JSON, YAML or XML document in it")
    })
}
