//! Steps one after the other.

use std::rc::Rc;

use super::step::StepRun;
use super::{only, paused};
use crate::error::{Code, Error, Result};
use crate::event::Builtin;
use crate::runtime::Runtime;
use crate::step::{Call, Machine, Operation, Outcome, Output, Step as Next, Stop, Token, stopped};
use crate::value::{Data, Failure, Slot};
use crate::workflow::control::{cancel, refusal};
use crate::workflow::definition::{Made, Step, Steps, Test};
use crate::workflow::durable::{BREAK, Durable, Left, given_at};
use crate::workflow::execution::{Ended, Execution, How, Stepping};
use crate::workflow::frame::{Frame, Previous, Unwritten, document_of, truth_of, value_of};

pub struct Chain {
    steps: Steps,
    at: usize,
    /// Of the step that it is at.
    path: Rc<str>,
    frame: Frame,
    stage: Stage,
    /// Ends with the first step that is executed.
    only_one: bool,
    /// Goes on beside others, which do not wait for what it records.
    alone: bool,
}

enum Stage {
    Between,
    /// A step that had ended before is shown to those behind it.
    Showing(Rc<Ended>),
    /// Whether the step is executed at all.
    Testing,
    /// What it works on.
    Making,
    /// That is being read, for the journal.
    Keeping(Data),
    Running,
    /// What the error that somebody has raised in it says besides its code is being read.
    Reading(Box<(Ended, Error)>),
    /// Its end is being written down.
    Noting(Box<Ended>),
    /// What it has left behind is being read, for the journal.
    Leaving(Box<Ended>),
    /// The journal is brought up to this entry, before that happens.
    Saving(u64, Box<Behind>),
    /// Somebody is told of it.
    Telling,
}

/// What waits until everything before it is recorded.
enum Behind {
    /// Functions of the user say whether a step runs, and with what.
    Enter,
    Run(Operation),
    Tell(Call),
    End,
}

impl Chain {
    pub fn new(steps: Steps, frame: Frame) -> Chain {
        let path = frame.place.clone();
        let (stage, only_one, alone) = (Stage::Between, false, false);
        Chain { steps, at: 0, path, frame, stage, only_one, alone }
    }

    /// One of several that go on side by side.
    pub fn beside(steps: Steps, frame: Frame) -> Chain {
        Chain { alone: true, ..Chain::new(steps, frame) }
    }

    /// The first step whose condition holds.
    pub fn choice(steps: Steps, frame: Frame) -> Chain {
        Chain { only_one: true, ..Chain::new(steps, frame) }
    }

    fn execution<'r>(&self, runtime: &'r mut Runtime) -> Result<&'r mut Execution> {
        runtime.workflows.executions.get_mut(self.frame.execution)
    }

    fn step_now(&self) -> Result<Rc<Step>> {
        self.steps.get(self.at).cloned().ok_or_else(|| Error::internal("a chain is past its end"))
    }

    fn next(&mut self, runtime: &mut Runtime) -> Result<Next> {
        self.stage = Stage::Between;
        let Some(step) = self.steps.get(self.at).cloned() else { return self.end(runtime) };
        self.path = self.frame.path(&step.id);
        let execution = self.execution(runtime)?;
        if let Some(error) = execution.broken() {
            return Err(error);
        }
        if let Some(ended) = execution.ended.get(&self.path).cloned() {
            return match execution.fatal(&step, &ended) {
                Some(error) => Err(error),
                None => self.show(runtime, &step, ended),
            };
        }
        if let Some(reason) = &execution.cancelled {
            return Err(refusal(reason));
        }
        if execution.halts() {
            return Ok(Next::Done(paused()));
        }
        execution.current = Some(step.id.clone());
        let asks = matches!(step.when, Some(Test::Called(_)));
        match asks || matches!(step.input, Some(Made::Called(_))) {
            true => self.save(runtime, Behind::Enter),
            false => self.enter(runtime),
        }
    }

    fn end(&mut self, runtime: &mut Runtime) -> Result<Next> {
        if self.alone {
            return self.save(runtime, Behind::End);
        }
        Ok(Next::Done(Output::Data(self.frame.previous.output.clone())))
    }

    /// First brings into the store what is not there yet.
    fn save(&mut self, runtime: &mut Runtime, behind: Behind) -> Result<Next> {
        let durable = self.execution(runtime)?.durable.as_ref();
        match durable.and_then(Durable::commit) {
            Some((commit, up_to)) => {
                self.stage = Stage::Saving(up_to, Box::new(behind));
                Ok(Next::Run(commit))
            }
            None => self.go_on(runtime, behind),
        }
    }

    fn saved(&mut self, runtime: &mut Runtime, ended: Result<Output>) -> Result<Next> {
        let Stage::Saving(up_to, behind) = std::mem::replace(&mut self.stage, Stage::Between)
        else {
            return Err(Error::internal("nothing was to be saved"));
        };
        if let Some(durable) = &self.execution(runtime)?.durable {
            durable.committed(up_to, ended.map(drop))?;
        }
        self.go_on(runtime, *behind)
    }

    fn go_on(&mut self, runtime: &mut Runtime, behind: Behind) -> Result<Next> {
        match behind {
            Behind::Enter => self.enter(runtime),
            Behind::Run(operation) => {
                self.stage = Stage::Running;
                Ok(Next::Run(operation))
            }
            Behind::Tell(call) => {
                self.stage = Stage::Telling;
                Ok(Next::Call(call))
            }
            Behind::End => Ok(Next::Done(Output::Data(self.frame.previous.output.clone()))),
        }
    }

    fn show(&mut self, runtime: &mut Runtime, step: &Step, ended: Rc<Ended>) -> Result<Next> {
        let record = ended.to_record();
        self.stage = Stage::Showing(ended);
        self.frame.ask(runtime, "record", [Data::from(step.id.as_ref()), record.into()])
    }

    fn shown(&mut self, runtime: &mut Runtime, outcome: Outcome) -> Result<Next> {
        let output = value_of(outcome, "the step")?;
        let Stage::Showing(ended) = std::mem::replace(&mut self.stage, Stage::Between) else {
            return Err(Error::internal("nothing was to be shown"));
        };
        let step = self.step_now()?;
        self.pass(runtime, &step.id, ended.how, output)?;
        self.next(runtime)
    }

    /// Goes on behind a step that has ended.
    fn pass(&mut self, runtime: &mut Runtime, id: &Rc<str>, how: How, output: Data) -> Result<()> {
        self.at += 1;
        let counts = match how {
            How::Completed => true,
            How::Failed => !matches!(output, Data::Nil),
            How::Skipped | How::Cancelled => false,
        };
        if counts {
            self.frame.previous = Previous { id: Some(id.clone()), output };
        }
        if self.only_one && how != How::Skipped {
            self.at = self.steps.len();
            self.execution(runtime)?.executed_branch = Some(id.clone());
        }
        Ok(())
    }

    fn enter(&mut self, runtime: &mut Runtime) -> Result<Next> {
        let step = self.step_now()?;
        let begun = self.execution(runtime)?.has_begun(&self.path);
        let Some(test) = step.when.as_ref().filter(|_| !begun) else {
            return self.prepare(runtime);
        };
        self.stage = Stage::Testing;
        self.frame.test(runtime, test, self.frame.info(&step.id))
    }

    fn tested(&mut self, runtime: &mut Runtime, outcome: Outcome) -> Result<Next> {
        match truth_of(outcome, "the condition of the step") {
            Ok(true) => self.prepare(runtime),
            Ok(false) => {
                let (step, execution) = (self.step_now()?, self.execution(runtime)?);
                let workflow = execution.workflow;
                runtime.coverage.note(|count| count.workflows.skipped(workflow, &step.id));
                self.skip(runtime, Ended::skipped(), "its condition does not hold")
            }
            Err(error) => self.run(runtime, Err(error)),
        }
    }

    fn prepare(&mut self, runtime: &mut Runtime) -> Result<Next> {
        let step = self.step_now()?;
        if let Some(input) = self.execution(runtime)?.input_before(&self.path) {
            self.stage = Stage::Making;
            return self.frame.ask(runtime, "give", [input]);
        }
        match &step.input {
            None => self.run(runtime, Ok(self.frame.previous.output.clone())),
            Some(Made::Plain(value)) if !value.is_object() && !value.is_array() => {
                self.run(runtime, Ok(Data::Json(value.clone())))
            }
            Some(made) => {
                self.stage = Stage::Making;
                self.frame.make(runtime, made, self.frame.info(&step.id))
            }
        }
    }

    fn made(&mut self, runtime: &mut Runtime, outcome: Outcome) -> Result<Next> {
        match value_of(outcome, "the input of the step") {
            Ok(input) if self.is_to_keep(runtime)? => {
                self.stage = Stage::Keeping(input.clone());
                self.frame.ask_only_data(runtime, "give", [input])
            }
            input => self.run(runtime, input),
        }
    }

    /// Whether the input would be another one if it was made again: a function may say anything, and
    /// the steps inside may have changed what a template says.
    fn is_to_keep(&self, runtime: &mut Runtime) -> Result<bool> {
        let step = self.step_now()?;
        let may_differ = matches!(step.input, Some(Made::Called(_))) || step.does.holds_steps();
        let execution = self.execution(runtime)?;
        let is_known = execution.decided.contains_key(given_at(&self.path).as_str());
        Ok(execution.durable.is_some() && may_differ && !is_known)
    }

    /// One that is no data is made again.
    fn kept(&mut self, runtime: &mut Runtime, input: Data, outcome: Outcome) -> Result<Next> {
        if let Ok(document) = document_of(outcome, "the input of the step") {
            let value = document.as_ref().and_then(|document| document.value());
            let path = self.path.clone();
            self.execution(runtime)?.keep_given(&path, value);
        }
        self.run(runtime, Ok(input))
    }

    fn run(&mut self, runtime: &mut Runtime, input: Result<Data>) -> Result<Next> {
        let step = self.step_now()?;
        let deadline = step.timeout_ms.map(|ms| runtime.clock.now().after_float_ms(ms));
        let subject = step.id.to_string();
        let (frame, path, at) = (self.frame.clone(), self.path.clone(), runtime.clock.unix());
        let execution = self.execution(runtime)?;
        if matches!(execution.stepping, Stepping::One) && !step.does.holds_steps() {
            execution.stepping = Stepping::Taken(step.id.clone());
        }
        let stopped = execution.halted.go_on(&path);
        let before = stopped.as_ref().map_or(0, |stopped| stopped.attempts.saturating_sub(1));
        let attempts = execution.begins(&step, &path, at)?.max(before);
        let machine = StepRun::new(step, frame, path, input, deadline, stopped.is_some());
        let (name, machine) = ("workflow_step", Box::new(machine.after(attempts)));
        self.save(runtime, Behind::Run(Operation { name, subject, machine, deadline }))
    }

    fn finished(&mut self, runtime: &mut Runtime, output: Result<Output>) -> Result<Next> {
        let now = runtime.clock.now();
        let progress = self.execution(runtime)?.under_way.remove(&self.path);
        let has_begun = progress.is_some();
        let mut ended = Ended::skipped();
        if let Some(progress) = progress {
            ended.attempts = progress.attempts;
            ended.started_at = Some(progress.started_at);
            ended.duration_ms = Some(now.ms_since(progress.since));
            ended.response = progress.response;
        }
        match output {
            Ok(Output::Paused { .. }) => Ok(Next::Done(paused())),
            Ok(output) => {
                (ended.how, ended.output) = (How::Completed, output.into_data());
                self.note(runtime, ended)
            }
            // A hook said no before it began.
            Err(error) if !has_begun && error.code() == Code::AbortedByHook => {
                self.skip(runtime, ended, error.message())
            }
            Err(error) if error.fields().rethrow.is_some() || error.code() == Code::Cancelled => {
                self.read(runtime, ended, error)
            }
            Err(error) => self.failed(runtime, ended, error),
        }
    }

    fn skip(&mut self, runtime: &mut Runtime, ended: Ended, reason: &str) -> Result<Next> {
        if runtime.events.wants(Builtin::StepSkipped) {
            let step = self.step_now()?;
            let data = runtime.workflows.ids(self.frame.execution, &step.id)?;
            let data = data.set("step_type", step.does.name()).set("reason", reason);
            runtime.events.tell(Builtin::StepSkipped, data, None);
        }
        self.note(runtime, ended)
    }

    /// Where something inside was cancelled, the question also tells whether the whole is: then it
    /// is answered by a stop.
    fn read(&mut self, runtime: &mut Runtime, ended: Ended, error: Error) -> Result<Next> {
        let raised = Data::from(error.fields().rethrow.clone());
        self.stage = Stage::Reading(Box::new((ended, error)));
        self.frame.ask_data(runtime, "fields", [raised])
    }

    /// The whole is stopped; the step that was under way was, too.
    fn stopped(&mut self, runtime: &mut Runtime, stop: &Stop) -> Result<Error> {
        let error = stopped(stop, "the workflow");
        if let Stage::Reading(read) = std::mem::replace(&mut self.stage, Stage::Between) {
            let (mut ended, inner) = *read;
            ended.how = How::Cancelled;
            ended.error = Some(Failure { error: inner.clone(), function: "workflow.execute" });
            let (step, path) = (self.step_now()?, self.path.clone());
            let execution = self.execution(runtime)?;
            execution.note(path, &step.id, Rc::new(ended));
            return Ok(execution.placed(&step.id, inner));
        }
        Ok(error)
    }

    fn has_read(&mut self, runtime: &mut Runtime, outcome: Outcome) -> Result<Next> {
        let Stage::Reading(read) = std::mem::replace(&mut self.stage, Stage::Between) else {
            return Err(Error::internal("nothing was to be read"));
        };
        let (ended, error) = *read;
        let Outcome::Returned(returned) = outcome else {
            return self.failed(runtime, ended, error);
        };
        let fields = returned.document.as_ref().and_then(|document| document.value());
        let fields = fields.map(|fields| fields.to_json());
        let error = match fields {
            Some(fields) => error.with_fields(&fields),
            None => error,
        };
        self.failed(runtime, ended, error)
    }

    fn failed(&mut self, runtime: &mut Runtime, mut ended: Ended, error: Error) -> Result<Next> {
        if let Some(error) = self.execution(runtime)?.broken() {
            return Err(error);
        }
        let step = self.step_now()?;
        let error = self.execution(runtime)?.placed(&step.id, error);
        ended.how = How::Failed;
        ended.error = Some(Failure { error: error.clone(), function: "workflow.execute" });
        let path = self.path.clone();
        let execution = self.execution(runtime)?;
        if execution.goes_on_after(&step) {
            ended.output = step.default.clone().map_or(Data::Nil, Data::Json);
            return self.note(runtime, ended);
        }
        execution.keep_failure(&path, &step.id, &ended);
        execution.note(path, &step.id, Rc::new(ended));
        Err(error)
    }

    /// Writes down how the step has ended.
    fn note(&mut self, runtime: &mut Runtime, ended: Ended) -> Result<Next> {
        let (step, record) = (self.step_now()?, ended.to_record());
        if self.may_wait(runtime, &ended) {
            self.frame.unwritten.replace(Some(Unwritten { id: step.id.clone(), record }));
            return self.pass_on(runtime, ended);
        }
        self.stage = Stage::Noting(Box::new(ended));
        self.frame.ask(runtime, "record", [Data::from(step.id.as_ref()), record.into()])
    }

    /// Whether the tables in Lua can learn of the end with what the next step asks for: that is right
    /// away, nobody can look at them before, and the output is a value that everybody sees anyway.
    fn may_wait(&self, runtime: &Runtime, ended: &Ended) -> bool {
        let next = self.steps.get(self.at + 1).filter(|_| !self.only_one);
        let execution = runtime.workflows.execution(self.frame.execution);
        next.is_some_and(|step| step.asks_at_once())
            && matches!(ended.output, Data::Slot(_) | Data::Nil)
            && self.frame.unwritten.borrow().is_none()
            && execution.is_ok_and(Execution::goes_straight_on)
            && !runtime.hooks.is_hooked("workflow_step")
            && !runtime.events.wants(Builtin::StepStarted)
    }

    fn noted(&mut self, runtime: &mut Runtime, outcome: Outcome) -> Result<Next> {
        let output = value_of(outcome, "the step")?;
        let Stage::Noting(ended) = std::mem::replace(&mut self.stage, Stage::Between) else {
            return Err(Error::internal("nothing was to be noted"));
        };
        // From here on everybody sees the same value.
        let ended = Ended { output, ..*ended };
        if self.execution(runtime)?.durable.is_none() {
            return self.pass_on(runtime, ended);
        }
        self.stage = Stage::Leaving(Box::new(ended));
        let id = Data::from(self.step_now()?.id.as_ref());
        self.frame.ask_only_data(runtime, "leave", [id])
    }

    /// What cannot be recorded makes a step fail.
    fn left(&mut self, runtime: &mut Runtime, outcome: Outcome) -> Result<Next> {
        let Stage::Leaving(ended) = std::mem::replace(&mut self.stage, Stage::Between) else {
            return Err(Error::internal("a step has left nothing"));
        };
        let (step, path) = (self.step_now()?, self.path.clone());
        // Around it stands which step it is.
        let place = if *path == *step.id { "" } else { &*path };
        let document = match document_of(outcome, place) {
            Ok(document) => document,
            Err(error) if ended.how == How::Completed && error.code() == Code::ConversionError => {
                let (output, response) = (Data::Nil, Data::Nil);
                return self.failed(runtime, Ended { output, response, ..*ended }, error);
            }
            Err(error) => return Err(error),
        };
        let left = Left::read(document.as_deref());
        let clock = runtime.clock.clone();
        let place = self.frame.place.clone();
        let execution = self.execution(runtime)?;
        if left.breaks {
            execution.decide(&format!("{place}{BREAK}"), true.into());
        }
        let worked_ms = execution.elapsed_ms(&clock);
        execution.keep_end(&path, &step.id, &ended, left, worked_ms);
        self.pass_on(runtime, *ended)
    }

    /// The execution learns how the step has ended, and then whoever wants to be told.
    fn pass_on(&mut self, runtime: &mut Runtime, ended: Ended) -> Result<Next> {
        let ended = Rc::new(ended);
        let (step, path) = (self.step_now()?, self.path.clone());
        self.let_go(runtime, &step)?;
        let execution = self.execution(runtime)?;
        execution.note(path, &step.id, ended.clone());
        let listener = execution.on_step.clone();
        let told = listener.map(|listener| telling(listener, &step.id, &ended));
        self.pass(runtime, &step.id, ended.how, ended.output.clone())?;
        match told {
            Some(call) => self.save(runtime, Behind::Tell(call)),
            None => self.next(runtime),
        }
    }

    /// What has stopped inside of a step ends with it.
    fn let_go(&self, runtime: &mut Runtime, step: &Step) -> Result<()> {
        let execution = self.execution(runtime)?;
        let stopped = execution.has_stopped_inside() || !execution.halted.is_empty();
        if !step.does.holds_steps() || !stopped {
            return Ok(());
        }
        let gone = execution.let_go(step, &self.frame.place);
        execution.waits &= execution.has_stopped_inside();
        for child in gone {
            cancel(runtime, child, Some("what was around it has ended"))?;
        }
        Ok(())
    }

    fn told(&mut self, runtime: &mut Runtime, outcome: Outcome) -> Result<Next> {
        value_of(outcome, "on_step")?;
        self.next(runtime)
    }
}

/// `on_step{id, status, …}`
fn telling(function: Slot, id: &str, ended: &Ended) -> Call {
    Call::new(function, ended.to_record().set("id", id).into())
}

impl Machine for Chain {
    fn step(&mut self, runtime: &mut Runtime, _: Token, outcome: Outcome) -> Result<Next> {
        if let Outcome::Stop(stop) = &outcome {
            return Err(self.stopped(runtime, stop)?);
        }
        match (&self.stage, outcome) {
            (Stage::Between, Outcome::Start) => self.next(runtime),
            (Stage::Testing, outcome) => self.tested(runtime, outcome),
            (Stage::Making, outcome) => self.made(runtime, outcome),
            (Stage::Keeping(input), outcome) => {
                let input = input.clone();
                self.kept(runtime, input, outcome)
            }
            (Stage::Running, Outcome::Finished(outputs)) => self.finished(runtime, only(outputs)),
            (Stage::Showing(_), outcome) => self.shown(runtime, outcome),
            (Stage::Reading(_), outcome) => self.has_read(runtime, outcome),
            (Stage::Noting(_), outcome) => self.noted(runtime, outcome),
            (Stage::Leaving(_), outcome) => self.left(runtime, outcome),
            (Stage::Saving(..), Outcome::Finished(outputs)) => self.saved(runtime, only(outputs)),
            (Stage::Telling, outcome) => self.told(runtime, outcome),
            _ => Err(Error::internal("a chain waits for its step only")),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
