//! Which format a text has, for schemas that are made from examples.
//!
//! The validator's own checks decide. Formats that ordinary words have too (a hostname, a relative
//! reference, a regular expression) are not guessed.

use once_cell::sync::Lazy;
use serde_json::json;

use super::Schema;
use crate::value::Tape;

/// From the strictest to the loosest.
const GUESSED: &[&str] = &["uuid", "date-time", "date", "time", "ipv4", "ipv6", "email", "uri"];

static CHECKS: Lazy<Vec<(&str, Schema)>> = Lazy::new(|| {
    let check = |name| Some((name, Schema::compile(&json!({ "format": name })).ok()?));
    GUESSED.iter().copied().filter_map(check).collect()
});

/// The format of a text, if it is one that says something.
pub fn of(text: &str) -> Option<&'static str> {
    // A word and a colon is a URI by the letter; what programs mean by one has an authority.
    let loose = |name: &str| name == "uri" && !text.contains("://");
    let mut tape = Tape::default();
    tape.str(text.as_bytes());
    let value = tape.root()?;
    CHECKS.iter().find(|(name, check)| !loose(name) && check.is_valid(value)).map(|(name, _)| *name)
}
