//! One call of a tool: input checked, function called, result checked.

mod input;
mod result;
mod taped;

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

pub use self::input::Input;
pub use self::result::error_text;
use self::result::{check_result, in_words, unspeakable};
use super::gate::Turn;
use super::worker::{Asked, Work, Worker};
use super::{Tool, recall};
use crate::chunk::Chunk;
use crate::clock::Moment;
use crate::error::{Cause, Code, Error, Phase, Result};
use crate::optimize::Recall;
use crate::runtime::Runtime;
use crate::step::{
    Call, Given, Machine, Operation, Outcome, Output, Raised, Rest, Returned, Step, Stop, Token,
    stopped,
};
use crate::value::{Data, Document, Record, Ref, json};

/// The call as a machine.
pub struct ToolRun {
    tool: Rc<Tool>,
    id: String,
    input: Data,
    info: Record,
    limit: Option<Duration>,
    retries: u32,
    /// The input is checked against the schema.
    checks: bool,
    /// A model reads the result.
    for_model: bool,
    /// Who asks takes a result that is no data for a failure.
    data_only: bool,
    started: Option<Moment>,
    /// As what the result is kept.
    recall: Option<Recall>,
    /// The tool's `source` does the work.
    sandboxed: bool,
    /// What is under way where the work is no function's.
    work: Option<Box<dyn Machine>>,
    /// The call had stopped for a decision: what it goes on with.
    resumed: Option<Rest>,
    paused: bool,
    /// A cassette has a part in it.
    tapes: bool,
    /// The input as data, where a cassette wants it.
    copy: Option<Value>,
    /// The result as data for it.
    noted: Option<Document>,
    /// What the function has raised.
    raised: Option<String>,
    /// Its turn, where only so many calls may run at once.
    turn: Option<Turn>,
}

impl ToolRun {
    /// `info` is what the function learns about its caller.
    pub fn new(tool: Rc<Tool>, id: String, input: Input, info: Record) -> ToolRun {
        let sandboxed = tool.is_sandboxed();
        let limit = span(tool.timeout_ms(sandboxed));
        let retries = tool.number("max_retries").unwrap_or(0.0) as u32;
        let checks = tool.validates();
        ToolRun {
            tool,
            id,
            input: input.into_data(),
            info,
            limit,
            retries,
            checks,
            for_model: false,
            data_only: false,
            started: None,
            recall: None,
            sandboxed,
            work: None,
            turn: None,
            resumed: None,
            paused: false,
            tapes: false,
            copy: None,
            noted: None,
            raised: None,
        }
    }

    #[must_use]
    pub fn resumed(mut self, resumed: Option<Rest>) -> ToolRun {
        self.resumed = resumed;
        self
    }

    #[must_use]
    pub fn for_model(mut self) -> ToolRun {
        self.for_model = true;
        self
    }

    /// The result goes to another program, for a model there. Where a hook has made it what is no
    /// data, it is [`Output::Data`]: the reason.
    #[must_use]
    pub fn for_client(mut self) -> ToolRun {
        self.data_only = true;
        self.for_model()
    }

    /// Its result may have been kept, or be kept.
    #[must_use]
    pub fn recalled(mut self, recall: Option<Recall>) -> ToolRun {
        self.recall = recall;
        self
    }

    #[must_use]
    pub fn checks(mut self, checks: bool) -> ToolRun {
        self.checks = checks;
        self
    }

    #[must_use]
    pub fn limit(mut self, ms: Option<f64>) -> ToolRun {
        if let Some(ms) = ms {
            self.limit = span(ms);
        }
        self
    }

    /// Whether the tool's `source` does the work, by [`Tool::runs_sandboxed`].
    #[must_use]
    pub fn sandboxed(mut self, sandboxed: bool) -> ToolRun {
        self.sandboxed = sandboxed;
        self.limit = span(self.tool.timeout_ms(sandboxed));
        self
    }

    #[must_use]
    pub fn retries(mut self, retries: Option<f64>) -> ToolRun {
        self.retries = retries.map_or(self.retries, |n| n as u32);
        self
    }

    pub fn operation(self) -> Operation {
        let subject = self.id.clone();
        Operation { name: "tool_execute", subject, machine: Box::new(self), deadline: None }
    }

    /// Asks for its turn, and begins once that has come.
    fn enter(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        self.turn = Turn::take(&self.tool, runtime, me)?;
        self.queued(runtime, me)
    }

    fn queued(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        match &self.turn {
            Some(turn) if !turn.has_come() => Ok(Step::Wait(None)),
            // An equal call may have had the turn before.
            _ => self.kept(runtime).map_or_else(|| self.call(runtime, me), Ok),
        }
    }

    fn call(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let now = runtime.clock.now();
        self.started.get_or_insert(now);
        if self.worker().is_some() {
            return self.begin(runtime, me);
        }
        let Some(function) = self.tool.execute.clone() else {
            return Err(declared(&self.tool.name));
        };
        let info = self.told();
        let limit = self.deadline();
        let text = self.for_model || self.tool.options.get("returns").is_some();
        let argument = self.input.clone();
        let (info, copies) = (Some(info), self.recall.is_some() || self.tapes);
        Ok(Step::Call(Call { info, limit, text, copies, ..Call::new(function, argument) }))
    }

    fn worker(&self) -> Option<&dyn Worker> {
        self.tool.worker_for(self.sandboxed)
    }

    /// What its function learns about the call.
    fn told(&self) -> Record {
        self.info.clone().set("tool_id", self.id.as_str()).set("name", self.tool.name.as_str())
    }

    fn deadline(&self) -> Option<Moment> {
        Some(self.started?.after(self.limit?))
    }

    fn late(&self, runtime: &Runtime) -> bool {
        self.deadline().is_some_and(|at| runtime.clock.now() >= at)
    }

    /// The result of an equal call. The function is not called, so nothing is counted.
    fn kept(&self, runtime: &mut Runtime) -> Option<Step> {
        let result = recall::find(&mut runtime.cache, self.recall.as_ref()?)?;
        let text = if self.for_model { recall::text(&result) } else { String::new() };
        Some(Step::Done(Output::Tool { result: Data::Shared(result), text, ms: 0.0 }))
    }

    fn returned(&mut self, runtime: &mut Runtime, returned: Returned) -> Result<Step> {
        if self.late(runtime) {
            return Err(self.timeout());
        }
        if let Some(refusal) = returned.refusal {
            return Err(self.error(refusal));
        }
        let text = self.text(&returned)?;
        self.note_result(&returned);
        if let Some(recall) = self.recall.take()
            && (returned.value.is_none() || returned.document.is_some())
        {
            let document = returned.document.map(|document| *document);
            recall::keep(&mut runtime.cache, recall, &self.tool, document);
        }
        let result = returned.value.map_or(Data::Nil, Data::Slot);
        Ok(Step::Done(Output::Tool { result, text, ms: self.took(runtime) }))
    }

    fn took(&self, runtime: &Runtime) -> f64 {
        self.started.map_or(0.0, |started| runtime.clock.now().ms_since(started))
    }

    /// How a model reads the result. A value that is no data is an error only for a model, so it
    /// is told there; a declared result schema is checked for everybody.
    fn text(&self, returned: &Returned) -> Result<String> {
        let returns = self.tool.options.get("returns");
        let text = match (&returned.text, &returns) {
            (Ok(text), _) => text.clone(),
            (Err(error), _) if self.data_only => {
                return Err(no_data(&self.tool.name, error.message()).caused_by(error.clone()));
            }
            (Err(error), Some(_)) => return Err(error.clone()),
            (Err(error), None) => error_text(error.message()),
        };
        if let Some(schema) = &returns {
            check_result(schema, &text, returned.is_text)?;
        }
        Ok(text)
    }

    fn failed(&mut self, runtime: &mut Runtime, me: Token, raised: Raised) -> Result<Step> {
        if self.late(runtime) {
            return Err(self.timeout());
        }
        if self.retries > 0 {
            self.retries -= 1;
            return self.call(runtime, me);
        }
        self.raised = Some(raised.text.clone());
        Err(self.error(raised))
    }

    fn begin(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let (input, bytes) = match self.input.clone() {
            Data::Json(input) => (input, None),
            Data::Document(document) => (Value::Null, Some(*document)),
            _ => return Err(Error::new(Code::ValidationFailed, "the input must be an object")),
        };
        let (info, resumed) = (self.told(), self.resumed.clone());
        let asked = Asked { input, bytes, info, deadline: self.deadline(), resumed };
        let Some(worker) = self.worker() else { return Err(declared(&self.tool.name)) };
        match worker.start(runtime, asked) {
            Ok(Work::Done(value)) => self.worked(runtime, value, None),
            Ok(Work::Goes(machine)) => {
                self.work = Some(machine);
                self.go_on(runtime, me, Outcome::Start)
            }
            Err(error) => self.broke(runtime, me, error),
        }
    }

    /// A step of the work that is no function's.
    fn go_on(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        if self.late(runtime) {
            self.stop_work(runtime, me);
            return Err(self.timeout());
        }
        let Some(work) = &mut self.work else {
            return Err(Error::internal("nothing to go on with"));
        };
        match work.step(runtime, me, outcome) {
            Ok(Step::Wait(until)) => Ok(Step::Wait(until.into_iter().chain(self.deadline()).min())),
            Ok(Step::Done(output)) => {
                self.work = None;
                self.work_ended(runtime, output)
            }
            Ok(step) => Ok(step),
            Err(error) => {
                self.work = None;
                self.broke(runtime, me, error)
            }
        }
    }

    fn stop_work(&mut self, runtime: &mut Runtime, me: Token) {
        if let Some(mut work) = self.work.take() {
            work.abandon(runtime, me);
        }
    }

    fn work_ended(&mut self, runtime: &mut Runtime, output: Output) -> Result<Step> {
        match output {
            Output::Data(Data::Json(value)) => self.worked(runtime, value, None),
            Output::Tool { result: Data::Json(value), text, .. } => {
                self.worked(runtime, value, Some(text))
            }
            Output::Data(Data::Document(document)) => self.documented(runtime, *document),
            Output::Data(Data::Nil) => self.worked(runtime, Value::Null, None),
            Output::Tool { result, text, .. } => {
                Ok(Step::Done(Output::Tool { result, text, ms: self.took(runtime) }))
            }
            paused @ Output::Paused { .. } => {
                self.paused = true;
                Ok(Step::Done(paused))
            }
            _ => Err(Error::internal("the work of a tool ended with something else")),
        }
    }

    /// The result is there, and `words` if a model reads something else.
    fn worked(
        &mut self,
        runtime: &mut Runtime,
        value: Value,
        words: Option<String>,
    ) -> Result<Step> {
        let mut document = Document::default();
        document.root = json::put(&value, &mut document.tape);
        let text = self.read(document.value())?;
        self.noted = self.tapes.then(|| document.clone());
        if let Some(recall) = self.recall.take() {
            recall::keep(&mut runtime.cache, recall, &self.tool, Some(document));
        }
        let result = if value.is_null() { Data::Nil } else { Data::Json(value) };
        let text = words.unwrap_or(text);
        Ok(Step::Done(Output::Tool { result, text, ms: self.took(runtime) }))
    }

    /// As [`ToolRun::worked`]: a result whose texts may be any bytes.
    fn documented(&mut self, runtime: &mut Runtime, document: Document) -> Result<Step> {
        let text = self.read(document.value())?;
        self.noted = self.tapes.then(|| document.clone());
        if let Some(recall) = self.recall.take() {
            recall::keep(&mut runtime.cache, recall, &self.tool, Some(document.clone()));
        }
        let result = Data::from(document);
        Ok(Step::Done(Output::Tool { result, text, ms: self.took(runtime) }))
    }

    /// The result as a model reads it, if one does, once it is checked against `returns`.
    fn read(&self, result: Option<Ref<'_>>) -> Result<String> {
        let returns = self.tool.options.get("returns");
        let Some(result) = result.filter(|_| self.for_model || returns.is_some()) else {
            return Ok(String::new());
        };
        let problem = unspeakable(result);
        let text = match problem {
            Some(why) if self.data_only => return Err(no_data(&self.tool.name, why)),
            Some(problem) if returns.is_none() => return Ok(error_text(problem)),
            Some(problem) => return Err(Error::new(Code::ToolError, format!("result: {problem}"))),
            None => in_words(result),
        };
        if let Some(schema) = &returns {
            check_result(schema, &text, result.as_str().is_some())?;
        }
        Ok(text)
    }

    /// The work has failed. Only what is `retryable`, as the network, may do better another time.
    fn broke(&mut self, runtime: &mut Runtime, me: Token, error: Error) -> Result<Step> {
        if self.retries > 0 && error.retryable() && !self.late(runtime) {
            self.retries -= 1;
            return self.call(runtime, me);
        }
        let passes = [Code::Timeout, Code::Cancelled, Code::Internal, Code::InvalidState];
        if passes.contains(&error.code()) {
            return Err(error);
        }
        let message = format!("tool {:?} failed: {}", self.tool.name, error.message());
        let (details, cause) = (error.fields().details.clone(), error.fields().cause.clone());
        let wrapped = Error::new(Code::ToolError, message);
        let wrapped = wrapped.with(|f| (f.details, f.cause) = (details, cause));
        Err(if error.code() == Code::ToolError { wrapped } else { wrapped.caused_by(error) })
    }

    fn error(&self, raised: Raised) -> Error {
        let message = format!("tool {:?} failed: {}", self.tool.name, raised.text);
        Error::new(Code::ToolError, message).with(|f| f.cause = Some(Cause::Raised(raised.value)))
    }

    fn timeout(&self) -> Error {
        let ms = self.limit.unwrap_or_default().as_millis();
        Error::timeout(Phase::Tool, format!("tool {:?} took longer than {ms} ms", self.tool.name))
    }

    fn count(&self, runtime: &mut Runtime, result: &Result<Step>) {
        let failed = result.is_err();
        // What was kept took no call.
        if failed || self.started.is_some() && matches!(result, Ok(Step::Done(_))) {
            self.tool.stats.ended(self.took(runtime), runtime.clock.unix(), failed);
            runtime.coverage.note(|count| count.tools.used(&self.tool.name));
        }
    }
}

/// So many milliseconds; 0 is no limit.
fn span(ms: f64) -> Option<Duration> {
    (ms > 0.0).then(|| Duration::try_from_secs_f64(ms / 1e3).unwrap_or(Duration::MAX))
}

fn no_data(name: &str, why: &str) -> Error {
    let text = format!("tool {name:?} returned what is neither text nor JSON: {why}");
    Error::new(Code::ToolError, text)
}

fn declared(name: &str) -> Error {
    Error::unsupported(format!("tool {name:?} has no execute function: a client answers its calls"))
}

impl Machine for ToolRun {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        if matches!(outcome, Outcome::Stop(_)) {
            self.stop_work(runtime, me);
        }
        if matches!(outcome, Outcome::Start)
            && let Some(step) = self.kept(runtime)
        {
            return Ok(step);
        }
        let result = match outcome {
            Outcome::Start => {
                self.info = runtime.placed(me, std::mem::take(&mut self.info));
                self.played(runtime).unwrap_or_else(|| self.enter(runtime, me))
            }
            Outcome::Ready if self.started.is_none() => self.queued(runtime, me),
            outcome if self.work.is_some() && !matches!(outcome, Outcome::Stop(_)) => {
                self.go_on(runtime, me, outcome)
            }
            Outcome::Returned(returned) => self.returned(runtime, returned),
            Outcome::Raised(raised) => self.failed(runtime, me, raised),
            Outcome::Stop(Stop::Deadline) if self.late(runtime) => Err(self.timeout()),
            Outcome::Stop(stop) => Err(stopped(&stop, "the tool call")),
            _ => Err(Error::internal("a tool call waits for its function only")),
        };
        self.count(runtime, &result);
        self.tell_cassette(runtime, &result);
        if matches!(result, Err(_) | Ok(Step::Done(_))) {
            self.turn = None;
        }
        result
    }

    fn chunk(&mut self) -> Option<Chunk> {
        self.work.as_mut()?.chunk()
    }

    fn about(&self, _: &Runtime) -> Record {
        let mut record = Record::new()
            .set("tool_id", self.id.as_str())
            .set("tool_name", self.tool.name.as_str());
        for name in ["agent_id", "call_id"] {
            record.put(name, self.info.get(name).cloned());
        }
        record
    }

    fn input(&self) -> Data {
        self.input.clone()
    }

    /// Checked as any input; a result of another one is none of this one.
    fn replace_input(&mut self, runtime: &mut Runtime, given: &Given<'_>) -> Result<()> {
        self.copy = given.value.filter(|_| runtime.cassette.takes_tools()).map(Ref::to_json);
        if self.tool.has_schema() && given.value.is_none() && given.slot.is_some() {
            return given.data().map(drop);
        }
        let works = self.worker().is_some();
        if works && given.slot.is_some() {
            given.data()?;
        }
        let slot = given.slot.clone();
        let input = Input::from_lua(&self.tool, self.checks, works, given.value, slot)?;
        self.input = input.into_data();
        self.recall = None;
        Ok(())
    }

    fn replace_output(
        &mut self,
        _: &mut Runtime,
        given: &Given<'_>,
        own: Option<Output>,
    ) -> Result<Output> {
        // What waits for a decision has no result yet that could be another one.
        if let Some(paused @ Output::Paused { .. }) = own {
            return Ok(paused);
        }
        let ms = if let Some(Output::Tool { ms, .. }) = own { ms } else { 0.0 };
        let text = match (given.value, &given.problem) {
            (_, Some(problem)) if self.data_only => {
                // An error here would bring back the result that the hook has taken away.
                let why = no_data(&self.tool.name, problem.message());
                return Ok(Output::Data(why.message().into()));
            }
            (_, Some(problem)) => error_text(problem.message()),
            (Some(value), None) => in_words(value),
            (None, None) => "null".into(),
        };
        Ok(Output::Tool { result: given.slot.clone().map_or(Data::Nil, Data::Slot), text, ms })
    }

    fn told_of(&self, output: &Output) -> Record {
        Record::new().set("output", output.to_data())
    }

    fn resumes(&self) -> bool {
        self.resumed.is_some()
    }

    fn pauses(&self) -> bool {
        self.paused
    }

    fn holds(&self) -> Option<&str> {
        self.turn.as_ref().map(Turn::key)
    }

    fn abandon(&mut self, runtime: &mut Runtime, me: Token) {
        self.turn = None;
        self.stop_work(runtime, me);
    }
}
