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
//! `parse.rs` reads, `auto.rs` what it is not told the format of; `detect.rs` says what a text is;
//! `write.rs` writes. The grammars themselves live in `value/`: they are of use to
//! others too.

mod auto;
mod detect;
mod fields;
pub mod markdown;
mod parse;
mod prose;
pub mod stream;
mod write;

pub use detect::{Detected, detect};
pub use fields::{Fields, Wanted};
pub use parse::{check_size, parse};
pub use write::{Writing, write};

use crate::value::MAX_DEPTH;

pub use crate::value::repair::{Level as Recovery, Missing, Prose};

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

/// The name of a recovery level in options.
pub fn level_named(name: &str) -> Option<Recovery> {
    let levels = [
        ("strict", Recovery::Strict),
        ("lenient", Recovery::Lenient),
        ("best_effort", Recovery::BestEffort),
    ];
    levels.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, level)| level)
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
