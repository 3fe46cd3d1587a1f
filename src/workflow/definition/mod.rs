//! What a workflow is: a tree of steps, read from the tables of its user and found to be whole.

mod check;
pub(crate) mod given;
mod hash;
mod holes;
mod layout;
mod needs;
mod order;
mod problem;
mod read;
pub mod shape;
mod show;

use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map, Value};

pub use check::{Judgement, judge};
pub use needs::{Needs, Use, needs};
pub use order::order;
pub use problem::{Flaw, Problem, TOLD, refusal, untold};
pub(crate) use read::{Found, Reader, pattern_of, read};

use super::{Condition, Status, Template};
use crate::sandbox::Script;
use crate::value::{Document, Slot};

#[derive(Debug)]
pub struct Definition {
    pub name: Option<String>,
    pub description: String,
    pub version: String,
    pub metadata: Option<Value>,
    pub pattern: Pattern,
    /// The steps as one: what its pattern makes of them.
    pub body: Does,
    pub input_schema: Option<Value>,
    pub output_schema: Option<Value>,
    pub variables: Map<String, Value>,
    pub timeout_ms: Option<f64>,
    /// No step that fails ends an execution.
    pub goes_on: bool,
    /// So many finished executions are kept.
    pub keep: usize,
    /// All steps, those inside of others included.
    pub count: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pattern {
    #[default]
    Sequential,
    Parallel,
    Conditional,
    Loop,
}

impl Definition {
    /// How many of its outermost steps are over, from 0 to 1.
    pub fn progress(&self, status: Status, is_over: impl Fn(&str) -> bool) -> f64 {
        let (past, all) = self
            .body
            .inner()
            .fold((0u32, 0u32), |(past, all), step| (past + u32::from(is_over(&step.id)), all + 1));
        if status == Status::Completed || all == 0 {
            return 1.0;
        }
        f64::from(past) / f64::from(all)
    }
}

impl Pattern {
    pub const ALL: [Pattern; 4] =
        [Pattern::Sequential, Pattern::Parallel, Pattern::Conditional, Pattern::Loop];

    /// In any case.
    pub fn of(word: &str) -> Option<Pattern> {
        Pattern::ALL.into_iter().find(|pattern| pattern.name().eq_ignore_ascii_case(word))
    }

    pub fn name(self) -> &'static str {
        match self {
            Pattern::Sequential => "sequential",
            Pattern::Parallel => "parallel",
            Pattern::Conditional => "conditional",
            Pattern::Loop => "loop",
        }
    }
}

/// Machines hold on to the steps that they are at. Steps that follow each other stand in the order in
/// which they run: each behind those it depends on.
pub type Steps = Rc<[Rc<Step>]>;

#[derive(Debug)]
pub struct Step {
    /// Unique in the workflow.
    pub id: Rc<str>,
    /// What people call it, where that is not its id.
    pub title: Option<String>,
    /// Its place in the list it was written in, from 1.
    pub number: usize,
    pub does: Does,
    /// `None`: the previous output.
    pub input: Option<Made>,
    pub depends_on: Vec<String>,
    /// Skipped unless it holds.
    pub when: Option<Test>,
    pub retry: Retry,
    pub timeout_ms: Option<f64>,
    /// `None`: as the workflow says.
    pub goes_on: Option<bool>,
    pub default: Option<Value>,
    /// Takes the place of the output.
    pub output: Option<Made>,
    pub idempotent: bool,
    pub on_unknown: Option<OnUnknown>,
    pub metadata: Option<Value>,
}

impl Step {
    /// The first that it needs is something of the tables in Lua.
    pub fn asks_at_once(&self) -> bool {
        self.when.is_some() || matches!(self.does, Does::Function(_) | Does::Transform(_))
    }
}

#[derive(Debug)]
pub enum Does {
    Agent {
        agent: String,
        /// Those of the run.
        options: Option<Rc<Document>>,
    },
    Tool {
        tool: String,
    },
    Function(Slot),
    Workflow {
        workflow: String,
    },
    Sequence(Steps),
    Parallel {
        steps: Steps,
        gathers: Aggregation,
        wide: Wide,
    },
    /// One condition, two branches.
    Branch {
        test: Test,
        then: Steps,
        otherwise: Steps,
    },
    /// The first step whose condition holds.
    Choice(Steps),
    Loop(Rc<Looping>),
    Map {
        over: Made,
        steps: Steps,
        wide: Wide,
    },
    Delay {
        ms: f64,
        jitter_percent: f64,
    },
    Emit {
        event: String,
        data: Option<Made>,
    },
    Transform(Made),
    Script(Arc<Script>),
}

#[derive(Debug)]
pub struct Looping {
    pub steps: Steps,
    pub over: Over,
    pub until: Option<Test>,
    /// `None` where the items or a count say when it ends.
    pub max_iterations: Option<u64>,
    pub delay_ms: f64,
    pub breaks_on_error: bool,
}

#[derive(Debug)]
pub enum Over {
    Items(Made),
    Count(Made),
    While(Test),
    /// Until its condition holds.
    Ever,
}

/// How many things go on side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wide {
    pub max_concurrency: usize,
    pub fail_fast: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aggregation {
    #[default]
    All,
    First,
    Majority,
}

impl Aggregation {
    pub fn name(self) -> &'static str {
        match self {
            Aggregation::All => "all",
            Aggregation::First => "first",
            Aggregation::Majority => "majority",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnknown {
    Retry,
    Fail,
}

impl OnUnknown {
    pub const NAMES: &[&str] = &["retry", "fail"];

    pub fn of(word: &str) -> Option<OnUnknown> {
        [OnUnknown::Retry, OnUnknown::Fail].into_iter().find(|one| one.name() == word)
    }

    pub fn name(self) -> &'static str {
        match self {
            OnUnknown::Retry => "retry",
            OnUnknown::Fail => "fail",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    pub max_attempts: u32,
    pub backoff_ms: f64,
    pub multiplier: f64,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry { max_attempts: 1, backoff_ms: 1000.0, multiplier: 2.0 }
    }
}

/// A value that is made when it is needed.
#[derive(Clone, Debug)]
pub enum Made {
    /// Without templates in it.
    Plain(Value),
    /// Data, some of whose texts are templates.
    Filled(Value),
    Called(Slot),
}

#[derive(Clone, Debug)]
pub enum Test {
    Says(Box<Condition>),
    Called(Slot),
}

impl Test {
    pub fn holes(&self) -> impl Iterator<Item = &super::template::Hole> {
        let condition = match self {
            Test::Says(condition) => Some(condition),
            Test::Called(_) => None,
        };
        condition.into_iter().flat_map(|condition| condition.holes())
    }
}

impl Made {
    /// The templates in it, with their places.
    pub fn templates(&self) -> Vec<(String, Result<Template, String>)> {
        let mut found = Vec::new();
        if let Made::Filled(value) = self {
            inside(value, String::new(), &mut found);
        }
        found
    }
}

fn inside(value: &Value, place: String, found: &mut Vec<(String, Result<Template, String>)>) {
    match value {
        Value::String(text) if super::template::is_template(text) => {
            found.push((place, Template::parse(text)));
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                inside(item, format!("{place}[{}]", i + 1), found);
            }
        }
        Value::Object(members) => {
            members.iter().for_each(|(key, item)| inside(item, format!("{place}.{key}"), found));
        }
        _ => {}
    }
}

impl Does {
    pub fn name(&self) -> &'static str {
        match self {
            Does::Agent { .. } => "agent_call",
            Does::Tool { .. } => "tool_call",
            Does::Function(_) => "function",
            Does::Workflow { .. } => "workflow_call",
            Does::Sequence(_) => "sequential",
            Does::Parallel { .. } => "parallel",
            Does::Branch { .. } | Does::Choice(_) => "condition",
            Does::Loop(_) => "loop",
            Does::Map { .. } => "map",
            Does::Delay { .. } => "delay",
            Does::Emit { .. } => "emit",
            Does::Transform(_) => "transform",
            Does::Script(_) => "script",
        }
    }

    pub fn holds_steps(&self) -> bool {
        matches!(
            self,
            Does::Sequence(_)
                | Does::Choice(_)
                | Does::Parallel { .. }
                | Does::Map { .. }
                | Does::Branch { .. }
                | Does::Loop(_)
        )
    }

    /// The steps inside, in the order they are written.
    pub fn inner(&self) -> impl Iterator<Item = &Rc<Step>> {
        let (first, second): (&[Rc<Step>], &[Rc<Step>]) = match self {
            Does::Sequence(steps) | Does::Choice(steps) => (steps, &[]),
            Does::Parallel { steps, .. } | Does::Map { steps, .. } => (steps, &[]),
            Does::Branch { then, otherwise, .. } => (then, otherwise),
            Does::Loop(looping) => (&looping.steps, &[]),
            _ => (&[], &[]),
        };
        first.iter().chain(second)
    }
}
