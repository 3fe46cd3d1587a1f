//! Where in a text something is, and the error that says so.

use serde_json::json;

use crate::error::{Code, Error};

/// Text on each side of a place that goes into an error's details.
const AROUND: usize = 20;

/// A position in a text, all counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    pub line: usize,
    /// In characters.
    pub column: usize,
    /// In bytes, as Lua's `string.sub` counts.
    pub offset: usize,
}

/// The place of the byte at index `at`; the end of the text if it is shorter.
pub fn spot(text: &[u8], at: usize) -> Spot {
    let before = &text[..at.min(text.len())];
    let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    Spot {
        line: 1 + memchr::memchr_iter(b'\n', before).count(),
        column: 1 + before[start..].iter().filter(|byte| starts_character(**byte)).count(),
        offset: before.len() + 1,
    }
}

fn starts_character(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

/// `invalid YAML at line 2, column 5: a key twice`, with line, column, offset and snippet in its
/// details.
pub fn parse_failed(what: &str, text: &[u8], at: usize, reason: &str) -> Error {
    let Spot { line, column, offset } = spot(text, at);
    let message = format!("invalid {what} at line {line}, column {column}: {reason}");
    let details = json!({
        "line": line, "column": column, "offset": offset, "snippet": snippet(text, at),
    });
    Error::new(Code::ParseFailed, message).with(|f| f.details = Some(details))
}

/// As [`parse_failed`], for a text that is not even looked at.
pub fn too_large(message: &str) -> Error {
    let details = json!({ "line": 1, "column": 1, "offset": 1, "snippet": "" });
    Error::new(Code::ParseFailed, message).with(|f| f.details = Some(details))
}

fn snippet(text: &[u8], at: usize) -> String {
    let from = at.min(text.len()).saturating_sub(AROUND);
    let to = (at + AROUND).min(text.len());
    let whole = |at: &usize| text.get(*at).is_none_or(|byte| starts_character(*byte));
    let from = (from..to).find(whole).unwrap_or(to);
    let to = (from..=to).rev().find(whole).unwrap_or(to);
    String::from_utf8_lossy(&text[from..to]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters_and_offsets_bytes() {
        let text = "ä\nöx".as_bytes();
        assert_eq!(spot(text, 0), Spot { line: 1, column: 1, offset: 1 });
        assert_eq!(spot(text, 5), Spot { line: 2, column: 2, offset: 6 });
        assert_eq!(spot(text, 99), Spot { line: 2, column: 3, offset: 7 });
    }

    #[test]
    fn a_snippet_is_cut_between_characters() {
        let text = "ä".repeat(60);
        for at in 0..text.len() {
            let shown = snippet(text.as_bytes(), at);
            assert!(!shown.is_empty() && shown.chars().all(|c| c == 'ä'), "{at}: {shown}");
        }
        assert_eq!(snippet(b"", 0), "");
    }
}
