//! Keys and tokens: held so that they cannot be shown by accident, and taken out of texts that
//! came from elsewhere (servers echo what they were sent).

use std::fmt;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::Error;

/// Shown in place of a secret.
const MASK: &str = "***";
/// Shorter texts are no secrets; masking them would garble ordinary words.
const SHORTEST: usize = 6;

/// A text that is never printed and is wiped from memory when dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// `text` with every secret in it masked.
pub fn redact(text: &str, secrets: &[&str]) -> String {
    let mut clean = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST) {
        if clean.contains(secret) {
            clean = clean.replace(secret, MASK);
        }
    }
    clean
}

/// An error whose message and details hold no secret.
pub fn redact_error(error: Error, secrets: &[&str]) -> Error {
    let mut fields = error.fields().clone();
    fields.details = fields.details.map(|details| redact_value(details, secrets));
    fields.request_id = fields.request_id.map(|id| redact(&id, secrets));
    Error::new(error.code(), redact(error.message(), secrets)).with(|f| *f = fields)
}

fn redact_value(value: Value, secrets: &[&str]) -> Value {
    match value {
        Value::String(text) => Value::String(redact(&text, secrets)),
        Value::Array(items) => items.into_iter().map(|item| redact_value(item, secrets)).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(key, value)| (redact(&key, secrets), redact_value(value, secrets)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::Code;

    #[test]
    fn a_secret_does_not_show() {
        let secret = Secret::new("sk-CANARY-1");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
        assert_eq!(secret.expose(), "sk-CANARY-1");
    }

    #[test]
    fn echoed_secrets_are_masked_wherever_an_error_holds_them() {
        let error = Error::new(Code::Auth, "bad key sk-CANARY-1").with(|f| {
            f.details =
                Some(json!({"error": {"message": "key: sk-CANARY-1", "list": ["sk-CANARY-1"]}}));
        });
        let clean = redact_error(error, &["sk-CANARY-1"]);
        assert_eq!(clean.message(), "bad key ***");
        assert!(!format!("{clean:?}").contains("CANARY"));
    }

    #[test]
    fn short_texts_are_left_alone() {
        assert_eq!(redact("to be or not", &["to", ""]), "to be or not");
    }
}
