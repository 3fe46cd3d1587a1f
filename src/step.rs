//! Work that goes on outside one native call, as machines that say what they need next.
//!
//! A [`Machine`] never waits, never calls Lua and never blocks: [`Machine::step`] returns the next
//! [`Step`], the Lua edge performs it and steps again with the [`Outcome`]. So a user function may
//! yield, no borrow is held over it, and a machine can be driven by any host's loop.

use std::any::Any;
use std::rc::Rc;

use crate::chat::Answer;
use crate::chunk::Chunk;
use crate::clock::Moment;
use crate::desk::Desk;
use crate::error::{Code, Error, Result};
use crate::ledger::Ledger;
use crate::runtime::Runtime;
use crate::value::{Data, Document, Record, Ref, Slot};

/// Names a machine to those who wake it.
pub type Token = u64;

pub trait Machine {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step>;

    /// What there is to deliver after [`Step::Emit`]; everything since the last time, merged.
    fn chunk(&mut self) -> Option<Chunk> {
        None
    }

    /// The conversation this machine has reserved, so that a nested use of it can be refused.
    fn holds(&self) -> Option<&str> {
        None
    }

    /// Ids and names by which hooks and events know what it is about; [`Machine::input`] apart.
    fn about(&self, _: &Runtime) -> Record {
        Record::new()
    }

    /// What it was given: the value that hooks may change before it starts.
    fn input(&self) -> Data {
        Data::Nil
    }

    /// A hook gave it something else, before it started.
    fn replace_input(&mut self, _: &mut Runtime, _: &Given<'_>) -> Result<()> {
        Ok(())
    }

    /// What a hook gave in place of its own result, which is `None` if it failed or never started.
    fn replace_output(
        &mut self,
        _: &mut Runtime,
        given: &Given<'_>,
        _: Option<Output>,
    ) -> Result<Output> {
        Ok(Output::Data(given.slot.clone().map_or(Data::Nil, Data::Slot)))
    }

    /// What events tell of its result, besides how long it took.
    fn told_of(&self, _: &Output) -> Record {
        Record::new()
    }

    /// Whether it goes on with what had stopped: hooks have seen its input before.
    fn resumes(&self) -> bool {
        false
    }

    /// Whether it has stopped before its real end: hooks will see that one.
    fn pauses(&self) -> bool {
        false
    }

    /// Whether it ended because it was stopped, not because of an error in its work.
    fn was_stopped(&self, error: &Error) -> bool {
        error.code() == Code::Cancelled
    }

    /// Whatever it ended with, once hooks have had their say.
    fn ended(&mut self, _: &mut Runtime, _: std::result::Result<&Output, &Error>) {}

    /// Ids of the workflow's execution, and of its step, that everything inside is a part of.
    fn belongs_to(&self, _: &Runtime) -> Option<Record> {
        None
    }

    /// Number of the agent whose run this machine is.
    fn agent(&self) -> Option<u64> {
        None
    }

    /// Where a run counts what is used inside it.
    fn ledger(&mut self) -> Option<&mut Ledger> {
        None
    }

    /// What a run shares with those inside it and beside it.
    fn desk(&mut self) -> Option<&mut Desk> {
        None
    }

    /// Ends the machine early: it must close what it opened. Not called after `Done` or an error.
    fn abandon(&mut self, runtime: &mut Runtime, me: Token);
}

/// What a machine needs next.
pub enum Step {
    /// To be stepped when its token is posted, or at the moment given.
    Wait(Option<Moment>),
    Call(Call),
    /// An operation of its own, with the hooks and events of that operation around it.
    Run(Operation),
    /// Several, at most so many at once. Their outcomes come in this order.
    Fork(Vec<Operation>, usize),
    /// One that goes on beside this machine, which is stepped again right away. It is woken when
    /// that one has ended: [`Tasks::take_ended`](crate::tasks::Tasks::take_ended).
    Begin(Operation),
    /// A chunk is there for whoever follows the stream.
    Emit,
    /// Something of the tables of a workflow's execution; answered as a call is.
    Scope(Act),
    /// To the function that is being called and listened to: whether more is wanted, and until when.
    Listen {
        more: bool,
        until: Option<Moment>,
    },
    Done(Output),
}

/// A call of a user function.
pub struct Call {
    pub function: Slot,
    pub argument: Data,
    /// Second argument: the context table; gets the function `cancelled`.
    pub info: Option<Record>,
    /// Waits inside the function end then.
    pub limit: Option<Moment>,
    /// Whether [`Returned::text`] is wanted: rendering a large result costs more than the call.
    pub text: bool,
    /// Whether [`Returned::document`] is wanted: the result as data, whose texts may be any bytes.
    pub keeps: bool,
    /// What the function says with `argument.stream(bytes)` is heard while it runs, and its result
    /// is an HTTP answer: [`Returned::document`].
    pub listens: bool,
    /// Besides its result a copy of it is wanted, if it is plain data: [`Returned::document`].
    pub copies: bool,
}

impl Call {
    /// Of a function whose result is taken as it is.
    pub fn new(function: Slot, argument: Data) -> Call {
        Call {
            function,
            argument,
            info: None,
            limit: None,
            text: false,
            keeps: false,
            listens: false,
            copies: false,
        }
    }
}

/// What `scope.lua` is to do: its name there, and what it is given.
pub struct Act {
    pub name: &'static str,
    pub operands: Vec<Data>,
    /// Besides its result a copy of it is wanted, if it is plain data: [`Returned::document`].
    pub copies: bool,
    /// Its result is wanted as data only: [`Returned::document`], or why it is none in
    /// [`Returned::text`].
    pub keeps: bool,
}

/// A machine with the name under which hooks and events know it.
pub struct Operation {
    pub name: &'static str,
    /// Id of the agent, tool or provider it is about.
    pub subject: String,
    pub machine: Box<dyn Machine>,
    pub deadline: Option<Moment>,
}

impl Operation {
    /// About nothing that has an id, without an end of its own.
    pub fn new(name: &'static str, machine: impl Machine + 'static) -> Operation {
        Operation { name, subject: String::new(), machine: Box::new(machine), deadline: None }
    }
}

/// A call that waits, as its bridge sets it up.
pub struct Start {
    pub operation: Operation,
    pub face: Face,
    /// Where chunks go, if to a function.
    pub sink: Option<Slot>,
}

/// What a call that may have to wait begins with.
pub enum Ready {
    /// There was nothing to wait for.
    Now(Data),
    Waits(Start),
}

impl Ready {
    /// The answer of a call that knows it at once, in the face that was asked for.
    pub fn now(name: &'static str, face: Face, data: Data) -> Ready {
        if matches!(face, Face::Plain | Face::Blocking | Face::Yield) {
            return Ready::Now(data);
        }
        Ready::waits(Operation::new(name, Known(Some(data))), face)
    }

    pub fn waits(operation: Operation, face: Face) -> Ready {
        Ready::Waits(Start { operation, face, sink: None })
    }
}

/// A machine that knows its answer.
struct Known(Option<Data>);

impl Machine for Known {
    fn step(&mut self, _: &mut Runtime, _: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Stop(stop) => Err(stopped(&stop, "the call")),
            _ => Ok(Step::Done(Output::Data(self.0.take().unwrap_or_default()))),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}

/// How the caller wants to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Face {
    /// No `async` option: in the way of the host.
    #[default]
    Plain,
    /// `async = true`: a handle at once.
    Handle,
    /// `async = false`: blocking, also in a coroutine.
    Blocking,
    /// A handle that is looped over: leaving the loop ends the stream.
    Stream,
    /// `async = "yield"`: the coroutine is ours to suspend.
    Yield,
    /// `detach = true`: a handle of an operation that outlives its owner.
    Detached,
}

/// A Lua value that a hook gave.
pub struct Given<'t> {
    /// As plain data; `None` if it is nil, or none.
    pub value: Option<Ref<'t>>,
    /// The same, whose strings may be any bytes.
    pub bytes: Option<Ref<'t>>,
    /// Itself; `None` for nil.
    pub slot: Option<Slot>,
    /// Why it is no plain data.
    pub problem: Option<Error>,
    /// Whether it is a table, of plain data or not.
    pub is_table: bool,
}

impl<'t> Given<'t> {
    pub fn new(value: Option<Ref<'t>>, slot: Option<Slot>, problem: Option<Error>) -> Given<'t> {
        let bytes = value;
        let given = Given { value, bytes, slot, problem, is_table: false };
        if value.is_none_or(Ref::is_text) {
            return given;
        }
        let no_text = || Error::new(Code::ConversionError, "a string in it is not UTF-8");
        Given { value: None, problem: given.problem.or_else(|| Some(no_text())), ..given }
    }

    /// The value as data, where nothing else will do.
    pub fn data(&self) -> Result<Ref<'t>> {
        self.value.ok_or_else(|| self.refusal())
    }

    fn refusal(&self) -> Error {
        self.problem.clone().unwrap_or_else(|| Error::invalid("expected a value, got nil"))
    }

    /// A copy of it, for those who take any bytes; `None` for nil.
    pub fn document(&self) -> Result<Option<Document>> {
        match self.bytes {
            Some(value) => Ok(Some(Document::copy(value))),
            None if self.slot.is_none() => Ok(None),
            None => Err(self.refusal()),
        }
    }
}

/// What a machine ends with. Typed where a parent machine reads it.
pub enum Output {
    Data(Data),
    Answer(Box<Answer>),
    /// A tool's result, and how the model reads it.
    Tool {
        result: Data,
        text: String,
        /// How long it took, in milliseconds.
        ms: f64,
    },
    /// Of a run inside another one: it stopped before calls that somebody has to decide on. What is
    /// around it stops, too, and keeps what it goes on with.
    Paused {
        response: Data,
        rest: Rest,
    },
}

/// What a machine that has stopped goes on with. Only who made it knows what is in it.
#[derive(Clone)]
pub struct Rest(Rc<dyn Any>);

impl Rest {
    pub fn new(rest: impl Any) -> Rest {
        Rest(Rc::new(rest))
    }

    pub fn get<T: Any>(&self) -> Result<&T> {
        self.0.downcast_ref().ok_or_else(|| Error::internal("the rest of something else"))
    }
}

impl Output {
    /// The same, for hooks to look at.
    pub fn copy(&self) -> Output {
        match self {
            Output::Data(data) => Output::Data(data.clone()),
            Output::Answer(answer) => Output::Answer(answer.clone()),
            Output::Tool { result, text, ms } => {
                Output::Tool { result: result.clone(), text: text.clone(), ms: *ms }
            }
            Output::Paused { response, rest } => {
                Output::Paused { response: response.clone(), rest: rest.clone() }
            }
        }
    }

    pub fn to_data(&self) -> Data {
        self.copy().into_data()
    }

    pub fn into_data(self) -> Data {
        match self {
            Output::Data(data) => data,
            Output::Answer(answer) => answer.to_data(),
            Output::Tool { result, .. } => result,
            Output::Paused { response, .. } => response,
        }
    }
}

/// How the last step went.
pub enum Outcome {
    Start,
    /// The token was posted, or the moment came; may be spurious.
    Ready,
    Returned(Returned),
    Raised(Raised),
    Finished(Vec<Result<Output>>),
    /// The chunk was delivered, or kept for a reader.
    Emitted,
    /// The stream callback returned `false`.
    Refused,
    /// The function that is being called has said something.
    Heard(Vec<u8>),
    Stop(Stop),
}

/// Why a machine must end now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    Cancelled(Option<String>),
    /// The deadline of this operation or of one around it.
    Deadline,
}

/// What a user function returned.
#[derive(Debug)]
pub struct Returned {
    /// The first value; `None` for nil.
    pub value: Option<Slot>,
    /// How a model reads it: strings as they are, other values as JSON. Empty unless asked for.
    pub text: Result<String>,
    /// It is a string, so `text` is not JSON.
    pub is_text: bool,
    /// The second value if the first is nil: a reason, by Lua's custom.
    pub refusal: Option<Raised>,
    /// The value, where it was wanted as data, the function was listened to, or a copy of it is kept;
    /// its texts may be any bytes.
    pub document: Option<Box<Document>>,
}

/// What a user function raised.
#[derive(Clone, Debug)]
pub struct Raised {
    pub value: Slot,
    pub text: String,
    /// Set if it is one of this module's errors.
    pub code: Option<Code>,
}

impl Raised {
    /// In most callbacks one of this module's errors passes through, anything else is wrapped.
    pub fn into_error(self, what: &str) -> Error {
        match self.code {
            Some(code) => Error::new(code, self.text).with(|f| f.rethrow = Some(self.value)),
            None => Error::new(Code::CallbackError, format!("{what} failed: {}", self.text))
                .with(|f| f.cause = Some(crate::error::Cause::Raised(self.value))),
        }
    }
}

/// The error for a machine that was stopped; `what` is the operation in words.
pub fn stopped(stop: &Stop, what: &str) -> Error {
    match stop {
        Stop::Deadline => {
            Error::timeout(crate::error::Phase::Total, format!("{what} ran into its time limit"))
        }
        Stop::Cancelled(reason) => cancelled(reason.as_deref(), what),
    }
}

fn cancelled(reason: Option<&str>, what: &str) -> Error {
    let Some(reason) = reason else {
        return Error::new(Code::Cancelled, format!("{what} was cancelled"));
    };
    let details = serde_json::json!({ "reason": reason });
    Error::new(Code::Cancelled, format!("{what} was cancelled: {reason}"))
        .with(|f| f.details = Some(details))
}
