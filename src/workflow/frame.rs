//! Where in an execution a step stands: what came before it, and the loop it is in.

use std::rc::Rc;

use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Act, Outcome, Step, stopped};
use crate::value::{Data, Document, Record, Slot};

use super::definition::{Made, Test};

#[derive(Clone, Debug)]
pub struct Frame {
    /// Number of the execution.
    pub execution: u64,
    /// What the paths of its steps begin with: `each[3].`; "" at the top.
    pub place: Rc<str>,
    pub previous: Previous,
    /// The table `loop`.
    pub turn: Option<Slot>,
}

/// The step that was executed just before.
#[derive(Clone, Debug, Default)]
pub struct Previous {
    /// `None`: the workflow's input stands here.
    pub id: Option<Rc<str>>,
    pub output: Data,
}

impl Frame {
    pub fn path(&self, id: &str) -> String {
        format!("{}{id}", self.place)
    }

    /// The frame of an iteration or item of the step `id`.
    pub fn within(&self, id: &str, number: usize, turn: Option<Slot>) -> Frame {
        Frame { place: format!("{}{id}[{number}].", self.place).into(), turn, ..self.clone() }
    }

    fn act(&self, runtime: &Runtime, name: &'static str, own: Vec<Data>) -> Result<Act> {
        let scope = runtime.workflows.execution(self.execution)?.scope.clone();
        let mut operands = Vec::with_capacity(4 + own.len());
        operands.push(Data::from(scope));
        operands.push(self.previous.id.as_deref().map_or(Data::Nil, Data::from));
        operands.push(self.previous.output.clone());
        operands.push(Data::from(self.turn.clone()));
        operands.extend(own);
        Ok(Act { name, operands, copies: false, keeps: false })
    }

    /// A value that the definition says, made now. `info` is what a function learns.
    pub fn make(&self, runtime: &Runtime, made: &Made, info: Record) -> Result<Step> {
        self.make_of(runtime, made, info, None)
    }

    /// The same out of another one: the output of a step.
    pub fn make_of(
        &self,
        runtime: &Runtime,
        made: &Made,
        info: Record,
        raw: Option<Data>,
    ) -> Result<Step> {
        // In a list, as it may be nil.
        let raw = Data::from(raw.map(|raw| Data::List(vec![raw])));
        let act = match made {
            Made::Plain(value) => self.act(runtime, "give", vec![Data::Json(value.clone())]),
            Made::Filled(value) => self.act(runtime, "fill", vec![Data::Json(value.clone()), raw]),
            Made::Called(function) => self.call(runtime, function.clone(), info, raw),
        };
        act.map(Step::Scope)
    }

    fn call(&self, runtime: &Runtime, function: Slot, info: Record, raw: Data) -> Result<Act> {
        self.act(runtime, "call", vec![Data::Slot(function), info.into(), raw])
    }

    /// A step's function, with what it learns.
    pub fn run(&self, runtime: &Runtime, function: Slot, info: Record) -> Result<Step> {
        self.call(runtime, function, info, Data::Nil).map(Step::Scope)
    }

    pub fn test(&self, runtime: &Runtime, test: &Test, info: Record) -> Result<Step> {
        let act = match test {
            Test::Says(condition) => {
                self.act(runtime, "judge", vec![Data::from(condition.text.as_str())])
            }
            Test::Called(function) => {
                self.act(runtime, "test", vec![Data::Slot(function.clone()), info.into()])
            }
        };
        act.map(|act| Step::Scope(Act { copies: true, ..act }))
    }

    /// An act of `scope.lua` with its own operands.
    pub fn ask(&self, runtime: &Runtime, name: &'static str, own: Vec<Data>) -> Result<Step> {
        self.act(runtime, name, own).map(Step::Scope)
    }

    /// The same, where a copy of its result is wanted as data.
    pub fn ask_data(&self, runtime: &Runtime, name: &'static str, own: Vec<Data>) -> Result<Step> {
        self.act(runtime, name, own).map(|act| Step::Scope(Act { copies: true, ..act }))
    }

    /// The same, where it must be data, and its value is not wanted.
    pub fn ask_only_data(
        &self,
        runtime: &Runtime,
        name: &'static str,
        own: Vec<Data>,
    ) -> Result<Step> {
        self.act(runtime, name, own).map(|act| Step::Scope(Act { keeps: true, ..act }))
    }

    /// What functions of a step learn, beside what stands in the frame.
    pub fn info(&self, id: &str, input: Data) -> Record {
        Record::new().set("step_id", id).set("input", input)
    }
}

/// What became of an act that made a value.
pub fn value_of(outcome: Outcome, what: &str) -> Result<Data> {
    match outcome {
        Outcome::Returned(returned) => Ok(Data::from(returned.value)),
        Outcome::Raised(raised) => Err(raised.into_error(what)),
        Outcome::Stop(stop) => Err(stopped(&stop, what)),
        _ => Err(Error::internal("an act of a scope ended as something else")),
    }
}

/// What became of an act whose value must be data; where it is none, `what` says where.
pub fn document_of(outcome: Outcome, what: &str) -> Result<Option<Box<Document>>> {
    match outcome {
        Outcome::Returned(returned) => match returned.text {
            Ok(_) => Ok(returned.document),
            Err(error) => Err(no_data(&error, what)),
        },
        outcome => value_of(outcome, what).map(|_| None),
    }
}

/// `error` begins with the place where it was found, in what was called `result`.
fn no_data(error: &Error, what: &str) -> Error {
    let message = error.message();
    let place = message.strip_prefix("result").unwrap_or(message);
    let place = place.strip_prefix('.').unwrap_or(place);
    Error::new(error.code(), format!("{what}: {place}"))
}

/// Whether a condition holds.
pub fn truth_of(outcome: Outcome, what: &str) -> Result<bool> {
    if let Outcome::Returned(returned) = &outcome {
        let value = returned.document.as_ref().and_then(|document| document.value());
        return Ok(value.and_then(|value| value.as_bool()) == Some(true));
    }
    value_of(outcome, what).map(|_| false)
}
