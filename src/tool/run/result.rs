//! The result of a call: as a model reads it, and checked against what the tool says it returns.

use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::schema::Schema;
use crate::value::{Ref, Tape, json};

/// A value as a model reads it: strings as they are, other values as JSON.
pub fn in_words(value: Ref<'_>) -> String {
    value.as_str().map_or_else(|| json::to_sorted(value), str::to_owned)
}

/// Why no model can read it.
pub fn unspeakable(value: Ref<'_>) -> Option<&'static str> {
    if !value.is_text() {
        return Some("a string in it is not UTF-8");
    }
    has_infinite(value).then_some("a number in it is not finite")
}

fn has_infinite(value: Ref<'_>) -> bool {
    value.as_f64().is_some_and(|n| !n.is_finite())
        || value.items().any(has_infinite)
        || value.members().any(|(_, member)| has_infinite(member))
}

/// `{"error": "…"}`: how a model is told that a call failed.
pub fn error_text(message: &str) -> String {
    serde_json::json!({ "error": message }).to_string()
}

pub fn check_result(schema: &Value, text: &str, is_text: bool) -> Result<()> {
    let mut tape = Tape::default();
    let at = if is_text {
        json::put(&Value::from(text), &mut tape)
    } else {
        json::parse(text.as_bytes(), &mut tape)?
    };
    let told =
        |e: Error| Error::new(Code::ToolError, format!("result: {}", e.message())).caused_by(e);
    tape.at(at).map_or(Ok(()), |root| Schema::compile(schema)?.fit(root).map_err(told))
}
