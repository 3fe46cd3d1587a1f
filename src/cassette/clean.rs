//! What goes onto a cassette, without anything that is secret.

use std::ops::Range;

use serde_json::{Map, Value};

use super::spoken;
use super::tape::{Called, Entry, Exchange, Outcome, Tape};
use crate::net::{Failure, Request};
use crate::provider::secret::{self, Redactor, Secret};

/// Stands where a secret was.
pub const MASK: &str = "<secret>";

/// Headers of requests that are worth reading. None of them has to be the same in a replay.
const SENT: [&str; 4] = ["accept", "anthropic-beta", "anthropic-version", "content-type"];

/// Headers of answers that are secrets, or tell whose account it is. All others stay: a model may
/// be told of them.
const HELD_BACK: [&str; 11] = [
    "authentication-info",
    "authorization",
    "mcp-session-id",
    "openai-organization",
    "openai-project",
    "proxy-authenticate",
    "proxy-authorization",
    "set-cookie",
    "set-cookie2",
    "www-authenticate",
    "x-amz-security-token",
];

/// Members of bodies that are what people and models say: names in there mean nothing.
const SPOKEN: [&str; 9] = [
    "contents",
    "input",
    "instructions",
    "messages",
    "params",
    "response_format",
    "system",
    "text",
    "tools",
];

/// The parts of a request that go onto the tape.
pub fn asked(request: &Request, at: u64) -> Exchange {
    let worth = |name: &str| SENT.iter().any(|sent| sent.eq_ignore_ascii_case(name));
    let headers = request.headers.iter().filter(|(name, _)| worth(name));
    Exchange {
        at,
        method: request.method.to_owned(),
        url: url(&request.url),
        headers: headers.cloned().collect(),
        body: request.body.clone(),
        ..Exchange::default()
    }
}

/// What the request must not reveal, as far as it shows.
pub fn secrets_of(request: &Request) -> Vec<Secret> {
    let (base, query) = request.url.split_once('?').unwrap_or((&request.url, ""));
    let mut all = secret::of_request(base, &request.headers);
    all.extend(secret::of_proxy(&request.proxy));
    let telling = query.split('&').filter_map(|pair| pair.split_once('='));
    let telling = telling.filter(|(name, _)| secret::is_telling(name));
    all.extend(telling.flat_map(|(_, value)| secret::as_sent(value)));
    if let Ok(Value::Object(mut body)) = serde_json::from_slice(&request.body) {
        body.retain(|name, _| !SPOKEN.contains(&name.as_str()));
        all.extend(secret::of_members(&body));
    }
    all
}

/// Without what stands before the host, and without values of a query whose names say what they are.
pub fn url(url: &str) -> String {
    let (base, query) = match url.split_once('?') {
        Some((base, query)) => (base, Some(query)),
        None => (url, None),
    };
    let base = match base.split_once("://").map(|(scheme, rest)| (scheme, rest.rsplit_once('@'))) {
        Some((scheme, Some((_, host)))) => format!("{scheme}://{host}"),
        _ => base.to_owned(),
    };
    let Some(query) = query else { return base };
    let pairs: Vec<String> = query.split('&').map(pair).collect();
    format!("{base}?{}", pairs.join("&"))
}

fn pair(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, _)) if secret::is_telling(name) => format!("{name}={MASK}"),
        _ => pair.to_owned(),
    }
}

/// The tape without these secrets, however they are written.
pub fn tape(tape: &mut Tape, secrets: &[Secret]) {
    let redactor = Redactor::new(secrets);
    for entry in &mut tape.entries {
        match entry {
            Entry::Exchange(exchange) => clean(exchange, &redactor),
            Entry::Tool(called) => clean_call(called, &redactor),
        }
    }
}

fn clean(exchange: &mut Exchange, redactor: &Redactor) {
    exchange.url = redactor.replaced(&exchange.url, MASK);
    exchange.body = redactor.replaced_bytes(&exchange.body, MASK);
    clean_headers(&mut exchange.headers, redactor);
    if let Some((_, head)) = &mut exchange.head {
        clean_headers(&mut head.headers, redactor);
    }
    clean_pieces(&mut exchange.pieces, redactor);
    if let Some((_, Err(failure))) = &mut exchange.end {
        clean_failure(failure, redactor);
    }
}

fn clean_call(called: &mut Called, redactor: &Redactor) {
    called.input = masked(std::mem::take(&mut called.input), redactor);
    match &mut called.outcome {
        Outcome::Returned { value, words, .. } => {
            *value = masked(std::mem::take(value), redactor);
            *words = words.take().map(|words| redactor.replaced(&words, MASK));
        }
        Outcome::Failed(error) => *error = masked(std::mem::take(error), redactor),
        Outcome::Runs => {}
    }
}

/// What a call of a tool must not reveal, by the names in its input and its result.
fn secrets_of_call(called: &Called) -> Vec<Secret> {
    let mut all = Vec::new();
    gather("", &called.input, &mut all);
    if let Outcome::Returned { value, .. } = &called.outcome {
        gather("", value, &mut all);
    }
    all
}

fn gather(name: &str, value: &Value, all: &mut Vec<Secret>) {
    match value {
        Value::String(text) if names_a_secret(name) => all.push(Secret::new(text.as_str())),
        Value::Array(items) => items.iter().for_each(|item| gather(name, item, all)),
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| gather(name, member, all));
        }
        _ => {}
    }
}

/// Tools have keys of maps and tokens of texts among their words.
fn names_a_secret(name: &str) -> bool {
    const KEYS: [&str; 6] = ["api", "access", "auth", "private", "secret", "signing"];
    let name = name.to_ascii_lowercase();
    let is_key = name.ends_with("key");
    secret::is_telling(&name) && (!is_key || KEYS.iter().any(|word| name.contains(word)))
}

fn is_held_back(name: &str) -> bool {
    HELD_BACK.iter().any(|held| held.eq_ignore_ascii_case(name)) || secret::is_telling(name)
}

pub fn secrets_of_entry(entry: &Entry) -> Vec<Secret> {
    match entry {
        Entry::Exchange(exchange) => secrets_of_answer(exchange),
        Entry::Tool(called) => secrets_of_call(called),
    }
}

/// What an answer must not reveal, and what may be shown again elsewhere.
fn secrets_of_answer(exchange: &Exchange) -> Vec<Secret> {
    let headers = exchange.head.iter().flat_map(|(_, head)| &head.headers);
    let secrets = headers.filter(|(name, _)| is_held_back(name));
    secrets.map(|(_, value)| Secret::new(value.as_str())).collect()
}

fn clean_headers(headers: &mut [(String, String)], redactor: &Redactor) {
    for (name, value) in headers {
        *value = match is_held_back(name) {
            true => MASK.to_owned(),
            false => redactor.replaced(value, MASK),
        };
    }
}

/// A secret may be cut in two: it goes out of the whole, and the pieces are cut anew.
fn clean_pieces(pieces: &mut [(u64, Vec<u8>)], redactor: &Redactor) {
    let whole: Vec<u8> = pieces.iter().flat_map(|(_, piece)| piece.iter().copied()).collect();
    cut_out(pieces, &whole, &redactor.spans(&whole));
    let whole: Vec<u8> = pieces.iter().flat_map(|(_, piece)| piece.iter().copied()).collect();
    let lines = std::str::from_utf8(&whole).ok().and_then(|body| spoken::cleaned(body, redactor));
    if let Some(lines) = lines {
        lay_anew(pieces, lines);
    }
}

/// The lines, shared out evenly among the pieces.
fn lay_anew(pieces: &mut [(u64, Vec<u8>)], lines: Vec<String>) {
    let share = lines.len().div_ceil(pieces.len().max(1)).max(1);
    let mut shares = lines.chunks(share);
    for (_, piece) in pieces {
        *piece = shares.next().unwrap_or_default().concat().into_bytes();
    }
}

fn cut_out(pieces: &mut [(u64, Vec<u8>)], whole: &[u8], spans: &[Range<usize>]) {
    if spans.is_empty() {
        return;
    }
    let mut start = 0;
    for (_, piece) in pieces {
        let end = start + piece.len();
        piece.clear();
        for at in start..end {
            match spans.iter().find(|span| span.contains(&at)) {
                Some(span) if span.start == at => piece.extend_from_slice(MASK.as_bytes()),
                Some(_) => {}
                None => piece.extend(whole.get(at)),
            }
        }
        start = end;
    }
}

fn clean_failure(failure: &mut Failure, redactor: &Redactor) {
    match failure {
        Failure::Invalid(why)
        | Failure::Dns(why)
        | Failure::Connect(why)
        | Failure::Tls(why)
        | Failure::Broken(why)
        | Failure::Malformed(why) => *why = redactor.replaced(why, MASK),
        _ => {}
    }
}

/// A value without secrets that are known.
pub fn masked(value: Value, redactor: &Redactor) -> Value {
    match value {
        Value::String(text) => redactor.replaced(&text, MASK).into(),
        Value::Array(items) => items.into_iter().map(|item| masked(item, redactor)).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (redactor.replaced(&name, MASK), masked(value, redactor)))
            .collect::<Map<String, Value>>()
            .into(),
        other => other,
    }
}
