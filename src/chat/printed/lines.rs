//! Calls without marks of their own: `Action:` lines, fences, Python lists, bare JSON.

use serde_json::Value;

use super::shape::{Sure, calls};
use super::tags::{each, values};
use super::{Scan, is_name};
use crate::value::Tape;
use crate::value::repair::{Level, Options, candidates};

/// Longest text between a name and its arguments.
const HEAD: usize = 200;

pub fn find(scan: &mut Scan<'_>) {
    each(scan, "Action:", action);
    scan.loose = true;
    each(scan, "```", fence);
    python(scan);
    bare(scan);
}

/// `Action: f` and `Action Input: {…}`, or `Action:` and fenced JSON.
fn action(scan: &mut Scan<'_>, at: usize) -> Option<usize> {
    let line_start = at == 0 || scan.part(0, at).trim_end_matches([' ', '*', '#']).ends_with('\n');
    if !line_start {
        return None;
    }
    let from = at + "Action:".len();
    let text = scan.from(from);
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let name = first.trim().trim_matches(['*', '`', '"', '\'']);
    if name.is_empty()
        || name.starts_with("json")
        || first.trim_start().starts_with(['[', '{', '`'])
    {
        let end = scan.text.len();
        let open = from + scan.near(from, HEAD).find(['[', '{'])?;
        let found = values(scan, open, end);
        let stop = behind(scan, open);
        return scan.take(at, stop, found).then_some(stop);
    }
    let input = rest.trim_start();
    let input = input.trim_start_matches(['*', '#', ' ']).strip_prefix("Action Input:")?;
    let input_at = scan.text.len() - input.len();
    let (value, stop) = input_value(scan, input_at)?;
    scan.take(at, stop, vec![(name.to_owned(), value)]).then_some(stop)
}

/// JSON, or the text up to the next line of the protocol.
fn input_value(scan: &mut Scan<'_>, at: usize) -> Option<(Value, usize)> {
    let text = scan.from(at);
    let text = &text[..text.find("\nAction:").unwrap_or(text.len())];
    let inner = text.trim_start().trim_start_matches("**").trim_start();
    let inner = inner.strip_prefix("```json").or(inner.strip_prefix("```")).unwrap_or(inner);
    let inner = inner.trim_start();
    if inner.starts_with(['{', '[']) {
        let start = at + text.len() - inner.len();
        let end = start + inner.find("\nObservation:").unwrap_or(inner.len());
        let (value, stop) = scan.value(start, end)?;
        let fence = scan.from(stop).trim_start().strip_prefix("```");
        let stop = fence.map_or(stop, |rest| scan.text.len() - rest.len());
        return Some((value, stop));
    }
    let end = text.find("\nObservation:").or(text.find("\nThought:")).unwrap_or(text.len());
    let value = text[..end].trim().trim_matches('"');
    Some((Value::String(value.to_owned()), at + end))
}

/// The end of the JSON value that begins here, with the fence behind it.
fn behind(scan: &mut Scan<'_>, open: usize) -> usize {
    let stop = scan.value(open, scan.text.len()).map_or(scan.text.len(), |(_, stop)| stop);
    let fence = scan.from(stop).trim_start().strip_prefix("```");
    fence.map_or(stop, |rest| scan.text.len() - rest.len())
}

/// A fence that holds nothing but calls.
fn fence(scan: &mut Scan<'_>, at: usize) -> Option<usize> {
    let from = at + 3;
    let text = scan.from(from);
    let language: &str = text.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    let start = from + language.len();
    let close = scan.from(start).find("```");
    let end = close.map_or(scan.text.len(), |n| start + n);
    let stop = close.map_or(end, |_| end + 3);
    scan.fuel = scan.fuel.saturating_sub(stop - at);
    let sure = if scan.tools.given() { Sure::Known } else { Sure::Bare };
    let found = match language {
        "tool_code" | "tool_call" | "tool_calls" => code(scan, start, end),
        "" | "json" | "JSON" | "jsonc" => only_calls(scan, start, end, sure),
        "python" | "py" if scan.tools.given() => code(scan, start, end),
        _ => Vec::new(),
    };
    scan.take(at, stop, found);
    Some(stop)
}

/// JSON, a Python list or lines of Python calls, perhaps printed.
fn code(scan: &mut Scan<'_>, from: usize, end: usize) -> Vec<(String, Value)> {
    let body = scan.part(from, end);
    let start = from + body.len() - body.trim_start().len();
    match scan.text.as_bytes().get(start) {
        Some(b'[') if pythonic_at(scan.from(start)) => {
            return python_list(scan, start, end).map_or_else(Vec::new, |it| it.0);
        }
        Some(b'{' | b'[') => return values(scan, start, end),
        _ => {}
    }
    let (mut at, mut all) = (start, Vec::new());
    while let Some((call, stop)) = statement(scan, at, end) {
        all.push(call);
        at = stop + scan.part(stop, end).len()
            - scan.part(stop, end).trim_start_matches([')', ' ', '\n', ';', '\r']).len();
    }
    let whole = scan.part(at, end).trim().is_empty();
    if whole { all } else { Vec::new() }
}

/// `f(x=1)`, `print(f(x=1))`, `y = f(x=1)`.
fn statement(scan: &mut Scan<'_>, at: usize, end: usize) -> Option<((String, Value), usize)> {
    let text = scan.near(at, HEAD.min(end.saturating_sub(at)));
    let inner = text.strip_prefix("print(").unwrap_or(text);
    let inner = match inner.split_once('=') {
        Some((target, rest)) if is_name(target.trim()) => rest.trim_start(),
        _ => inner,
    };
    python_call(scan, at + text.len() - inner.len(), end)
}

/// A document that is a call or several, with nothing else beside it.
fn only_calls(scan: &mut Scan<'_>, from: usize, end: usize, sure: Sure) -> Vec<(String, Value)> {
    let body = scan.part(from, end);
    let start = from + body.len() - body.trim_start().len();
    if !scan.from(start).starts_with(['{', '[']) {
        return Vec::new();
    }
    if pythonic_at(scan.from(start)) {
        return python_list(scan, start, end).map_or_else(Vec::new, |it| it.0);
    }
    match scan.value(start, end) {
        Some((value, stop)) if scan.part(stop, end).trim().is_empty() => calls(&value, sure),
        _ => Vec::new(),
    }
}

/// `[name(`
pub fn pythonic_at(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('[') else { return false };
    let inner = inner.trim_start();
    let len = inner.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.'))).unwrap_or(0);
    len > 0 && inner[len..].starts_with('(') && !inner.starts_with(|c: char| c.is_ascii_digit())
}

/// Lists of Python calls that stand alone on their lines.
fn python(scan: &mut Scan<'_>) {
    each(scan, "[", |scan, at| {
        let before = scan.part(0, at).trim_end_matches([' ', '\t']);
        let alone = before.is_empty() || before.ends_with('\n');
        if !alone || !pythonic_at(scan.from(at)) {
            return None;
        }
        let (found, stop) = python_list(scan, at, scan.free_until(at))?;
        let after = scan.from(stop);
        let line_ends =
            after.is_empty() || after.trim_start_matches([' ', '\t']).starts_with(['\n', '<']);
        (line_ends && scan.take(at, stop, found)).then_some(stop)
    });
}

/// `[f(x=1), g()]`, also never closed.
pub fn python_list(
    scan: &mut Scan<'_>,
    at: usize,
    end: usize,
) -> Option<(Vec<(String, Value)>, usize)> {
    let (mut here, mut all) = (at + 1, Vec::new());
    loop {
        let text = scan.part(here, end);
        let rest = text.trim_start_matches([' ', '\n', '\t', ',', '\r']);
        here += text.len() - rest.len();
        if rest.starts_with(']') {
            return Some((all, here + 1));
        }
        if rest.is_empty() {
            return Some((all, here)).filter(|(all, _)| !all.is_empty());
        }
        let (call, stop) = python_call(scan, here, end)?;
        all.push(call);
        here = stop;
    }
}

/// `f(x=1, y="a")`.
pub fn python_call(scan: &mut Scan<'_>, at: usize, end: usize) -> Option<((String, Value), usize)> {
    let text = scan.near(at, HEAD.min(end.saturating_sub(at)));
    let open = text.find('(')?;
    let name = text[..open].trim();
    if !is_name(name) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (value, stop) = scan.value(at + open, end)?;
    let positional = !value.is_object() && !value.is_null() && !value.is_array();
    let value = if positional { Value::Array(vec![value]) } else { value };
    Some(((name.to_owned(), value), stop))
}

/// JSON in the text whose shape is that of a call.
fn bare(scan: &mut Scan<'_>) {
    let options = Options::at(Level::Lenient);
    let mut at = 0;
    while at < scan.text.len() {
        let end = scan.free_until(at);
        let mut tape = Tape::default();
        let found = candidates(scan.part(at, end).as_bytes(), &options, &mut tape);
        for candidate in found.iter().filter(|candidate| !candidate.fenced) {
            let Some(value) = tape.at(candidate.root) else { continue };
            let sure = if scan.tools.given() { Sure::Known } else { Sure::Bare };
            let calls = calls(&value.to_json(), sure);
            scan.take(at + candidate.start, at + candidate.stop, calls);
        }
        let behind = scan.taken.iter().find(|(start, _)| *start >= end);
        at = behind.map_or(scan.text.len(), |(_, stop)| *stop);
    }
    semicolons(scan);
}

/// `;` between calls that were taken.
fn semicolons(scan: &mut Scan<'_>) {
    let gaps: Vec<(usize, usize)> =
        scan.taken.windows(2).filter_map(|two| Some((two.first()?.1, two.get(1)?.0))).collect();
    for (from, to) in gaps {
        if matches!(scan.part(from, to).trim(), ";" | ",") {
            scan.claim(from, to);
        }
    }
}
