//! How far an answer that is still arriving can hold no printed call.

use super::asked::between;
use super::shape::{Sure, calls, may_be_key};
use super::{Scan, Tools, extract, is_name, lines};

/// Marks that only calls have.
const MARKS: &[&str] = &[
    "<tool_call>",
    "<tool_calls>",
    "<tool_use>",
    "<function>",
    "<function=",
    "<function_call>",
    "<function_calls>",
    "<invoke name=",
    "<start_function_call>",
    "<|tool_call|>",
    "<|tool_calls|>",
    "<|tool_call_start|>",
    "<|tool_call_begin|>",
    "<|tool_calls_section_begin|>",
    "<|python_tag|>",
    "<|START_ACTION|>",
    "<|recipient|>",
    "<|start|>",
    "<|channel|>",
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁call▁begin｜>",
    "[TOOL_CALLS]",
];
/// Marks that may follow a call.
const CLOSING: &[&str] = &[
    "</tool_call>",
    "</tool_calls>",
    "</tool_use>",
    "</function_call>",
    "</function_calls>",
    "<|im_end|>",
    "<|eom_id|>",
    "<|eot_id|>",
    "<|END_ACTION|>",
    "<|tool_calls_section_end|>",
    "<｜tool▁calls▁end｜>",
    "<｜end▁of▁sentence｜>",
];
/// The same as the first, at the beginning of a word.
const WORDS: &[&str] = &["functools[", "to=functions.", "commentary to=functions."];
/// Languages of fences that may hold calls.
const FENCES: &[&str] =
    &["", "json", "JSON", "jsonc", "tool_code", "tool_call", "tool_calls", "python", "py"];
/// Longest line that names a tool.
const LINE: usize = 200;

/// What begins at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// No call.
    No,
    /// What follows decides.
    Open,
    /// A mark: what follows up to the end belongs to it.
    Marked,
    /// A call without marks, up to here.
    Whole(usize),
    /// What may follow a call, up to here.
    Closing(usize),
}

/// How far the text can be delivered, and whether all behind that waits for the end. Blanks in
/// front of a call are no part of the answer.
pub fn decided(text: &str, from: usize, tools: &Tools) -> (usize, bool) {
    let (mut at, mut run) = (from, None);
    let blanks = |upto: usize| text[..upto].trim_end().len().max(from);
    while let Some(n) = text[at..].find(starts) {
        if !text[at..at + n].chars().all(between) {
            run = None;
        }
        at += n;
        match start(text, at, tools) {
            Start::Closing(stop) if run.is_some() => at = stop,
            Start::No | Start::Closing(_) => {
                let c = text[at..].chars().next();
                run = run.filter(|_| c.is_some_and(between));
                at += c.map_or(1, char::len_utf8);
            }
            Start::Open => return (blanks(run.unwrap_or(at)), false),
            Start::Marked => return (blanks(run.unwrap_or(at)), true),
            Start::Whole(stop) => {
                run.get_or_insert(at);
                at = stop;
            }
        }
    }
    let run = run.filter(|_| text[at..].chars().all(between));
    (blanks(run.unwrap_or(text.len())), false)
}

fn starts(c: char) -> bool {
    matches!(c, '<' | '[' | '{' | '`' | '>' | 'A' | 'f' | 't' | 'c')
}

fn start(text: &str, at: usize, tools: &Tools) -> Start {
    let (before, rest) = (&text[..at], &text[at..]);
    let word = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let marks = MARKS.iter().chain(WORDS.iter().filter(|_| word));
    match marks.map(|mark| mark_at(rest, mark)).find(|start| *start != Start::No) {
        Some(start) => start,
        None => match rest.as_bytes().first() {
            Some(b'<') => closing(rest, at),
            Some(b'{' | b'[') => json(text, at, tools),
            Some(b'`') => fence(text, at, tools),
            Some(b'>') if begins_line(before, &[]) => arrows(rest, tools),
            Some(b'A') if begins_line(before, &[' ', '*', '#']) => action(rest, tools),
            _ => Start::No,
        },
    }
}

fn closing(rest: &str, at: usize) -> Start {
    match CLOSING.iter().find(|mark| rest.starts_with(**mark)) {
        Some(mark) => Start::Closing(at + mark.len()),
        None if CLOSING.iter().any(|mark| mark.starts_with(rest)) => Start::Open,
        None => Start::No,
    }
}

fn mark_at(rest: &str, mark: &str) -> Start {
    if rest.starts_with(mark) {
        Start::Marked
    } else if mark.starts_with(rest) {
        Start::Open
    } else {
        Start::No
    }
}

fn begins_line(before: &str, ornaments: &[char]) -> bool {
    let before = before.trim_end_matches(ornaments);
    before.is_empty() || before.ends_with('\n')
}

/// Whether a call without marks may begin so: with one of its keys, or the name of a tool.
pub fn starts_like_a_call(text: &str, tools: &Tools) -> bool {
    let fenced = text.strip_prefix("```").map(|rest| rest.trim_start_matches(language(rest)));
    match fenced.unwrap_or(text).trim_start() {
        inner if inner.starts_with(['{', '[']) => head(inner, tools) != Start::No,
        _ => fenced.is_some(),
    }
}

/// The first words inside of brackets.
fn head(rest: &str, tools: &Tools) -> Start {
    let inner = rest[1..].trim_start();
    match inner.as_bytes().first() {
        None => Start::Open,
        Some(b'{') if rest.starts_with('[') => head(inner, tools),
        Some(_) if rest.starts_with('[') => python(inner, tools),
        Some(_) => key(inner),
    }
}

fn key(inner: &str) -> Start {
    let text = inner.trim_start_matches(['"', '\'', '“']);
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    let key = &text[..end.unwrap_or(text.len())];
    match may_be_key(key, end.is_some()) {
        false => Start::No,
        true if end.is_none() => Start::Open,
        true => Start::Marked,
    }
}

fn python(inner: &str, tools: &Tools) -> Start {
    let end = inner.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-')));
    let name = &inner[..end.unwrap_or(inner.len())];
    match end {
        None if tools.may_begin(name) => Start::Open,
        Some(n) if inner[n..].starts_with('(') && tools.find(name).is_some() => Start::Marked,
        _ => Start::No,
    }
}

/// Bare JSON, or a list of Python calls.
fn json(text: &str, at: usize, tools: &Tools) -> Start {
    match head(&text[at..], tools) {
        Start::Marked => {}
        other => return other,
    }
    let mut scan = Scan::new(text, tools);
    if lines::pythonic_at(&text[at..]) {
        return python_list(&mut scan, at);
    }
    match scan.value(at, text.len()) {
        Some((value, stop)) if stop < text.len() => {
            let found = calls(&value, Sure::Known);
            let known = found.iter().all(|(name, _)| tools.find(name).is_some());
            if known && !found.is_empty() { Start::Whole(stop) } else { Start::No }
        }
        _ => Start::Open,
    }
}

fn python_list(scan: &mut Scan<'_>, at: usize) -> Start {
    if !begins_line(scan.part(0, at), &[' ', '\t']) {
        return Start::No;
    }
    match lines::python_list(scan, at, scan.text.len()) {
        Some((_, stop)) if stop < scan.text.len() => {
            let after = scan.from(stop).trim_start_matches([' ', '\t']);
            let ends = after.is_empty() || after.starts_with(['\n', '<']);
            if ends { Start::Whole(stop) } else { Start::No }
        }
        _ => Start::Open,
    }
}

fn language(rest: &str) -> &str {
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// A fence that may hold nothing but calls.
fn fence(text: &str, at: usize, tools: &Tools) -> Start {
    let Some(rest) = text[at..].strip_prefix("```") else {
        return mark_at(&text[at..], "```");
    };
    let language = language(rest);
    let body = &rest[language.len()..];
    if body.is_empty() && FENCES.iter().any(|known| known.starts_with(language)) {
        return Start::Open;
    }
    if !FENCES.contains(&language) {
        return Start::No;
    }
    match fence_head(language, body.trim_start(), tools) {
        Start::Marked => {}
        other => return other,
    }
    let Some(close) = body.find("```") else { return Start::Open };
    let stop = at + 3 + language.len() + close + 3;
    let found = extract(&text[at..stop], tools);
    let whole = !found.calls.is_empty() && found.rest.is_empty();
    if whole { Start::Whole(stop) } else { Start::No }
}

fn fence_head(language: &str, body: &str, tools: &Tools) -> Start {
    match body.as_bytes().first() {
        None => Start::Open,
        Some(b'{' | b'[') => head(body, tools),
        Some(b'`') => Start::No,
        Some(_) if matches!(language, "" | "json" | "JSON" | "jsonc") => Start::No,
        Some(_) => match body.split_once('\n') {
            None => Start::Open,
            Some((line, _)) if names_a_tool(line, tools) => Start::Marked,
            Some(_) => Start::No,
        },
    }
}

fn names_a_tool(line: &str, tools: &Tools) -> bool {
    let inner = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    line.split(inner).any(|word| !word.is_empty() && tools.find(word).is_some())
}

/// `>>>f` and JSON on the next line.
fn arrows(rest: &str, tools: &Tools) -> Start {
    let Some(line) = rest.strip_prefix(">>>") else { return mark_at(rest, ">>>") };
    match line.split_once('\n') {
        None if tools.may_begin(line.trim()) => Start::Open,
        Some((name, rest)) if is_name(name.trim()) && tools.find(name).is_some() => {
            mark_at(rest.trim_start(), "{")
        }
        _ => Start::No,
    }
}

/// `Action: f`, or `Action:` and JSON.
fn action(rest: &str, tools: &Tools) -> Start {
    let Some(line) = rest.strip_prefix("Action:") else { return mark_at(rest, "Action:") };
    match line.split_once('\n') {
        None if line.len() <= LINE => Start::Open,
        Some((name, _)) => {
            let name = name.trim().trim_matches(['*', '`', '"', '\'']);
            let document =
                name.is_empty() || name.starts_with("json") || name.starts_with(['[', '{']);
            if document || tools.find(name).is_some() { Start::Marked } else { Start::No }
        }
        None => Start::No,
    }
}
