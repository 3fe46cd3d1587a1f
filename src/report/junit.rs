//! JUnit's XML, as CI servers read it: a `testsuite` with a `testcase` for each.

use std::fmt::Write;

use super::{Case, Covered, Failure, Status, Suite};

pub fn write(suite: &Suite) -> String {
    let counts = format!(
        r#"name="{}" tests="{}" failures="{}" errors="{}" skipped="{}" time="{}""#,
        attribute(&suite.name),
        suite.cases.len(),
        suite.count(Status::Failed),
        suite.count(Status::Error),
        suite.count(Status::Skipped),
        seconds(suite.duration_ms),
    );
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites {counts}>\n  <testsuite {counts}>");
    properties(&mut out, suite);
    for case in &suite.cases {
        testcase(&mut out, suite, case);
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn properties(out: &mut String, suite: &Suite) {
    if suite.coverage.is_empty() {
        return;
    }
    out.push_str("    <properties>\n");
    for Covered { what, used, total } in &suite.coverage {
        let name = attribute(what);
        let _ =
            writeln!(out, r#"      <property name="coverage.{name}" value="{used} of {total}"/>"#);
    }
    out.push_str("    </properties>\n");
}

fn testcase(out: &mut String, suite: &Suite, case: &Case) {
    let _ = write!(
        out,
        r#"    <testcase classname="{}" name="{}" time="{}""#,
        attribute(&suite.name),
        attribute(&case.name),
        seconds(case.duration_ms),
    );
    match (case.status, &case.failure) {
        (Status::Passed, _) => return out.push_str("/>\n"),
        (Status::Skipped, _) => skipped(out, case.reason.as_deref()),
        (Status::Failed, failure) => problem(out, "failure", case, failure.as_ref()),
        (Status::Error, failure) => problem(out, "error", case, failure.as_ref()),
    }
    out.push_str("    </testcase>\n");
}

fn skipped(out: &mut String, reason: Option<&str>) {
    let message = reason.map(|reason| format!(" message=\"{}\"", attribute(reason)));
    let _ = writeln!(out, ">\n      <skipped{}/>", message.unwrap_or_default());
}

fn problem(out: &mut String, tag: &str, case: &Case, failure: Option<&Failure>) {
    let kind = failure.and_then(|failure| failure.code.as_deref()).unwrap_or(tag);
    let _ = writeln!(
        out,
        ">\n      <{tag} message=\"{}\" type=\"{}\">{}</{tag}>",
        attribute(case.message()),
        attribute(kind),
        content(&details(case)),
    );
}

/// How far it came, and what went wrong.
fn details(case: &Case) -> String {
    let mut out = String::new();
    for step in case.parts() {
        let _ = writeln!(out, "{}: {}", step.name, step.status.name());
    }
    out.push_str(&case.failure.as_ref().map(Failure::line).unwrap_or_default());
    out
}

fn seconds(ms: f64) -> String {
    format!("{:.6}", ms / 1000.0)
}

/// Line ends and tabs would be read as spaces.
fn attribute(text: &str) -> String {
    escaped(text, true)
}

fn content(text: &str) -> String {
    escaped(text, false)
}

fn escaped(text: &str, attribute: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if attribute => out.push_str("&quot;"),
            '\n' | '\t' if attribute => _ = write!(out, "&#{};", c as u32),
            '\r' => out.push_str("&#13;"),
            c if may_stand(c) => out.push(c),
            _ => out.push('\u{FFFD}'),
        }
    }
    out
}

/// Whether XML 1.0 has that character.
fn may_stand(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && c != '\u{FFFE}' && c != '\u{FFFF}')
}
