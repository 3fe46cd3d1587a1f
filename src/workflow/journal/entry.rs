//! What is recorded at a boundary of an execution.

use serde_json::Value;

use super::Plain;
use crate::chat::Usage;
use crate::error::Error;
use crate::value::Failure;
use crate::workflow::execution::{Ended, How};

/// Steps are named by their paths.
#[derive(Clone, Debug)]
pub enum Entry {
    /// An attempt at a step begins.
    Started {
        path: String,
        id: String,
        attempt: u32,
        at: f64,
    },
    /// It takes the place of what was recorded when the step began.
    Ended {
        path: String,
        id: String,
        end: StepEnd,
    },
    /// Which branch, how many iterations.
    Decided {
        path: String,
        value: Value,
    },
    Boundary(Boundary),
    /// A workflow called at that path begins.
    Child {
        path: String,
        child: Child,
    },
    /// The exported state of an agent that waits for decisions.
    Waiting {
        path: String,
        state: Value,
    },
    /// The step begins anew: nothing is known of it, nor of what was called in it.
    Forget {
        path: String,
    },
    /// The same for every path that begins so.
    ForgetInside {
        place: String,
    },
}

/// What changes all the time, as of the last boundary.
#[derive(Clone, Debug, Default)]
pub struct Boundary {
    pub variables: Plain,
    pub usage: Usage,
    pub worked_ms: f64,
}

/// A workflow that is called in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Child {
    pub workflow: String,
    pub version: String,
    /// Of its definition, as in [`super::Head`].
    pub definition: u64,
    pub input: Plain,
}

/// How a step ended, in plain data.
#[derive(Clone, Debug)]
pub struct StepEnd {
    pub how: How,
    pub output: Plain,
    pub response: Plain,
    pub error: Option<Error>,
    pub attempts: u32,
    pub started_at: Option<f64>,
    pub duration_ms: Option<f64>,
}

impl StepEnd {
    pub fn of(ended: &Ended, output: Plain, response: Plain) -> StepEnd {
        StepEnd {
            how: ended.how,
            output,
            response,
            error: ended.error.as_ref().map(|failure| failure.error.clone()),
            attempts: ended.attempts,
            started_at: ended.started_at,
            duration_ms: ended.duration_ms,
        }
    }

    pub fn to_ended(&self) -> Ended {
        let failure = |error| Failure { error, function: "workflow.execute" };
        Ended {
            how: self.how,
            output: self.output.to_data(),
            response: self.response.to_data(),
            error: self.error.clone().map(failure),
            attempts: self.attempts,
            started_at: self.started_at,
            duration_ms: self.duration_ms,
        }
    }
}
