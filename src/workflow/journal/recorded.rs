//! What is read back of a run.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Boundary, Child, Plain, StepEnd};
use crate::error::Error;
use crate::workflow::Status;
use crate::workflow::definition::OnUnknown;

/// What there is to say of a run without looking into it. Written when the run changes hands: it is
/// the fence.
#[derive(Clone, Debug)]
pub struct Head {
    pub run: String,
    /// Name of its workflow.
    pub workflow: String,
    pub version: String,
    /// Hash of the definition, without functions.
    pub definition: u64,
    pub status: Status,
    /// It has failed in a way that a further execution may mend.
    pub open: bool,
    pub created_at: f64,
    pub changed_at: f64,
    pub finished_at: Option<f64>,
    /// Counts the changes of hands.
    pub fence: u64,
    /// Who has it, or had it last.
    pub owner: Owner,
    /// By a process that lives and has a lease, as of when this was read.
    pub is_owned: bool,
}

impl Head {
    /// Nothing of it will run any more.
    pub fn is_over(&self) -> bool {
        self.status.has_ended() && !self.open
    }
}

/// A process, as others may look for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Name of the machine, for people.
    pub host: String,
    /// Of the machine since it was switched on: processes of the same one can see each other.
    pub boot: String,
    pub pid: u32,
    /// When the process began, as its system counts: numbers of processes are used again.
    pub start: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Options {
    pub on_unknown: Option<OnUnknown>,
    pub metadata: Plain,
    pub timeout_ms: Option<f64>,
}

#[derive(Clone, Debug)]
pub struct Recorded {
    pub head: Head,
    pub input: Plain,
    pub options: Options,
    /// Of the run's own steps.
    pub own: Progress,
    /// Of the workflows called in it.
    pub parts: BTreeMap<String, Progress>,
    pub ending: Option<Ending>,
}

/// How far a workflow has come, by the paths of its steps.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    pub steps: BTreeMap<String, Step>,
    pub decided: BTreeMap<String, Value>,
    pub boundary: Boundary,
    pub children: BTreeMap<String, Child>,
    pub waiting: BTreeMap<String, Value>,
}

#[derive(Clone, Debug)]
pub enum Step {
    /// It had begun, and nobody knows how it ended.
    Started { id: String, attempt: u32, at: f64 },
    /// `order`: steps that ended later have a greater one.
    Ended { id: String, order: u64, end: StepEnd },
}

impl Progress {
    /// Path, id and end of the steps that have ended, in the order in which they did.
    pub fn in_order(&self) -> Vec<(&str, &str, &StepEnd)> {
        let ended = self.steps.iter().filter_map(|(path, step)| match step {
            Step::Ended { id, order, end } => Some((*order, path.as_str(), id.as_str(), end)),
            Step::Started { .. } => None,
        });
        let mut all: Vec<_> = ended.collect();
        all.sort_by_key(|(order, ..)| *order);
        all.into_iter().map(|(_, path, id, end)| (path, id, end)).collect()
    }
}

/// How an execution of the run stopped.
#[derive(Clone, Debug)]
pub struct Ending {
    pub over: Over,
    pub result: Plain,
    pub error: Option<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    Completed,
    Failed,
    Cancelled,
    /// It goes on when somebody resumes it.
    Paused,
    /// It failed; a further execution goes on with it.
    Open,
}

impl Over {
    const ALL: [Over; 5] =
        [Over::Completed, Over::Failed, Over::Cancelled, Over::Paused, Over::Open];

    /// Stored: never changed.
    pub fn name(self) -> &'static str {
        match self {
            Over::Open => "open",
            over => over.status().name(),
        }
    }

    pub fn parse(name: &str) -> Option<Over> {
        Over::ALL.into_iter().find(|over| over.name() == name)
    }

    pub fn status(self) -> Status {
        match self {
            Over::Completed => Status::Completed,
            Over::Failed | Over::Open => Status::Failed,
            Over::Cancelled => Status::Cancelled,
            Over::Paused => Status::Paused,
        }
    }

    /// Nothing of the run will run any more.
    pub fn is_final(self) -> bool {
        matches!(self, Over::Completed | Over::Failed | Over::Cancelled)
    }
}
