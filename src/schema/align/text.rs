//! What a model wrote, read as a schema asks.
//!
//! A text holds several things that may be meant: itself, each document in it, all documents as a
//! list. Each is read, and the one that takes the fewest repairs is the answer.

use serde_json::Value;

use super::{Fit, Rules, attempt, misfit};
use crate::error::{Code, Error, Result};
use crate::schema::Schema;
use crate::value::repair::{self, Level};
use crate::value::{Ref, Tape, json};

/// What something costs before it is looked at: the whole text, a document among words, one that
/// is a guess, the text itself although there are documents in it.
const WHOLE: u32 = 0;
const FOUND: u32 = 1;
const GUESSED: u32 = 2;
const INSTEAD: u32 = 6;

/// Documents of one text that are looked at.
const MOST: usize = 64;

/// Something in a text that may be meant.
struct Candidate {
    value: Value,
    cost: u32,
    /// It is a document, not the text itself.
    document: bool,
    from: From,
}

/// Where in a text a value was found, and what was mended on the way.
#[derive(Clone, Debug, Default)]
pub struct From {
    pub start: usize,
    pub stop: usize,
    pub fixes: Vec<&'static str>,
}

/// The value of the text that fits best.
pub fn read(schema: &Schema, text: &str, rules: Rules) -> Result<(Fit, From)> {
    let mut best: Option<(Fit, From)> = None;
    let mut nearest: Option<Value> = None;
    for candidate in candidates(text, rules.partial) {
        match attempt(schema, &candidate.value, rules) {
            Ok(fit) => {
                let fit = Fit { cost: fit.cost + candidate.cost, ..fit };
                if best.as_ref().is_none_or(|(best, _)| fit.cost < best.cost) {
                    best = Some((fit, candidate.from));
                }
            }
            Err(value) if nearest.is_none() && candidate.document => nearest = Some(value),
            Err(_) => {}
        }
    }
    match (best, nearest) {
        (Some(best), _) => Ok(best),
        (None, Some(value)) => Err(misfit(schema, &value)),
        (None, None) => Err(nothing(text)),
    }
}

fn nothing(text: &str) -> Error {
    let start: String = text.trim().chars().take(40).collect();
    let message = format!("the text has nothing that fits the schema: {start:?}");
    Error::new(Code::ValidationFailed, message)
}

/// Everything that may be meant, the likeliest first.
fn candidates(text: &str, partial: bool) -> Vec<Candidate> {
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        // A text that is wanted as a text stays as it stands, quotes and all.
        let instead = if value.is_string() { 0 } else { INSTEAD };
        return vec![itself(text, instead), document_of(value, WHOLE, whole(text))];
    }
    let mut tape = Tape::default();
    let options = repair::Options::document(Level::BestEffort);
    let mut found = documents(text, &options, &mut tape, partial);
    let (count, first) = (found.len(), found.first().map(|c| c.value.clone()));
    // What is hardly a document: lines of `key: value`, a call, lists without brackets.
    if let Ok(read) = repair::read(text.as_bytes(), &options, &mut tape)
        && let Some(value) = tape.at(read.root).map(Ref::to_json)
        && first.as_ref() != Some(&value)
        && !partial
    {
        let from = From { start: read.start, stop: read.stop, fixes: read.fixes };
        found.push(document_of(value, GUESSED, from));
    }
    let instead = if count == 0 { WHOLE } else { INSTEAD };
    found.push(itself(text, instead));
    found
}

fn itself(text: &str, cost: u32) -> Candidate {
    Candidate { value: text.into(), cost, document: false, from: whole(text) }
}

fn document_of(value: Value, cost: u32, from: From) -> Candidate {
    Candidate { value, cost, document: true, from }
}

fn whole(text: &str) -> From {
    From { start: 0, stop: text.len(), fixes: Vec::new() }
}

/// Each object and array of the text, and several as a list.
fn documents(
    text: &str,
    options: &repair::Options,
    tape: &mut Tape,
    partial: bool,
) -> Vec<Candidate> {
    let found = repair::candidates(text.as_bytes(), options, tape);
    let preferred = repair::first(&found, tape);
    let mut all: Vec<Candidate> = Vec::new();
    for candidate in found.into_iter().take(MOST) {
        let mut value = tape.at(candidate.root).map(Ref::to_json).unwrap_or_default();
        if partial && !candidate.complete {
            drop_unfinished(text, &mut value);
        }
        let from =
            From { start: candidate.start, stop: candidate.stop, fixes: candidate.fixes.clone() };
        all.push(document_of(value, FOUND, from));
    }
    let together = together(&all);
    if let Some(preferred) = preferred.filter(|n| *n < all.len()) {
        all[..=preferred].rotate_right(1);
    }
    all.splice(0..0, together);
    all
}

/// Several documents as a list.
fn together(all: &[Candidate]) -> Option<Candidate> {
    let (first, last) = (all.first()?, all.last()?);
    if all.len() < 2 {
        return None;
    }
    let mut from = From { start: first.from.start, stop: last.from.stop, fixes: vec!["documents"] };
    for fix in all.iter().flat_map(|candidate| &candidate.from.fixes) {
        if !from.fixes.contains(fix) {
            from.fixes.push(fix);
        }
    }
    let values = all.iter().map(|candidate| candidate.value.clone()).collect();
    Some(document_of(values, FOUND, from))
}

/// A number at the very end of a text may go on: it is not there yet.
fn drop_unfinished(text: &str, value: &mut Value) {
    let goes_on = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
    if text.trim_end().ends_with(goes_on) {
        drop_last(value);
    }
}

fn drop_last(value: &mut Value) {
    match value {
        Value::Array(items) => match items.last_mut() {
            Some(Value::Number(_)) => drop(items.pop()),
            Some(last) => drop_last(last),
            None => {}
        },
        Value::Object(members) => {
            let Some((key, last)) = members.iter_mut().next_back() else { return };
            if !last.is_number() {
                return drop_last(last);
            }
            let key = key.clone();
            members.shift_remove(&key);
        }
        _ => {}
    }
}

/// The document that a text is; `free`: also one that has to be mended.
pub fn document(text: &str, free: bool) -> Option<Value> {
    let mut tape = Tape::default();
    let root = match json::parse(text.as_bytes(), &mut tape) {
        Ok(root) => root,
        Err(_) if free => {
            let options = repair::Options::document(Level::BestEffort);
            repair::read(text.as_bytes(), &options, &mut tape).ok()?.root
        }
        Err(_) => return None,
    };
    tape.at(root).map(Ref::to_json)
}
