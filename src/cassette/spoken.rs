//! Secrets in what a model says piece by piece: each event has a part of it, and no line all.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::Value;

use super::clean::MASK;
use crate::provider::secret::Redactor;

/// A text inside an event, and where the texts of that place before it end.
struct Part {
    line: usize,
    pointer: String,
    span: Range<usize>,
}

/// The lines of a body of which some hold parts of secrets, without those; `None`: there are none.
pub fn cleaned(body: &str, redactor: &Redactor) -> Option<Vec<String>> {
    let mut lines: Vec<String> = body.split_inclusive('\n').map(str::to_owned).collect();
    let mut places: HashMap<String, (String, Vec<Part>)> = HashMap::new();
    for (line, text) in lines.iter().enumerate() {
        let Some((_, document)) = event(text) else { continue };
        texts(&document, String::new(), &mut |pointer, text| {
            let (whole, parts) = places.entry(pointer.clone()).or_default();
            let span = whole.len()..whole.len() + text.len();
            whole.push_str(text);
            parts.push(Part { line, pointer, span });
        });
    }
    let mut found = false;
    for (whole, parts) in places.into_values() {
        let spans = redactor.spans(whole.as_bytes());
        for part in &parts {
            let Some(text) = without(&whole, &part.span, &spans) else { continue };
            found |= put(&mut lines[part.line], &part.pointer, text).is_some();
        }
    }
    found.then_some(lines)
}

/// What stands before the document of a line, and the document.
fn event(line: &str) -> Option<(&str, Value)> {
    let at = line.find(['{', '['])?;
    let (before, rest) = line.split_at(at);
    let is_event = before.is_empty() || before.trim() == "data:";
    Some((before, serde_json::from_str(rest).ok().filter(|_| is_event)?))
}

fn texts(value: &Value, pointer: String, see: &mut impl FnMut(String, &str)) {
    match value {
        Value::String(text) => see(pointer, text),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(at, item)| texts(item, format!("{pointer}/{at}"), see)),
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            let name = name.replace('~', "~0").replace('/', "~1");
            texts(member, format!("{pointer}/{name}"), see);
        }),
        _ => {}
    }
}

/// A part of the whole without what lies in these spans; the mask stands where each begins.
fn without(whole: &str, part: &Range<usize>, spans: &[Range<usize>]) -> Option<String> {
    let touching: Vec<_> =
        spans.iter().filter(|span| span.start < part.end && part.start < span.end).collect();
    let (mut clean, mut at) = (String::new(), part.start);
    for span in &touching {
        clean.push_str(whole.get(at..span.start.max(at)).unwrap_or_default());
        if span.start >= part.start {
            clean.push_str(MASK);
        }
        at = span.end.min(part.end);
    }
    clean.push_str(whole.get(at..part.end).unwrap_or_default());
    (!touching.is_empty()).then_some(clean)
}

fn put(line: &mut String, pointer: &str, text: String) -> Option<()> {
    let (before, mut document) = event(line)?;
    *document.pointer_mut(pointer)? = text.into();
    *line = format!("{before}{document}\n");
    Some(())
}
