//! Keys and tokens: held so that they cannot be shown by accident, and taken out of texts that
//! came from elsewhere (servers echo what they were sent).

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::Error;

/// Shown in place of a secret.
const MASK: &str = "***";
/// Where a long text was cut.
const CUT: char = '…';
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
        clean = redact_cut(clean, secret);
    }
    clean
}

/// Masks the rest of a secret where a text was cut in the middle of it.
fn redact_cut(text: String, secret: &str) -> String {
    if !text.contains(CUT) {
        return text;
    }
    let ends = secret.char_indices().map(|(at, _)| at).filter(|at| *at >= SHORTEST);
    let found = ends.rev().map(|at| format!("{}{CUT}", &secret[..at])).find(|p| text.contains(p));
    found.map_or(text.clone(), |part| text.replace(&part, &format!("{MASK}{CUT}")))
}

/// What a request to `url` with these headers must not reveal: values of headers, with and without
/// their scheme, and what stands before the host.
pub fn of_request(url: &str, headers: &[(String, String)]) -> Vec<Secret> {
    let telling = headers.iter().filter(|(name, _)| !is_harmless(name));
    let values = telling.flat_map(|(_, value)| [value.as_str(), last_word(value)]);
    let mut all: Vec<Secret> = values.map(Secret::new).collect();
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let values = query.split('&').filter_map(|pair| pair.split_once('='));
    all.extend(values.map(|(_, value)| Secret::new(value)));
    if let Some(user) = userinfo(url) {
        all.push(Secret::new(BASE64_STANDARD.encode(user)));
        all.push(Secret::new(user));
        all.extend(user.split_once(':').map(|(_, password)| Secret::new(password)));
    }
    all
}

fn is_harmless(header: &str) -> bool {
    const HARMLESS: [&str; 9] = [
        "accept",
        "anthropic-beta",
        "anthropic-version",
        "content-type",
        "http-referer",
        "openai-organization",
        "openai-project",
        "user-agent",
        "x-title",
    ];
    HARMLESS.iter().any(|name| header.eq_ignore_ascii_case(name))
}

/// `Bearer sk-…` is echoed without its scheme too.
fn last_word(value: &str) -> &str {
    value.rsplit(' ').next().unwrap_or(value)
}

fn userinfo(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next()?;
    host.rsplit_once('@').map(|(user, _)| user)
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

    #[test]
    fn a_secret_that_was_cut_is_masked_too() {
        let secret = "sk-CANARY-123456";
        assert_eq!(redact("bad key sk-CANARY-12…", &[secret]), "bad key ***…");
        assert_eq!(redact("short sk-C… stays", &[secret]), "short sk-C… stays");
    }

    #[test]
    fn headers_and_userinfo_are_secrets() {
        let headers = [
            ("Authorization".to_owned(), "Bearer sk-CANARY".to_owned()),
            ("Accept".to_owned(), "text/event-stream".to_owned()),
        ];
        let all = of_request("http://user:pw-CANARY@host/v1", &headers);
        let texts: Vec<&str> = all.iter().map(Secret::expose).collect();
        let encoded = BASE64_STANDARD.encode("user:pw-CANARY");
        for secret in ["sk-CANARY", "Bearer sk-CANARY", "pw-CANARY", encoded.as_str()] {
            assert!(texts.contains(&secret), "{secret}");
        }
        assert!(!texts.contains(&"text/event-stream"));
    }
}
