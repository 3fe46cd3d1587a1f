//! A value as YAML: block style, quotes where a reader would take the text for something else.

use std::fmt::Write;

use super::super::tape::{Kind, Ref};
use super::resolve::{Scalar, typed};

/// Longer keys need the mark of an explicit key.
const LONGEST_KEY: usize = 1000;

/// Keys are sorted: Lua's tables have no order, and the text should be the same in every run.
pub fn write(value: Ref<'_>) -> String {
    let mut writer = Writer { out: String::new() };
    writer.block(value, 0);
    if !writer.out.ends_with('\n') {
        writer.out.push('\n');
    }
    writer.out
}

/// Members in the order of their keys.
pub(crate) fn sorted(value: Ref<'_>) -> Vec<(Ref<'_>, Ref<'_>)> {
    let mut members: Vec<_> = value.members().collect();
    members.sort_by_key(|(key, _)| key.as_bytes());
    members
}

struct Writer {
    out: String,
}

impl Writer {
    /// A value where a line of `indent` spaces has begun.
    fn block(&mut self, value: Ref<'_>, indent: usize) {
        match value.kind() {
            Kind::Array if !value.is_empty() => self.sequence(value, indent),
            Kind::Object if !value.is_empty() => self.mapping(value, indent),
            // Behind nothing at all, an indentation indicator means something else.
            Kind::Str if indent == 0 => self.out.push_str(&string(&value.to_text(), None)),
            _ => self.scalar(value, indent),
        }
    }

    fn sequence(&mut self, value: Ref<'_>, indent: usize) {
        for (i, item) in value.items().enumerate() {
            if i > 0 {
                self.line(indent);
            }
            self.out.push_str("- ");
            match is_block(item) {
                true => self.block(item, indent + 2),
                false => self.scalar(item, indent + 2),
            }
        }
    }

    fn mapping(&mut self, value: Ref<'_>, indent: usize) {
        for (i, (key, member)) in sorted(value).into_iter().enumerate() {
            if i > 0 {
                self.line(indent);
            }
            self.key(&key.to_text(), indent);
            if is_block(member) {
                self.line(indent + 2);
                self.block(member, indent + 2);
            } else {
                self.out.push(' ');
                self.scalar(member, indent + 2);
            }
        }
    }

    fn key(&mut self, key: &str, indent: usize) {
        let text = string(key, None);
        if text.len() <= LONGEST_KEY {
            self.out.push_str(&text);
        } else {
            let _ = write!(self.out, "? {text}");
            self.line(indent);
        }
        self.out.push(':');
    }

    /// A value that goes on the line; the further lines of a text are indented.
    fn scalar(&mut self, value: Ref<'_>, indent: usize) {
        match value.kind() {
            Kind::Str => self.out.push_str(&string(&value.to_text(), Some(indent))),
            Kind::Array => self.out.push_str("[]"),
            Kind::Object | Kind::Empty => self.out.push_str("{}"),
            Kind::Float => self.float(value.as_f64().unwrap_or_default()),
            _ => self.out.push_str(&value.to_json().to_string()),
        }
    }

    fn float(&mut self, value: f64) {
        let _ = match value {
            _ if value.is_nan() => write!(self.out, ".nan"),
            f64::INFINITY => write!(self.out, ".inf"),
            f64::NEG_INFINITY => write!(self.out, "-.inf"),
            _ => write!(self.out, "{value:?}"),
        };
    }

    /// A new line, unless a text has just ended with one.
    fn line(&mut self, indent: usize) {
        if !self.out.ends_with('\n') {
            self.out.push('\n');
        }
        self.out.extend(std::iter::repeat_n(' ', indent));
    }
}

fn is_block(value: Ref<'_>) -> bool {
    matches!(value.kind(), Kind::Array | Kind::Object) && !value.is_empty()
}

/// A string in the plainest style that reads back the same; lines of their own at `indent`.
fn string(text: &str, indent: Option<usize>) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    match indent {
        Some(indent) if fits_literal(text) => literal(text, indent),
        _ => quoted(text),
    }
}

fn is_plain(text: &str) -> bool {
    // Indicators of YAML. Some of them could begin a plain text before a letter.
    const FIRST: &str = "-?:,[]{}#&*!|>'\"%@`<= \t";
    typed(text) == Scalar::Text
        && !text.starts_with(|c| FIRST.contains(c))
        && !text.ends_with([' ', '\t', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.contains(":\t")
        && !text.contains("\t#")
        && !text.starts_with("...")
        && !is_other(text)
        && text.chars().all(is_printable)
}

/// What readers of YAML 1.1 take for something else than text.
fn is_other(text: &str) -> bool {
    const WORDS: &[&str] = &["y", "n", "yes", "no", "on", "off"];
    let word = WORDS.iter().any(|word| word.eq_ignore_ascii_case(text));
    let number = |c: char| c.is_ascii_hexdigit() || "_:.+-xoTtZz, ".contains(c);
    let starts = text.starts_with(|c: char| c.is_ascii_digit() || "+.".contains(c));
    word || starts && text.chars().all(number)
}

fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}')
}

/// Whether the lines of a text can stand as they are.
fn fits_literal(text: &str) -> bool {
    let first = text.lines().find(|line| !line.is_empty());
    text.trim_end_matches('\n').contains('\n')
        && first.is_some_and(|line| !line.starts_with(' '))
        && text.chars().all(|c| c == '\n' || c == '\t' || is_printable(c))
        && !text
            .split('\n')
            .any(|line| line.starts_with('\t') || line.trim().is_empty() && !line.is_empty())
}

fn literal(text: &str, indent: usize) -> String {
    let body = text.trim_end_matches('\n');
    let mut out = String::from(match text.len() - body.len() {
        0 => "|-\n",
        1 => "|\n",
        _ => "|+\n",
    });
    for line in body.split('\n') {
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', indent));
            out.push_str(line);
        }
        out.push('\n');
    }
    out.extend(std::iter::repeat_n('\n', (text.len() - body.len()).saturating_sub(1)));
    out
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        let _ = match c {
            '"' => write!(out, "\\\""),
            '\\' => write!(out, "\\\\"),
            '\n' => write!(out, "\\n"),
            '\t' => write!(out, "\\t"),
            '\r' => write!(out, "\\r"),
            c if is_printable(c) => write!(out, "{c}"),
            c => write!(out, "\\u{:04X}", u32::from(c)),
        };
    }
    out.push('"');
    out
}
