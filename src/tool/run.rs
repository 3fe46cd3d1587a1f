//! One call of a tool: input checked, function called, result checked.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::gate::Turn;
use super::worker::{Asked, Work, Worker};
use super::{Tool, recall};
use crate::chunk::Chunk;
use crate::clock::Moment;
use crate::error::{Cause, Code, Error, Phase, Result};
use crate::optimize::Recall;
use crate::runtime::Runtime;
use crate::schema::{Missing, Schema, Step as PathStep};
use crate::step::{
    Call, Given, Machine, Operation, Outcome, Output, Raised, Rest, Returned, Step, Stop, Token,
    stopped,
};
use crate::value::repair::{self, Level, Options};
use crate::value::{Data, Document, Key, Kind, Patch, Record, Ref, Slot, Tape, json};

/// A tool's input that passed its schema.
pub struct Input(Data);

impl Input {
    /// From Lua: the very table the caller passed, with defaults added to a copy of its spine. A
    /// worker, being no function, gets plain data.
    pub fn from_lua(
        tool: &Tool,
        checks: bool,
        works: bool,
        value: Option<Ref<'_>>,
        slot: Option<Slot>,
    ) -> Result<Input> {
        let Some(slot) = slot else {
            return Input::checked(tool, checks, Value::Object(Map::new()));
        };
        let Some(value) = value else { return Ok(Input(Data::Slot(slot))) };
        if let Some(text) = value.as_str().filter(|_| tool.takes_object()) {
            return Input::checked(tool, checks, document(text)?);
        }
        if works {
            return Input::checked(tool, checks, plain(tool, value));
        }
        // Nulls stand for what is absent; only a copy can be without them.
        if tool.parameters.is_some() && has_nulls(value) {
            return Input::checked(tool, checks, plain(tool, value));
        }
        let patches = patches(tool, checks, value)?;
        Ok(Input(if patches.is_empty() { Data::Slot(slot) } else { Data::Patched(slot, patches) }))
    }

    /// From Lua, with strings that are no text: for those who take any bytes. The check sees them
    /// with replacement characters.
    pub fn from_bytes(tool: &Tool, checks: bool, value: Ref<'_>) -> Result<Input> {
        let Input(Data::Json(read)) = Input::checked(tool, checks, plain(tool, value))? else {
            return Err(Error::internal("a checked input is no document"));
        };
        Ok(Input(Data::from(with_defaults(value, &read))))
    }

    /// From a model: a document of its own.
    pub fn from_json(tool: &Tool, value: Value) -> Result<Input> {
        Input::checked(tool, tool.validates(), value)
    }

    fn checked(tool: &Tool, checks: bool, mut value: Value) -> Result<Input> {
        value = json::without_nulls(value);
        if tool.parameters.is_some() {
            let schema = tool.schema()?;
            let filled = schema.fill_defaults(&mut value);
            value = json::without_nulls(value);
            if checks {
                schema.fit_filled(&value, &filled)?;
            }
        } else if checks && !value.is_object() {
            return Err(no_object(&value));
        }
        Ok(Input(Data::Json(value)))
    }
}

impl Input {
    pub fn into_data(self) -> Data {
        self.0
    }
}

/// A copy, with the members that it has not.
fn with_defaults(value: Ref<'_>, read: &Value) -> Document {
    let Some(read) = read.as_object().filter(|_| value.is_object()) else {
        return Document::copy(value);
    };
    let mut document = Document::default();
    let (tape, mut count) = (&mut document.tape, 0);
    let mark = tape.open_object();
    for (name, member) in value.members().filter(|(_, member)| !member.is_null()) {
        tape.copy(name.walk());
        tape.copy(member.walk());
        count += 1;
    }
    for (name, member) in read.iter().filter(|(name, _)| value.get(name).is_none()) {
        let bytes = |(key, _): (Ref<'_>, Ref<'_>)| key.to_text() == **name;
        if !value.members().any(bytes) {
            tape.str(name.as_bytes());
            json::put(member, tape);
            count += 1;
        }
    }
    tape.close(mark, count);
    document
}

/// Text that a model wrote, read with the repairs that neither lose nor invent anything.
fn document(text: &str) -> Result<Value> {
    let options = Options::document(Level::Lenient);
    let mut tape = Tape::default();
    let found = repair::read(text.as_bytes(), &options, &mut tape);
    let found = found.map_err(|e| not_json(e.message()))?;
    Ok(tape.at(found.root).map(Ref::to_json).unwrap_or_default())
}

fn not_json(why: &str) -> Error {
    Error::new(Code::ValidationFailed, format!("the input is not valid JSON: {why}"))
}

fn no_object(value: &Value) -> Error {
    let kind = match value {
        Value::Array(_) => "an array",
        Value::String(_) => "a string",
        Value::Number(_) => "a number",
        Value::Bool(_) => "a boolean",
        Value::Null | Value::Object(_) => "null",
    };
    Error::new(Code::ValidationFailed, format!("the input must be an object, not {kind}"))
}

/// Defaults that a Lua value lacks, after it passed the check that they are part of.
fn patches(tool: &Tool, checks: bool, value: Ref<'_>) -> Result<Vec<Patch>> {
    if tool.parameters.is_none() {
        return if value.is_object() || !checks {
            Ok(Vec::new())
        } else {
            Err(no_object(&value.to_json()))
        };
    }
    let schema = tool.schema()?;
    let mut missing = schema.missing_defaults(value);
    missing.retain(|default| !default.value.is_null());
    if checks {
        check_with_defaults(schema, value, &missing)?;
    }
    Ok(missing.into_iter().map(patch).collect())
}

fn check_with_defaults(schema: &Schema, value: Ref<'_>, missing: &[Missing]) -> Result<()> {
    if missing.is_empty() {
        return schema.fit(value);
    }
    let mut document = settled(schema, value);
    let filled = schema.fill_defaults(&mut document);
    schema.fit_filled(&json::without_nulls(document), &filled)
}

/// A Lua value as a document of its own.
fn plain(tool: &Tool, value: Ref<'_>) -> Value {
    match tool.schema() {
        Ok(schema) if tool.has_schema() => settled(schema, value),
        _ => value.to_json(),
    }
}

/// Its empty tables are arrays where only those fit.
fn settled(schema: &Schema, value: Ref<'_>) -> Value {
    if value.empties().next().is_none() {
        return value.to_json();
    }
    let mut tape = value.tape().clone();
    for at in schema.examine(value).arrays {
        tape.settle_empty(at, Kind::Array);
    }
    tape.view(value.position()).to_json()
}

fn has_nulls(value: Ref<'_>) -> bool {
    let inside = |value: Ref<'_>| value.is_null() || has_nulls(value);
    value.items().any(has_nulls) || value.members().any(|(_, member)| inside(member))
}

fn patch(missing: Missing) -> Patch {
    let key = |step| match step {
        PathStep::Member(name) => Key::Name(name),
        PathStep::Item(index) => Key::Index(index),
    };
    Patch { path: missing.path.into_iter().map(key).collect(), value: missing.value }
}

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
            input: input.0,
            info,
            limit,
            retries,
            checks,
            for_model: false,
            started: None,
            recall: None,
            sandboxed,
            work: None,
            turn: None,
            resumed: None,
            paused: false,
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
        Ok(Step::Call(Call {
            function,
            argument,
            info: Some(info),
            limit,
            text,
            keeps: false,
            listens: false,
            copies: self.recall.is_some(),
        }))
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

    fn count(&self, runtime: &Runtime, result: &Result<Step>) {
        let failed = result.is_err();
        // What was kept took no call.
        if failed || self.started.is_some() && matches!(result, Ok(Step::Done(_))) {
            self.tool.stats.ended(self.took(runtime), runtime.clock.unix(), failed);
        }
    }
}

/// So many milliseconds; 0 is no limit.
fn span(ms: f64) -> Option<Duration> {
    (ms > 0.0).then(|| Duration::try_from_secs_f64(ms / 1e3).unwrap_or(Duration::MAX))
}

/// Why no model can read it.
fn unspeakable(value: Ref<'_>) -> Option<&'static str> {
    if !value.is_text() {
        return Some("a string in it is not UTF-8");
    }
    has_infinite(value).then_some("a number in it is not finite")
}

fn has_infinite(value: Ref<'_>) -> bool {
    value.as_f64().is_some_and(|n| !n.is_finite())
        || value.items().any(has_infinite)
        || value.members().any(|(_, member)| has_infinite(member))
}

/// `{"error": "…"}`: how a model is told that a call failed.
pub fn error_text(message: &str) -> String {
    serde_json::json!({ "error": message }).to_string()
}

fn declared(name: &str) -> Error {
    Error::unsupported(format!("tool {name:?} has no execute function: a client answers its calls"))
}

fn check_result(schema: &Value, text: &str, is_text: bool) -> Result<()> {
    let mut tape = Tape::default();
    let at = if is_text {
        json::put(&Value::from(text), &mut tape)
    } else {
        json::parse(text.as_bytes(), &mut tape)?
    };
    let told =
        |e: Error| Error::new(Code::ToolError, format!("result: {}", e.message())).caused_by(e);
    tape.at(at).map_or(Ok(()), |root| Schema::compile(schema)?.fit(root).map_err(told))
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
            Outcome::Start => self.enter(runtime, me),
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
    fn replace_input(&mut self, _: &mut Runtime, given: &Given<'_>) -> Result<()> {
        if self.tool.has_schema() && given.value.is_none() && given.slot.is_some() {
            return given.data().map(drop);
        }
        let works = self.worker().is_some();
        if works && given.slot.is_some() {
            given.data()?;
        }
        let slot = given.slot.clone();
        let input = Input::from_lua(&self.tool, self.checks, works, given.value, slot)?;
        self.input = input.0;
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

/// A value as a model reads it: strings as they are, other values as JSON.
fn in_words(value: Ref<'_>) -> String {
    value.as_str().map_or_else(|| json::to_sorted(value), str::to_owned)
}
