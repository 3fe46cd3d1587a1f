//! Calls behind marks that models write as single tokens.

use serde_json::{Map, Value};

use super::shape::{Sure, calls};
use super::tags::{each, values};
use super::{Scan, is_name, lines};

/// Longest text between a mark and what it marks.
const HEAD: usize = 200;

pub fn find(scan: &mut Scan<'_>) {
    each(scan, "[TOOL_CALLS]", mistral);
    each(scan, "<|python_tag|>", python_tag);
    each(scan, "<｜tool▁call▁begin｜>", deepseek);
    each(scan, "<|tool_call_begin|>", kimi);
    each(scan, "<|START_ACTION|>", |scan, at| json(scan, at, "<|START_ACTION|>"));
    each(scan, "functools[", |scan, at| json(scan, at, "functools"));
    each(scan, "to=", harmony);
    each(scan, "<|recipient|>", functionary);
    each(scan, ">>>", arrows);
    leftovers(scan);
}

/// JSON behind a mark.
fn json(scan: &mut Scan<'_>, at: usize, mark: &str) -> Option<usize> {
    let rest = scan.from(at + mark.len()).trim_start();
    if !rest.starts_with(['{', '[']) {
        return None;
    }
    let open = scan.text.len() - rest.len();
    let (value, stop) = scan.value(open, scan.text.len())?;
    scan.take(at, stop, calls(&value, Sure::Marked)).then_some(stop)
}

fn mistral(scan: &mut Scan<'_>, at: usize) -> Option<usize> {
    let mark = "[TOOL_CALLS]";
    if let Some(stop) = json(scan, at, mark) {
        return Some(stop);
    }
    let (mut here, mut all) = (at + mark.len(), Vec::new());
    while let Some((call, stop)) = named_json(scan, here) {
        all.push(call);
        here = stop;
        here += scan.from(here).find(|c: char| !c.is_whitespace() && c != ',').unwrap_or(0);
    }
    scan.take(at, here, all).then_some(here)
}

/// `name[ARGS]{…}`, `name[CALL_ID]x[ARGS]{…}`, `name{…}`.
fn named_json(scan: &mut Scan<'_>, at: usize) -> Option<((String, Value), usize)> {
    let text = scan.near(at, HEAD);
    let open = text.find('{')?;
    let head = text[..open].trim();
    let head = head.strip_suffix("[ARGS]").unwrap_or(head);
    let name = head.split("[CALL_ID]").next()?.trim();
    if !is_name(name) {
        return None;
    }
    let (value, stop) = scan.value(at + open, scan.text.len())?;
    Some(((name.to_owned(), value), stop))
}

/// JSON, several joined with `;`, or a Python call.
fn python_tag(scan: &mut Scan<'_>, at: usize) -> Option<usize> {
    let from = at + "<|python_tag|>".len();
    let text = scan.from(from);
    let start = from + text.len() - text.trim_start().len();
    let text = &text[..text.find("<|python_tag|>").unwrap_or(text.len())];
    let end = ["<|eom_id|>", "<|eot_id|>"].iter().filter_map(|mark| text.find(mark)).min();
    let end = from + end.unwrap_or(text.len());
    let found = match scan.text.as_bytes().get(start)? {
        b'{' => values(scan, start, end),
        b'[' if !lines::pythonic_at(scan.from(start)) => values(scan, start, end),
        b'[' => lines::python_list(scan, start, end)?.0,
        _ => vec![lines::python_call(scan, start, end)?.0],
    };
    scan.take(at, end, found).then_some(end)
}

/// A call between marks of its own, parted by a third: what stands in front of that and behind it.
struct Parted<'t> {
    head: &'t str,
    tail: &'t str,
    tail_at: usize,
    end: usize,
    /// Behind the closing mark, or where the next call begins.
    stop: usize,
}

fn parted<'t>(scan: &Scan<'t>, at: usize, [open, sep, close]: [&str; 3]) -> Option<Parted<'t>> {
    let from = at + open.len();
    let text = scan.from(from);
    let text = &text[..text.find(open).unwrap_or(text.len())];
    let closed = text.find(close);
    let end = from + closed.unwrap_or(text.len());
    let (head, tail) = scan.part(from, end).split_once(sep)?;
    let stop = closed.map_or(end, |_| end + close.len());
    Some(Parted { head, tail, tail_at: end - tail.len(), end, stop })
}

/// `type<｜tool▁sep｜>name` and fenced JSON, or `name<｜tool▁sep｜>{…}`.
fn deepseek(scan: &mut Scan<'_>, at: usize) -> Option<usize> {
    let marks = ["<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"];
    let Parted { head, tail, tail_at, end, stop } = parted(scan, at, marks)?;
    let brace = tail.find('{');
    let before = tail[..brace.unwrap_or(tail.len())].replace("```json", "").replace('`', "");
    let name = if before.trim().is_empty() { head.trim() } else { before.trim() }.to_owned();
    let value = match brace {
        Some(n) => scan.value(tail_at + n, end)?.0,
        None => Value::Object(Map::new()),
    };
    scan.take(at, stop, vec![(name, value)]).then_some(stop)
}

/// `functions.f:0<|tool_call_argument_begin|>{…}<|tool_call_end|>`.
fn kimi(scan: &mut Scan<'_>, at: usize) -> Option<usize> {
    let marks = ["<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"];
    let Parted { head, tail_at, end, stop, .. } = parted(scan, at, marks)?;
    let name = head.trim().rsplit_once(':').map_or(head.trim(), |(name, _)| name);
    let name = name.strip_prefix("functions.").unwrap_or(name).to_owned();
    let (value, _) = scan.value(tail_at, end)?;
    scan.take(at, stop, vec![(name, value)]).then_some(stop)
}

/// `<|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{…}<|call|>`.
fn harmony(scan: &mut Scan<'_>, at: usize) -> Option<usize> {
    let from = at + "to=".len();
    let text = scan.near(from, HEAD);
    let name: &str = text.split(|c: char| c.is_whitespace() || "<{".contains(c)).next()?;
    let marked = name.starts_with("functions.");
    let open = text.find('{')?;
    let between = text.get(name.len()..open)?;
    if !is_name(name) || !(marked || between.contains("<|message|>")) {
        return None;
    }
    let (value, stop) = scan.value(from + open, scan.text.len())?;
    let start = head_start(scan, at);
    let call = scan.from(stop).trim_start();
    let stop = match call.strip_prefix("<|call|>") {
        Some(rest) => scan.text.len() - rest.len(),
        None => stop,
    };
    scan.take(start, stop, vec![(name.to_owned(), value)]).then_some(stop)
}

/// The marks in front of `to=` that belong to it.
fn head_start(scan: &Scan<'_>, at: usize) -> usize {
    let before = scan.part(0, at).trim_end();
    let mut text = before;
    for word in ["commentary", "analysis", "<|channel|>", "assistant", "<|start|>"] {
        text = text.strip_suffix(word).unwrap_or(text).trim_end();
    }
    if text.len() == before.len() { at } else { text.len() }
}

/// `<|recipient|>f\n<|content|>{…}`.
fn functionary(scan: &mut Scan<'_>, at: usize) -> Option<usize> {
    let from = at + "<|recipient|>".len();
    let (name, _) = scan.near(from, HEAD).split_once("<|content|>")?;
    if name.trim() == "all" {
        return None;
    }
    let open = from + name.len() + "<|content|>".len();
    let (value, stop) = scan.value(open, scan.text.len())?;
    scan.take(at, stop, vec![(name.trim().to_owned(), value)]).then_some(stop)
}

/// `>>>f` at the beginning of a line, and JSON on the next.
fn arrows(scan: &mut Scan<'_>, at: usize) -> Option<usize> {
    let (name, _) = scan.near(at + 3, HEAD).split_once('\n')?;
    let open = at + 3 + name.len() + 1;
    let rest = scan.from(open);
    let fits = is_name(name.trim()) && name.trim() != "all" && rest.trim_start().starts_with('{');
    if !fits || !(at == 0 || scan.part(0, at).ends_with('\n')) {
        return None;
    }
    let (value, stop) = scan.value(open, scan.text.len())?;
    scan.take(at, stop, vec![(name.trim().to_owned(), value)]).then_some(stop)
}

/// Marks around calls that were taken.
fn leftovers(scan: &mut Scan<'_>) {
    const MARKS: &[&str] = &[
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁calls▁end｜>",
        "<|tool_calls_section_begin|>",
        "<|tool_calls_section_end|>",
        "<|END_ACTION|>",
        "<|eom_id|>",
        "<|eot_id|>",
        "<|im_end|>",
        "<｜end▁of▁sentence｜>",
    ];
    for mark in MARKS {
        if scan.calls.is_empty() {
            return;
        }
        each(scan, mark, |scan, at| {
            scan.claim(at, at + mark.len());
            None
        });
    }
}
