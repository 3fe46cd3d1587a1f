//! A whole execution.

use std::rc::Rc;

use serde_json::{Value, json};

use super::work;
use crate::clock::Moment;
use crate::error::{Cause, Code, Error, Phase, Result};
use crate::ledger::Ledger;
use crate::runtime::Runtime;
use crate::schema::Schema;
use crate::step::{
    Act, Given, Machine, Operation, Outcome, Output, Rest, Returned, Step as Next, Stop, Token,
    stopped,
};
use crate::value::json::without_nulls;
use crate::value::{Data, Document, Failure, Record, Ref, Tape};
use crate::workflow::Definition;
use crate::workflow::control::{cancel, refusal};
use crate::workflow::deciding::pending;
use crate::workflow::execution::{Execution, Status};
use crate::workflow::frame::{Frame, value_of};

pub struct Executing {
    number: u64,
    input: Data,
    definition: Rc<Definition>,
    stage: Stage,
    body: Option<Box<dyn Machine>>,
    ledger: Ledger,
    deadline: Option<Moment>,
    resumed: bool,
    paused: bool,
    /// It was told to stop.
    stopped: bool,
    /// It has ended by itself, whatever hooks do then.
    over: bool,
    /// How its execution stands since then.
    status: Status,
}

enum Stage {
    /// Its tables are being made.
    Opening,
    Working,
    /// Its output is being looked at.
    Checking,
    /// Its result becomes a table.
    Showing(Status),
}

impl Executing {
    pub fn new(runtime: &Runtime, number: u64) -> Result<Executing> {
        let execution = runtime.workflows.execution(number)?;
        let definition = execution.definition.clone();
        let resumed = execution.scope.is_some() || execution.goes_on;
        let left = |ms: f64| ms - execution.worked_ms;
        let limit = execution.timeout_ms.or(definition.timeout_ms);
        let limit = limit.filter(|ms| *ms > 0.0).map(left);
        Ok(Executing {
            number,
            input: execution.input.clone(),
            definition,
            stage: Stage::Opening,
            body: None,
            ledger: Ledger::new(None, runtime.clock.now()),
            deadline: limit.map(|ms| runtime.clock.now().after_float_ms(ms)),
            resumed,
            paused: false,
            stopped: false,
            over: false,
            status: Status::Pending,
        })
    }

    pub fn operation(self, runtime: &Runtime) -> Operation {
        let execution = runtime.workflows.execution(self.number);
        let workflow = execution.map(|execution| runtime.workflows.known.id(execution.workflow));
        let (subject, deadline) = (workflow.unwrap_or_default(), self.deadline);
        Operation { name: "workflow_execute", subject, machine: Box::new(self), deadline }
    }

    fn execution<'r>(&self, runtime: &'r mut Runtime) -> Result<&'r mut Execution> {
        runtime.workflows.executions.get_mut(self.number)
    }

    fn start(&mut self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        let clock = runtime.clock.clone();
        let execution = self.execution(runtime)?;
        execution.goes(me, &clock);
        runtime.tell_watchers(self.number);
        self.refuse_cancelled(runtime)?;
        let execution = self.execution(runtime)?;
        if execution.scope.is_some() {
            return self.work(runtime, me);
        }
        let (input, id) = (execution.input.clone(), execution.id.clone());
        let (name, number) = (execution.name.clone(), execution.workflow);
        let variables = execution.variables.clone();
        let workflow = Record::new()
            .set("id", runtime.workflows.known.id(number))
            .set("name", name)
            .set("execution_id", id)
            .set("input", input.clone());
        let scope =
            Record::new().set("input", input).set("variables", variables).set("workflow", workflow);
        Ok(Next::Scope(Act {
            name: "open",
            operands: vec![scope.into()],
            copies: false,
            keeps: false,
        }))
    }

    /// Whoever has cancelled it was told that it ends.
    fn refuse_cancelled(&self, runtime: &Runtime) -> Result<()> {
        let execution = runtime.workflows.execution(self.number)?;
        execution.cancelled.as_deref().map_or(Ok(()), |reason| Err(refusal(reason)))
    }

    fn opened(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        let Outcome::Returned(Returned { value: Some(scope), .. }) = outcome else {
            return value_of(outcome, "the workflow").map(|_| Next::Wait(None));
        };
        self.execution(runtime)?.scope = Some(scope);
        self.work(runtime, me)
    }

    fn frame(&self, runtime: &mut Runtime) -> Result<Frame> {
        let output = self.execution(runtime)?.input.clone();
        Ok(Frame::new(self.number, output))
    }

    fn work(&mut self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        self.stage = Stage::Working;
        let frame = self.frame(runtime)?;
        self.body = Some(work::body(&self.definition.body, frame, "".into()));
        self.forward(runtime, me, Outcome::Start)
    }

    fn forward(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        self.note_usage(runtime);
        let body = self.body.as_mut().ok_or_else(|| Error::internal("nothing is under way"))?;
        let going = body.step(runtime, me, outcome)?;
        if matches!(going, Next::Done(_)) {
            self.refuse_cancelled(runtime)?;
        }
        match going {
            Next::Done(Output::Paused { .. }) => self.show(runtime, Status::Paused),
            Next::Done(output) => self.worked(runtime, output.into_data()),
            going => Ok(going),
        }
    }

    fn worked(&mut self, runtime: &mut Runtime, output: Data) -> Result<Next> {
        let frame = self.frame(runtime)?;
        self.execution(runtime)?.output = output.clone();
        if self.definition.output_schema.is_none() && matches!(output, Data::Slot(_)) {
            return self.show(runtime, Status::Completed);
        }
        self.stage = Stage::Checking;
        frame.ask_data(runtime, "give", [output])
    }

    fn checked(&mut self, runtime: &mut Runtime, outcome: Outcome) -> Result<Next> {
        let Outcome::Returned(returned) = outcome else {
            return value_of(outcome, "the output").map(|_| Next::Wait(None));
        };
        if let Some(schema) = &self.definition.output_schema {
            check(schema, &returned).map_err(|error| error.at("the output of the workflow"))?;
        }
        self.execution(runtime)?.output = Data::from(returned.value);
        self.show(runtime, Status::Completed)
    }

    fn show(&mut self, runtime: &mut Runtime, status: Status) -> Result<Next> {
        let frame = self.frame(runtime)?;
        self.note_usage(runtime);
        let record = result(runtime, self.number, status)?;
        self.stage = Stage::Showing(status);
        frame.ask(runtime, "show", [record.into()])
    }

    fn shown(&mut self, runtime: &mut Runtime, outcome: Outcome) -> Result<Next> {
        let shown = value_of(outcome, "the result")?;
        let Stage::Showing(status) = self.stage else {
            return Err(Error::internal("nothing was to be shown"));
        };
        self.over = true;
        self.execution(runtime)?.result = shown.clone();
        if status == Status::Paused {
            self.paused = true;
            return Ok(Next::Done(Output::Paused { response: shown, rest: Rest::new(()) }));
        }
        self.execution(runtime)?.ending = true;
        Ok(Next::Done(Output::Data(shown)))
    }

    /// It ends with an error; with that of its end where it was cancelled.
    fn broke(&mut self, runtime: &mut Runtime, error: Error) -> Error {
        self.over = true;
        self.note_usage(runtime);
        let error = match self.refuse_cancelled(runtime) {
            Err(cancelled) if error.code() != Code::Cancelled => cancelled,
            _ => error,
        };
        if let Ok(execution) = self.execution(runtime) {
            execution.ending = true;
        }
        self.placed(runtime, error)
    }

    /// Executions inside that have stopped end with it.
    fn end_children(&self, runtime: &mut Runtime) {
        if !self.status.has_ended() {
            return;
        }
        let Ok(execution) = self.execution(runtime) else { return };
        for child in std::mem::take(&mut execution.children).into_values() {
            // One that is not known any more has ended.
            let _ = cancel(runtime, child, Some("what was around it has ended"));
        }
    }

    /// How it has ended: an error of its work that says `cancelled` is a failure.
    fn status_of(&self, execution: &Execution, error: &Error) -> Status {
        let stopped = self.stopped || !self.over || execution.cancelled.is_some();
        let cancelled = error.code() == Code::Cancelled && stopped;
        if cancelled { Status::Cancelled } else { Status::Failed }
    }

    fn end_body(&mut self, runtime: &mut Runtime, me: Token) {
        if let Some(mut body) = self.body.take() {
            body.abandon(runtime, me);
        }
    }

    fn note_usage(&mut self, runtime: &mut Runtime) {
        let usage = std::mem::take(&mut self.ledger.usage);
        if let Ok(execution) = runtime.workflows.executions.get_mut(self.number) {
            execution.usage.add(&usage);
        }
    }

    /// The error of a step, with what an execution knows of it.
    fn placed(&self, runtime: &mut Runtime, error: Error) -> Error {
        let workflow = runtime.workflows.execution(self.number).map(|e| e.workflow);
        let workflow_id = workflow.map(|number| runtime.workflows.known.id(number));
        let Ok(execution) = self.execution(runtime) else { return error };
        let error = execution.broken().unwrap_or(error);
        let (mut details, step) = (error.members(), execution.failed_at(&error));
        let own = json!({
            "workflow_id": workflow_id.unwrap_or_default(),
            "execution_id": execution.id,
            "step_id": step,
            "completed": execution.completed(),
        });
        if let Value::Object(own) = without_nulls(own) {
            details.extend(own);
        }
        let cause = error.fields().rethrow.clone().map(Cause::Raised);
        let place = step.map(|id| format!("step {id:?}"));
        let error = place.map_or_else(|| error.clone(), |place| error.clone().at(&place));
        error.with(|f| {
            f.details = Some(Value::Object(details));
            f.cause = cause.or(f.cause.take());
            f.rethrow = None;
        })
    }

    fn stop(&mut self, runtime: &mut Runtime, me: Token, stop: &Stop) -> Error {
        self.stopped = matches!(stop, Stop::Cancelled(_));
        self.end_body(runtime, me);
        let late = self.deadline.is_some_and(|at| runtime.clock.now() >= at);
        match stop {
            Stop::Deadline if late => {
                let name = self.execution(runtime).map_or(String::new(), |e| e.name.clone());
                let message = format!("workflow {name:?} ran into its time limit");
                Error::timeout(Phase::Total, message)
            }
            stop => stopped(stop, "the workflow"),
        }
    }
}

fn check(schema: &Value, returned: &Returned) -> Result<()> {
    let value = returned.document.as_ref().and_then(|document| document.value());
    let Some(value) = value else {
        let message = "expected plain data, as it has a schema";
        return Err(Error::new(Code::ValidationFailed, message));
    };
    Schema::compile(schema)?.fit(value)
}

/// Fails unless it is what the workflow takes; `there` is whether there is anything.
pub fn check_input(definition: &Definition, value: Option<Ref<'_>>, there: bool) -> Result<()> {
    let Some(schema) = &definition.input_schema else { return Ok(()) };
    let schema = Schema::compile(schema)?;
    match value {
        Some(value) => schema.fit(value).map_err(|error| error.at("input")),
        None if there => {
            let message = "input: expected plain data, as it has a schema";
            Err(Error::new(Code::ValidationFailed, message))
        }
        None => {
            let mut tape = Tape::default();
            tape.null();
            let fits = tape.root().map_or(Ok(()), |null| schema.fit(null));
            fits.map_err(|error| error.at("input"))
        }
    }
}

/// The result table of an execution.
pub fn result(runtime: &Runtime, number: u64, status: Status) -> Result<Record> {
    let execution = runtime.workflows.execution(number)?;
    let order: Vec<Data> = execution.order.iter().map(|id| Data::from(id.as_ref())).collect();
    let (usage, ended) = (execution.usage, status.has_ended());
    let record = Record::new()
        .set("workflow_id", runtime.workflows.known.id(execution.workflow))
        .set("execution_id", execution.id.as_str())
        .set("name", execution.name.as_str())
        .set("status", status.name())
        .set("output", execution.output.clone())
        .set("steps", execution.steps())
        .set("step_order", Data::List(order))
        .set("usage", usage.to_record())
        .set("cost", usage.cost)
        .set("iterations", execution.iterations)
        .set("break_reason", execution.break_reason)
        .set("executed_branch", execution.executed_branch.as_deref())
        .set("pending", pending(&runtime.workflows, number))
        .set("run_id", execution.claim.as_ref().map(|claim| claim.run.as_str()))
        .set("recovered_steps", execution.recovered)
        .set("metadata", execution.metadata.clone())
        .set("started_at", execution.started_at)
        .set("finished_at", ended.then(|| runtime.clock.unix()))
        .set("duration_ms", execution.elapsed_ms(&runtime.clock));
    let error = execution.error.clone().map_or(Data::Nil, |error| Data::Error(Box::new(error)));
    Ok(record.set("error", error))
}

impl Machine for Executing {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        let going = match (&self.stage, outcome) {
            (_, Outcome::Stop(stop)) => Err(self.stop(runtime, me, &stop)),
            (Stage::Opening, Outcome::Start) => self.start(runtime, me),
            (Stage::Opening, outcome) => self.opened(runtime, me, outcome),
            (Stage::Working, outcome) => self.forward(runtime, me, outcome),
            (Stage::Checking, outcome) => self.checked(runtime, outcome),
            (Stage::Showing(_), outcome) => self.shown(runtime, outcome),
        };
        going.map_err(|error| self.broke(runtime, error))
    }

    fn about(&self, runtime: &Runtime) -> Record {
        let Ok(execution) = runtime.workflows.execution(self.number) else { return Record::new() };
        Record::new()
            .set("workflow_id", runtime.workflows.known.id(execution.workflow))
            .set("workflow_name", execution.name.as_str())
            .set("execution_id", execution.id.as_str())
    }

    fn belongs_to(&self, runtime: &Runtime) -> Option<Record> {
        Some(self.about(runtime))
    }

    fn input(&self) -> Data {
        self.input.clone()
    }

    fn replace_input(&mut self, runtime: &mut Runtime, given: &Given<'_>) -> Result<()> {
        check_input(&self.definition, given.value, given.slot.is_some())?;
        self.input = Data::from(given.slot.clone());
        let input = self.input.clone();
        let execution = self.execution(runtime)?;
        execution.input = input;
        if execution.durable.is_some() {
            let document = given.document().map_err(|error| error.at("input"))?;
            execution.keep_input(document.as_ref().and_then(Document::value));
        }
        Ok(())
    }

    /// What was cancelled stays cancelled.
    fn replace_output(
        &mut self,
        runtime: &mut Runtime,
        given: &Given<'_>,
        own: Option<Output>,
    ) -> Result<Output> {
        if own.is_none() {
            self.refuse_cancelled(runtime)?;
        }
        Ok(Output::Data(given.slot.clone().map_or(Data::Nil, Data::Slot)))
    }

    fn was_stopped(&self, _: &Error) -> bool {
        self.status == Status::Cancelled
    }

    fn told_of(&self, output: &Output) -> Record {
        Record::new().set("result", output.to_data())
    }

    fn resumes(&self) -> bool {
        self.resumed
    }

    fn pauses(&self) -> bool {
        self.paused
    }

    fn ledger(&mut self) -> Option<&mut Ledger> {
        Some(&mut self.ledger)
    }

    fn ended(&mut self, runtime: &mut Runtime, output: std::result::Result<&Output, &Error>) {
        let clock = runtime.clock.clone();
        let Ok(execution) = runtime.workflows.executions.get_mut(self.number) else { return };
        execution.durable = None;
        match output {
            Ok(Output::Paused { .. }) => self.status = Status::Paused,
            Ok(output) => {
                execution.result = output.to_data();
                self.status = Status::Completed;
            }
            Err(error) => {
                self.status = self.status_of(execution, error);
                let failure = Failure { error: error.clone(), function: "workflow.execute" };
                execution.error = Some(failure);
            }
        }
        execution.stops(self.status, &clock);
        self.end_children(runtime);
        runtime.tell_watchers(self.number);
        runtime.workflows.settle(self.number);
    }

    fn abandon(&mut self, runtime: &mut Runtime, me: Token) {
        runtime.workflows.never_began(self.number);
        self.end_body(runtime, me);
    }
}
