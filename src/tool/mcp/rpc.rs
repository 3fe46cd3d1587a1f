//! JSON-RPC 2.0: what messages look like, in both directions.

use serde_json::{Value, json};

pub const PARSE_ERROR: i64 = -32700;
pub const INVALID_REQUEST: i64 = -32600;
pub const METHOD_NOT_FOUND: i64 = -32601;
pub const INVALID_PARAMS: i64 = -32602;
pub const INTERNAL_ERROR: i64 = -32603;

/// What the peer has said.
#[derive(Debug, PartialEq)]
pub enum Message {
    Answer {
        id: u64,
        said: Result<Value, Refusal>,
    },
    Request {
        id: Value,
        method: String,
        params: Value,
    },
    Notice {
        method: String,
        params: Value,
    },
    /// An error that belongs to no request.
    Complaint(Refusal),
    Junk,
}

/// Its answer is an error.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub code: i64,
    pub message: String,
    pub data: Value,
}

/// All messages in a document: one, or those of a batch.
pub fn read(document: Value) -> Vec<Message> {
    match document {
        Value::Array(items) => items.into_iter().map(one).collect(),
        other => vec![one(other)],
    }
}

fn one(mut message: Value) -> Message {
    let mut take = |name: &str| message.get_mut(name).map(Value::take);
    let (id, method, params) = (take("id"), take("method"), take("params"));
    let (result, error) = (take("result"), take("error"));
    let params = params.unwrap_or(Value::Null);
    match (method, id.filter(|id| !id.is_null()), result, error.filter(|e| !e.is_null())) {
        (Some(Value::String(method)), Some(id), ..) => Message::Request { id, method, params },
        (Some(Value::String(method)), None, ..) => Message::Notice { method, params },
        (None, Some(id), _, Some(error)) => answer(&id, Err(refusal_of(&error))),
        (None, Some(id), Some(result), None) => answer(&id, Ok(result)),
        (None, None, _, Some(error)) => Message::Complaint(refusal_of(&error)),
        _ => Message::Junk,
    }
}

/// Ours are whole numbers; some servers give them back as floats or texts.
fn answer(id: &Value, said: Result<Value, Refusal>) -> Message {
    let float = || id.as_f64().filter(|n| n.fract() == 0.0 && *n >= 0.0).map(|n| n as u64);
    let text = || id.as_str().and_then(|text| text.parse().ok());
    match id.as_u64().or_else(float).or_else(text) {
        Some(id) => Message::Answer { id, said },
        None => Message::Junk,
    }
}

fn refusal_of(error: &Value) -> Refusal {
    let message = error["message"].as_str().unwrap_or("no reason given").to_owned();
    let code = error["code"].as_i64().unwrap_or(INTERNAL_ERROR);
    Refusal { code, message, data: error["data"].clone() }
}

pub fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

pub fn notice(method: &str, params: &Value) -> Value {
    match params.is_null() {
        true => json!({ "jsonrpc": "2.0", "method": method }),
        false => json!({ "jsonrpc": "2.0", "method": method, "params": params }),
    }
}

pub fn result(id: &Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

pub fn refusal(id: &Value, code: i64, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(document: Value) -> Vec<&'static str> {
        let kind = |message: &Message| match message {
            Message::Answer { .. } => "answer",
            Message::Request { .. } => "request",
            Message::Notice { .. } => "notice",
            Message::Complaint(_) => "complaint",
            Message::Junk => "junk",
        };
        read(document).iter().map(kind).collect()
    }

    #[test]
    fn messages_are_told_apart_and_batches_taken_apart() {
        let batch = json!([
            { "jsonrpc": "2.0", "id": 1, "result": {} },
            { "jsonrpc": "2.0", "id": "a", "method": "ping" },
            { "jsonrpc": "2.0", "method": "notifications/x" },
            { "jsonrpc": "2.0", "id": null, "error": { "code": -32700, "message": "?" } },
            { "id": 1 }, 5, null, [], { "id": {}, "result": 1 },
        ]);
        let expected =
            ["answer", "request", "notice", "complaint", "junk", "junk", "junk", "junk", "junk"];
        assert_eq!(kinds(batch), expected);
        assert_eq!(kinds(json!({ "id": 2.0, "result": null })), ["answer"]);
        assert_eq!(kinds(json!({ "id": "7", "error": { "code": 1 } })), ["answer"]);
    }
}
