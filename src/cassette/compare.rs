//! Whether a request is the one that was recorded, and where it differs if not.

use serde_json::{Map, Value};

use super::clean::MASK;

/// The first place where two documents differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// As in `.messages[2].content`; empty for the whole.
    pub path: String,
    pub recorded: Option<Value>,
    pub asked: Option<Value>,
}

/// Bodies of JSON are equal whatever the order of their keys; all others by their bytes.
pub fn bodies(recorded: &[u8], asked: &[u8]) -> Option<Difference> {
    let text = |bytes: &[u8]| Value::from(String::from_utf8_lossy(bytes).into_owned());
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    match (json(recorded), json(asked)) {
        (Some(recorded), Some(asked)) => values(&recorded, &asked, String::new()),
        _ if recorded == asked => None,
        _ => values(&text(recorded), &text(asked), String::new()),
    }
}

pub fn values(recorded: &Value, asked: &Value, path: String) -> Option<Difference> {
    match (recorded, asked) {
        (Value::Object(left), Value::Object(right)) => {
            let known = left.iter().find_map(|(name, value)| {
                let path = format!("{path}.{name}");
                match member(right, name) {
                    Some(other) => values(value, other, path),
                    None => differ(Some(value), None, path),
                }
            });
            let new = || right.iter().find(|(name, _)| !is_recorded(left, name));
            known.or_else(|| new().and_then(|(k, v)| differ(None, Some(v), format!("{path}.{k}"))))
        }
        (Value::Array(left), Value::Array(right)) => {
            (0..left.len().max(right.len())).find_map(|at| {
                let path = format!("{path}[{}]", at + 1);
                match (left.get(at), right.get(at)) {
                    (Some(one), Some(other)) => values(one, other, path),
                    (one, other) => differ(one, other, path),
                }
            })
        }
        (Value::String(left), Value::String(right)) if texts(left, right) => None,
        (Value::Number(left), Value::Number(right))
            if left == right || left.as_f64() == right.as_f64() =>
        {
            None
        }
        _ if recorded == asked => None,
        _ => differ(Some(recorded), Some(asked), path),
    }
}

/// The member of what is asked that has a recorded name, which may have been a secret.
fn member<'v>(asked: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    let fitting = || asked.iter().find(|(other, _)| name.contains(MASK) && fits(name, other));
    asked.get(name).or_else(|| fitting().map(|(_, value)| value))
}

fn is_recorded(members: &Map<String, Value>, name: &str) -> bool {
    let fits_one = || members.keys().any(|known| known.contains(MASK) && fits(known, name));
    members.contains_key(name) || fits_one()
}

fn differ(recorded: Option<&Value>, asked: Option<&Value>, path: String) -> Option<Difference> {
    Some(Difference { path, recorded: recorded.cloned(), asked: asked.cloned() })
}

/// Equal texts; documents within texts may have their keys in another order. Where a secret was
/// taken out anything may stand.
pub fn texts(recorded: &str, asked: &str) -> bool {
    recorded == asked
        || recorded.contains(MASK) && fits(recorded, asked)
        || documents(recorded, asked)
            .is_some_and(|(one, other)| values(&one, &other, String::new()).is_none())
}

fn documents(recorded: &str, asked: &str) -> Option<(Value, Value)> {
    let is_document = |text: &str| text.starts_with(['{', '[']);
    if !is_document(recorded) || !is_document(asked) {
        return None;
    }
    Some((serde_json::from_str(recorded).ok()?, serde_json::from_str(asked).ok()?))
}

/// Whether the parts between the masks stand in the text, in their order.
fn fits(recorded: &str, asked: &str) -> bool {
    let mut parts = recorded.split(MASK);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = asked.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.len() >= part.len() && rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty()
}

/// Equal addresses. A server on this machine may have another port each time.
pub fn urls(recorded: &str, asked: &str) -> bool {
    texts(recorded, asked) || texts(&portless(recorded), &portless(asked))
}

fn portless(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let is_here = host == "localhost" || host == "[::1]" || host.starts_with("127.");
    match is_here {
        true => format!("{scheme}://localhost{rest}"),
        false => url.to_owned(),
    }
}
