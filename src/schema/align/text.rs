//! What a model wrote, read as a schema asks.
//!
//! A text holds several things that may be meant: itself, each document in it, all documents as a
//! list. Each is read, and the one that takes the fewest repairs is the answer.

use serde_json::Value;

use super::{Fit, Rules, attempt, misfit};
use crate::error::{Code, Error, Result};
use crate::schema::Schema;
use crate::value::repair::{self, Level, Prose};
use crate::value::{Ref, Tape, json};

/// What something costs before it is looked at: the whole text, a document among words, one that
/// is a guess, the text itself although there are documents in it.
const WHOLE: u32 = 0;
const FOUND: u32 = 1;
const GUESSED: u32 = 2;
const INSTEAD: u32 = 6;

/// Documents of one text that are looked at.
const MOST: usize = 64;

struct Candidate {
    value: Value,
    cost: u32,
    /// It is a document, not the text itself.
    document: bool,
}

/// The value of the text that fits best.
pub fn read(schema: &Schema, text: &str, rules: Rules) -> Result<Fit> {
    let found = candidates(text, rules.partial);
    let mut fits: Vec<Fit> = Vec::new();
    let mut nearest: Option<Value> = None;
    for candidate in found {
        match attempt(schema, &candidate.value, rules) {
            Ok(fit) => fits.push(Fit { cost: fit.cost + candidate.cost, ..fit }),
            Err(value) if nearest.is_none() && candidate.document => nearest = Some(value),
            Err(_) => {}
        }
    }
    let best = fits.into_iter().reduce(|best, fit| if fit.cost < best.cost { fit } else { best });
    match (best, nearest) {
        (Some(fit), _) => Ok(fit),
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
        return vec![itself(text, instead), document_of(value, WHOLE)];
    }
    let mut tape = Tape::default();
    let options =
        repair::Options { prose: Some(Prose::Error), ..repair::Options::at(Level::BestEffort) };
    let mut found = documents(text, &options, &mut tape, partial);
    let (count, first) = (found.len(), found.first().map(|c| c.value.clone()));
    // What is hardly a document: lines of `key: value`, a call, lists without brackets.
    if let Ok(read) = repair::read(text.as_bytes(), &options, &mut tape)
        && let Some(value) = tape.at(read.root).map(Ref::to_json)
        && first.as_ref() != Some(&value)
        && !partial
    {
        found.push(document_of(value, GUESSED));
    }
    let instead = if count == 0 { WHOLE } else { INSTEAD };
    found.push(itself(text, instead));
    found
}

fn itself(text: &str, cost: u32) -> Candidate {
    Candidate { value: text.into(), cost, document: false }
}

fn document_of(value: Value, cost: u32) -> Candidate {
    Candidate { value, cost, document: true }
}

/// Each object and array of the text, and several as a list.
fn documents(
    text: &str,
    options: &repair::Options,
    tape: &mut Tape,
    partial: bool,
) -> Vec<Candidate> {
    let found = repair::candidates(text.as_bytes(), options, tape);
    let mut values: Vec<Value> = Vec::new();
    for candidate in found.iter().take(MOST) {
        let mut value = tape.at(candidate.root).map(Ref::to_json).unwrap_or_default();
        if partial && !candidate.complete {
            drop_unfinished(text, &mut value);
        }
        values.push(value);
    }
    let preferred = repair::first(&found, tape);
    let mut all: Vec<Candidate> = Vec::new();
    if values.len() > 1 {
        all.push(document_of(Value::from(values.clone()), FOUND));
    }
    let order = |n: &usize| u32::from(Some(*n) != preferred);
    let mut places: Vec<usize> = (0..values.len()).collect();
    places.sort_by_key(order);
    let single = places.into_iter().filter_map(|n| values.get(n));
    all.extend(single.map(|value| document_of(value.clone(), FOUND)));
    all
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
            let options = repair::Options {
                prose: Some(Prose::Error),
                ..repair::Options::at(Level::Lenient)
            };
            repair::read(text.as_bytes(), &options, &mut tape).ok()?.root
        }
        Err(_) => return None,
    };
    tape.at(root).map(Ref::to_json)
}
