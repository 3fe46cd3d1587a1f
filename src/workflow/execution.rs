//! What is known of the executions of workflows, while they go on and afterwards.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use serde_json::Value;

use crate::agent::{Decisions, Paused};
use crate::chat::Usage;
use crate::clock::{Clock, Moment};
use crate::error::Error;
use crate::step::Token;
use crate::value::{Data, Failure, Record, Slot};

pub use super::status::{How, Status};

use super::Definition;
use super::definition::Step;
use super::durable::{Durable, given_at};
use super::halted::Halted;
use super::journal::{Claim, Claimed};

/// A step that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    pub how: How,
    pub output: Data,
    /// Of an agent: all of it.
    pub response: Data,
    pub error: Option<Failure>,
    pub attempts: u32,
    pub started_at: Option<f64>,
    pub duration_ms: Option<f64>,
}

impl Ended {
    pub fn skipped() -> Ended {
        Ended {
            how: How::Skipped,
            output: Data::Nil,
            response: Data::Nil,
            error: None,
            attempts: 0,
            started_at: None,
            duration_ms: None,
        }
    }

    /// As users see it.
    pub fn to_record(&self) -> Record {
        let error = self.error.clone().map_or(Data::Nil, |failure| Data::Error(Box::new(failure)));
        Record::sized(5)
            .set("status", self.how.name())
            .set("output", self.output.clone())
            .set("response", self.response.clone())
            .set("error", error)
            .set("attempts", self.attempts)
            .set("started_at", self.started_at)
            .set("duration_ms", self.duration_ms)
    }
}

/// What a step that is under way has to say of itself.
#[derive(Clone, Debug)]
pub struct Progress {
    pub attempts: u32,
    pub started_at: f64,
    pub since: Moment,
    pub response: Data,
}

/// Whether it executes a single step, and whether that was done.
#[derive(Clone, Debug, Default)]
pub enum Stepping {
    /// It executes all it can.
    #[default]
    No,
    One,
    /// The step of this id was the one.
    Taken(Rc<str>),
}

/// An agent whose run has stopped: before calls that somebody has to decide on, or between two
/// questions.
#[derive(Clone)]
pub struct Waiting {
    pub step: Rc<str>,
    /// Id of the agent.
    pub agent: String,
    /// The conversation; "" is the agent's own.
    pub session: String,
    /// Where its run goes on.
    pub run: Box<Paused>,
}

impl Waiting {
    /// Whether somebody has to say something before it goes on.
    pub fn needs_decisions(&self) -> bool {
        !self.run.open.is_empty()
    }
}

pub struct Execution {
    pub id: String,
    /// Number of its workflow.
    pub workflow: u64,
    pub name: String,
    pub definition: Rc<Definition>,
    pub status: Status,
    pub input: Data,
    pub variables: Data,
    pub metadata: Data,
    /// The tables that lie in Lua.
    pub scope: Option<Slot>,
    /// Is told of every step that has ended.
    pub on_step: Option<Slot>,
    /// Steps that have ended, by their paths.
    pub ended: BTreeMap<Rc<str>, Rc<Ended>>,
    /// The last end of each step, by its id.
    pub latest: HashMap<Rc<str>, Rc<Ended>>,
    /// Steps that are under way, by their paths.
    pub under_way: HashMap<Rc<str>, Progress>,
    /// What goes on where it was when it stopped.
    pub halted: Halted,
    /// What was decided on the way, by the paths of steps: which branch, how many iterations.
    pub decided: BTreeMap<Rc<str>, Value>,
    /// Agents whose runs have stopped, by the paths of their steps.
    pub waiting: BTreeMap<Rc<str>, Waiting>,
    /// What was decided on the calls of those, by the same paths.
    pub decisions: BTreeMap<Rc<str>, Decisions>,
    /// Ids of steps in the order in which they ended first.
    pub order: Vec<Rc<str>>,
    pub current: Option<Rc<str>>,
    /// It is to stop at the next boundary.
    pub pause: bool,
    /// Something in it waits for somebody since it goes on: nothing further begins.
    pub waits: bool,
    pub stepping: Stepping,
    /// It is to end, for the reason given.
    pub cancelled: Option<String>,
    /// Its machine, while one is under way.
    pub token: Option<Token>,
    /// Its work is done: only hooks look at how it has ended.
    pub ending: bool,
    /// A failure is a result.
    pub returns: bool,
    /// Machines that are woken when it stops, goes on or ends. While there are any it is kept.
    pub watchers: Vec<Token>,
    /// Machines that it runs in, and that look at it once more when it is over: it is kept for them,
    /// but nothing has to wake them.
    pub holders: Vec<Token>,
    /// A handle tells how it stands.
    pub followed: bool,
    pub usage: Usage,
    pub output: Data,
    /// Of `workflow_call`, by the paths of their steps.
    pub children: HashMap<Rc<str>, u64>,
    pub timeout_ms: Option<f64>,
    pub executed_branch: Option<Rc<str>>,
    pub iterations: Option<usize>,
    pub break_reason: Option<&'static str>,
    pub started_at: f64,
    pub finished_at: Option<f64>,
    pub since: Moment,
    /// Until it stopped last.
    pub worked_ms: f64,
    pub result: Data,
    pub error: Option<Failure>,
    /// What keys of idempotence begin with: the same wherever the execution goes on.
    pub keyed: String,
    /// On calls that agents in a run wait for that is not here yet, by the keys of their steps.
    pub said: BTreeMap<String, Decisions>,
    /// Asks the journal for the run, if it is one of its own that is durable.
    pub claim: Option<Claim>,
    /// The run of the execution around it, which records what becomes of this one.
    pub part_of: Option<String>,
    /// What was claimed before it goes on.
    pub claimed: Option<Claimed>,
    /// While it is under way.
    pub durable: Option<Durable>,
    /// The run is this execution's: it is going on, or what became of it is being recorded.
    pub owned: bool,
    /// Steps that ended before this execution of the run.
    pub recovered: Option<usize>,
    /// Steps of it have run before, perhaps elsewhere.
    pub goes_on: bool,
}

impl Execution {
    pub fn new(id: String, workflow: u64, name: String, definition: Rc<Definition>) -> Execution {
        Execution {
            keyed: format!("{id}:"),
            id,
            workflow,
            name,
            definition,
            status: Status::Pending,
            input: Data::Nil,
            variables: Data::Nil,
            metadata: Data::Nil,
            scope: None,
            on_step: None,
            ended: BTreeMap::new(),
            latest: HashMap::new(),
            under_way: HashMap::new(),
            halted: Halted::default(),
            decided: BTreeMap::new(),
            waiting: BTreeMap::new(),
            decisions: BTreeMap::new(),
            order: Vec::new(),
            current: None,
            pause: false,
            waits: false,
            stepping: Stepping::No,
            cancelled: None,
            token: None,
            ending: false,
            returns: false,
            watchers: Vec::new(),
            holders: Vec::new(),
            followed: false,
            usage: Usage::default(),
            output: Data::Nil,
            children: HashMap::new(),
            timeout_ms: None,
            executed_branch: None,
            iterations: None,
            break_reason: None,
            started_at: 0.0,
            finished_at: None,
            since: Moment::START,
            worked_ms: 0.0,
            result: Data::Nil,
            error: None,
            claim: None,
            claimed: None,
            part_of: None,
            said: BTreeMap::new(),
            owned: false,
            durable: None,
            recovered: None,
            goes_on: false,
        }
    }

    /// What tells one step of one execution from all others, in every attempt at it.
    pub fn key(&self, path: &str) -> String {
        format!("{}{path}", self.keyed)
    }

    /// It begins, or goes on.
    pub fn goes(&mut self, token: Token, clock: &Clock) {
        if self.status == Status::Pending {
            self.started_at = clock.unix();
        }
        (self.status, self.token, self.since) = (Status::Running, Some(token), clock.now());
        self.waits = false;
    }

    /// Whether nothing further is to begin for now.
    pub fn halts(&self) -> bool {
        self.pause || self.waits || matches!(self.stepping, Stepping::Taken(_))
    }

    /// Whether it is a durable run, or is about to be.
    pub fn has_run(&self) -> bool {
        let begins = matches!(self.status, Status::Pending | Status::Running);
        self.owned || self.claimed.is_some() || begins && self.claim.is_some()
    }

    /// Whether somebody has yet to see how it stands.
    pub(super) fn is_watched(&self) -> bool {
        self.followed || !self.watchers.is_empty() || !self.holders.is_empty()
    }

    /// Whether it can still be told to stop: it goes on, or is about to.
    pub fn is_under_way(&self) -> bool {
        matches!(self.status, Status::Pending | Status::Running) && !self.ending
    }

    /// It has ended, or stopped.
    pub fn stops(&mut self, status: Status, clock: &Clock) {
        self.worked_ms = self.elapsed_ms(clock);
        (self.status, self.token, self.current) = (status, None, None);
        (self.pause, self.ending) = (false, false);
        if status.has_ended() {
            self.finished_at = Some(clock.unix());
            self.under_way.clear();
            self.waiting.clear();
            self.decisions.clear();
            self.halted.clear();
        }
    }

    pub fn has_stopped_inside(&self) -> bool {
        !self.waiting.is_empty() || !self.children.is_empty()
    }

    /// Whether the step was begun before the execution stopped last: it runs, whatever its condition
    /// says now.
    pub fn has_begun(&self, path: &str) -> bool {
        let recorded = || self.durable.as_ref().is_some_and(|durable| durable.has_begun(path));
        self.halted.step(path).is_some() || recorded()
    }

    /// What it was given then, if that is known.
    pub fn input_before(&self, path: &str) -> Option<Data> {
        let kept = self.halted.step(path).map(|stopped| stopped.input.clone());
        let recorded = || self.durable.as_ref().and_then(|_| self.decided_exactly(&given_at(path)));
        kept.or_else(recorded)
    }

    /// Nothing comes between a step that has ended and the next one.
    pub fn goes_straight_on(&self) -> bool {
        !self.halts()
            && self.cancelled.is_none()
            && self.on_step.is_none()
            && self.durable.is_none()
    }

    pub fn elapsed_ms(&self, clock: &Clock) -> f64 {
        let since = self.token.map_or(0.0, |_| clock.now().ms_since(self.since));
        self.worked_ms + since
    }

    pub fn note(&mut self, path: Rc<str>, id: &Rc<str>, ended: Rc<Ended>) {
        if self.latest.insert(id.clone(), ended.clone()).is_none() {
            self.order.push(id.clone());
        }
        self.ended.insert(path, ended);
    }

    /// Whether those behind a step are executed though it has failed.
    pub fn goes_on_after(&self, step: &Step) -> bool {
        step.goes_on.unwrap_or(self.definition.goes_on)
    }

    /// What a step that has ended ends those around it with.
    pub fn fatal(&self, step: &Step, ended: &Ended) -> Option<Error> {
        let failed = ended.how == How::Failed && !self.goes_on_after(step);
        ended.error.as_ref().filter(|_| failed).map(|failure| failure.error.clone())
    }

    /// The error of a step that failed says which one that was: the innermost one of this execution.
    pub fn placed(&self, step: &str, error: Error) -> Error {
        if self.failed_at(&error).is_some() {
            return error;
        }
        let mut details = error.members();
        details.insert("execution_id".to_owned(), self.id.as_str().into());
        details.insert("step_id".to_owned(), step.into());
        error.with(|f| f.details = Some(Value::Object(details)))
    }

    /// Id of the step that an error of this execution came from.
    pub fn failed_at(&self, error: &Error) -> Option<String> {
        let details = error.fields().details.as_ref()?;
        let own = details.get("execution_id").and_then(Value::as_str) == Some(self.id.as_str());
        details.get("step_id").and_then(Value::as_str).filter(|_| own).map(str::to_owned)
    }

    /// The step begins anew with everything in it, and with the same input; `place` is that of its
    /// frame.
    pub fn begins_anew(&mut self, step: &Step, place: &str) {
        let given = given_at(&format!("{place}{}", step.id));
        let input = self.decided.remove(given.as_str());
        self.forget(step, place);
        if let Some(input) = input {
            self.decide(&given, input);
        }
    }

    fn forget(&mut self, step: &Step, place: &str) {
        let path = format!("{place}{}", step.id);
        let inside = format!("{path}[");
        self.forget_inside(&inside);
        self.ended.remove(path.as_str());
        self.decided.remove(path.as_str());
        self.children.remove(path.as_str());
        self.halted.forget(&path, &inside);
        if let Some(durable) = &mut self.durable {
            durable.forget(path, inside);
        }
        step.does.inner().for_each(|inner| self.forget(inner, place));
    }

    /// A step has ended: nobody waits any more for what has stopped inside of it. Answers the
    /// executions among that; `place` is that of the step's frame.
    pub fn let_go(&mut self, step: &Step, place: &str) -> Vec<u64> {
        let path = format!("{place}{}", step.id);
        let inside = format!("{path}[");
        self.halted.forget(&path, &inside);
        let is_gone = |key: &str| *key == *path || key.starts_with(&inside);
        self.waiting.retain(|key, _| !is_gone(key));
        let (gone, left) = std::mem::take(&mut self.children)
            .into_iter()
            .partition::<HashMap<_, _>, _>(|(key, _)| is_gone(key));
        self.children = left;
        let mut gone: Vec<u64> = gone.into_values().collect();
        for inner in step.does.inner() {
            gone.extend(self.let_go(inner, place));
        }
        gone
    }

    /// What is inside of what has ended need not be known any more.
    pub fn forget_inside(&mut self, place: &str) {
        fn drop_from<T>(all: &mut BTreeMap<Rc<str>, T>, place: &str) {
            let keys = all.range(Rc::from(place)..).map(|(key, _)| key);
            let inside: Vec<Rc<str>> =
                keys.take_while(|key| key.starts_with(place)).cloned().collect();
            for key in inside {
                all.remove(&key);
            }
        }
        drop_from(&mut self.ended, place);
        drop_from(&mut self.decided, place);
    }

    /// All that have ended, by their ids, in the order in which they did.
    pub fn steps(&self) -> Record {
        let mut steps = Record::sized(self.order.len());
        for id in &self.order {
            if let Some(ended) = self.latest.get(id) {
                steps.fields.push((id.to_string().into(), ended.to_record().into()));
            }
        }
        steps
    }

    /// How each step stands that was come to: its latest end, or that it is under way.
    pub fn states(&self) -> States {
        let ended = self.latest.iter().map(|(id, ended)| (id.clone(), ended.how.name()));
        let mut states: States = ended.collect();
        let now = self.under_way.keys().map(|path| (id_of(path), "running"));
        let stopped = self.halted.steps().map(|path| (id_of(path), "paused"));
        states.extend(stopped.chain(now));
        states
    }

    /// Ids of the steps that have been completed.
    pub fn completed(&self) -> Vec<String> {
        let done =
            |id: &&Rc<str>| self.latest.get(*id).is_some_and(|ended| ended.how == How::Completed);
        self.order.iter().filter(done).map(|id| id.to_string()).collect()
    }
}

/// Words for how steps stand, by their ids.
pub type States = HashMap<Rc<str>, &'static str>;

/// The step at a path: `each[3].ask` is that of `ask`.
fn id_of(path: &str) -> Rc<str> {
    path.rsplit('.').next().unwrap_or(path).into()
}
