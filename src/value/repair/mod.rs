//! One reader for the JSON that models write, at three levels.
//!
//! ```
//! use zigllms::value::{Tape, json, repair};
//! let text = b"Sure! ```json\n{city: 'Oslo', \"n\": 3,}\n```";
//! let mut tape = Tape::default();
//! let found = repair::read(text, &repair::Options::default(), &mut tape).unwrap();
//! assert_eq!(json::to_string(tape.at(found.root).unwrap()), r#"{"city":"Oslo","n":3}"#);
//! assert_eq!(found.fixes, ["unquoted_key", "quotes", "comma", "prose", "fence"]);
//! ```
//!
//! - `find.rs`: where documents begin in a text, and which of them are meant.
//! - `top.rs`: texts that are no container: strings, lists, calls, lines of `key: value`.
//! - `value.rs`, `word.rs`: the grammar, with every deviation named by a [`Fix`].
//! - `string.rs`, `quote.rs`, `follow.rs`: what is between quotes, and where it ends.
//!
//! A level allows some repairs and refuses the others; the grammar is the same. Time is linear in
//! the text: looking ahead and reading again take from a supply that grows with the text's length
//! (`Reader::fuel`), and where it is used up the nearest quote or bracket counts. Whatever comes
//! out is a valid value: strings are UTF-8 (other bytes and lone surrogates become U+FFFD), numbers
//! are finite.
//!
//! Who else reads JSON by models: tool-call arguments of providers and inputs of `tool.execute` can
//! use [`read`] with `prose = Error`, and fall back to the text as it is when that fails.

mod find;
mod fix;
mod follow;
mod quote;
mod reader;
mod string;
mod top;
mod value;
mod word;

#[cfg(test)]
mod tests;

pub use find::{All, Candidate, all, candidates, first, value_at_start};
pub use fix::Fix;

use self::reader::{Reader, Stop};
use super::{MAX_DEPTH, Tape, json, place};
use crate::error::{Error, Result};

/// How much may be wrong with a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Strict,
    /// What can be put right without losing or inventing anything.
    #[default]
    Lenient,
    BestEffort,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Level::Strict => "strict",
            Level::Lenient => "lenient",
            Level::BestEffort => "best_effort",
        }
    }
}

/// What stands for a value that was never written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    #[default]
    Null,
    /// The empty string.
    Empty,
}

/// What becomes of a text without a document in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prose {
    Error,
    /// The text itself.
    String,
}

/// Deepest nesting of what has to be repaired. Valid text may be nested deeper, if `max_depth` says
/// so: it is read without recursion.
const DEEPEST: usize = 400;

#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub level: Level,
    pub missing: Missing,
    /// `None`: a string with a best effort, else an error.
    pub prose: Option<Prose>,
    pub max_depth: usize,
    /// All documents of the text, as an array.
    pub all: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            level: Level::default(),
            missing: Missing::default(),
            prose: None,
            max_depth: MAX_DEPTH,
            all: false,
        }
    }
}

impl Options {
    pub fn at(level: Level) -> Options {
        Options { level, ..Options::default() }
    }

    /// A text that is no document is an error, whatever the level.
    pub fn document(level: Level) -> Options {
        Options { prose: Some(Prose::Error), ..Options::at(level) }
    }

    fn prose(&self) -> Prose {
        let default = if self.level == Level::BestEffort { Prose::String } else { Prose::Error };
        self.prose.unwrap_or(default)
    }
}

/// What was read, and what it took.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Position of the value on the tape.
    pub root: usize,
    /// The bytes of the text that it was read from.
    pub start: usize,
    pub stop: usize,
    /// Names of the repairs made, each once, in the order they were first needed.
    pub fixes: Vec<&'static str>,
    /// What may have been meant differently.
    pub warnings: Vec<String>,
}

/// Reads the document of a text onto the end of the tape.
pub fn read(text: &[u8], options: &Options, tape: &mut Tape) -> Result<Found> {
    let strict = json::parse_within(text, options.max_depth, tape);
    let error = match strict {
        Ok(root) if !options.all => return Ok(clean(root, text)),
        Ok(root) => {
            tape.truncate(root);
            None
        }
        Err(error) => Some(error),
    };
    if options.level == Level::Strict
        && let Some(error) = error
    {
        return Err(error);
    }
    if text.trim_ascii().is_empty() {
        return Err(place::parse_failed("JSON", text, 0, "the text is empty"));
    }
    let nodes = tape.len();
    let mut reader = Reader::new(text, options, tape);
    reader.document().map_err(|stop| {
        reader.tape.truncate(nodes);
        failure(text, &stop)
    })
}

fn clean(root: usize, text: &[u8]) -> Found {
    let blank = |b: &u8| b.is_ascii_whitespace();
    let start = text.iter().take_while(|b| blank(b)).count();
    let stop = text.trim_ascii_end().len();
    Found { root, start, stop, ..Found::default() }
}

fn failure(text: &[u8], stop: &Stop) -> Error {
    place::parse_failed("JSON", text, stop.at.min(text.len()), &stop.reason(text))
}
