//! A message as a document: JSON, and what servers and clients send in its place.

use serde_json::Value;

use crate::provider::sse::without_bom;
use crate::value::Tape;
use crate::value::repair::{self, Level, Options};

/// Repairs that touch nothing but single values, and tell what was meant: Python writes NaN and lone
/// surrogates. A text that ends early, or with quotes of other kinds, is not guessed at.
const HARMLESS: [&str; 5] =
    ["invalid_utf8", "control_character", "invalid_escape", "literal", "space"];

/// Nesting, as strict JSON has it here.
const DEEPEST: usize = 127;

/// Why it cannot be read, if so.
pub fn read(text: &[u8]) -> Result<Value, String> {
    let text = without_bom(text);
    serde_json::from_slice(text).or_else(|error| recovered(text).ok_or_else(|| error.to_string()))
}

fn recovered(text: &[u8]) -> Option<Value> {
    if !looks_like_one(text) {
        return None;
    }
    let text = String::from_utf8_lossy(text);
    let options = Options { max_depth: DEEPEST, ..Options::document(Level::Lenient) };
    let mut tape = Tape::default();
    let found = repair::read(text.as_bytes(), &options, &mut tape).ok()?;
    let is_harmless = found.fixes.iter().all(|fix| HARMLESS.contains(fix));
    tape.at(found.root).filter(|_| is_harmless).map(|root| root.to_json())
}

/// Whether it begins as a message does.
pub fn looks_like_one(text: &[u8]) -> bool {
    matches!(without_bom(text).trim_ascii_start().first(), Some(b'{' | b'['))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_does_no_harm_is_read_as_it_was_meant() {
        for (text, meant) in [
            (&b"\xef\xbb\xbf{\"a\":1}"[..], json!({ "a": 1 })),
            (b"{\"a\":\"x\\ud800y\"}", json!({ "a": "x\u{fffd}y" })),
            (b"{\"a\":\"\xff\"}", json!({ "a": "\u{fffd}" })),
            (b"{\"a\":NaN,\"b\":-Infinity}", json!({ "a": null, "b": null })),
            (b"{\"a\":\"\t\"}", json!({ "a": "\t" })),
        ] {
            assert_eq!(read(text), Ok(meant), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn nothing_is_guessed() {
        for text in [
            "print",
            "{'a':1}",
            "{\"a\":1,}",
            "{\"a\":1",
            "{\"a\":1}}",
            "log: {\"a\":1}",
            "{a:1}",
            "{\"a\":1} // said he",
            "{\"a\":1e400}",
            "{\"a\":\"b\" \"c\":1}",
            "{\"a\":tru}",
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(read(nested(100).as_bytes()).is_ok());
        assert!(read(nested(100_000).as_bytes()).unwrap_err().contains("recursion"));
    }
}
