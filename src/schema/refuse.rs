//! Why a schema cannot be used.

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{ReferencingError, ValidationError};
use serde_json::{Value, json};

use super::keywords::{TYPES, children, local};
use super::violation;
use crate::error::{Code, Error, Result, quoted};
use crate::value::{Tape, json as text};

/// References that are followed in search of a circle.
const MOST_HOPS: usize = 32;

const NOT_LINEAR: &str =
    "needs look-around or back references, which patterns in linear time do not have";

/// A type that is neither JSON Schema's nor a known word for one is named, not guessed.
pub fn unknown_types(schema: &Value) -> Result<()> {
    check_types(schema, "")
}

fn check_types(schema: &Value, path: &str) -> Result<()> {
    let Value::Object(members) = schema else { return Ok(()) };
    let names = match members.get("type") {
        Some(Value::Array(names)) => names.as_slice(),
        Some(name) => std::slice::from_ref(name),
        None => &[],
    };
    if let Some(name) = names.iter().filter_map(Value::as_str).find(|n| !TYPES.contains(n)) {
        let known = TYPES.join(", ");
        let reason = format!("type {} is not a JSON Schema type ({known})", quoted(name));
        return Err(invalid(&format!("{path}/type"), &reason));
    }
    let mut checked = Ok(());
    children(members, |step, child| {
        if checked.is_ok() {
            checked = check_types(child, &format!("{path}{step}"));
        }
    });
    checked
}

/// References that lead back to themselves and say nothing on the way.
pub fn circles(schema: &Value) -> Result<()> {
    look_for_circles(schema, schema, "")
}

/// References that fan out until one value asks for more checks than anybody waits for.
pub fn floods(schema: &Value) -> Result<()> {
    if super::flood::floods(schema) {
        return Err(invalid("", "its references fan out: one value would be checked without end"));
    }
    Ok(())
}

fn look_for_circles(root: &Value, schema: &Value, path: &str) -> Result<()> {
    let Value::Object(members) = schema else { return Ok(()) };
    let mut passed: Vec<&Value> = Vec::new();
    let mut here = Some(schema);
    while let Some(next) = here.and_then(|schema| local(root, schema.get("$ref")?.as_str()?)) {
        if std::ptr::eq(next, schema) {
            return Err(invalid(&format!("{path}/$ref"), "$ref leads back to itself"));
        }
        if passed.len() > MOST_HOPS || passed.iter().any(|seen| std::ptr::eq(*seen, next)) {
            break;
        }
        passed.push(next);
        here = Some(next);
    }
    let mut checked = Ok(());
    children(members, |step, child| {
        if checked.is_ok() {
            checked = look_for_circles(root, child, &format!("{path}{step}"));
        }
    });
    checked
}

/// The error that stands for what the validator said about a schema.
pub fn explain(schema: &Value, error: &ValidationError<'_>) -> Error {
    if let Kind::Referencing(reason) = error.kind() {
        return reference(reason);
    }
    let path = error.instance_path().as_str();
    if matches!(error.kind(), Kind::Format { format } if format == "regex") {
        let pattern = schema.pointer(path).and_then(Value::as_str).unwrap_or_default();
        if backtracks(pattern) {
            return invalid(path, &format!("{} {NOT_LINEAR}", quoted(pattern)));
        }
    }
    let mut tape = Tape::default();
    let at = text::put(schema, &mut tape);
    let root = tape.view(at);
    invalid(path, &violation::of(error, root.pointer(path), root).message)
}

/// Whether a pattern uses what only backtracking engines offer.
fn backtracks(pattern: &str) -> bool {
    let reference = |pair: &[u8]| pair[0] == b'\\' && matches!(pair[1], b'1'..=b'9' | b'k');
    ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|group| pattern.contains(group))
        || pattern.as_bytes().windows(2).any(reference)
}

fn reference(reason: &ReferencingError) -> Error {
    match reason {
        ReferencingError::Unretrievable { uri, .. } => Error::unsupported(format!(
            "$ref to {}: nothing is fetched; give the schema in `documents` or create it under \
             that $id",
            quoted(uri)
        )),
        ReferencingError::PointerToNowhere { pointer } => {
            invalid("", &format!("$ref leads nowhere: {}", quoted(pointer)))
        }
        ReferencingError::NoSuchAnchor { anchor } => {
            invalid("", &format!("$ref leads nowhere: {}", quoted(&format!("#{anchor}"))))
        }
        other => invalid("", &other.to_string()),
    }
}

fn invalid(path: &str, reason: &str) -> Error {
    let message = match path {
        "" => format!("invalid schema: {reason}"),
        path => format!("invalid schema at {path}: {reason}"),
    };
    let details = json!({ "errors": [{ "path": path, "message": reason, "keyword": "schema" }] });
    Error::new(Code::ValidationFailed, message).with(|f| f.details = Some(details))
}
