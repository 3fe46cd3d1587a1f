//! The YAML mapping that a text may begin with.

use crate::value::yaml::{self, Documents};
use crate::value::{Kind, Tape};

/// The front matter's text, and where the Markdown begins. Two thematic breaks with a sentence
/// between them are no front matter: only a mapping is.
pub fn split(text: &str) -> (Option<&str>, usize) {
    let mark = if text.starts_with('\u{FEFF}') { 3 } else { 0 };
    let Some((front, body)) = between(&text[mark..]) else { return (None, 0) };
    match is_mapping(front) {
        true => (Some(front), mark + body),
        false => (None, 0),
    }
}

fn between(text: &str) -> Option<(&str, usize)> {
    let first = text.lines().next().filter(|line| line.trim_end() == "---")?;
    let begin = text.find('\n').filter(|at| *at <= first.len() + 1)? + 1;
    let mut at = begin;
    for line in text[begin..].split_inclusive('\n') {
        if matches!(line.trim_end(), "---" | "...") {
            return Some((&text[begin..at], at + line.len()));
        }
        at += line.len();
    }
    None
}

fn is_mapping(text: &str) -> bool {
    let mut tape = Tape::default();
    read(text, &mut tape)
        .and_then(|root| tape.at(root))
        .is_some_and(|value| value.kind() == Kind::Object)
}

/// Reads front matter as leniently as the recovering reader of YAML does by itself.
pub fn read(text: &str, tape: &mut Tape) -> Option<usize> {
    let options = yaml::Options {
        documents: Documents::First,
        unique_keys: false,
        ..yaml::Options::default()
    };
    yaml::read(text, &options, tape).ok().map(|read| read.root)
}
