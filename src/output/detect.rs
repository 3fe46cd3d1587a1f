//! What a text is: decided by reading it as everything it could be.

use super::Format;
use super::markdown::{Markdown, collect};
use crate::value::fence::{Fence, fences};
use crate::value::xml::Level;
use crate::value::yaml::Documents;
use crate::value::{Kind, Ref, Tape, json, repair, xml, yaml};

/// From here on a text may be taken for what it looks like.
pub const LIKELY: f64 = 0.5;

#[derive(Clone, Debug)]
pub struct Detected {
    pub format: Format,
    /// From 0 to 1.
    pub confidence: f64,
    /// All that it may be, the likeliest first.
    pub candidates: Vec<(Format, f64)>,
    /// The language of the first code fence; empty if it names none.
    pub language: Option<String>,
    /// What is in the first code fence.
    pub inner: Option<Format>,
}

pub fn detect(text: &str) -> Detected {
    let fences = fences(text);
    let candidates = candidates(text, &fences);
    let (format, confidence) = candidates.first().copied().unwrap_or((Format::Plain, LIKELY));
    let first = fences.first();
    let inner = first.map(|fence| {
        let inner = self::candidates(&text[fence.content.clone()], &[]);
        named(fence.language).or(inner.first().map(|(format, _)| *format)).unwrap_or(Format::Plain)
    });
    let language = first.map(|fence| fence.language.to_owned());
    Detected { format, confidence, candidates, language, inner }
}

/// The format that a fence says it holds.
pub fn named(language: &str) -> Option<Format> {
    let is = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(language));
    match () {
        () if is(&["json", "jsonc", "json5"]) => Some(Format::Json),
        () if is(&["yaml", "yml"]) => Some(Format::Yaml),
        () if is(&["xml", "html", "svg"]) => Some(Format::Xml),
        () if is(&["markdown", "md"]) => Some(Format::Markdown),
        () if is(&["text", "txt", "plain"]) => Some(Format::Plain),
        () => None,
    }
}

fn candidates(text: &str, fences: &[Fence<'_>]) -> Vec<(Format, f64)> {
    let mut all = vec![
        (Format::Json, json_likeness(text)),
        (Format::Xml, xml_likeness(text)),
        (Format::Yaml, yaml_likeness(text)),
        (Format::Markdown, markdown_likeness(text, fences)),
        (Format::Plain, plain_likeness(text)),
    ];
    all.retain(|(_, confidence)| *confidence > 0.0);
    all.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    all
}

fn json_likeness(text: &str) -> f64 {
    let mut tape = Tape::default();
    if let Ok(root) = json::parse(text.as_bytes(), &mut tape) {
        let container = tape.at(root).is_some_and(|v| v.is_array() || v.is_object());
        return if container { 1.0 } else { 0.7 };
    }
    if !text.trim_start().starts_with(['{', '[']) {
        return 0.0;
    }
    let options =
        repair::Options { prose: Some(repair::Prose::Error), ..repair::Options::default() };
    match repair::read(text.as_bytes(), &options, &mut tape) {
        Ok(found) if found.stop >= text.trim_end().len() => 0.8,
        Ok(_) => 0.4,
        Err(_) => 0.3,
    }
}

fn xml_likeness(text: &str) -> f64 {
    if !text.trim_start().starts_with('<') {
        return 0.0;
    }
    let read = |level| {
        let options = xml::Options { level, ..xml::Options::default() };
        xml::read(text, &options, &mut Tape::default())
    };
    if read(Level::Strict).is_ok() {
        return 0.95;
    }
    match read(Level::Lenient) {
        Ok(found) if found.stop >= text.trim_end().len() => 0.7,
        Ok(_) => 0.3,
        Err(_) => 0.0,
    }
}

/// Whether a text can be a mapping or list in YAML at all: told without reading it as such.
pub fn may_be_yaml(text: &str) -> bool {
    text.contains(':')
        || text.lines().any(|line| line.trim_start().starts_with(['-', '*', '•', '+']))
}

fn yaml_likeness(text: &str) -> f64 {
    if !may_be_yaml(text) {
        return 0.0;
    }
    let mut tape = Tape::default();
    let options = yaml::Options {
        documents: Documents::Whole,
        unique_keys: false,
        ..yaml::Options::default()
    };
    match yaml::read(text, &options, &mut tape) {
        Ok(read) => tape.at(read.root).map_or(0.0, |value| of_yaml(value, text)),
        Err(_) => 0.0,
    }
}

/// Whether somebody who wrote this meant YAML: nearly every sentence is.
pub fn of_yaml(value: Ref<'_>, text: &str) -> f64 {
    let marked = text.trim_start().starts_with("---");
    let likeness = match value.kind() {
        Kind::Array => of_sequence(value),
        Kind::Object => of_mapping(value),
        _ => 0.0,
    };
    match () {
        // A flow value alone is meant as JSON, however it is spelled.
        () if text.trim_start().starts_with(['{', '[']) => likeness.min(0.3),
        () if marked && likeness > 0.0 => likeness.max(0.8),
        () => likeness,
    }
}

fn of_sequence(value: Ref<'_>) -> f64 {
    let mappings = value.items().filter(|item| item.kind() == Kind::Object).count();
    let first = value.items().find(|item| item.kind() == Kind::Object);
    match first {
        Some(first) if mappings == value.len() => 0.85_f64.min(of_mapping(first) + 0.3),
        _ if value.is_empty() => 0.0,
        _ => 0.5,
    }
}

fn of_mapping(value: Ref<'_>) -> f64 {
    let keys: Vec<_> = value.members().map(|(key, _)| key.as_str().unwrap_or_default()).collect();
    let simple = keys.iter().all(|key| is_identifier(key));
    let short = keys.iter().all(|key| is_short(key));
    let nested = value.members().any(|(_, member)| !member.is_empty());
    let prose = value.members().filter(|(_, member)| is_prose(*member)).count();
    match (keys.len(), nested) {
        (0, _) => 0.0,
        (1, false) if simple && prose == 0 && !value.members().any(|(_, v)| v.is_null()) => 0.55,
        (1, false) => 0.2,
        (1, true) if simple => 0.85,
        (1, true) => 0.3,
        _ if simple => 0.95,
        _ if short => 0.75 - 0.3 * prose as f64 / keys.len() as f64,
        _ => 0.3,
    }
}

/// `max_tokens`, `spec.replicas`: no word of a sentence begins so.
fn is_identifier(key: &str) -> bool {
    key.chars().all(|c| !c.is_uppercase() && !c.is_whitespace() && !",!?;".contains(c))
        || key.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        || key.contains(char::is_lowercase) && !key.contains(' ') && is_mixed(key)
}

/// camelCase, PascalCase
fn is_mixed(key: &str) -> bool {
    key.chars().skip(1).any(char::is_uppercase) && key.chars().all(char::is_alphanumeric)
}

fn is_short(key: &str) -> bool {
    key.len() <= 30 && key.split_whitespace().count() <= 3 && !key.contains(['.', '!', '?', ','])
}

fn is_prose(value: Ref<'_>) -> bool {
    value.as_str().is_some_and(|text| {
        text.split_whitespace().count() > 5 || text.contains(' ') && text.ends_with(['.', '!', '?'])
    })
}

fn markdown_likeness(text: &str, fences: &[Fence<'_>]) -> f64 {
    let Markdown { sections, tables, lists, links, .. } = collect(text, 0);
    let items: usize = lists.iter().map(|list| list.items.len()).sum();
    let emphasis = text.contains("**") || text.contains('`');
    let signs = [
        (fences.iter().any(|fence| fence.indent == 0), 0.96),
        (!fences.is_empty(), 0.6),
        (!tables.is_empty(), 0.9),
        (!sections.is_empty(), 0.75),
        (links.iter().any(|link| link.text != link.url), 0.7),
        (items > 1, 0.55),
        (emphasis, 0.55),
    ];
    let found = signs.iter().filter(|(found, _)| *found).map(|(_, weight)| *weight);
    let more = found.clone().count().saturating_sub(1) as f64;
    (found.fold(0.0, f64::max) + 0.03 * more).min(0.98)
}

fn plain_likeness(text: &str) -> f64 {
    let one_line = !text.trim().contains('\n');
    if one_line { 0.52 } else { LIKELY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_what_they_are_meant_as() {
        for (text, format) in [
            (r#"{"a":1}"#, Format::Json),
            ("[1, 2, 3]", Format::Json),
            ("{a: 1, 'b': 2,}", Format::Json),
            ("\"text\"", Format::Json),
            ("<a><b>1</b></a>", Format::Xml),
            ("<?xml version=\"1.0\"?>\n<a/>", Format::Xml),
            ("name: x\nport: 80\n", Format::Yaml),
            ("# settings\nname: x\nlist:\n  - a\n", Format::Yaml),
            ("---\na: 1\n---\na: 2\n", Format::Yaml),
            ("- id: 1\n  name: x\n- id: 2\n  name: y\n", Format::Yaml),
            ("spec:\n  replicas: 3\n", Format::Yaml),
            ("# Title\n\nSome *text*.\n", Format::Markdown),
            ("```json\n{\"a\":1}\n```", Format::Markdown),
            ("Look:\n\n- **one** thing\n- another `thing`\n", Format::Markdown),
            ("| a | b |\n|---|---|\n| 1 | 2 |\n", Format::Markdown),
            ("Note: this is just a sentence.", Format::Plain),
            ("Answer: 42", Format::Plain),
            ("Dear John,\n\nsee you: tomorrow.\n", Format::Plain),
            (
                "Pros: It is fast and it works well.\nCons: It breaks when you look at it.",
                Format::Plain,
            ),
            ("1 < 2 and 3 > 2", Format::Plain),
            ("", Format::Plain),
        ] {
            let detected = detect(text);
            assert_eq!(detected.format, format, "{text:?}: {:?}", detected.candidates);
        }
    }

    #[test]
    fn a_fence_tells_what_is_in_it() {
        let detected = detect("Here:\n```json\n{\"a\":1}\n```\n");
        assert_eq!(detected.inner, Some(Format::Json));
        assert_eq!(detected.language.as_deref(), Some("json"));
        assert_eq!(detect("```\na: 1\nb: 2\n```").inner, Some(Format::Yaml));
        assert_eq!(detect("no fence").inner, None);
    }
}
