//! What is wrong with a definition, and where.

use serde_json::{Value, json};

use crate::error::{Code, Error};
use crate::value::Record;

/// So many problems are told one by one.
pub const TOLD: usize = 1000;

/// In what way something is wrong; the words are part of the public interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    MissingField,
    UnknownField,
    UnknownType,
    InvalidValue,
    /// A function, thread or userdata, where data must stand.
    NotData,
    DuplicateId,
    UnknownDependency,
    Cycle,
    BadTemplate,
    BadCondition,
    /// It is no Lua.
    BadCode,
    TooDeep,
    /// A template that names what is not there.
    UnknownRoot,
    UnknownStep,
    /// A template that names a step which has not run by then.
    NotYetRun,
    UnknownAgent,
    UnknownTool,
    UnknownWorkflow,
    NoSteps,
    Unreachable,
    Constant,
    /// It calls itself, maybe by way of others.
    Recursion,
}

impl Flaw {
    pub fn name(self) -> &'static str {
        match self {
            Flaw::MissingField => "missing_field",
            Flaw::UnknownField => "unknown_field",
            Flaw::UnknownType => "unknown_type",
            Flaw::InvalidValue => "invalid_value",
            Flaw::NotData => "conversion_error",
            Flaw::DuplicateId => "duplicate_id",
            Flaw::UnknownDependency => "unknown_dependency",
            Flaw::Cycle => "cycle",
            Flaw::BadTemplate => "bad_template",
            Flaw::BadCondition => "bad_condition",
            Flaw::BadCode => "bad_code",
            Flaw::TooDeep => "too_deep",
            Flaw::UnknownRoot => "unknown_root",
            Flaw::UnknownStep => "unknown_step",
            Flaw::NotYetRun => "not_yet_run",
            Flaw::UnknownAgent => "unknown_agent",
            Flaw::UnknownTool => "unknown_tool",
            Flaw::UnknownWorkflow => "unknown_workflow",
            Flaw::NoSteps => "no_steps",
            Flaw::Unreachable => "unreachable",
            Flaw::Constant => "constant_condition",
            Flaw::Recursion => "recursion",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub path: String,
    pub message: String,
    pub flaw: Flaw,
}

impl Problem {
    pub fn new(path: impl Into<String>, message: impl Into<String>, flaw: Flaw) -> Problem {
        Problem { path: path.into(), message: message.into(), flaw }
    }

    /// An error about the value at `path`, or about one inside it: then its message says where.
    pub fn of(path: &str, error: &Error) -> Problem {
        let flaw = match error.code() {
            Code::ConversionError => Flaw::NotData,
            _ if error.message().contains(": unknown key") => Flaw::UnknownField,
            _ => Flaw::InvalidValue,
        };
        let message = error.message();
        match message.strip_prefix(path).and_then(|rest| rest.split_once(": ")) {
            Some((inside, message)) => Problem::new(format!("{path}{inside}"), message, flaw),
            None => Problem::new(path, message, flaw),
        }
    }

    pub fn to_record(&self) -> Record {
        Record::new()
            .set("path", self.path.as_str())
            .set("message", self.message.as_str())
            .set("code", self.flaw.name())
    }

    fn to_json(&self) -> Value {
        json!({ "path": self.path, "message": self.message, "code": self.flaw.name() })
    }
}

/// The error of a definition with these problems.
pub fn refusal(problems: &[Problem]) -> Error {
    let all_data = problems.iter().all(|problem| problem.flaw == Flaw::NotData);
    let code = if all_data { Code::ConversionError } else { Code::ValidationFailed };
    let errors: Vec<Value> = problems.iter().take(TOLD).map(Problem::to_json).collect();
    let mut details = json!({ "errors": errors });
    if let Some(more) = untold(problems) {
        details["more_errors"] = json!(more);
    }
    Error::new(code, summary(problems)).with(|f| f.details = Some(details))
}

/// How many problems there are beyond those that are told one by one.
pub fn untold(problems: &[Problem]) -> Option<usize> {
    problems.len().checked_sub(TOLD).filter(|more| *more > 0)
}

/// The first problem, and how many more there are.
fn summary(problems: &[Problem]) -> String {
    let Some(first) = problems.first() else { return String::new() };
    let place = if first.path.is_empty() { String::new() } else { format!("{}: ", first.path) };
    match problems.len() - 1 {
        0 => format!("{place}{}", first.message),
        1 => format!("{place}{} (and 1 more problem)", first.message),
        more => format!("{place}{} (and {more} more problems)", first.message),
    }
}
