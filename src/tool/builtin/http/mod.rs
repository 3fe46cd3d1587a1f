//! `http_request`: one request to a public server.
//!
//! Whether an address is public is asked of the very address that is connected to, once the name
//! is resolved; so neither a name that changes its mind nor a spelling of an address gets past it.
//! No proxy is used, as it would resolve names itself.

mod address;
mod fetch;
pub mod url;

pub use address::Private;

use serde_json::{Value, json};

use super::{Builtin, Work, count};
use crate::error::{Code, Error, Result, quoted};
use crate::net::check_headers;
use crate::runtime::Runtime;
use fetch::{Ask, Fetch};
use url::Url;

/// Bytes of a body, in either direction.
const MOST_BYTES: u64 = 10 << 20;
const MOST_MS: u64 = 30_000;
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Headers that belong to the connection, or say who is meant by it.
const OURS: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub static HTTP_REQUEST: Builtin = Builtin {
    name: "http_request",
    aliases: &[],
    description: "Makes one HTTP request to a public server and returns {status, headers, body, url}. Follows up to 5 redirects. \
                  A body that is no UTF-8 text comes as base64. At most 10 MB and 30 seconds.",
    category: "http",
    capabilities: &["network", "asynchronous"],
    parameters: |_| {
        json!({
            "type": "object",
            "properties": {
                "url": { "type": "string", "description": "http:// or https://" },
                "method": { "type": "string", "enum": METHODS, "default": "GET" },
                "headers": { "type": "object", "additionalProperties": { "type": "string" } },
                "body": {
                    "type": ["string", "object", "array"],
                    "description": "text as it is, other values as JSON",
                },
                "timeout_ms": { "type": "integer", "minimum": 1, "maximum": MOST_MS },
            },
            "required": ["url"],
        })
    },
    returns: || json!({ "type": "object" }),
    offered: |_| true,
    start,
};

fn start(runtime: &Runtime, input: Value) -> Result<Work> {
    let ms = count(&input, "timeout_ms").unwrap_or(MOST_MS).clamp(1, MOST_MS);
    Ok(Work::Goes(Box::new(Fetch::new(runtime, ask(&input)?, ms))))
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(Code::ValidationFailed, what)
}

fn ask(input: &Value) -> Result<Ask> {
    let url = input["url"].as_str().ok_or_else(|| wrong("url: expected a string"))?;
    let url = Url::parse(url).map_err(|why| fetch::refused("bad_url", format!("url: {why}")))?;
    let method = input["method"].as_str().unwrap_or("GET");
    let known = METHODS.iter().find(|known| known.eq_ignore_ascii_case(method));
    let method =
        *known.ok_or_else(|| wrong(format!("method: expected one of {}", METHODS.join(", "))))?;
    let mut headers = headers(&input["headers"])?;
    let body = body(&input["body"], &mut headers)?;
    if body.is_some() && matches!(method, "GET" | "HEAD") {
        return Err(wrong(format!("body: {method} takes none")));
    }
    Ok(Ask { url, method, headers, body: body.unwrap_or_default() })
}

fn headers(given: &Value) -> Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    for (name, value) in given.as_object().into_iter().flatten() {
        let value = value.as_str().ok_or_else(|| wrong("headers: expected texts"))?;
        if OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
            return Err(wrong(format!("headers: {} cannot be set", quoted(name))));
        }
        headers.push((name.clone(), value.to_owned()));
    }
    check_headers(&headers).map_err(|failure| wrong(format!("headers: {failure}")))?;
    Ok(headers)
}

fn body(given: &Value, headers: &mut Vec<(String, String)>) -> Result<Option<Vec<u8>>> {
    let bytes = match given {
        Value::Null => return Ok(None),
        Value::String(text) => text.clone().into_bytes(),
        other => {
            let named = |(name, _): &(String, String)| name.eq_ignore_ascii_case("content-type");
            if !headers.iter().any(named) {
                headers.push(("content-type".into(), "application/json".into()));
            }
            other.to_string().into_bytes()
        }
    };
    match bytes.len() as u64 > MOST_BYTES {
        true => Err(wrong(format!("body: larger than {MOST_BYTES} bytes"))),
        false => Ok(Some(bytes)),
    }
}
