//! Runs that are not under way in this process, asked about or told something through the store.

use crate::clock::{Busy, Moment};
use crate::error::{Error, Phase, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step as Next, Stop, Token, stopped};
use crate::value::{Data, Document, Failure, Record, Ref};
use crate::workflow::journal::{self, Asked, Head, Recorded, Step as Known};
use crate::workflow::{Status, execution::How};

type Ask<T> = Box<dyn FnOnce(&mut Runtime, Token) -> Result<Asked<T>>>;
type Then<T> = Box<dyn FnOnce(&mut Runtime, T) -> Result<Data>>;

/// One question, and what is made of the answer.
pub struct Distant<T> {
    ask: Option<Ask<T>>,
    asked: Option<Asked<T>>,
    then: Option<Then<T>>,
}

impl<T: Send + 'static> Distant<T> {
    pub fn operation(
        ask: impl FnOnce(&mut Runtime, Token) -> Result<Asked<T>> + 'static,
        then: impl FnOnce(&mut Runtime, T) -> Result<Data> + 'static,
    ) -> Operation {
        let (ask, then): (Ask<T>, Then<T>) = (Box::new(ask), Box::new(then));
        let distant = Distant { ask: Some(ask), asked: None, then: Some(then) };
        Operation::new("workflow_control", distant)
    }

    fn look(&mut self, runtime: &mut Runtime) -> Result<Next> {
        let Some(answer) = self.asked.as_ref().and_then(Asked::take) else {
            return Ok(Next::Wait(None));
        };
        let then = self.then.take().ok_or_else(|| Error::internal("answered twice"))?;
        then(runtime, answer?).map(|data| Next::Done(Output::Data(data)))
    }
}

impl<T: Send + 'static> Machine for Distant<T> {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        if let Outcome::Stop(stop) = outcome {
            return Err(stopped(&stop, "asking for a run"));
        }
        if let Some(ask) = self.ask.take() {
            self.asked = Some(ask(runtime, me)?);
        }
        self.look(runtime)
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}

/// `get_result` of a run: how it has ended, by and by.
pub struct Expecting {
    run: String,
    waits: bool,
    timeout_ms: Option<f64>,
    asked: Option<Asked<Option<Recorded>>>,
    /// It is looked at again then.
    next: Option<Moment>,
    /// Another process works at it.
    busy: Option<Busy>,
}

/// Between two looks at a run of another process.
const EACH_MS: f64 = 100.0;

impl Expecting {
    pub fn new(run: String, waits: bool, timeout_ms: Option<f64>) -> Expecting {
        Expecting { run, waits, timeout_ms, asked: None, next: None, busy: None }
    }

    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        if let Some(next) = self.next.filter(|next| runtime.clock.now() < *next) {
            return Ok(Next::Wait(Some(next)));
        }
        let asked = match self.asked.take() {
            Some(asked) => asked,
            None => journal::load(runtime, me, &self.run)?,
        };
        let Some(answer) = asked.take() else {
            (self.asked, self.next) = (Some(asked), None);
            return Ok(Next::Wait(None));
        };
        let recorded = answer?.ok_or_else(|| unknown(&self.run))?;
        if self.waits && !recorded.head.is_over() {
            let next = runtime.clock.now().after_float_ms(EACH_MS);
            self.next = Some(next);
            self.busy.get_or_insert_with(|| runtime.clock.busy());
            return Ok(Next::Wait(Some(next)));
        }
        Ok(Next::Done(Output::Data(standing(&recorded))))
    }

    fn stop(&self, stop: &Stop) -> Error {
        match (stop, self.timeout_ms) {
            (Stop::Deadline, Some(ms)) => {
                let message = format!("run {:?} has not ended after {ms} ms", self.run);
                Error::timeout(Phase::Total, message)
            }
            _ => stopped(stop, "waiting for the result"),
        }
    }
}

impl Machine for Expecting {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        match outcome {
            Outcome::Stop(stop) => Err(self.stop(&stop)),
            _ => self.look(runtime, me),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}

pub fn unknown(run: &str) -> Error {
    Error::not_found("execution or workflow", run)
}

/// As `get_result` tells it.
fn standing(recorded: &Recorded) -> Data {
    match (&recorded.ending, recorded.head.status) {
        (Some(ending), Status::Completed) => ending.result.to_data(),
        _ => {
            let mut values = vec![Data::Nil, Data::from(recorded.head.status.name())];
            values.extend(error(recorded));
            Data::Many(values)
        }
    }
}

fn error(recorded: &Recorded) -> Option<Data> {
    let error = recorded.ending.as_ref()?.error.clone()?;
    Some(Data::Error(Box::new(Failure { error, function: "workflow.execute" })))
}

/// As `list{runs=true}` shows it.
pub fn summary(runtime: &Runtime, head: &Head) -> Record {
    let known = runtime.workflows.known.find(&head.workflow).ok().flatten();
    let owner = &head.owner;
    Record::new()
        .set("id", head.run.as_str())
        .set("workflow_id", known.map(|number| runtime.workflows.known.id(number)))
        .set("name", head.workflow.as_str())
        .set("version", head.version.as_str())
        .set("status", head.status.name())
        .set("started_at", head.created_at)
        .set("finished_at", head.finished_at)
        .set("owned", head.is_owned)
        .set("owner", Record::new().set("host", owner.host.as_str()).set("pid", owner.pid))
}

/// A run in that list that cannot be read.
pub fn unreadable(run: &str, error: &Error) -> Record {
    let failure = Failure { error: error.clone(), function: "workflow.list" };
    Record::new().set("id", run).set("error", Data::Error(Box::new(failure)))
}

/// As `get_status` tells it.
pub fn info(runtime: &Runtime, recorded: &Recorded) -> Data {
    let head = &recorded.head;
    let mut info =
        summary(runtime, head).set("execution_id", head.run.as_str()).set("error", error(recorded));
    info.fields.retain(|(name, _)| name != "id" && name != "workflow_id");
    info.put("id", summary(runtime, head).get("workflow_id").cloned().unwrap_or_default());
    match recorded.ending.as_ref().filter(|_| recorded.own.steps.is_empty()) {
        Some(ending) => ended(runtime, recorded, &ending.result.to_data(), &mut info),
        None => under_way(runtime, recorded, &mut info),
    }
    Data::Many(vec![Data::from(head.status.name()), info.into()])
}

fn under_way(runtime: &Runtime, recorded: &Recorded, info: &mut Record) {
    let mut steps = Record::default();
    for (_, id, end) in recorded.own.in_order() {
        steps.fields.retain(|(name, _)| name != id);
        steps.put(id.to_string(), end.to_ended().to_record());
    }
    let is_over = |id: &str| matches!(recorded.own.steps.get(id), Some(Known::Ended { .. }));
    defined(runtime, recorded, is_over, info);
    info.put("completed_steps", steps.fields.len());
    info.put("duration_ms", recorded.own.boundary.worked_ms);
    info.put("steps", steps);
}

/// Out of the result, which is all that is kept of one that has ended.
fn ended(runtime: &Runtime, recorded: &Recorded, result: &Data, info: &mut Record) {
    let value = match result {
        Data::Document(document) => document.value(),
        _ => None,
    };
    let steps = value.and_then(|value| value.get("steps"));
    let is_over = |id: &str| steps.is_some_and(|steps| steps.get(id).is_some());
    defined(runtime, recorded, is_over, info);
    let completed = steps.map_or(0, |steps| steps.members().filter(is_completed).count());
    info.put("completed_steps", completed);
    info.put("duration_ms", value.and_then(|value| value.get("duration_ms")?.as_f64()));
    info.put(
        "steps",
        steps.map_or_else(|| Record::new().into(), |steps| Data::from(Document::copy(steps))),
    );
}

fn is_completed((_, step): &(Ref<'_>, Ref<'_>)) -> bool {
    step.get("status").and_then(Ref::as_str) == Some(How::Completed.name())
}

/// What the definition says, where the workflow is created here, too.
fn defined(
    runtime: &Runtime,
    recorded: &Recorded,
    is_over: impl Fn(&str) -> bool,
    info: &mut Record,
) {
    let head = &recorded.head;
    let Ok(Some(workflow)) = runtime.workflows.known.find(&head.workflow) else { return };
    let Ok(definition) = runtime.workflows.definition(workflow) else { return };
    info.put("pattern", definition.pattern.name());
    info.put("steps_count", definition.count);
    info.put("progress", definition.progress(head.status, is_over));
}
