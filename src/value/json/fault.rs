//! What is wrong with a text that should be JSON, and the sentence that says so.

use std::fmt;

use crate::error::Error;
use crate::value::place;

/// The words for a text that ends too early.
const END: &str = "the end of the text";

/// Something wrong at the byte with index `at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub at: usize,
    pub wrong: Wrong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    Expected(&'static str),
    TooDeep(usize),
    Control,
    Escape,
    /// Half of a surrogate pair.
    Surrogate,
    NotUtf8,
    Range,
    TooLong,
}

impl Fault {
    pub fn expected(at: usize, what: &'static str) -> Fault {
        Fault { at, wrong: Wrong::Expected(what) }
    }

    /// `invalid JSON at line 2, column 5: expected a value, got "tru"`, with the place in its details.
    pub fn error(self, text: &[u8]) -> Error {
        place::parse_failed("JSON", text, self.at, &self.reason(text))
    }

    fn reason(self, text: &[u8]) -> String {
        match self.wrong {
            Wrong::Expected(what) => format!("expected {what}, got {}", Got { text, at: self.at }),
            Wrong::TooDeep(limit) => format!("nested deeper than {limit}"),
            Wrong::Control => "a raw line break or control character in a string".to_owned(),
            Wrong::Escape => "an unknown escape in a string".to_owned(),
            Wrong::Surrogate => "half of a surrogate pair in a string".to_owned(),
            Wrong::NotUtf8 => "a byte that is not UTF-8".to_owned(),
            Wrong::Range => "a number larger than any float".to_owned(),
            Wrong::TooLong => "longer than 4 GiB".to_owned(),
        }
    }
}

/// Whether the text of a failed [`super::parse`] is the beginning of a document, cut off.
pub fn ends_early(error: &Error) -> bool {
    error.message().ends_with(END)
}

/// The character at a place, as messages show it.
struct Got<'t> {
    text: &'t [u8],
    at: usize,
}

impl fmt::Display for Got<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let character = rest.utf8_chunks().next().map(|chunk| chunk.valid().chars().next());
        match character {
            None => f.write_str(END),
            Some(None) => f.write_str("a byte that is not UTF-8"),
            Some(Some('"')) => f.write_str("a double quote"),
            Some(Some(character)) => write!(f, "{character:?}"),
        }
    }
}
