//! The Test Anything Protocol, version 13: a test point for each, above it its steps. They are indented
//! as subtests of version 14, which readers of 13, such as Perl's, pass over.

use std::fmt::Write;

use super::{Case, Status, Suite};
use serde_json::Value;

pub fn write(suite: &Suite) -> String {
    let mut out = String::from("TAP version 13\n");
    points(&mut out, &suite.cases, "");
    if let Some(covered) = suite.covered() {
        let _ = writeln!(out, "# used: {covered}");
    }
    out
}

fn points(out: &mut String, cases: &[Case], indent: &str) {
    let _ = writeln!(out, "{indent}1..{}", cases.len());
    for (i, case) in cases.iter().enumerate() {
        if !case.parts().is_empty() {
            let _ = writeln!(out, "{indent}# Subtest: {}", escaped(&case.name));
            points(out, case.parts(), &format!("{indent}    "));
        }
        point(out, i + 1, case, indent);
    }
}

fn point(out: &mut String, number: usize, case: &Case, indent: &str) {
    let verdict = if case.status.is_bad() { "not ok" } else { "ok" };
    let _ = write!(out, "{indent}{verdict} {number} - {}", escaped(&case.name));
    if case.status == Status::Skipped {
        let reason = case.reason.as_deref().unwrap_or_default();
        out.push_str(format!(" # SKIP {}", escaped(reason)).trim_end());
    }
    out.push('\n');
    if case.status.is_bad() {
        diagnosis(out, case, indent);
    }
}

/// A block of YAML.
fn diagnosis(out: &mut String, case: &Case, indent: &str) {
    let failure = case.failure.as_ref();
    let fields = [
        ("severity", Some(case.status.name())),
        ("message", failure.map(|failure| failure.message.as_str())),
        ("code", failure.and_then(|failure| failure.code.as_deref())),
        ("at", failure.and_then(|failure| failure.path.as_deref())),
    ];
    let _ = writeln!(out, "{indent}  ---");
    for (name, text) in fields {
        if let Some(text) = text {
            let _ = writeln!(out, "{indent}  {name}: {}", quoted(text));
        }
    }
    let _ = writeln!(out, "{indent}  duration_ms: {:.3}\n{indent}  ...", case.duration_ms);
}

/// As JSON, which is YAML, too, but for characters that YAML has only escaped.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for c in Value::from(text).to_string().chars() {
        match c {
            '\u{7F}'..='\u{9F}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{FEFF}'
            | '\u{FFFE}'
            | '\u{FFFF}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

/// On one line; what would begin a directive is escaped.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '#' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.trim().to_owned()
}
