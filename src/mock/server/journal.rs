//! What a server was asked, without the secrets that came along.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use super::request::Request;
use crate::provider::secret::{MASK, Secret, is_telling, masked_as_is};
use crate::value::{Data, Document, Record, Tape, json};

/// A journal keeps what came last: so many requests, and so many bytes of bodies.
const MOST_ENTRIES: usize = 10_000;
const MOST_BYTES: usize = 64 << 20;

#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which request it is, counted from 1.
    pub number: u64,
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Milliseconds since the server was started.
    pub at_ms: u64,
    /// Milliseconds until its client hung up, without the whole answer.
    gone_after_ms: OnceLock<u64>,
}

impl Entry {
    pub fn of(request: &Request, at_ms: u64) -> Entry {
        let secrets = secrets(request);
        let masked = |(name, value): &(String, String)| {
            let value =
                if is_secret(name) { MASK.to_owned() } else { masked_as_is(value, &secrets) };
            (name.clone(), value)
        };
        Entry {
            number: 0,
            method: request.method.clone(),
            path: masked_as_is(&without_keys(&request.path), &secrets),
            headers: request.headers.iter().map(masked).collect(),
            body: masked_body(&request.body, &secrets),
            at_ms,
            gone_after_ms: OnceLock::new(),
        }
    }

    /// Its client has hung up, so many milliseconds after the server was started.
    pub fn client_left(&self, at_ms: u64) {
        let _ = self.gone_after_ms.set(at_ms.saturating_sub(self.at_ms));
    }

    pub fn data(&self) -> Data {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        let record = Record::new()
            .set("number", self.number)
            .set("method", self.method.as_str())
            .set("path", self.path.as_str())
            .set("headers", self.headers())
            .set("body", document(&self.body).unwrap_or_else(|| Data::from(text.as_str())));
        let gone = self.gone_after_ms.get().copied();
        record.set("raw", text).set("at_ms", self.at_ms).set("gone_after_ms", gone).into()
    }

    /// Of headers that came more than once: all their values.
    fn headers(&self) -> Record {
        let mut record = Record::new();
        for (at, (name, value)) in self.headers.iter().enumerate() {
            if self.headers[..at].iter().any(|(before, _)| before == name) {
                continue;
            }
            let more = self.headers[at + 1..].iter().filter(|(key, _)| key == name);
            let all = more.fold(value.clone(), |all, (_, value)| format!("{all}, {value}"));
            record.put(name.clone(), all);
        }
        record
    }
}

fn document(text: &[u8]) -> Option<Data> {
    let mut tape = Tape::default();
    let root = json::parse(text, &mut tape).ok()?;
    Some(Document { tape, root }.into())
}

fn is_secret(header: &str) -> bool {
    is_telling(header) || header.ends_with("cookie")
}

/// Values of headers that are secrets, with and without their scheme.
fn secrets(request: &Request) -> Vec<Secret> {
    let telling = request.headers.iter().filter(|(name, _)| is_secret(name));
    let words =
        telling.flat_map(|(_, value)| [value.as_str(), value.rsplit(' ').next().unwrap_or("")]);
    words.map(Secret::new).collect()
}

fn masked_body(body: &[u8], secrets: &[Secret]) -> Vec<u8> {
    match std::str::from_utf8(body) {
        Ok(text) => masked_as_is(text, secrets).into_bytes(),
        Err(_) => body.to_vec(),
    }
}

/// The path without the values of parameters whose names say that they are secrets.
fn without_keys(path: &str) -> String {
    let Some((before, query)) = path.split_once('?') else { return path.to_owned() };
    let masked = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if is_telling(name) => format!("{name}={MASK}"),
        _ => pair.to_owned(),
    };
    let pairs: Vec<String> = query.split('&').map(masked).collect();
    format!("{before}?{}", pairs.join("&"))
}

#[derive(Default)]
pub struct Journal {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    count: u64,
}

impl Journal {
    pub fn enter(&mut self, entry: Entry) -> Arc<Entry> {
        self.count += 1;
        let entry = Arc::new(Entry { number: self.count, ..entry });
        self.bytes += entry.body.len();
        self.entries.push_back(entry.clone());
        while self.entries.len() > MOST_ENTRIES || self.bytes > MOST_BYTES {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.body.len();
        }
        entry
    }

    /// How many there were, those that are not kept included.
    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn entries(&self) -> Vec<Arc<Entry>> {
        self.entries.iter().cloned().collect()
    }

    pub fn last(&self) -> Option<Arc<Entry>> {
        self.entries.back().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(request: &Request) -> Entry {
        Entry::of(request, 5)
    }

    fn with_headers(pairs: &[(&str, &str)]) -> Request {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Request { headers: pairs.iter().map(pair).collect(), ..Request::default() }
    }

    #[test]
    fn secrets_are_masked_wherever_a_request_has_them() {
        let mut request = with_headers(&[
            ("authorization", "Bearer sk-CANARY-1"),
            ("x-api-key", "sk-CANARY-2"),
            ("x-note", "it is sk-CANARY-1"),
        ]);
        request.path = "/v1/models?api_key=sk-CANARY-3&limit=5".into();
        request.body = br#"{"key":"sk-CANARY-2"}"#.to_vec();
        let entry = entry(&request);
        assert!(!format!("{entry:?}").contains("CANARY"));
        assert_eq!(entry.path, "/v1/models?api_key=***&limit=5");
        assert_eq!(entry.headers[0].1, "***");
        assert_eq!(entry.headers[2].1, "it is ***");
        assert_eq!(entry.body, br#"{"key":"***"}"#);
    }

    #[test]
    fn a_header_that_came_twice_has_both_values() {
        let entry = entry(&with_headers(&[("accept", "a"), ("host", "h"), ("accept", "b")]));
        let headers = entry.headers();
        assert_eq!(headers.fields.len(), 2);
        assert!(matches!(headers.get("accept"), Some(Data::Text(all)) if all == "a, b"));
    }

    #[test]
    fn a_journal_keeps_what_came_last_and_counts_all() {
        let mut journal = Journal::default();
        for _ in 0..MOST_ENTRIES + 5 {
            journal.enter(entry(&Request::default()));
        }
        assert_eq!((journal.count(), journal.entries.len()), (10_005, 10_000));
        let large = Request { body: vec![b' '; MOST_BYTES / 2 + 1], ..Request::default() };
        journal.enter(entry(&large));
        journal.enter(entry(&large));
        assert_eq!((journal.count(), journal.entries.len()), (10_007, 1));
    }
}
