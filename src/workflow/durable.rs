//! What a durable execution hands to the journal, and how it goes on from what is recorded there.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use serde_json::{Value, json};

use super::definition::{Does, OnUnknown, Step};
use super::execution::{Ended, Execution};
use super::journal::{self, Boundary, Child, Entry, Journal, Plain, Progress, Recorded, StepEnd};
use crate::agent::Decisions;
use crate::error::{Code, Error, Result};
use crate::step::Operation;
use crate::value::{Data, Document, Ref};

/// The part of a durable execution that its run has in it.
#[derive(Clone)]
pub struct Durable {
    /// Of this execution alone.
    journal: Journal,
    run: Rc<Run>,
    /// How often the steps had begun that are not known to have ended.
    open: HashMap<String, u32>,
    /// Workflows whose calls had begun, until they go on.
    children: BTreeMap<String, Child>,
}

/// What an execution shares with all that are called in it.
struct Run {
    recorded: Option<Box<Recorded>>,
    unknown: Unknown,
    /// What was said of calls that agents wait for, by the keys of their steps.
    decisions: RefCell<BTreeMap<String, Decisions>>,
    /// Why nothing can be recorded any more, or must not go on.
    broken: RefCell<Option<Error>>,
    /// Entries so far, and how many of them are in the store.
    queued: Cell<u64>,
    saved: Cell<u64>,
    /// Steps that an earlier execution has ended.
    recovered: usize,
}

/// What is to become of steps of which nobody knows whether they ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unknown {
    /// Where the step itself says nothing.
    pub option: Option<OnUnknown>,
    /// Whatever the step says: somebody has looked after it.
    pub answered: bool,
}

/// What a step has left behind, as it is recorded.
#[derive(Clone, Debug, Default)]
pub struct Left {
    pub output: Plain,
    pub response: Plain,
    pub variables: Plain,
    /// It has ended the loop that it is in.
    pub breaks: bool,
}

impl Left {
    /// Out of the table that the act `leave` gives.
    pub fn read(document: Option<&Document>) -> Left {
        let value = document.and_then(Document::value);
        let member = |name: &str| value.and_then(|value| value.get(name));
        let plain = |name: &str| member(name).map(Plain::read).unwrap_or_default();
        Left {
            output: plain("output"),
            response: plain("response"),
            variables: plain("variables"),
            breaks: member("broken").and_then(Ref::as_bool) == Some(true),
        }
    }
}

impl Durable {
    pub fn new(
        journal: Journal,
        recorded: Option<Box<Recorded>>,
        unknown: Unknown,
        decisions: BTreeMap<String, Decisions>,
    ) -> Durable {
        let recovered = recorded.as_ref().map_or(0, |recorded| {
            let ended = recorded.own.in_order();
            ended.into_iter().map(|(_, id, _)| id).collect::<HashSet<_>>().len()
        });
        let (broken, queued, saved) = Default::default();
        let decisions = RefCell::new(decisions);
        let run = Run { recorded, unknown, decisions, broken, queued, saved, recovered };
        Durable { journal, run: Rc::new(run), open: HashMap::new(), children: BTreeMap::new() }
    }

    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    pub fn recovered(&self) -> usize {
        self.run.recovered
    }

    /// Of the workflow that is called at that path, and what is recorded of it.
    pub fn part(&self, path: &str) -> (Durable, Progress) {
        let journal = self.journal.part(path);
        let recorded = self.run.recorded.as_ref();
        let progress = recorded.and_then(|recorded| recorded.part(&journal)).cloned();
        let (open, children) = (HashMap::new(), BTreeMap::new());
        let part = Durable { journal, run: self.run.clone(), open, children };
        (part, progress.unwrap_or_default())
    }

    /// Whether the step had begun, and its end is not recorded.
    pub fn has_begun(&self, path: &str) -> bool {
        self.open.contains_key(path)
    }

    /// The workflow whose call had begun at that path, if it is to go on.
    pub fn take_child(&mut self, path: &str) -> Option<Child> {
        self.children.remove(path)
    }

    /// A step begins anew, with what is inside of it.
    pub fn forget(&mut self, path: String, inside: String) {
        self.children.remove(&path);
        self.children.retain(|path, _| !path.starts_with(&inside));
        self.queue(Entry::Forget { path });
        self.queue(Entry::ForgetInside { place: inside });
    }

    pub fn queue(&self, entry: Entry) {
        self.run.queued.set(self.run.queued.get() + 1);
        self.journal.queue(entry);
    }

    /// What brings all entries so far into the store; `None` if they are there.
    pub fn commit(&self) -> Option<(Operation, u64)> {
        let queued = self.run.queued.get();
        (queued > self.run.saved.get()).then(|| (self.journal.commit(), queued))
    }

    /// How a commit has ended, of the entries up to that one.
    pub fn committed(&self, up_to: u64, ended: Result<()>) -> Result<()> {
        match ended {
            Ok(()) => self.run.saved.set(self.run.saved.get().max(up_to)),
            // A cancelled wait: what was asked for happens all the same.
            Err(error) if error.code() == Code::Cancelled => return Err(error),
            Err(error) => return Err(self.breaks(error)),
        }
        Ok(())
    }

    /// Nothing goes on after this error, whatever the steps around say.
    pub fn breaks(&self, error: Error) -> Error {
        self.run.broken.borrow_mut().get_or_insert(error).clone()
    }

    pub fn broken(&self) -> Option<Error> {
        self.run.broken.borrow().clone()
    }

    /// How many attempts at the step are over whose end is not recorded; fails if there must be none
    /// more. `waits`: it stands still, and that is recorded.
    pub fn begun(&mut self, step: &Step, path: &str, waits: bool) -> Result<u32> {
        let Some(attempt) = self.open.remove(path) else { return Ok(0) };
        match self.run.unknown.of(step).filter(|_| !waits) {
            None => Ok(attempt.saturating_sub(1)),
            Some(OnUnknown::Retry) => Ok(attempt),
            Some(OnUnknown::Fail) => Err(self.breaks(unknown(step, path))),
        }
    }

    /// What was said of the calls that an agent waits for, by the key of its step.
    pub fn take_decisions(&self, key: &str) -> Option<Decisions> {
        self.run.decisions.borrow_mut().remove(key)
    }
}

impl Unknown {
    /// `None`: it has steps in it, and everything is recorded that they do.
    fn of(self, step: &Step) -> Option<OnUnknown> {
        let safe = match &step.does {
            Does::Tool { .. } => step.idempotent,
            Does::Agent { .. } | Does::Function(_) | Does::Emit { .. } => true,
            Does::Transform(_) | Does::Script(_) | Does::Delay { .. } => true,
            _ => return None,
        };
        let usual = if safe { OnUnknown::Retry } else { OnUnknown::Fail };
        Some(match self.answered {
            true => self.option.unwrap_or(usual),
            false => step.on_unknown.or(self.option).unwrap_or(usual),
        })
    }
}

fn unknown(step: &Step, path: &str) -> Error {
    let id = &step.id;
    let message = format!(
        "step {id:?} had begun when its process was gone, and nobody knows whether it ended: look, \
         then execute the run again with on_unknown = \"retry\""
    );
    let details = json!({ "reason": "unknown_outcome", "step_id": id.as_ref(), "path": path });
    Error::state(message).with(|f| f.details = Some(details))
}

/// Whether an error is that of a step of which nobody knows whether it ended.
pub fn is_unknown(error: &Error) -> bool {
    let details = error.fields().details.as_ref();
    let reason = details.and_then(|details| details.get("reason")).and_then(Value::as_str);
    error.code() == Code::InvalidState && reason == Some("unknown_outcome")
}

impl Execution {
    /// Goes on from what is recorded, whatever was known before.
    pub fn restore(
        &mut self,
        durable: &mut Durable,
        input: &Plain,
        progress: &Progress,
    ) -> Result<()> {
        self.forget_all();
        self.input = input.to_data();
        if let Some(changed) = progress.decided.get(INPUT) {
            self.input = exact(changed);
        }
        let decided = progress.decided.iter();
        self.decided = decided.map(|(path, value)| (path.as_str().into(), value.clone())).collect();
        for (path, id, end) in progress.in_order() {
            self.note(path.into(), &id.into(), Rc::new(end.to_ended()));
        }
        for (path, step) in &progress.steps {
            if let journal::Step::Started { attempt, .. } = step {
                durable.open.insert(path.clone(), *attempt);
            }
        }
        durable.children = progress.children.clone();
        let Boundary { variables, usage, worked_ms } = &progress.boundary;
        if !variables.is_nil() {
            self.variables = variables.to_data();
        }
        (self.usage, self.worked_ms) = (*usage, *worked_ms);
        self.goes_on = !progress.steps.is_empty();
        self.restore_waiting(progress)
    }

    /// Workflows that it has called go on as the executions that they are.
    fn forget_all(&mut self) {
        self.scope = None;
        self.ended.clear();
        self.latest.clear();
        self.order.clear();
        self.under_way.clear();
        self.halted.clear();
        self.waiting.clear();
    }

    /// Into the journal with the next commit, if it is durable.
    pub fn keep(&self, entry: Entry) {
        if let Some(durable) = &self.durable {
            durable.queue(entry);
        }
    }

    /// What is decided on the calls that the agent of a step waits for.
    pub fn take_decisions(&mut self, path: &str) -> Option<Decisions> {
        let own = self.decisions.remove(path);
        own.or_else(|| self.durable.as_ref()?.take_decisions(&self.key(path)))
    }

    /// Why nothing of it may go on any more.
    pub fn broken(&self) -> Option<Error> {
        self.durable.as_ref()?.broken()
    }

    /// A step begins; how often it had begun before. Fails if it must not begin again.
    pub fn begins(&mut self, step: &Step, path: &str, at: f64) -> Result<u32> {
        let Some(durable) = &mut self.durable else { return Ok(0) };
        let before = durable.begun(step, path, self.waiting.contains_key(path))?;
        let (path, id, attempt) = (path.to_owned(), step.id.to_string(), before + 1);
        durable.queue(Entry::Started { path, id, attempt, at });
        Ok(before)
    }

    /// A choice that is not made again.
    pub fn decide(&mut self, path: &str, value: Value) {
        self.keep(Entry::Decided { path: path.to_owned(), value: value.clone() });
        self.decided.insert(path.into(), value);
    }

    /// The same for a value out of Lua.
    pub fn decide_exactly(&mut self, path: &str, value: Ref<'_>) {
        self.decide(path, worded(value));
    }

    /// What was decided so.
    pub fn decided_exactly(&self, path: &str) -> Option<Data> {
        self.decided.get(path).map(exact)
    }

    /// The hooks of the execution gave it another input.
    pub fn keep_input(&mut self, value: Option<Ref<'_>>) {
        self.decide(INPUT, value.map_or(Value::Null, worded));
    }

    /// The step at that path was given this.
    pub fn keep_given(&mut self, path: &str, value: Option<Ref<'_>>) {
        self.decide(&given_at(path), value.map_or(Value::Null, worded));
    }

    /// A step has ended so, and left that behind.
    pub fn keep_end(&mut self, path: &str, id: &str, ended: &Ended, left: Left, worked_ms: f64) {
        let end = StepEnd::of(ended, left.output, left.response);
        self.keep(Entry::Ended { path: path.to_owned(), id: id.to_owned(), end });
        let (variables, usage) = (left.variables, self.usage);
        self.keep(Entry::Boundary(Boundary { variables, usage, worked_ms }));
    }

    /// A step has failed, and with it what is around it.
    pub fn keep_failure(&mut self, path: &str, id: &str, ended: &Ended) {
        let end = StepEnd::of(ended, Plain::default(), Plain::default());
        self.keep(Entry::Ended { path: path.to_owned(), id: id.to_owned(), end });
    }
}

/// No step has such a path. What the hooks of the execution made of its input; behind the path of a
/// step: what it was given.
const INPUT: &str = "[input]";

pub fn given_at(path: &str) -> String {
    format!("{path}{INPUT}")
}

/// Behind the place of an iteration: a step has ended the loop.
pub const BREAK: &str = "[break]";
/// Behind the path of what repeats: what it goes over.
pub const OVER: &str = "[over]";
/// The same: why it has ended.
pub const END: &str = "[end]";

/// A value of any bytes in JSON's words.
fn worded(value: Ref<'_>) -> Value {
    let mut tape = crate::value::Tape::default();
    crate::value::plain::put(value, &mut tape);
    tape.root().map(Ref::to_json).unwrap_or_default()
}

/// The value that was worded so.
fn exact(worded: &Value) -> Data {
    let (mut tape, mut document) = (crate::value::Tape::default(), Document::default());
    crate::value::json::put(worded, &mut tape);
    let read = tape.root().and_then(|root| crate::value::plain::read(root, &mut document.tape));
    match read {
        Some(()) if !worded.is_null() => document.into(),
        _ => Data::Nil,
    }
}
