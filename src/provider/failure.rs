//! What a provider's error answer means, in the codes of the contract. All protocols share it:
//! servers answer with JSON of several shapes, with HTML of a proxy, with text, or with nothing.
//!
//! A 404 is `not_found` if it is about the model, else `bad_request`: the address is wrong. An
//! exhausted quota is `rate_limited`, but not worth another try.

use serde_json::{Value, json};

use super::retry::server_delay;
use super::sse::without_bom;
use crate::error::{Code, Error};
use crate::net::Head;

/// Longest piece of a provider's text in a message.
const LONGEST: usize = 500;

/// What the body says about the error.
#[derive(Debug, Default)]
struct Said {
    message: String,
    /// Type, code and status words, in lower case, separated by blanks.
    words: String,
    /// A status the body names.
    status: u16,
    request_id: Option<String>,
    details: Value,
}

/// The error that an answer with a status of 300 or more stands for.
pub fn from_answer(head: &Head, body: &[u8]) -> Error {
    let said = Said::from_body(body);
    let message = match said.message.as_str() {
        "" => format!("HTTP {} {}", head.status, reason(head.status)).trim_end().to_owned(),
        text => format!("{text} (HTTP {})", head.status),
    };
    let id = ["x-request-id", "request-id"].iter().find_map(|name| head.header(name));
    said.into_error(head.status, message).with(|f| {
        f.status = Some(head.status);
        f.request_id = id.map(str::to_owned).or(f.request_id.take());
        f.retry_after_ms = server_delay(head);
        if head.header("x-should-retry") == Some("false") {
            f.retryable = Some(false);
        }
    })
}

/// The error that an error document inside an answer with status 200 stands for.
pub fn from_document(document: &Value) -> Error {
    let said = Said::from_json(document);
    let message = match said.message.as_str() {
        "" => "the provider reported an error".to_owned(),
        text => text.to_owned(),
    };
    let status = said.status;
    said.into_error(status, message).with(|f| f.status = (status > 0).then_some(status))
}

/// The answer cannot be understood; `body` is shown in part.
pub fn not_understood(what: &str, body: &[u8]) -> Error {
    let shown = plain(body);
    let message = match shown.as_str() {
        "" => what.to_owned(),
        text => format!("{what}: {text}"),
    };
    Error::new(Code::BadResponse, message).with(|f| f.details = Some(json!({ "body": shown })))
}

/// The answer is packed, and nobody asked for that.
pub fn compressed(coding: &str) -> Error {
    let coding = printable(coding);
    let message = format!("the answer is compressed ({coding}), which was not asked for");
    Error::new(Code::BadResponse, message)
}

/// The answer stopped before the provider had said that it is complete.
pub fn ended_early() -> Error {
    Error::new(Code::Network, "the stream ended early: the answer is not complete")
}

impl Said {
    fn from_body(body: &[u8]) -> Said {
        match serde_json::from_slice::<Value>(without_bom(body)) {
            Ok(document) if document.is_object() || document.is_array() => {
                Said::from_json(&document)
            }
            _ => {
                let message = plain(body);
                let details = json!({ "body": message });
                Said { message, details, ..Said::default() }
            }
        }
    }

    /// `{error: {…}}`, `{error: "text"}`, `{message: …}`, `{detail: …}`, or one of them in an array.
    fn from_json(document: &Value) -> Said {
        let document = document.as_array().and_then(|all| all.first()).unwrap_or(document);
        let error = match &document["error"] {
            Value::Null | Value::Bool(_) => document,
            error => error,
        };
        let texts = [error, &error["message"], &error["detail"], &document["message"]];
        let message = texts.into_iter().find_map(text_in).unwrap_or_default();
        let word = |value: &Value| value.as_str().map(str::to_ascii_lowercase);
        let words: Vec<_> = ["type", "code", "status", "reason"]
            .iter()
            .filter_map(|key| word(&error[*key]).or_else(|| word(&document[*key])))
            .collect();
        Said {
            message: cut(&message),
            words: words.join(" "),
            status: status_in(error),
            request_id: document["request_id"].as_str().map(str::to_owned),
            details: json!({ "error": bounded(error) }),
        }
    }

    fn into_error(self, status: u16, message: String) -> Error {
        let (code, retryable) = self.meaning(status);
        Error::new(code, message).with(|f| {
            f.details = Some(self.details);
            f.request_id = self.request_id;
            f.retryable = retryable;
        })
    }

    /// The code, and whether another try is worth it where the code alone does not tell.
    fn meaning(&self, status: u16) -> (Code, Option<bool>) {
        if status == 402 || self.has(&["insufficient_quota", "billing", "insufficient_balance"]) {
            return (Code::RateLimited, Some(false));
        }
        // More tokens in one request than a minute allows: waiting does not help.
        if status == 413 && self.has(&["rate_limit", "tokens"]) {
            return (Code::RateLimited, Some(false));
        }
        let limited = status == 429 || self.has(&["rate_limit", "too_many_requests"]);
        if !limited && !matches!(status, 401 | 403) && self.is_context() {
            return (Code::ContextLength, None);
        }
        if self.has(&["content_filter", "content_policy", "responsibleaipolicy", "moderation"]) {
            return (Code::ContentFilter, None);
        }
        (self.by_status(status).unwrap_or_else(|| self.by_words()), None)
    }

    fn by_status(&self, status: u16) -> Option<Code> {
        Some(match status {
            // 498: Cohere's word for a token that is not valid.
            401 | 403 | 498 => Code::Auth,
            404 if self.is_about_model() => Code::NotFound,
            429 => Code::RateLimited,
            503 | 529 => Code::Overloaded,
            400..500 if self.is_about_key() => Code::Auth,
            400..500 => Code::BadRequest,
            500..600 if self.has(&["overloaded"]) => Code::Overloaded,
            500..600 => Code::ServerError,
            // Neither an answer nor a word about why there is none.
            100..200 | 204 | 205 | 300..400 => Code::BadResponse,
            _ => return None,
        })
    }

    fn by_words(&self) -> Code {
        if self.has(&["authentication", "api_key", "permission", "unauthorized"]) {
            return Code::Auth;
        }
        if self.has(&["rate_limit", "too_many_requests", "resource_exhausted"]) {
            return Code::RateLimited;
        }
        if self.has(&["overloaded", "unavailable"]) {
            return Code::Overloaded;
        }
        if self.has(&["not_found"]) && self.is_about_model() {
            return Code::NotFound;
        }
        match self.has(&["invalid", "bad_request", "not_found", "tool_use_failed"]) {
            true => Code::BadRequest,
            false => Code::ServerError,
        }
    }

    fn has(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.words.contains(word))
    }

    fn is_about_model(&self) -> bool {
        self.has(&["model"]) || self.message.to_ascii_lowercase().contains("model")
    }

    fn is_about_key(&self) -> bool {
        let message = self.message.to_ascii_lowercase();
        self.has(&["api_key", "authentication"])
            || ["incorrect api key", "api key not valid", "invalid api key"]
                .iter()
                .any(|text| message.contains(text))
    }

    fn is_context(&self) -> bool {
        const TEXTS: &[&str] = &[
            "context length",
            "context window",
            "context size",
            "maximum context",
            "number of tokens in the prompt",
            "prompt is too long",
            "input is too long",
            "reduce the length of the messages",
        ];
        let message = self.message.to_ascii_lowercase();
        self.has(&["context_length", "exceed_context", "model_context_window_exceeded"])
            || TEXTS.iter().any(|text| message.contains(text))
    }
}

/// The text in one of the forms servers use: text, a list of complaints, or an object with one.
fn text_in(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Array(items) => {
            let all: Vec<_> = items.iter().filter_map(text_in).collect();
            all.join("; ")
        }
        Value::Object(members) => {
            return ["msg", "message", "detail"].iter().find_map(|key| text_in(members.get(*key)?));
        }
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// llama.cpp and OpenRouter give the HTTP status as a number, some servers as digits.
fn status_in(error: &Value) -> u16 {
    let number = |value: &Value| match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    };
    ["code", "status_code", "status"]
        .iter()
        .filter_map(|key| number(&error[*key]))
        .find(|status| (400..600).contains(status))
        .map_or(0, |status| status as u16)
}

/// An error document as details carry it: without what is too large to be read.
fn bounded(error: &Value) -> Value {
    match error {
        Value::String(text) => Value::String(cut(text)),
        Value::Array(items) => items.iter().take(20).map(bounded).collect(),
        Value::Object(members) => {
            members.iter().take(20).map(|(key, value)| (key.clone(), bounded(value))).collect()
        }
        other => other.clone(),
    }
}

/// The text of a body that is no JSON: of an HTML page its title.
fn plain(body: &[u8]) -> String {
    let body = body.get(..16 << 10).unwrap_or(body);
    if body.contains(&0) {
        return "binary data".into();
    }
    let text = printable(&String::from_utf8_lossy(body));
    let text = text.trim();
    if text.starts_with('<') {
        let title = text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
        return title.map_or_else(|| "an HTML page".into(), |(title, _)| cut(title.trim()));
    }
    let short: String = text.chars().take(200).collect();
    if short.len() < text.len() { short + "…" } else { short }
}

/// A terminal would obey control characters; of these, line ends and tabs do no harm.
fn printable(text: &str) -> String {
    let harmful = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    text.replace(harmful, "\u{FFFD}")
}

fn cut(text: &str) -> String {
    let text = &printable(text);
    let short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() { short + "…" } else { short }
}

fn reason(status: u16) -> &'static str {
    match status {
        204 => "No Content",
        301 | 302 | 303 | 307 | 308 => "redirect: check base_url, redirects are not followed",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found: check base_url",
        408 => "Request Timeout",
        413 => "Payload Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        529 => "Overloaded",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> Error {
        from_answer(&Head { status, headers: Vec::new() }, body.as_bytes())
    }

    #[test]
    fn status_and_body_together_decide() {
        for (status, body, code) in [
            (401, r#"{"error":{"message":"no key"}}"#, Code::Auth),
            (403, "", Code::Auth),
            (400, r#"{"error":"Incorrect API key provided"}"#, Code::Auth),
            (404, r#"{"error":{"message":"The model `x` does not exist"}}"#, Code::NotFound),
            (404, r#"{"error":{"code":"model_not_found","message":""}}"#, Code::NotFound),
            (404, "<html><title>404 Not Found</title></html>", Code::BadRequest),
            (
                400,
                r#"{"error":{"code":"context_length_exceeded","message":"long"}}"#,
                Code::ContextLength,
            ),
            (
                400,
                r#"{"error":{"code":400,"type":"exceed_context_size_error","message":"x"}}"#,
                Code::ContextLength,
            ),
            (
                400,
                r#"{"object":"error","message":"This model's maximum context length is 8"}"#,
                Code::ContextLength,
            ),
            (400, r#"{"error":{"code":"content_filter","message":"no"}}"#, Code::ContentFilter),
            (422, r#"{"detail":[{"loc":["body","x"],"msg":"extra field"}]}"#, Code::BadRequest),
            (429, r#"{"error":{"message":"slow down"}}"#, Code::RateLimited),
            (500, "oops", Code::ServerError),
            (500, r#"{"error":{"type":"overloaded_error"}}"#, Code::Overloaded),
            (
                503,
                r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#,
                Code::Overloaded,
            ),
            (529, "", Code::Overloaded),
            (101, "", Code::BadResponse),
            (204, "", Code::BadResponse),
            (302, "", Code::BadResponse),
        ] {
            let error = answered(status, body);
            assert_eq!(error.code(), code, "{status} {body}: {error}");
            assert_eq!(error.fields().status, Some(status));
        }
    }

    #[test]
    fn an_exhausted_quota_is_not_tried_again() {
        let spent =
            r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"x"}}"#;
        for error in [answered(429, spent), answered(402, "Payment Required")] {
            assert_eq!((error.code(), error.retryable()), (Code::RateLimited, false));
        }
        assert!(answered(429, "{}").retryable());
    }

    #[test]
    fn messages_are_the_providers_words_in_every_shape() {
        for (body, message) in [
            (r#"{"error":{"message":"a"}}"#, "a (HTTP 400)"),
            (r#"{"error":"b"}"#, "b (HTTP 400)"),
            (r#"[{"error":{"message":"c"}}]"#, "c (HTTP 400)"),
            (
                r#"{"object":"error","message":{"detail":[{"msg":"d"},{"msg":"e"}]}}"#,
                "d; e (HTTP 400)",
            ),
            (r#"{"detail":"f"}"#, "f (HTTP 400)"),
            ("<html><head><title> Bad </title>", "Bad (HTTP 400)"),
            ("<p>", "an HTML page (HTTP 400)"),
            ("plain", "plain (HTTP 400)"),
            ("", "HTTP 400 Bad Request"),
            ("{}", "HTTP 400 Bad Request"),
        ] {
            assert_eq!(answered(400, body).message(), message);
        }
        assert!(answered(400, &"x".repeat(9999)).message().len() < 250);
    }

    #[test]
    fn nothing_in_a_message_commands_a_terminal() {
        for (body, message) in [
            ("\u{1b}[31mred", "\u{FFFD}[31mred (HTTP 400)"),
            (r#"{"error":"\u001b]0;x\u0007"}"#, "\u{FFFD}]0;x\u{FFFD} (HTTP 400)"),
            ("\u{9b}31m", "\u{FFFD}31m (HTTP 400)"),
            ("a\0b", "binary data (HTTP 400)"),
        ] {
            assert_eq!(answered(400, body).message(), message);
        }
        let details = answered(400, r#"{"error":{"message":"x","a":["\u001b"]}}"#);
        assert_eq!(
            details.fields().details,
            Some(json!({"error": {"message": "x", "a": ["\u{FFFD}"]}}))
        );
    }

    #[test]
    fn headers_give_id_and_delay() {
        let headers = [("X-Request-Id", "req_1"), ("Retry-After", "2")];
        let headers = headers.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let error = from_answer(&Head { status: 429, headers }, b"{}");
        assert_eq!(error.fields().request_id.as_deref(), Some("req_1"));
        assert_eq!(error.fields().retry_after_ms, Some(2000));
    }

    #[test]
    fn documents_inside_an_answer_are_understood_without_a_status() {
        let code = |value| from_document(&value).code();
        assert_eq!(code(json!({"error": {"code": 503, "message": "x"}})), Code::Overloaded);
        assert_eq!(code(json!({"error": {"code": "429", "message": "x"}})), Code::RateLimited);
        assert_eq!(code(json!({"error": {"type": "invalid_request_error"}})), Code::BadRequest);
        assert_eq!(code(json!({"error": "broken"})), Code::ServerError);
        assert_eq!(
            code(json!({"error": "the number of tokens in the prompt is 5"})),
            Code::ContextLength
        );
        let limited = json!({"type": "rate_limit_error", "message": "too many tokens per minute"});
        assert_eq!(code(json!({"error": limited})), Code::RateLimited);
        assert_eq!(from_document(&json!({"error": "broken"})).message(), "broken");
    }
}
