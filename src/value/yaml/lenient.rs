//! YAML as models write it: in fences, between sentences, with colons and asterisks in values.
//!
//! A text that is YAML is read as it is. Only where that fails are its lines mended, one pass over
//! all of them, so the time stays linear; what is wrong is told by the first failure.

use std::ops::Range;

use super::super::Tape;
use super::super::fence::{Fence, fences};
use super::super::tape::Kind;
use super::mend::{Mended, mend};
use super::{Documents, Options, Read, failed, read, read_part};
use crate::error::Result;

/// Blocks that are looked into: each may cost as much as the whole text.
const MOST_FENCES: usize = 8;

/// What was read, and what it took.
#[derive(Clone, Debug)]
pub struct Found {
    pub root: usize,
    pub fixes: Vec<&'static str>,
    pub warnings: Vec<String>,
    /// The bytes it was read from.
    pub start: usize,
    pub stop: usize,
}

/// Reads a text, or the part of it that is YAML. `rough` also takes what is cut off.
pub fn read_lenient(text: &str, options: &Options, rough: bool, tape: &mut Tape) -> Result<Found> {
    let mark = if text.starts_with('\u{FEFF}') { 3 } else { 0 };
    let fences = labelled_first(fences(text));
    let in_prose = fences.iter().any(|fence| fence.indent == 0);
    let whole = mark..text.len();
    let first = match in_prose {
        false => attempt(text, whole.clone(), options, tape),
        true => Err(failed(text, mark, "no YAML")),
    };
    let error = match first {
        Ok(found) if !is_bare(text, &found, tape) => return Ok(found),
        Ok(_) => failed(text, mark, "no mapping or list"),
        Err(error) => error,
    };
    for fence in &fences {
        if let Some(found) = fenced(text, fence, options, rough, tape) {
            return Ok(found);
        }
    }
    mended(text, whole, options, rough, tape).ok_or(error)
}

/// Blocks that say they are YAML, then those that say nothing. Others are something else.
fn labelled_first(mut all: Vec<Fence<'_>>) -> Vec<Fence<'_>> {
    let is_yaml =
        |f: &Fence<'_>| ["yaml", "yml"].iter().any(|l| l.eq_ignore_ascii_case(f.language));
    all.retain(|fence| fence.language.is_empty() || is_yaml(fence));
    all.sort_by_key(|fence| !is_yaml(fence));
    all.truncate(MOST_FENCES);
    all
}

fn attempt(text: &str, part: Range<usize>, options: &Options, tape: &mut Tape) -> Result<Found> {
    let Read { root, warnings, .. } = read_part(text, part.clone(), options, tape)?;
    Ok(Found { root, fixes: Vec::new(), warnings, start: part.start, stop: part.end })
}

/// A sentence is YAML, too: a string. It is no document that anybody asked for, unless the text is
/// one word, or a value in quotes.
fn is_bare(text: &str, found: &Found, tape: &Tape) -> bool {
    let value = tape.at(found.root);
    let is_text = value.is_some_and(|value| value.kind() == Kind::Str);
    let trimmed = text.trim();
    is_text && !trimmed.starts_with(['"', '\'', '|', '>', '!', '-', '%']) && trimmed.contains(' ')
}

fn fenced(
    text: &str,
    fence: &Fence<'_>,
    options: &Options,
    rough: bool,
    tape: &mut Tape,
) -> Option<Found> {
    let part = fence.content.clone();
    let mut found = attempt(text, part.clone(), options, tape)
        .ok()
        .filter(|found| !fence.language.is_empty() || !is_bare(&text[part.clone()], found, tape))
        .or_else(|| mended(text, part, options, rough, tape))?;
    found.fixes.insert(0, "fence");
    let (before, after) = (&text[..fence.whole.start], &text[fence.whole.end..]);
    if !(before.trim().is_empty() && after.trim().is_empty()) {
        found.fixes.push("prose");
    }
    Some(found)
}

fn mended(
    text: &str,
    part: Range<usize>,
    options: &Options,
    rough: bool,
    tape: &mut Tape,
) -> Option<Found> {
    let Mended { text: lines, fixes, start, stop } = mend(&text[part.clone()], rough)?;
    let options = Options { unique_keys: false, ..*options };
    let at = tape.len();
    let Read { root, warnings, .. } = read(&lines, &options, tape).ok()?;
    let kind = tape.at(root).map(|value| value.kind());
    if options.documents == Documents::First && !matches!(kind, Some(Kind::Array | Kind::Object)) {
        tape.truncate(at);
        return None;
    }
    let (start, stop) = (part.start + start, part.start + stop);
    Some(Found { root, fixes, warnings, start, stop })
}
