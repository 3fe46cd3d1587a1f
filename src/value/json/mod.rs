//! JSON text in and out of tapes.
//!
//! ```
//! use zigllms::value::{Tape, json};
//! let mut tape = Tape::default();
//! let root = json::parse(br#"{"n":1.0}"#, &mut tape).unwrap();
//! assert_eq!(json::to_string(tape.at(root).unwrap()), r#"{"n":1.0}"#);
//! ```

//!
//! `read.rs` walks the grammar, with `scan.rs`, `escape.rs` and `number.rs` for what takes the time;
//! `fault.rs` says what was wrong. What is owned and kept is serde_json's.

mod escape;
mod fault;
mod number;
mod read;
mod scan;
mod select;
mod skip;
mod write;

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use self::fault::{Fault, Wrong};
use self::read::Reader;
use super::MAX_DEPTH;
use super::path::Tree;
use super::tape::{Kind, Ref, Tape};
use crate::error::Result;

pub use escape::{Escape, escape};
pub use fault::ends_early;
pub use number::Number;
pub use write::Style;

/// Reads one document, all of `text`, onto the end of the tape; gives the position of its root.
/// Strict: no comments, no trailing commas, nothing behind the document. A repeated name keeps all
/// its values on the tape; who looks it up gets the last.
pub fn parse(text: &[u8], tape: &mut Tape) -> Result<usize> {
    parse_within(text, MAX_DEPTH, tape)
}

/// As [`parse`], with another limit of nesting.
pub fn parse_within(text: &[u8], max_depth: usize, tape: &mut Tape) -> Result<usize> {
    let at = tape.len();
    let done = fits(text).and_then(|()| Reader::copying(tape, text).document(max_depth));
    done.map_err(|fault| {
        tape.truncate(at);
        fault.error(text)
    })?;
    Ok(at)
}

/// As [`parse_within`] onto an empty tape that takes no copy of the text: whoever reads the tape
/// needs both. False, without a reason, if the text is no document.
pub fn parse_over(text: &[u8], max_depth: usize, tape: &mut Tape) -> bool {
    tape.clear();
    fits(text).is_ok() && Reader::over(tape, text).document(max_depth).is_ok()
}

/// Reads single values out of a document that is all of `text`, onto a tape: the value of path `n`
/// of the tree to `found[n]`. False, without a reason, if the text is no document.
pub fn select(
    text: &[u8],
    max_depth: usize,
    tree: &Tree,
    tape: &mut Tape,
    found: &mut [Option<usize>],
) -> bool {
    fits(text).is_ok() && select::select(text, max_depth, tree, tape, found).is_some()
}

/// The number that is all of `text`.
pub fn number(text: &[u8]) -> Option<Number> {
    number::read(text, 0).ok().filter(|(_, end)| *end == text.len()).map(|(number, _)| number)
}

/// Where the plain bytes of a string that begin at `from` end: at a quote, a backslash, a control
/// character or the end of the text.
pub fn plain_end(text: &[u8], from: usize) -> usize {
    scan::plain(text, from).end
}

/// Lengths on a tape have 32 bits.
fn fits(text: &[u8]) -> std::result::Result<(), Fault> {
    let fits = u32::try_from(text.len()).is_ok();
    if fits { Ok(()) } else { Err(Fault { at: 0, wrong: Wrong::TooLong }) }
}

/// Compact text.
pub fn to_string(value: Ref<'_>) -> String {
    write::text(value, Style::default())
}

/// As [`to_string`], with sorted keys: Lua's tables have no order, and what a model is told should
/// be the same text in every run.
pub fn to_sorted(value: Ref<'_>) -> String {
    write::text(value, Style { sort_keys: true, ..Style::default() })
}

/// Text in a given style.
pub fn to_styled(value: Ref<'_>, style: Style) -> String {
    write::text(value, style)
}

/// Writes a string, in quotes; false, with a part of it written, if it is not UTF-8.
#[inline]
pub fn put_text(out: &mut Vec<u8>, text: &[u8]) -> bool {
    write::put_text(out, text)
}

/// Writes a number; false if it is not finite.
#[inline]
pub fn put_number(out: &mut Vec<u8>, number: Number) -> bool {
    match number {
        Number::Int(n) => write::put_int(out, n),
        Number::Float(n) => return n.is_finite() && write::put_float(out, n),
    }
    true
}

/// Copies an owned document onto the end of the tape; gives the position of its root.
pub fn put(value: &Value, tape: &mut Tape) -> usize {
    let at = tape.len();
    match value {
        Value::Null => tape.null(),
        Value::Bool(value) => tape.bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(int) => tape.int(int),
            None => tape.float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => tape.str(text.as_bytes()),
        Value::Array(items) => {
            let mark = tape.open_array();
            for item in items {
                put(item, tape);
            }
            tape.close(mark, items.len());
        }
        Value::Object(members) => {
            let mark = tape.open_object();
            for (key, value) in members {
                tape.str(key.as_bytes());
                put(value, tape);
            }
            tape.close(mark, members.len());
        }
    }
    at
}

/// A string as it is, any other document as JSON text.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The document without null members of objects: absent, as in all that models write.
pub fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, v)| !v.is_null())
            .map(|(k, v)| (k, without_nulls(v)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

impl Serialize for Ref<'_> {
    /// Values that are no data (functions, threads, userdata) become null; an empty table becomes
    /// an object. Producers of documents have refused or resolved both before.
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        match self.kind() {
            Kind::Null | Kind::Function | Kind::Opaque => to.serialize_unit(),
            Kind::Bool => to.serialize_bool(self.as_bool() == Some(true)),
            Kind::Int => to.serialize_i64(self.as_i64().unwrap_or_default()),
            Kind::Float => to.serialize_f64(self.as_f64().unwrap_or_default()),
            Kind::Str => to.serialize_str(&text(*self)),
            Kind::Array => to.collect_seq(self.items()),
            Kind::Object | Kind::Empty => {
                let mut map = to.serialize_map(Some(self.len()))?;
                for (key, value) in self.members() {
                    map.serialize_entry(&text(key), &value)?;
                }
                map.end()
            }
        }
    }
}

fn text(value: Ref<'_>) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, Error};

    fn round(text: &str) -> String {
        let mut tape = Tape::default();
        let at = parse(text.as_bytes(), &mut tape).unwrap();
        to_string(tape.at(at).unwrap())
    }

    fn error(text: &str) -> Error {
        let mut tape = Tape::default();
        let error = parse(text.as_bytes(), &mut tape).unwrap_err();
        assert!(tape.is_empty(), "a failed parse leaves nothing behind");
        error
    }

    #[test]
    fn documents_come_back_as_they_were() {
        for text in [
            r#"{"a":[1,-2,{"b":null}],"c":"\"ä\u0001","d":{}}"#,
            "[]",
            "[1.0,0.1,-0.0,1e+300,9223372036854775807,-9223372036854775808]",
            "\"\"",
            "true",
        ] {
            assert_eq!(round(text), text);
        }
    }

    #[test]
    fn integers_beyond_64_bit_become_floats() {
        assert_eq!(round("9223372036854775808"), "9.223372036854776e+18");
        assert_eq!(round("-9223372036854775809"), "-9.223372036854776e+18");
    }

    #[test]
    fn floats_read_back_to_the_last_bit() {
        for text in ["1.2345678901234567e-300", "0.1234567890123456789", "5e-324"] {
            let mut tape = Tape::default();
            parse(text.as_bytes(), &mut tape).unwrap();
            let expected: f64 = text.parse().unwrap();
            assert_eq!(tape.root().unwrap().as_f64(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_repeated_key_keeps_its_last_value() {
        let mut tape = Tape::default();
        parse(br#"{"a":1,"b":2,"a":3}"#, &mut tape).unwrap();
        assert_eq!(tape.root().unwrap().get("a").unwrap().as_i64(), Some(3));
    }

    #[test]
    fn an_error_says_where_it_is() {
        let error = error("{\n  \"a\": tru,\n}");
        assert_eq!(error.code(), Code::ParseFailed);
        let details = error.fields().details.clone().unwrap();
        assert_eq!(details["line"], 2);
        assert_eq!(details["offset"], 13, "{details}");
        assert!(details["snippet"].as_str().unwrap().contains("tru,"));
        assert!(error.message().starts_with("invalid JSON at line 2, column"), "{error}");
    }

    #[test]
    fn nesting_stops_at_the_limit_and_says_so() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(round(&nested(MAX_DEPTH)), nested(MAX_DEPTH));
        assert!(error(&nested(MAX_DEPTH + 1)).message().contains("nested deeper than 100"));
        assert!(error(&"[".repeat(1_000_000)).message().contains("nested deeper than 100"));
    }

    #[test]
    fn what_strict_json_forbids_is_refused() {
        for text in ["", " ", "{} {}", "[1,]", "{'a':1}", "// c\n1", "NaN", "01", "\"\u{1}\""] {
            error(text);
        }
        assert!(parse(b"\"\xff\"", &mut Tape::default()).is_err());
    }

    #[test]
    fn numbers_json_cannot_say_do_not_panic() {
        let mut tape = Tape::default();
        tape.float(f64::NAN);
        assert_eq!(to_string(tape.root().unwrap()), "null");
    }

    #[test]
    fn an_owned_document_is_copied_whole() {
        let value = serde_json::json!({"a": [1, 2.5, "x", null, true], "b": {}});
        let mut tape = Tape::default();
        let at = put(&value, &mut tape);
        assert_eq!(tape.at(at).unwrap().to_json(), value);
    }
}
