//! Text that models write, and text that they read: documents in five formats.
//!
//! ```
//! use zigllms::output::{self, Format, Reading, Recovery};
//! use zigllms::value::Tape;
//! let mut tape = Tape::default();
//! let reading = Reading { recovery: Recovery::Strict, ..Reading::of(Format::Json) };
//! let parsed = output::parse(r#"{"city":"Oslo"}"#, &reading, &mut tape).unwrap();
//! let value = tape.at(parsed.root).unwrap();
//! assert_eq!(value.get("city").unwrap().as_str(), Some("Oslo"));
//! ```
//!
//! `parse.rs` reads, `write.rs` writes. The grammars themselves live in `value/`: they are of use to
//! others too.

pub mod markdown;
mod parse;
mod write;

pub use parse::parse;
pub use write::{Writing, write};

use crate::value::MAX_DEPTH;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Yaml,
    Xml,
    Markdown,
    Plain,
}

impl Format {
    pub const ALL: [Format; 5] =
        [Format::Json, Format::Yaml, Format::Xml, Format::Markdown, Format::Plain];

    pub fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Yaml => "yaml",
            Format::Xml => "xml",
            Format::Markdown => "markdown",
            Format::Plain => "plain",
        }
    }

    pub fn named(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(name))
    }
}

/// How much may be wrong with a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing: the whole text is one valid document.
    Strict,
    /// What can be put right without losing or inventing anything.
    #[default]
    Lenient,
    /// Whatever it takes.
    BestEffort,
}

impl Recovery {
    pub const ALL: [Recovery; 3] = [Recovery::Strict, Recovery::Lenient, Recovery::BestEffort];

    pub fn name(self) -> &'static str {
        match self {
            Recovery::Strict => "strict",
            Recovery::Lenient => "lenient",
            Recovery::BestEffort => "best_effort",
        }
    }

    pub fn named(name: &str) -> Option<Recovery> {
        Recovery::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(name))
    }
}

/// What stands for a value that was never written: `{"a":`.
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
    /// An error.
    Error,
    /// The text itself.
    String,
}

/// How to read a text.
#[derive(Clone, Debug)]
pub struct Reading {
    /// `None`: whatever it turns out to be.
    pub format: Option<Format>,
    pub recovery: Recovery,
    pub missing: Missing,
    /// `None`: as the recovery level has it.
    pub prose: Option<Prose>,
    /// Every document of the text, as an array.
    pub all: bool,
    pub max_depth: usize,
    pub max_bytes: Option<usize>,
}

impl Default for Reading {
    fn default() -> Reading {
        Reading {
            format: None,
            recovery: Recovery::default(),
            missing: Missing::default(),
            prose: None,
            all: false,
            max_depth: MAX_DEPTH,
            max_bytes: None,
        }
    }
}

impl Reading {
    pub fn of(format: Format) -> Reading {
        Reading { format: Some(format), ..Reading::default() }
    }

    pub fn prose(&self) -> Prose {
        self.prose.unwrap_or(match self.recovery {
            Recovery::BestEffort => Prose::String,
            Recovery::Strict | Recovery::Lenient => Prose::Error,
        })
    }
}

/// What was read, and what it took.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// Position of the value on the tape.
    pub root: usize,
    pub format: Format,
    /// Names of the repairs made, each once, in the order they were first needed.
    pub fixes: Vec<&'static str>,
    /// What may have been meant differently.
    pub warnings: Vec<String>,
    /// The bytes of the text that the value was read from.
    pub start: usize,
    pub stop: usize,
}

impl Parsed {
    /// A valid document that is the whole text.
    pub fn clean(root: usize, format: Format, text: &str) -> Parsed {
        let (fixes, warnings) = (Vec::new(), Vec::new());
        Parsed { root, format, fixes, warnings, start: 0, stop: text.len() }
    }
}
