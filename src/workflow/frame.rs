//! Where in an execution a step stands: what came before it, and the loop it is in.

use std::cell::RefCell;
use std::rc::Rc;

use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Act, Outcome, Step, stopped};
use crate::value::{Data, Document, Record, Slot};

use super::definition::{Made, Test};

/// What functions of a step learn, beside what stands in its frame.
#[derive(Clone, Debug)]
pub struct Info {
    pub step: Rc<str>,
    pub input: Data,
    /// 0 outside of attempts: in conditions, and where the input is made.
    pub attempt: u32,
}

#[derive(Clone, Debug)]
pub struct Frame {
    /// Number of the execution.
    pub execution: u64,
    /// What the paths of its steps begin with: `each[3].`; "" at the top.
    pub place: Rc<str>,
    pub previous: Previous,
    /// The table `loop`.
    pub turn: Option<Slot>,
    /// Goes into the scope with the next act, whichever copy of this frame asks for it.
    pub unwritten: Rc<RefCell<Option<Unwritten>>>,
}

/// A step that has ended, which the tables in Lua do not show yet.
#[derive(Debug)]
pub struct Unwritten {
    pub id: Rc<str>,
    pub record: Record,
}

/// The step that was executed just before.
#[derive(Clone, Debug, Default)]
pub struct Previous {
    /// `None`: the workflow's input stands here.
    pub id: Option<Rc<str>>,
    pub output: Data,
}

impl Frame {
    /// Of the steps of an execution.
    pub fn new(execution: u64, input: Data) -> Frame {
        let previous = Previous { id: None, output: input };
        let (place, unwritten) = ("".into(), Rc::default());
        Frame { execution, place, previous, turn: None, unwritten }
    }

    /// The path of a step. At the top that is its id.
    pub fn path(&self, id: &Rc<str>) -> Rc<str> {
        if self.place.is_empty() { id.clone() } else { format!("{}{id}", self.place).into() }
    }

    /// The frame of an iteration or item of the step `id`.
    pub fn within(&self, id: &str, number: usize, turn: Option<Slot>) -> Frame {
        let place = format!("{}{id}[{number}].", self.place).into();
        Frame { place, turn, unwritten: Rc::default(), ..self.clone() }
    }

    fn act(
        &self,
        runtime: &Runtime,
        name: &'static str,
        own: impl IntoIterator<Item = Data>,
    ) -> Result<Act> {
        let scope = runtime.workflows.execution(self.execution)?.scope.clone();
        let mut operands = Vec::with_capacity(MOST_OPERANDS);
        operands.push(Data::from(scope));
        operands.push(self.previous.id.as_deref().map_or(Data::Nil, Data::from));
        operands.push(self.previous.output.clone());
        operands.push(Data::from(self.turn.clone()));
        operands.extend(self.written());
        operands.extend(own);
        Ok(Act { name, operands, copies: false, keeps: false })
    }

    /// What an act writes down before anything else: the step and how it ended, if any.
    fn written(&self) -> [Data; 2] {
        let unwritten = self.unwritten.take();
        unwritten.map_or_else(Default::default, |Unwritten { id, record }| {
            [Data::from(id.as_ref()), record.into()]
        })
    }

    /// A value that the definition says, made now. `info` is what a function learns.
    pub fn make(&self, runtime: &Runtime, made: &Made, info: Info) -> Result<Step> {
        self.make_of(runtime, made, info, None)
    }

    /// The same out of another one: the output of a step.
    pub fn make_of(
        &self,
        runtime: &Runtime,
        made: &Made,
        info: Info,
        raw: Option<Data>,
    ) -> Result<Step> {
        // In a list, as it may be nil.
        let raw = Data::from(raw.map(|raw| Data::List(vec![raw])));
        let act = match made {
            Made::Plain(value) => self.act(runtime, "give", [Data::Json(value.clone())]),
            Made::Filled(value) => self.act(runtime, "fill", [Data::Json(value.clone()), raw]),
            Made::Called(function) => self.call(runtime, function.clone(), info, raw),
        };
        act.map(Step::Scope)
    }

    fn call(&self, runtime: &Runtime, function: Slot, info: Info, raw: Data) -> Result<Act> {
        let [step, input, attempt, key] = self.learned(runtime, info)?;
        self.act(runtime, "call", [Data::Slot(function), raw, step, input, attempt, key])
    }

    /// The information as operands of an act.
    fn learned(&self, runtime: &Runtime, info: Info) -> Result<[Data; 4]> {
        let step = Data::from(info.step.as_ref());
        if info.attempt == 0 {
            return Ok([step, info.input, Data::Nil, Data::Nil]);
        }
        let execution = runtime.workflows.execution(self.execution)?;
        let key = format!("{}{}{}", execution.keyed, self.place, info.step);
        Ok([step, info.input, Data::from(info.attempt), Data::from(key)])
    }

    /// What a script may see.
    pub fn plain_context(&self, runtime: &Runtime, info: Info) -> Result<Step> {
        self.ask_data(runtime, "plain_context", self.learned(runtime, info)?)
    }

    /// Where that is no plain data: raises what in it is none.
    pub fn not_plain(&self, runtime: &Runtime, info: Info) -> Result<Step> {
        self.ask(runtime, "not_plain", self.learned(runtime, info)?)
    }

    /// A step's function, with what it learns.
    pub fn run(&self, runtime: &Runtime, function: Slot, info: Info) -> Result<Step> {
        self.call(runtime, function, info, Data::Nil).map(Step::Scope)
    }

    pub fn test(&self, runtime: &Runtime, test: &Test, info: Info) -> Result<Step> {
        let act = match test {
            Test::Says(condition) => {
                self.act(runtime, "judge", [Data::from(condition.text.as_str())])
            }
            Test::Called(function) => {
                let [step, input, attempt, key] = self.learned(runtime, info)?;
                let function = Data::Slot(function.clone());
                self.act(runtime, "test", [function, Data::Nil, step, input, attempt, key])
            }
        };
        act.map(|act| Step::Scope(Act { copies: true, ..act }))
    }

    /// An act of `scope.lua` with its own operands.
    pub fn ask(
        &self,
        runtime: &Runtime,
        name: &'static str,
        own: impl IntoIterator<Item = Data>,
    ) -> Result<Step> {
        self.act(runtime, name, own).map(Step::Scope)
    }

    /// The same, where a copy of its result is wanted as data.
    pub fn ask_data(
        &self,
        runtime: &Runtime,
        name: &'static str,
        own: impl IntoIterator<Item = Data>,
    ) -> Result<Step> {
        self.act(runtime, name, own).map(|act| Step::Scope(Act { copies: true, ..act }))
    }

    /// The same, where it must be data, and its value is not wanted.
    pub fn ask_only_data(
        &self,
        runtime: &Runtime,
        name: &'static str,
        own: impl IntoIterator<Item = Data>,
    ) -> Result<Step> {
        self.act(runtime, name, own).map(|act| Step::Scope(Act { keeps: true, ..act }))
    }

    /// What functions of a step learn outside of its attempts: it was given the previous output.
    pub fn info(&self, id: &Rc<str>) -> Info {
        Info { step: id.clone(), input: self.previous.output.clone(), attempt: 0 }
    }
}

/// What all acts have before operands of their own: where the step stands, and what is unwritten.
pub const PLACE: usize = 6;

/// Of an act, its own included.
const MOST_OPERANDS: usize = PLACE + 6;

/// An act that stands nowhere in an execution, and has nothing to write down.
pub fn apart(name: &'static str, own: impl IntoIterator<Item = Data>) -> Act {
    let operands = std::iter::repeat_n(Data::Nil, PLACE).chain(own).collect();
    Act { name, operands, copies: false, keeps: false }
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

/// What became of an act whose value must be data; where it is none, `what` says where. "": whoever
/// is told sees that.
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
    let place = place.trim_start_matches(['.', ':', ' ']);
    let error = Error::new(error.code(), place);
    if what.is_empty() { error } else { error.at(what) }
}

/// Whether a condition holds.
pub fn truth_of(outcome: Outcome, what: &str) -> Result<bool> {
    if let Outcome::Returned(returned) = &outcome {
        let value = returned.document.as_ref().and_then(|document| document.value());
        return Ok(value.and_then(|value| value.as_bool()) == Some(true));
    }
    value_of(outcome, what).map(|_| false)
}
