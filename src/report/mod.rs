//! Reports of test suites: the same results as text to read, TAP, JSON or JUnit's XML.
//!
//! One file for each reporter, a function from [`Suite`] to a text. [`Suite::read`] makes the suite
//! out of plain data.

mod json;
mod junit;
mod tap;
mod text;

#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::value::Ref;

pub const REPORTERS: &[&str] = &["text", "tap", "json", "junit"];

/// How a suite went.
#[derive(Debug, Default)]
pub struct Suite {
    pub name: String,
    pub duration_ms: f64,
    pub cases: Vec<Case>,
    /// Empty unless that was counted.
    pub coverage: Vec<Covered>,
}

/// How much of something was used.
#[derive(Debug, Default)]
pub struct Covered {
    pub what: String,
    pub used: u64,
    pub total: u64,
}

/// How a scenario, a test or one step went.
#[derive(Debug, Default)]
pub struct Case {
    pub id: Option<String>,
    pub name: String,
    pub status: Status,
    /// Why it was skipped.
    pub reason: Option<String>,
    pub failure: Option<Failure>,
    pub duration_ms: f64,
    pub steps: Vec<Case>,
}

#[derive(Debug, Default)]
pub struct Failure {
    pub message: String,
    pub code: Option<String>,
    /// Where in a value it differs.
    pub path: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    Passed,
    /// An assertion did not hold.
    Failed,
    Skipped,
    #[default]
    Error,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Status::Passed => "passed",
            Status::Failed => "failed",
            Status::Skipped => "skipped",
            Status::Error => "error",
        }
    }

    fn read(name: &str) -> Status {
        match name {
            "passed" => Status::Passed,
            "failed" => Status::Failed,
            "skipped" => Status::Skipped,
            _ => Status::Error,
        }
    }

    fn is_bad(self) -> bool {
        matches!(self, Status::Failed | Status::Error)
    }
}

impl Suite {
    pub fn read(value: Ref<'_>) -> Suite {
        Suite {
            name: text(value, "name").unwrap_or_default(),
            duration_ms: number(value, "duration_ms"),
            cases: cases(value.get("results")),
            coverage: list(value.get("coverage"), Covered::read),
        }
    }

    /// The text of that reporter.
    pub fn write(&self, reporter: &str) -> Result<String> {
        match reporter {
            "text" => Ok(text::write(self)),
            "tap" => Ok(tap::write(self)),
            "json" => Ok(json::write(self)),
            "junit" => Ok(junit::write(self)),
            _ => Err(Error::internal("no such reporter")),
        }
    }

    /// `5 of 86 functions, 1 of 2 tools`
    fn covered(&self) -> Option<String> {
        let part = |one: &Covered| format!("{} of {} {}", one.used, one.total, one.what);
        let parts: Vec<_> = self.coverage.iter().map(part).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    fn count(&self, status: Status) -> usize {
        self.cases.iter().filter(|case| case.status == status).count()
    }

    fn failed(&self) -> usize {
        self.cases.iter().filter(|case| case.status.is_bad()).count()
    }
}

impl Covered {
    fn read(value: Ref<'_>) -> Covered {
        Covered {
            what: text(value, "what").unwrap_or_default(),
            used: number(value, "used") as u64,
            total: number(value, "total") as u64,
        }
    }
}

impl Case {
    fn read(value: Ref<'_>) -> Case {
        Case {
            id: text(value, "id"),
            name: text(value, "name").unwrap_or_default(),
            status: Status::read(&text(value, "status").unwrap_or_default()),
            reason: text(value, "reason"),
            failure: value.get("error").filter(|error| error.is_object()).map(Failure::read),
            duration_ms: number(value, "duration_ms"),
            steps: cases(value.get("steps")),
        }
    }

    /// The steps, if they say more than the case itself.
    fn parts(&self) -> &[Case] {
        match self.steps.as_slice() {
            [only] if only.name == self.name => &[],
            steps => steps,
        }
    }

    fn message(&self) -> &str {
        self.failure.as_ref().map_or("", |failure| &failure.message)
    }
}

impl Failure {
    fn read(value: Ref<'_>) -> Failure {
        Failure {
            message: text(value, "message").unwrap_or_default(),
            code: text(value, "code"),
            path: text(value, "path").filter(|path| !path.is_empty()),
        }
    }

    /// `message [code]`
    fn line(&self) -> String {
        match &self.code {
            Some(code) => format!("{} [{code}]", self.message),
            None => self.message.clone(),
        }
    }
}

fn cases(value: Option<Ref<'_>>) -> Vec<Case> {
    list(value, Case::read)
}

fn list<'t, T>(value: Option<Ref<'t>>, read: fn(Ref<'t>) -> T) -> Vec<T> {
    value.into_iter().flat_map(Ref::items).map(read).collect()
}

/// Bytes that are no UTF-8 are replaced.
fn text(value: Ref<'_>, name: &str) -> Option<String> {
    value.get(name)?.as_bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

fn number(value: Ref<'_>, name: &str) -> f64 {
    value.get(name).and_then(Ref::as_f64).unwrap_or_default()
}
