//! Agents: a model, its instructions, its tools, and the conversation so far.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::Value;

use crate::chat::{Message, Usage};
use crate::provider::options::{GENERATION, LIMITS};
use crate::provider::reach::REACH;
use crate::provider::{Reach, Whom};
use crate::registry::Named;
use crate::shape::{Field, Kind, Shape};
use crate::step::Token;
use crate::tool::{DEFINITION, Tool};
use crate::value::Kept;

mod answers;
pub mod conversation;
pub mod decide;
pub mod export;
pub mod input;
pub mod keeping;
pub mod own;
pub mod paused;
mod plain;
pub(crate) use plain::{usage, usage_to_json};
mod plan;
mod queue;
mod recall;
mod record;
mod run;
pub mod running;
mod sub;
pub mod summarize;
mod tools;

pub use decide::{about, check as check_decisions, nothing_waits};
pub use paused::{Decision, Decisions, Own, Paused, Resumed, Why};
pub use queue::Queue;
pub use recall::recall;
pub use record::{info, messages as shown_messages, pending_calls, response, summary};
pub use run::conversation::refuse_nesting;
pub use run::{Plan, Resume, Run};
pub use sub::{bind, definition};
pub use tools::specs;

static BUDGET: Shape = Shape::new(
    "Budget",
    &[
        Field::new("max_total_tokens", Kind::Number(1.0, 1e15), "", "prompt and completion tokens"),
        Field::new(
            "max_steps",
            Kind::Int(1, 1_000_000),
            "",
            "questions to models; a repeated request is none",
        ),
        Field::new(
            "max_ms",
            Kind::Number(1.0, 1e12),
            "",
            "time; requests and tools that wait are stopped then",
        ),
        Field::new(
            "max_cost",
            Kind::Number(0.0, 1e12),
            "",
            "costs, by the providers' `prices`; a model without a price is refused: invalid_argument",
        ),
    ],
    &[],
);

static MEMORY: Shape = Shape::new(
    "AgentMemory",
    &[
        Field::new(
            "type",
            Kind::Enum(&["short_term", "persistent"]),
            "\"short_term\"",
            "\"persistent\": the conversation lies in the store under the agent's name, for all processes",
        ),
        Field::new("max_messages", Kind::Int(1, 1_000_000), "100", "newest messages that are sent"),
        Field::new("max_tokens", Kind::Int(1, i64::MAX), "", "the same in tokens (bytes / 4)"),
    ],
    &[],
);

/// Options that agents and single runs share.
pub static BEHAVIOUR: Shape = Shape::new(
    "AgentBehaviour",
    &[
        Field::new("system_prompt", Kind::Text, "", "instructions, never dropped from the window")
            .or(&["system", "instructions"]),
        Field::new("max_iterations", Kind::Int(1, 100_000), "10", "rounds of model and tools"),
        Field::new(
            "budget",
            Kind::Table(&BUDGET),
            "",
            "hard limits of a run with its tools and the agents inside it, looked at before each request",
        ),
        Field::new(
            "on_limit",
            Kind::Enum(&["raise", "return"]),
            "budget raises, max_iterations returns",
            "what reaching a limit does",
        ),
        Field::new(
            "tools",
            Kind::List(&TOOL),
            "none",
            "ids, names or definitions: nothing else is offered to the model",
        ),
        Field::new("metadata", Kind::Map, "", "kept as it is"),
        summarize::OPTION,
    ],
    &[],
);

const TOOL: Kind = Kind::OneOf(&[Kind::Text, Kind::Table(&DEFINITION)]);

pub const MODEL: Field = Field::new("model", Kind::Text, "the agent's", "the model asked");

pub const RAW: Field = Field::new(
    "raw",
    Kind::Bool,
    "false",
    "keep what the provider sent in `raw`: its document, or the array of a stream's events",
);

/// Options of a run that are kept while it has stopped.
pub static RUN_OPTIONS: Shape =
    Shape::new("AgentRunOptions", &[MODEL, RAW], &[&BEHAVIOUR, &GENERATION, &LIMITS, &REACH]);

pub static CONFIG: Shape = Shape::new(
    "AgentConfig",
    &[
        Field::new("name", Kind::Text, "the id", "need not be unique"),
        Field::new("description", Kind::Text, "", "for people"),
        Field::new(
            "provider",
            Kind::OneOf(&[Kind::Id("a provider"), Kind::Table(&crate::provider::CONFIG)]),
            "`default_provider`",
            "id, name or type of a provider, or a configuration of its own",
        ),
        Field::new("model", Kind::Text, "the provider's", "the model asked"),
        Field::new(
            "memory",
            Kind::OneOf(&[Kind::Bool, Kind::Table(&MEMORY)]),
            "{type=\"short_term\"}",
            "`false` = every run starts anew",
        )
        .or(&["memory_config"]),
        Field::new(
            "hooks",
            Kind::MapOf(&Kind::Function),
            "none",
            "a function for each point, as `hook.register` takes them: for this agent only, with its tools and requests",
        ),
    ],
    &[&BEHAVIOUR, &GENERATION, &LIMITS, &REACH],
);

/// A tool an agent may use.
#[derive(Clone, Debug)]
pub enum AgentTool {
    /// Id or name; looked up at each run, so that a tool may be replaced.
    Named(String),
    Inline(Rc<Tool>),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Idle,
    Ready,
    Running,
    Completed,
    Error,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Idle => "idle",
            State::Ready => "ready",
            State::Running => "running",
            State::Completed => "completed",
            State::Error => "error",
        }
    }
}

/// One conversation of an agent.
#[derive(Debug, Default)]
pub struct Conversation {
    pub messages: Vec<Message>,
    /// A run that has stopped with calls open.
    pub paused: Option<Box<Paused>>,
    pub queue: Queue,
    /// Its version in the store when it was last read or written there.
    pub stored: Option<u64>,
    /// Newer than what the store has.
    pub ahead: bool,
}

#[derive(Debug, Default)]
pub struct Agent {
    pub name: String,
    /// `None`: the default one.
    pub provider: Option<Whom>,
    /// As given, by canonical option name, without provider and tools.
    pub config: Kept,
    pub reach: Option<Box<Reach>>,
    pub summarize: Option<summarize::Summarize>,
    pub tools: Vec<AgentTool>,
    /// By session; "" is the agent's own.
    pub conversations: HashMap<String, Conversation>,
    /// Runs that have stopped for approval and belong to no conversation.
    #[allow(clippy::vec_box, reason = "they move between here and their runs")]
    pub aside: Vec<Box<Paused>>,
    pub state: State,
    pub since: f64,
    pub iteration: Option<u32>,
    pub last_error: Option<Box<str>>,
    /// Runs under way.
    pub runs: Vec<Token>,
    pub counts: Option<Box<Counts>>,
    /// Numbers of the hooks that it brought along.
    pub hooks: Vec<u64>,
    pub created_at: f64,
    /// Under which its memory lies, where another agent of its name was there before: `name#2`.
    pub alias: Option<Box<str>>,
}

/// What `get_info` counts; absent until the first run.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub usage: Usage,
    pub runs: u64,
    pub errors: u64,
    pub last_run_at: Option<f64>,
}

impl Counts {
    /// A run has ended; `again`: one that was counted when it stopped.
    fn ended(&mut self, usage: &Usage, failed: bool, again: bool, now: f64) {
        self.usage.add(usage);
        self.runs += u64::from(!again);
        self.errors += u64::from(failed);
        self.last_run_at = Some(now);
    }
}

impl Named for Agent {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Agent {
    pub fn text(&self, key: &str) -> Option<String> {
        self.config.text(key)
    }

    /// Whether a run of it has begun.
    pub fn has_run(&self) -> bool {
        !self.runs.is_empty() || self.counts.as_ref().is_some_and(|counts| counts.runs > 0)
    }

    pub fn enter(&mut self, state: State, now: f64) {
        if self.state != state {
            self.state = state;
            self.since = now;
        }
    }

    pub fn reach(&self) -> Reach {
        self.reach.as_deref().cloned().unwrap_or_default()
    }

    /// Whether runs read and write the conversation.
    pub fn remembers(&self) -> bool {
        self.config.get("memory") != Some(Value::Bool(false))
    }

    /// What its memory lies under: its name, so that it is found again in another process.
    pub fn owner(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name)
    }

    /// What has stopped and waits, by its session: the agent's own conversation first, what belongs to
    /// none last.
    pub fn waiting(&self) -> Vec<(Option<&str>, &Paused)> {
        let mut sessions: Vec<_> = self.conversations.iter().collect();
        sessions.sort_by_key(|(session, _)| *session);
        let paused = sessions.into_iter().filter_map(|(session, conversation)| {
            let named = Some(session.as_str()).filter(|session| !session.is_empty());
            Some((named, conversation.paused.as_deref()?))
        });
        paused.chain(self.aside.iter().map(|paused| (None, paused.as_ref()))).collect()
    }

    pub fn conversation(&self, session: &str) -> Option<&Conversation> {
        self.conversations.get(session)
    }
}
