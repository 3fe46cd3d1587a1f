//! The lines of a cassette: an object of JSON each, for people to read.
//!
//! ```text
//! {"at":0,"request":"POST https://api.openai.com/v1/chat/completions","json":{…}}
//! {"at":412,"status":200,"headers":{"content-type":"text/event-stream"}}
//! {"at":413,"text":"data: …\n\n"}
//! {"at":590,"end":"ok"}
//! {"at":591,"tool":"add","input":{"a":1,"b":2},"result":3,"ms":0.07}
//! ```

use std::net::IpAddr;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Map, Value, json};

use super::tape::{Called, Entry, Exchange, Outcome, Tape};
use crate::error::Phase;
use crate::net::{Failure, Head};

/// Of this way to write.
const VERSION: u64 = 1;

type Line = Map<String, Value>;

pub fn write(tape: &Tape) -> Vec<Line> {
    let mut lines = vec![of(json!({
        "zigllms_cassette": VERSION,
        "recorded_at": tape.recorded_at,
        "tools": tape.tools,
        "by": concat!("zigllms ", env!("CARGO_PKG_VERSION")),
    }))];
    for entry in &tape.entries {
        match entry {
            Entry::Exchange(exchange) => write_exchange(exchange, &mut lines),
            Entry::Tool(called) => lines.push(write_tool(called)),
        }
    }
    lines.push(of(json!({ "lines": lines.len() + 1 })));
    lines
}

fn of(value: Value) -> Line {
    if let Value::Object(line) = value { line } else { Line::new() }
}

fn write_tool(called: &Called) -> Line {
    let Called { at, name, input, outcome } = called;
    let mut line = of(json!({ "at": at, "tool": name, "input": input }));
    let rest = match outcome {
        Outcome::Returned { value, words: None, ms } => json!({ "result": value, "ms": ms }),
        Outcome::Returned { value, words, ms } => {
            json!({ "result": value, "words": words, "ms": ms })
        }
        Outcome::Failed(error) => json!({ "error": error }),
        Outcome::Runs => json!({ "runs": true }),
    };
    line.extend(of(rest));
    line
}

fn read_tool(line: &Line, at: u64, name: &str) -> Option<Called> {
    let outcome = match (line.get("result"), line.get("error")) {
        (Some(value), _) => Outcome::Returned {
            value: value.clone(),
            words: line.get("words").and_then(Value::as_str).map(str::to_owned),
            ms: line.get("ms")?.as_f64()?,
        },
        (None, Some(error)) => Outcome::Failed(error.clone()),
        (None, None) => line.get("runs").map(|_| Outcome::Runs)?,
    };
    Some(Called { at, name: name.to_owned(), input: line.get("input")?.clone(), outcome })
}

fn write_exchange(exchange: &Exchange, lines: &mut Vec<Line>) {
    let Exchange { at, method, url, .. } = exchange;
    let mut line = of(json!({ "at": at, "request": format!("{method} {url}") }));
    put_headers(&exchange.headers, &mut line);
    put_body(&exchange.body, &mut line);
    lines.push(line);
    if let Some((at, head)) = &exchange.head {
        let mut line = of(json!({ "at": at, "status": head.status }));
        put_headers(&head.headers, &mut line);
        lines.push(line);
    }
    for (at, piece) in &exchange.pieces {
        let mut line = of(json!({ "at": at }));
        put_bytes(piece, &mut line);
        lines.push(line);
    }
    lines.push(write_end(exchange));
}

fn put_headers(headers: &[(String, String)], line: &mut Line) {
    if !headers.is_empty() {
        let pairs = headers.iter().map(|(name, value)| json!([name, value]));
        let is_new = |at: usize, name: &str| headers[..at].iter().all(|(other, _)| other != name);
        let unique = headers.iter().enumerate().all(|(at, (name, _))| is_new(at, name));
        let shown = match unique {
            true => headers.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))).collect(),
            false => pairs.collect(),
        };
        line.insert("headers".into(), shown);
    }
}

/// A body of JSON is one value of the line, so that it can be read.
fn put_body(body: &[u8], line: &mut Line) {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) if value.is_object() || value.is_array() => {
            drop(line.insert("json".into(), value))
        }
        _ if body.is_empty() => {}
        _ => put_bytes(body, line),
    }
}

fn put_bytes(bytes: &[u8], line: &mut Line) {
    match std::str::from_utf8(bytes) {
        Ok(text) => line.insert("text".into(), text.into()),
        Err(_) => line.insert("base64".into(), BASE64_STANDARD.encode(bytes).into()),
    };
}

fn write_end(exchange: &Exchange) -> Line {
    let Some((at, outcome)) = &exchange.end else { return of(json!({ "end": "open" })) };
    let (word, why) = match outcome {
        Ok(()) => ("ok", None),
        Err(failure) => word_of(failure),
    };
    let mut line = of(json!({ "at": at, "end": word }));
    if let Some(why) = why {
        line.insert("why".into(), why);
    }
    line
}

fn word_of(failure: &Failure) -> (&'static str, Option<Value>) {
    let text = |why: &String| Some(why.as_str().into());
    match failure {
        Failure::Cancelled => ("cancelled", None),
        Failure::Timeout(phase) => ("timeout", Some(phase.name().into())),
        Failure::Invalid(why) => ("invalid", text(why)),
        Failure::Dns(why) => ("dns", text(why)),
        Failure::Connect(why) => ("connect", text(why)),
        Failure::Tls(why) => ("tls", text(why)),
        Failure::Broken(why) => ("broken", text(why)),
        Failure::Forbidden(address) => ("forbidden", Some(address.to_string().into())),
        Failure::TooLarge(most) => ("too_large", Some((*most).into())),
        Failure::Malformed(why) => ("malformed", text(why)),
        Failure::Unrecorded(what) => ("invalid", text(&what.message)),
    }
}

/// The tape, or the number of the line that does not belong there and why.
pub fn read(lines: &[Line]) -> Result<Tape, (usize, String)> {
    let wrong = |at: usize, why: &str| (at + 1, why.to_owned());
    let Some(version) = lines.first().and_then(|line| line.get("zigllms_cassette")) else {
        return Err(wrong(0, "it is no cassette"));
    };
    if version.as_u64() != Some(VERSION) {
        return Err(wrong(0, &format!("it is of version {version}; {VERSION} can be read")));
    }
    let number = |key: &str| lines[0].get(key).and_then(Value::as_f64).unwrap_or_default();
    let tools = lines[0].get("tools") == Some(&Value::Bool(true));
    let mut tape = Tape { recorded_at: number("recorded_at"), tools, entries: Vec::new() };
    let last = lines.len() - 1;
    if lines[last].get("lines").and_then(Value::as_u64) != Some(lines.len() as u64) {
        return Err(wrong(last, "its end is missing"));
    }
    for (at, line) in lines.iter().enumerate().take(last).skip(1) {
        take(line, &mut tape).ok_or_else(|| wrong(at, "it does not say what it is"))?;
    }
    Ok(tape)
}

fn take(line: &Line, tape: &mut Tape) -> Option<()> {
    let at = line.get("at").and_then(Value::as_u64).unwrap_or_default();
    if let Some(request) = line.get("request") {
        tape.entries.push(Entry::Exchange(read_request(line, at, request.as_str()?)?));
    } else if let Some(name) = line.get("tool") {
        tape.entries.push(Entry::Tool(read_tool(line, at, name.as_str()?)?));
    } else if let Entry::Exchange(exchange) = tape.entries.last_mut()? {
        take_answer(line, at, exchange)?;
    } else {
        return None;
    }
    Some(())
}

fn read_request(line: &Line, at: u64, request: &str) -> Option<Exchange> {
    let (method, url) = request.split_once(' ')?;
    Some(Exchange {
        at,
        method: method.to_owned(),
        url: url.to_owned(),
        headers: headers(line)?,
        body: bytes(line)?,
        ..Exchange::default()
    })
}

/// A line of what was answered to the request above it.
fn take_answer(line: &Line, at: u64, exchange: &mut Exchange) -> Option<()> {
    if let Some(status) = line.get("status") {
        let status = u16::try_from(status.as_u64()?).ok()?;
        exchange.head = Some((at, Head { status, headers: headers(line)? }));
    } else if let Some(word) = line.get("end") {
        exchange.end = match word.as_str()? {
            "open" => None,
            word => Some((at, ended(word, line.get("why"))?)),
        };
    } else {
        exchange.pieces.push((at, bytes(line)?));
    }
    Some(())
}

fn headers(line: &Line) -> Option<Vec<(String, String)>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match line.get("headers") {
        None => Some(Vec::new()),
        Some(Value::Object(all)) => {
            all.iter().map(|(name, value)| Some((name.clone(), text(value)?))).collect()
        }
        Some(all) => {
            let pair = |pair: &Value| Some((text(pair.get(0)?)?, text(pair.get(1)?)?));
            all.as_array()?.iter().map(pair).collect()
        }
    }
}

fn bytes(line: &Line) -> Option<Vec<u8>> {
    if let Some(json) = line.get("json") {
        return Some(json.to_string().into_bytes());
    }
    if let Some(text) = line.get("text") {
        return Some(text.as_str()?.as_bytes().to_vec());
    }
    match line.get("base64") {
        Some(text) => BASE64_STANDARD.decode(text.as_str()?).ok(),
        None => Some(Vec::new()),
    }
}

fn ended(word: &str, why: Option<&Value>) -> Option<Result<(), Failure>> {
    let text = || why.and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(Err(match word {
        "ok" => return Some(Ok(())),
        "cancelled" => Failure::Cancelled,
        "timeout" => Failure::Timeout(Phase::parse(&text())?),
        "invalid" => Failure::Invalid(text()),
        "dns" => Failure::Dns(text()),
        "connect" => Failure::Connect(text()),
        "tls" => Failure::Tls(text()),
        "broken" => Failure::Broken(text()),
        "forbidden" => Failure::Forbidden(text().parse::<IpAddr>().ok()?),
        "too_large" => Failure::TooLarge(why?.as_u64()?),
        "malformed" => Failure::Malformed(text()),
        _ => return None,
    }))
}
