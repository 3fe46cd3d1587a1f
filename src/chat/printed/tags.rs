//! Calls between tags.

use serde_json::{Map, Value};

use super::shape::{Sure, calls, plain};
use super::{Scan, is_name, lines};

/// Opening tags with what closes them.
const TAGS: &[(&str, &[&str])] = &[
    ("<tool_call>", &["</tool_call>", "<|im_end|>", "</s>"]),
    ("<tool_calls>", &["</tool_calls>"]),
    ("<function_call>", &["</function_call>"]),
    ("<|tool_call_start|>", &["<|tool_call_end|>"]),
    ("<|tool_call|>", &["<|/tool_call|>", "<|tool_call_end|>", "<|end|>"]),
    ("<|tool_calls|>", &["<|/tool_calls|>", "<|end|>"]),
    ("<function>", &["</function>"]),
    ("<start_function_call>", &["<end_function_call>"]),
];

/// Longest opening tag.
const LONGEST: usize = 200;

pub fn find(scan: &mut Scan<'_>) {
    for (open, closes) in TAGS {
        each(scan, open, |scan, at| tagged(scan, at, open, closes));
    }
    each(scan, "<function=", function);
    each(scan, "<invoke name=", invoke);
    wrappers(scan);
}

/// Runs `look` at every place of a mark that is not taken yet; it gives where to go on.
pub fn each(
    scan: &mut Scan<'_>,
    mark: &str,
    mut look: impl FnMut(&mut Scan<'_>, usize) -> Option<usize>,
) {
    let mut at = 0;
    while let Some(n) = scan.from(at).find(mark) {
        let here = at + n;
        let taken = scan.is_taken(here);
        let next = if taken { None } else { look(scan, here) };
        at = next.unwrap_or(0).max(here + mark.len());
    }
}

fn tagged(scan: &mut Scan<'_>, at: usize, open: &str, closes: &[&str]) -> Option<usize> {
    let from = at + open.len();
    let (end, stop) = closing(scan, from, open, closes);
    let found = body(scan, from, end);
    scan.take(at, stop, found).then_some(stop)
}

/// Where the body ends, and where the tag that closes it does. A body that was never closed ends
/// in front of the next one, or with the text.
fn closing(scan: &Scan<'_>, from: usize, open: &str, closes: &[&str]) -> (usize, usize) {
    let text = scan.from(from);
    let text = &text[..text.find(open).unwrap_or(text.len())];
    let first = closes.iter().filter_map(|close| Some((text.find(close)?, close.len()))).min();
    let (n, len) = first.unwrap_or((text.len(), 0));
    (from + n, from + n + len)
}

/// What stands between the tags: JSON, a name with arguments, Python, or more tags.
fn body(scan: &mut Scan<'_>, from: usize, end: usize) -> Vec<(String, Value)> {
    let text = scan.part(from, end);
    if text.contains("<function=") {
        return nested(text, "<function=", function_call);
    }
    if text.contains("<invoke name=") {
        return nested(text, "<invoke name=", invoke_call);
    }
    if text.contains("<arg_key>") {
        return arg_pairs(text).into_iter().collect();
    }
    let start = from + text.len() - text.trim_start().len();
    match scan.text.as_bytes().get(start) {
        Some(b'{' | b'[' | b'`') if !lines::pythonic_at(scan.from(start)) => {
            values(scan, start, end)
        }
        Some(b'[') => lines::python_list(scan, start, end).map_or_else(Vec::new, |it| it.0),
        Some(_) => named(scan, start, end),
        None => Vec::new(),
    }
}

/// One JSON value behind the other.
pub fn values(scan: &mut Scan<'_>, from: usize, end: usize) -> Vec<(String, Value)> {
    let (mut at, mut all) = (from, Vec::new());
    while let Some(n) = scan.part(at, end).find(['{', '[']) {
        let gap = scan.part(at, at + n);
        let noise = |c: char| c.is_whitespace() || matches!(c, ';' | ',' | '`');
        if !gap.trim_start_matches("```json").trim_start_matches("```").chars().all(noise) {
            break;
        }
        let Some((value, stop)) = scan.value(at + n, end) else { break };
        let found = calls(&value, Sure::Marked);
        if found.is_empty() {
            break;
        }
        all.extend(found);
        at = stop;
    }
    all
}

/// `name {…}`, `name\n{…}`, `call:name{…}`, `name(x=1)`.
fn named(scan: &mut Scan<'_>, from: usize, end: usize) -> Vec<(String, Value)> {
    let text = scan.part(from, end);
    let text = text.strip_prefix("call:").unwrap_or(text);
    let start = end - text.len();
    let ends = |c: char| c.is_whitespace() || "{(<".contains(c);
    let name = text.split(ends).next().unwrap_or_default();
    if !is_name(name) {
        return Vec::new();
    }
    let at = start + name.len();
    let rest = scan.part(at, end).trim_start();
    let open = end - rest.len();
    match rest.as_bytes().first() {
        None => vec![(name.to_owned(), Value::Object(Map::new()))],
        Some(b'{' | b'(' | b'`') => {
            let skip = rest.find(['{', '(']).unwrap_or(0);
            let value = scan.value(open + skip, end);
            value.map(|(value, _)| vec![(name.to_owned(), value)]).unwrap_or_default()
        }
        Some(_) => Vec::new(),
    }
}

type Reading = fn(&str) -> Option<(String, Value, usize)>;

fn nested(text: &str, mark: &str, read: Reading) -> Vec<(String, Value)> {
    let (mut at, mut all) = (0, Vec::new());
    while let Some(n) = text.get(at..).and_then(|rest| rest.find(mark)) {
        match read(&text[at + n..]) {
            Some((name, value, used)) => {
                all.push((name, value));
                at += n + used.max(1);
            }
            None => at += n + mark.len(),
        }
    }
    all
}

fn function(scan: &mut Scan<'_>, at: usize) -> Option<usize> {
    single(scan, at, function_call)
}

fn invoke(scan: &mut Scan<'_>, at: usize) -> Option<usize> {
    single(scan, at, invoke_call)
}

fn single(scan: &mut Scan<'_>, at: usize, read: Reading) -> Option<usize> {
    let text = scan.part(at, scan.free_until(at));
    let (name, value, used) = read(text)?;
    scan.take(at, at + used, vec![(name, value)]).then_some(at + used)
}

/// `<function=name>…</function>` with JSON or parameters in it.
fn function_call(text: &str) -> Option<(String, Value, usize)> {
    let head = text.as_bytes().iter().take(LONGEST).position(|b| *b == b'>')?;
    let name = text.get("<function=".len()..head)?.trim_matches(['"', '\'', ' ']);
    if !is_name(name) {
        return None;
    }
    let from = head + 1;
    let next = text[from..].find("<function=").map_or(text.len(), |n| from + n);
    let close = text[from..next].find("</function>").map(|n| from + n);
    let end = close.unwrap_or(next);
    let stop = close.map_or(end, |close| close + "</function>".len());
    let body = &text[from..end];
    let value = if body.contains("<parameter=") {
        parameters(body, "<parameter=")
    } else if body.trim().is_empty() {
        Value::Object(Map::new())
    } else {
        Value::String(body.trim().to_owned())
    };
    Some((name.to_owned(), value, stop))
}

/// `<invoke name="f"><parameter name="k">v</parameter></invoke>`.
fn invoke_call(text: &str) -> Option<(String, Value, usize)> {
    let head = text.as_bytes().iter().take(LONGEST).position(|b| *b == b'>')?;
    let name = text.get("<invoke name=".len()..head)?.trim_matches(['"', '\'', ' ', '/']);
    if !is_name(name) {
        return None;
    }
    let from = head + 1;
    let next = text[from..].find("<invoke name=").map_or(text.len(), |n| from + n);
    let close = text[from..next].find("</invoke>").map(|n| from + n);
    let end = close.unwrap_or(next);
    let stop = close.map_or(end, |close| close + "</invoke>".len());
    let value = parameters(&text[from..end], "<parameter name=");
    Some((name.to_owned(), value, stop))
}

/// `<parameter=k>v</parameter>`; a missing end is the next parameter's beginning.
fn parameters(text: &str, mark: &str) -> Value {
    let mut members = Map::new();
    for part in text.split(mark).skip(1) {
        let Some(head) = part.find('>') else { continue };
        let key = part[..head].split('"').find(|it| !it.trim().is_empty()).unwrap_or_default();
        let body = &part[head + 1..];
        let end = body.rfind("</parameter>").unwrap_or(body.len());
        members.insert(key.trim_matches(['\'', ' ']).to_owned(), plain(&body[..end]));
    }
    Value::Object(members)
}

/// `name<arg_key>k</arg_key><arg_value>v</arg_value>`.
fn arg_pairs(text: &str) -> Option<(String, Value)> {
    let name = text[..text.find("<arg_key>")?].trim();
    let mut members = Map::new();
    for part in text.split("<arg_key>").skip(1) {
        let (key, rest) = part.split_once("</arg_key>")?;
        let (_, value) = rest.split_once("<arg_value>")?;
        let value = value.split("</arg_value>").next().unwrap_or_default();
        members.insert(key.trim().to_owned(), plain(value));
    }
    is_name(name).then(|| (name.to_owned(), Value::Object(members)))
}

/// Tags around calls that were taken go with them.
fn wrappers(scan: &mut Scan<'_>) {
    const TAGS: [&str; 6] = [
        "<function_calls>",
        "</function_calls>",
        "<tool_use>",
        "</tool_use>",
        "</tool_call>",
        "<tool_call>",
    ];
    for tag in TAGS {
        if scan.calls.is_empty() {
            return;
        }
        each(scan, tag, |scan, at| {
            let stop = at + tag.len();
            if tag != "<tool_call>" || scan.from(stop).trim().is_empty() {
                scan.claim(at, stop);
            }
            None
        });
    }
}
