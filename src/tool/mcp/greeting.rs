//! The answer to `initialize`: what it must hold, and what may be amiss with it.

use serde_json::Value;

use super::VERSIONS;
use crate::error::quoted;

/// The revision of the protocol that is agreed on; else what was expected, and what came.
pub fn version(about: &Value) -> Result<&str, String> {
    if !about.is_object() {
        return Err(format!("expected an object as the result, got {}", kind(about)));
    }
    must_be_abilities(&about["capabilities"])?;
    match &about["protocolVersion"] {
        Value::String(version) if VERSIONS.contains(&version.as_str()) => Ok(version),
        Value::String(version) => Err(expected_version(&format!("{} came", quoted(version)))),
        Value::Null => Err(expected_version("none came")),
        other => Err(expected_version(&format!("{} came", kind(other)))),
    }
}

/// Servers that offer nothing leave them out, and encoders that know tables only write none as an
/// empty array.
fn must_be_abilities(given: &Value) -> Result<(), String> {
    let is_none = given.is_null() || given.as_array().is_some_and(Vec::is_empty);
    match is_none || given.is_object() {
        true => Ok(()),
        false => Err(format!("expected an object as capabilities, got {}", kind(given))),
    }
}

fn expected_version(what: &str) -> String {
    format!("expected one of {} as protocolVersion, and {what}", VERSIONS.join(", "))
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text {}", quoted(text)),
        Value::Array(_) => "an array".into(),
        Value::Object(_) => "an object".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_amiss_is_told_with_what_was_expected() {
        for (about, why) in [
            (json!(null), "an object as the result, got null"),
            (json!([]), "an object as the result, got an array"),
            (json!({}), "protocolVersion, and none came"),
            (json!({ "protocolVersion": 5 }), "protocolVersion, and the number 5 came"),
            (json!({ "protocolVersion": "1999-01-01" }), "and \"1999-01-01\" came"),
            (json!({ "capabilities": "all" }), "as capabilities, got the text \"all\""),
            (json!({ "capabilities": ["tools"] }), "as capabilities, got an array"),
        ] {
            let told = version(&about).unwrap_err();
            assert!(told.starts_with("expected ") && told.ends_with(why), "{told}");
        }
    }

    #[test]
    fn what_does_no_harm_is_taken() {
        for capabilities in [json!(null), json!([]), json!({}), json!({ "tools": true })] {
            let about = json!({ "protocolVersion": "2024-11-05", "capabilities": capabilities });
            assert_eq!(version(&about), Ok("2024-11-05"));
        }
        assert_eq!(version(&json!({ "protocolVersion": "2025-06-18" })), Ok("2025-06-18"));
    }
}
