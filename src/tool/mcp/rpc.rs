//! JSON-RPC 2.0: what messages look like, in both directions.

use serde_json::{Value, json};

use super::outline::{Item, Outline};

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
        id: Id,
        method: String,
        params: Value,
    },
    Notice {
        method: String,
        params: Value,
    },
    /// An error that belongs to no request.
    Complaint(Refusal),
    /// None of these, with its id if it has one.
    Junk(Option<Id>),
}

/// The id of a peer's request. It goes back as it was written: it may be a number that is exact in
/// no type of ours.
#[derive(Clone, Debug)]
pub struct Id {
    text: String,
    pub value: Value,
}

impl PartialEq for Id {
    fn eq(&self, other: &Id) -> bool {
        self.value == other.value
    }
}

impl Id {
    /// Where it cannot be known whose request it was.
    pub fn unknown() -> Id {
        Id { text: "null".into(), value: Value::Null }
    }

    /// As it was written, if that is a number or a text.
    pub fn written(text: &str) -> Option<Id> {
        Id::of(serde_json::from_str(text).ok()?, Some(text))
    }

    /// What had to be repaired to be read does not go back as it was.
    fn of(value: Value, written: Option<&str>) -> Option<Id> {
        let is_same = |text: &&str| serde_json::from_str::<Value>(text).is_ok_and(|v| v == value);
        let text = written.filter(is_same).map_or_else(|| value.to_string(), str::to_owned);
        (value.is_number() || value.is_string()).then_some(Id { text, value })
    }

    /// As a word of its own.
    pub fn plain(&self) -> String {
        self.value.as_str().map_or_else(|| self.text.clone(), str::to_owned)
    }

    /// Ours are whole numbers; some servers give them back as floats or texts.
    pub fn ours(&self) -> Option<u64> {
        let id = &self.value;
        let float = || id.as_f64().filter(|n| n.fract() == 0.0 && *n >= 0.0).map(|n| n as u64);
        let text = || id.as_str().and_then(|text| text.parse().ok());
        id.as_u64().or_else(float).or_else(text)
    }
}

/// Its answer is an error.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub code: i64,
    pub message: String,
    pub data: Value,
}

/// All messages in a document, which was read from that text: one, or those of a batch.
pub fn read(document: Value, text: &[u8]) -> Vec<Message> {
    let mut written = Outline::of(text).items().into_iter();
    let mut next = |message: &Value| message.is_object().then(|| written.next()).flatten();
    match document {
        Value::Array(items) => items.into_iter().map(|item| one(next(&item), item)).collect(),
        other => vec![one(next(&other), other)],
    }
}

fn one(written: Option<Item>, mut message: Value) -> Message {
    let mut take = |name: &str| message.get_mut(name).map(Value::take);
    let (id, method, params) = (take("id"), take("method"), take("params"));
    let (result, error) = (take("result"), take("error"));
    let params = params.unwrap_or(Value::Null);
    let asks = id.is_some();
    let written = written.and_then(|item| item.id);
    let id = id.and_then(|id| Id::of(id, written.as_deref()));
    match (method, id, result, error.filter(|e| !e.is_null())) {
        (Some(Value::String(method)), Some(id), ..) => Message::Request { id, method, params },
        (Some(Value::String(method)), None, ..) if !asks || is_notice(&method) => {
            Message::Notice { method, params }
        }
        (None, Some(id), _, Some(error)) => answer(id, Err(refusal_of(&error))),
        (None, Some(id), Some(result), None) => answer(id, Ok(result)),
        (None, None, _, Some(error)) => Message::Complaint(refusal_of(&error)),
        (_, id, ..) => Message::Junk(id),
    }
}

/// Some write `"id":null` where there is none.
fn is_notice(method: &str) -> bool {
    method.starts_with("notifications/")
}

fn answer(id: Id, said: Result<Value, Refusal>) -> Message {
    match id.ours() {
        Some(id) => Message::Answer { id, said },
        None => Message::Junk(None),
    }
}

fn refusal_of(error: &Value) -> Refusal {
    let said = if error.is_object() { &error["message"] } else { error };
    let message = match said {
        Value::Null => "no reason given".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let code = error["code"].as_i64().unwrap_or(INTERNAL_ERROR);
    Refusal { code, message, data: error["data"].clone() }
}

// What is sent, as text.

pub fn request(id: u64, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

pub fn notice(method: &str, params: &Value) -> String {
    let mut notice = json!({ "jsonrpc": "2.0", "method": method });
    if !params.is_null() {
        notice["params"] = params.clone();
    }
    notice.to_string()
}

pub fn result(id: &Id, result: &Value) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, id.text)
}

pub fn refusal(id: &Id, code: i64, message: &str) -> String {
    let error = json!({ "code": code, "message": message });
    format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, id.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Message> {
        super::read(serde_json::from_str(text).unwrap(), text.as_bytes())
    }

    fn kinds(text: &str) -> Vec<&'static str> {
        let kind = |message: &Message| match message {
            Message::Answer { .. } => "answer",
            Message::Request { .. } => "request",
            Message::Notice { .. } => "notice",
            Message::Complaint(_) => "complaint",
            Message::Junk(Some(_)) => "junk with an id",
            Message::Junk(None) => "junk",
        };
        read(text).iter().map(kind).collect()
    }

    #[test]
    fn messages_are_told_apart_and_batches_taken_apart() {
        for (text, kind) in [
            (r#"{"id":1,"result":{}}"#, "answer"),
            (r#"{"id":2.0,"result":null}"#, "answer"),
            (r#"{"id":"7","error":{"code":1}}"#, "answer"),
            (r#"{"id":"a","method":"ping"}"#, "request"),
            (r#"{"method":"notifications/x"}"#, "notice"),
            (r#"{"id":null,"method":"notifications/x"}"#, "notice"),
            (r#"{"id":null,"error":{"code":-32700,"message":"?"}}"#, "complaint"),
            (r#"{"id":1}"#, "junk with an id"),
            (r#"{"id":1,"method":5}"#, "junk with an id"),
        ] {
            assert_eq!(kinds(text), [kind], "{text}");
            assert_eq!(kinds(&format!("[5,{text},[{text}]]")), ["junk", kind, "junk"], "{text}");
        }
        for text in ["null", r#"{"id":{},"result":1}"#, r#"{"id":"x","result":1}"#] {
            assert_eq!(kinds(text), ["junk"], "{text}");
        }
        for id in ["[]", "{}", "true", "null"] {
            assert_eq!(kinds(&format!(r#"{{"id":{id},"method":"ping"}}"#)), ["junk"], "{id}");
        }
    }

    #[test]
    fn an_id_that_is_no_json_goes_back_as_it_was_read() {
        let document = json!({ "id": "a\u{1}b", "method": "ping" });
        let mut messages = super::read(document, b"{\"id\":\"a\x01b\",\"method\":\"ping\"}");
        let Some(Message::Request { id, .. }) = messages.pop() else { panic!("no request") };
        assert!(refusal(&id, 1, "").contains(r#""id":"a\u0001b""#));
    }

    #[test]
    fn an_id_goes_back_as_it_was_written() {
        for id in ["1", "-1", "1.50", "1e20", "123456789012345678901234567890", r#""\u0041\"""#] {
            let text = format!(r#"{{"params":{{"id":2}},"id":{id},"method":"ping"}}"#);
            let Some(Message::Request { id: read, .. }) = read(&text).pop() else { panic!("{id}") };
            let answer = result(&read, &json!({}));
            assert_eq!(answer, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
        }
    }
}
