//! The arguments of a tool call, which models sometimes write badly.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::value::Tape;
use crate::value::repair::{Level, Options, read as repaired};

/// The arguments as a document; `None` if they are none. What a model wrote to its end is also read
/// where it takes repairs that neither lose nor invent anything; a string without an end does not
/// become an argument.
pub fn read(text: &str, whole: bool) -> Option<Value> {
    let text = text.trim();
    if is_none(text) {
        return Some(Value::Object(Map::new()));
    }
    match serde_json::from_str(text) {
        // Some models write the document into a string.
        Ok(Value::String(inner)) if whole => Some(document(&inner).unwrap_or(Value::String(inner))),
        Ok(value) => Some(value),
        Err(_) if whole => document(text),
        Err(_) => None,
    }
}

/// The arguments as a text that others can parse.
pub fn valid_json(text: &str, whole: bool) -> Option<Cow<'_, str>> {
    if text.trim().is_empty() {
        return Some("{}".into());
    }
    match serde_json::from_str(text) {
        Ok(Value::String(_)) | Err(_) => read(text, whole).map(|value| value.to_string().into()),
        Ok(_) => Some(text.into()),
    }
}

/// Models write "no arguments" in several ways.
fn is_none(text: &str) -> bool {
    matches!(text, "" | "null" | "[]")
}

fn document(text: &str) -> Option<Value> {
    let options = Options::document(Level::Lenient);
    let mut tape = Tape::default();
    let found = repaired(text.as_bytes(), &options, &mut tape).ok()?;
    tape.at(found.root).map(|root| root.to_json()).filter(Value::is_object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_broken_is_put_right_where_nothing_is_missing() {
        for broken in [
            "{'a': 1}",
            "{a: 1,}",
            "{\"a\": 1",
            "```json\n{\"a\": 1}\n```",
            "\"{\\\"a\\\": 1}\"",
            "{\"a\": 1} // done",
        ] {
            assert_eq!(read(broken, true), Some(json!({"a": 1})), "{broken}");
        }
        assert_eq!(read("{\"a\": True}", true), Some(json!({"a": true})));
    }

    #[test]
    fn what_was_cut_off_is_not_completed() {
        assert_eq!(read("{\"a\": 1", false), None);
        for text in ["{\"a\": \"half of", "{\"a\":", "soon", "{\"a"] {
            assert_eq!(read(text, true), None, "{text}");
        }
    }

    #[test]
    fn no_arguments_are_an_empty_object() {
        for none in ["", " ", "null", "[]", "{}"] {
            assert_eq!(read(none, false), Some(json!({})), "{none}");
        }
    }

    #[test]
    fn valid_text_stays_as_it_is() {
        assert_eq!(valid_json("{ \"a\":1 }", false).unwrap(), "{ \"a\":1 }");
        assert_eq!(valid_json("{'a':1}", true).unwrap(), r#"{"a":1}"#);
        assert_eq!(valid_json(r#""{\"a\":1}""#, true).unwrap(), r#"{"a":1}"#);
        assert_eq!(valid_json("", false).unwrap(), "{}");
        assert_eq!(valid_json("{'a'", false), None);
    }
}
