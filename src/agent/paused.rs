//! A run that has stopped before calls which somebody else has to decide on or to answer, and what
//! is said about them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::AgentTool;
use super::export::by_name;
use super::record::Executed;
use super::summarize::Summarize;
use crate::chat::{Message, Role, ToolCall, Usage};
use crate::provider::Reach;
use crate::provider::options::merge;
use crate::tool::Tools;
use crate::value::Data;

/// Everything the run needs to go on, also in another process.
#[derive(Clone, Debug, Default)]
pub struct Paused {
    /// Its messages so far: no part of the conversation yet, since calls in it have no result.
    pub turn: Vec<Message>,
    pub open: Vec<Open>,
    /// Ids of calls that were decided on when going on failed later: they are not made again.
    pub settled: Vec<String>,
    /// Unix time until which a process goes on with it: others let it be.
    pub claimed_until: Option<f64>,
    pub executed: Vec<Executed>,
    pub usage: Usage,
    /// Questions that models were asked, also inside it.
    pub steps: u64,
    pub iteration: u32,
    pub attempts: u32,
    pub spent_ms: f64,
    pub ttft_ms: Option<f64>,
    /// What was said to it, which its model sees once it goes on.
    pub inbox: Vec<Message>,
    /// What was said inside its calls and no model has seen.
    pub unseen: Vec<Message>,
    /// The one repair of a structured answer was made.
    pub repaired: bool,
    pub own: Own,
}

/// What a run is to do in another way than its agent.
#[derive(Clone, Debug, Default)]
pub struct Own {
    pub options: Map<String, Value>,
    pub reach: Reach,
    pub tools: Option<Vec<AgentTool>>,
    /// `Some(None)` takes back what the agent says.
    pub summarize: Option<Option<Summarize>>,
}

impl Own {
    /// With what `nearer` says instead. A null stays: it unsets what the agent says.
    #[must_use]
    pub fn under(&self, nearer: &Own) -> Own {
        let mut options = self.options.clone();
        merge(&mut options, &nearer.options);
        let unset = nearer.options.iter().filter(|(_, value)| value.is_null());
        options.extend(unset.map(|(key, value)| (key.clone(), value.clone())));
        let tools = nearer.tools.clone().or_else(|| self.tools.clone());
        let summarize = nearer.summarize.clone().or_else(|| self.summarize.clone());
        Own { options, reach: self.reach.under(&nearer.reach), tools, summarize }
    }
}

impl Own {
    /// With tools that are named as they are named elsewhere.
    #[must_use]
    pub fn by_name(&self, known: &Tools) -> Own {
        let tools = self.tools.as_ref();
        let named = tools.map(|tools| tools.iter().map(|tool| by_name(tool, known)).collect());
        Own { tools: named, ..self.clone() }
    }
}

/// A call that has no result yet.
#[derive(Clone, Debug)]
pub struct Open {
    pub call: ToolCall,
    pub why: Why,
    /// Why it could not be told whether it needs approval.
    pub doubt: Option<String>,
    /// The call is a run of its own, which has stopped in its turn.
    pub run: Option<Box<Paused>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Somebody has to agree to it.
    Approval,
    /// A client answers it.
    Client,
}

impl Why {
    /// What an agent waits for.
    pub fn state(self) -> &'static str {
        match self {
            Why::Approval => "approval",
            Why::Client => "tool_results",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Why::Approval => "approval",
            Why::Client => "client",
        }
    }
}

impl Open {
    pub fn new(call: ToolCall, why: Why) -> Open {
        Open { call, why, doubt: None, run: None }
    }

    /// A call that goes on with what its own run has waited for.
    pub fn within(call: ToolCall, run: Box<Paused>) -> Open {
        let why = if run.waits_for(Why::Approval) { Why::Approval } else { Why::Client };
        Open { call, why, doubt: None, run: Some(run) }
    }
}

/// A call somebody has to say something about, by the id under which that is said.
pub struct Leaf<'p> {
    /// Of a call inside a call: `outer/inner`.
    pub id: String,
    pub open: &'p Open,
}

/// The calls of a list, those inside them in their place.
pub fn leaves(open: &[Open]) -> Vec<Leaf<'_>> {
    open.iter().flat_map(leaves_of).collect()
}

fn leaves_of(open: &Open) -> Vec<Leaf<'_>> {
    let id = &open.call.id;
    match &open.run {
        None => vec![Leaf { id: id.clone(), open }],
        Some(run) => {
            let inner = leaves(&run.open).into_iter();
            inner.map(|leaf| Leaf { id: format!("{id}/{}", leaf.id), open: leaf.open }).collect()
        }
    }
}

impl Paused {
    pub fn waits_for(&self, why: Why) -> bool {
        leaves(&self.open).iter().any(|leaf| leaf.open.why == why)
    }

    pub fn ids(&self) -> impl Iterator<Item = String> {
        leaves(&self.open).into_iter().map(|leaf| leaf.id)
    }

    /// Of its own calls, whether they are open or were decided on; a call inside is found by the
    /// id of the one around it.
    pub fn outer_ids(&self) -> impl Iterator<Item = String> {
        let open = self.open.iter().map(|open| open.call.id.as_str());
        let settled = self.settled.iter();
        let settled = settled.map(|id| id.split_once('/').map_or(id.as_str(), |(outer, _)| outer));
        open.chain(settled).map(str::to_owned)
    }

    /// Whether a decision is about one of its calls.
    pub fn knows(&self, id: &str) -> bool {
        self.ids().any(|own| own == id) || self.settled.iter().any(|own| own == id)
    }

    /// What it was given: the messages before the model's first one.
    pub fn input(&self) -> Vec<Message> {
        let before = self.turn.iter().skip_while(|message| message.role == Role::Tool);
        before.take_while(|message| message.role != Role::Assistant).cloned().collect()
    }

    /// Going on inside its calls failed, and has come this far: those are left as they are now.
    pub fn put_back_inside(&mut self, inner: &mut Vec<(String, Box<Paused>)>) {
        for (call_id, run) in inner.drain(..) {
            let Some(open) = self.open.iter_mut().find(|open| open.call.id == call_id) else {
                continue;
            };
            let settled = run.settled.iter().map(|id| format!("{call_id}/{id}"));
            self.settled
                .extend(settled.filter(|id| !self.settled.contains(id)).collect::<Vec<_>>());
            open.run = Some(run);
        }
    }

    /// Results that came before going on failed: what was done is not done again. `skipped` are
    /// calls whose result says that they were not made.
    pub fn settle(&mut self, turn: &[Message], executed: &[Executed], skipped: &[String]) {
        for open in std::mem::take(&mut self.open) {
            let id = open.call.id.as_str();
            let answers = |message: &&Message| message.tool_call_id.as_deref() == Some(id);
            let result = turn.iter().find(answers).filter(|_| !skipped.iter().any(|s| s == id));
            let Some(result) = result else {
                self.open.push(open);
                continue;
            };
            self.turn.push(result.clone());
            self.executed.extend(executed.iter().find(|done| done.call.id == id).cloned());
            self.settled.extend(leaves_of(&open).into_iter().map(|leaf| leaf.id));
        }
    }
}

/// What is to become of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    Approve,
    /// With these arguments in place of the model's.
    Change(Value),
    Deny(Option<String>),
    /// This is its result, as the model reads it.
    Answer(String),
}

pub type Decisions = BTreeMap<String, Decision>;

/// What a call goes on with that is a run of its own.
#[derive(Clone, Debug)]
pub struct Resumed {
    pub run: Box<Paused>,
    pub decisions: Decisions,
}

/// Decisions on the calls inside a call, by their own ids.
pub fn inside(decisions: &Decisions, outer: &str) -> Decisions {
    let strip = |id: &str| Some(id.strip_prefix(outer)?.strip_prefix('/')?.to_owned());
    decisions.iter().filter_map(|(id, what)| Some((strip(id)?, what.clone()))).collect()
}

/// A result as data, where it is some already.
pub fn plain(result: &Data) -> Option<Value> {
    Some(match result {
        Data::Nil => Value::Null,
        Data::Bool(value) => (*value).into(),
        Data::Int(value) => (*value).into(),
        Data::Num(value) => (*value).into(),
        Data::Text(value) => value.as_str().into(),
        Data::Json(value) => value.clone(),
        Data::Shared(inner) => plain(inner)?,
        Data::List(items) => items.iter().map(plain).collect::<Option<_>>()?,
        Data::Record(record) => Value::Object(
            record
                .fields
                .iter()
                .map(|(key, value)| Some((key.to_string(), plain(value)?)))
                .collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}
