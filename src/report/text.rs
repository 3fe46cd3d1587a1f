//! To be read by people: a line for each, and below them what went wrong.

use std::fmt::Write;

use super::{Case, Status, Suite};

pub fn write(suite: &Suite) -> String {
    let mut out = format!("{}\n", line(&suite.name));
    for case in &suite.cases {
        heading(&mut out, case, 1);
        for step in case.parts() {
            heading(&mut out, step, 2);
        }
    }
    for case in suite.cases.iter().filter(|case| case.status.is_bad()) {
        trouble(&mut out, case);
    }
    let (failed, errors) = (suite.count(Status::Failed), suite.count(Status::Error));
    let (passed, skipped) = (suite.count(Status::Passed), suite.count(Status::Skipped));
    let ms = suite.duration_ms;
    let _ = write!(out, "\n{passed} passed, {failed} failed, {errors} errors, {skipped} skipped");
    let _ = writeln!(out, " in {ms:.1} ms");
    if let Some(covered) = suite.covered() {
        let _ = writeln!(out, "used: {covered}");
    }
    out
}

fn mark(status: Status) -> &'static str {
    match status {
        Status::Passed => "+",
        Status::Failed => "-",
        Status::Error => "!",
        Status::Skipped => "~",
    }
}

fn heading(out: &mut String, case: &Case, depth: usize) {
    let (indent, sign) = ("  ".repeat(depth), mark(case.status));
    let _ = write!(out, "{indent}{sign} {}", line(&case.name));
    match (case.status, &case.reason) {
        (Status::Skipped, Some(reason)) => _ = write!(out, " (skipped: {})", line(reason)),
        (Status::Skipped, None) => out.push_str(" (skipped)"),
        _ => _ = write!(out, " ({:.1} ms)", case.duration_ms),
    }
    out.push('\n');
}

fn trouble(out: &mut String, case: &Case) {
    let kind = if case.status == Status::Error { "Error" } else { "Failure" };
    let _ = writeln!(out, "\n{kind}: {}", line(&case.name));
    let bad = || case.parts().iter().filter(|step| step.status.is_bad());
    for step in bad() {
        let _ = writeln!(out, "  {}", line(&step.name));
        explain(out, step, "    ");
    }
    let told = bad().any(|step| step.message() == case.message());
    if !told {
        explain(out, case, "  ");
    }
}

fn explain(out: &mut String, case: &Case, indent: &str) {
    let Some(failure) = &case.failure else { return };
    for text in failure.line().lines() {
        let _ = writeln!(out, "{indent}{text}");
    }
}

/// On one line.
fn line(text: &str) -> String {
    text.split(['\n', '\r']).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}
