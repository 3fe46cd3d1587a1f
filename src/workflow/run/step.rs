//! One step: its attempts, and what becomes of its output.

use std::rc::Rc;

use super::{paused, work};
use crate::clock::Moment;
use crate::error::{Error, Phase, Result};
use crate::runtime::Runtime;
use crate::step::{Given, Machine, Outcome, Output, Step as Next, Stop, Token, stopped};
use crate::value::{Data, Record};
use crate::workflow::definition::Step;
use crate::workflow::execution::{Execution, Progress};
use crate::workflow::frame::{Frame, Info, value_of};
use crate::workflow::halted::Stopped;
use crate::workflow::journal::Entry;

/// What the work of a step has to know.
pub struct Asked {
    pub step: Rc<Step>,
    pub frame: Frame,
    pub path: Rc<str>,
    pub input: Data,
    pub attempt: u32,
}

impl Asked {
    /// What functions of the step learn.
    pub fn info(&self) -> Info {
        Info { step: self.step.id.clone(), input: self.input.clone(), attempt: self.attempt }
    }

    /// The frame of the steps inside: the first of them works on what this one was given.
    pub fn inside(&self) -> Frame {
        let mut frame = self.frame.clone();
        frame.previous.output = self.input.clone();
        frame
    }
}

pub struct StepRun {
    asked: Asked,
    /// Its input could not be made.
    refused: Option<Error>,
    deadline: Option<Moment>,
    work: Option<Box<dyn Machine>>,
    stage: Stage,
    resumed: bool,
    paused: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Working,
    /// Until the next attempt.
    BackingOff(Moment),
    /// Its output is made into another one.
    Mapping,
}

impl StepRun {
    pub fn new(
        step: Rc<Step>,
        frame: Frame,
        path: Rc<str>,
        input: Result<Data>,
        deadline: Option<Moment>,
        resumed: bool,
    ) -> StepRun {
        let (input, refused) = match input {
            Ok(input) => (input, None),
            Err(error) => (Data::Nil, Some(error)),
        };
        StepRun {
            asked: Asked { step, frame, path, input, attempt: 0 },
            refused,
            deadline,
            work: None,
            stage: Stage::Working,
            resumed,
            paused: false,
        }
    }

    /// So many attempts were made before it was known of last.
    pub fn after(mut self, attempts: u32) -> StepRun {
        self.asked.attempt = attempts;
        self
    }

    fn execution<'r>(&self, runtime: &'r mut Runtime) -> Result<&'r mut Execution> {
        runtime.workflows.executions.get_mut(self.asked.frame.execution)
    }

    fn start(&mut self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        let (started_at, since) = (runtime.clock.unix(), runtime.clock.now());
        let path = self.asked.path.clone();
        let execution = self.execution(runtime)?;
        let progress = Progress { attempts: 0, started_at, since, response: Data::Nil };
        execution.under_way.entry(path).or_insert(progress);
        let workflow = execution.workflow;
        runtime.coverage.note(|count| count.workflows.begun(workflow, &self.asked.step.id));
        self.begin(runtime, me)
    }

    fn begin(&mut self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        self.asked.attempt += 1;
        let again = matches!(self.stage, Stage::BackingOff(_));
        self.stage = Stage::Working;
        let (path, attempts) = (self.asked.path.clone(), self.asked.attempt);
        if let Some(progress) = self.execution(runtime)?.under_way.get_mut(&path) {
            progress.attempts = attempts;
        }
        if let Some(error) = self.refused.take() {
            return Err(error);
        }
        if again {
            self.begin_anew(runtime)?;
        }
        match work::of(runtime, &self.asked) {
            Ok(machine) => {
                self.work = Some(machine);
                self.forward(runtime, me, Outcome::Start)
            }
            Err(error) => self.broke(runtime, error),
        }
    }

    fn begin_anew(&mut self, runtime: &mut Runtime) -> Result<()> {
        let (asked, at) = (&self.asked, runtime.clock.unix());
        let execution = runtime.workflows.executions.get_mut(asked.frame.execution)?;
        execution.begins_anew(&asked.step, &asked.frame.place);
        let (path, id) = (asked.path.to_string(), asked.step.id.to_string());
        execution.keep(Entry::Started { path, id, attempt: asked.attempt, at });
        Ok(())
    }

    fn forward(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        let Some(work) = &mut self.work else {
            return Err(Error::internal("a step waits for nothing"));
        };
        match work.step(runtime, me, outcome) {
            Ok(Next::Done(output)) => {
                self.work = None;
                self.worked(runtime, output)
            }
            Err(error) => {
                self.work = None;
                self.broke(runtime, error)
            }
            going => going,
        }
    }

    fn worked(&mut self, runtime: &mut Runtime, output: Output) -> Result<Next> {
        if matches!(output, Output::Paused { .. }) {
            self.paused = true;
            let path = self.asked.path.clone();
            let (input, attempts) = (self.asked.input.clone(), self.asked.attempt);
            let stopped = Stopped { input, attempts };
            let execution = self.execution(runtime)?;
            execution.under_way.remove(&path);
            execution.halted.stop(path, stopped);
            return Ok(Next::Done(paused()));
        }
        let Some(made) = &self.asked.step.output else {
            return Ok(Next::Done(Output::Data(output.into_data())));
        };
        self.stage = Stage::Mapping;
        let info = self.asked.info();
        self.asked.frame.make_of(runtime, made, info, Some(output.into_data()))
    }

    /// An attempt has failed. A step that is stopped is not tried again: it does not wait.
    fn broke(&mut self, runtime: &mut Runtime, error: Error) -> Result<Next> {
        let retry = self.asked.step.retry;
        if let Some(error) = self.execution(runtime)?.broken() {
            return Err(error);
        }
        if self.late(runtime) {
            return Err(self.timeout());
        }
        if self.asked.attempt >= retry.max_attempts {
            return Err(error);
        }
        let exponent = i32::try_from(self.asked.attempt).unwrap_or(i32::MAX) - 1;
        let ms = (retry.backoff_ms * retry.multiplier.powi(exponent)).min(LONGEST_MS);
        let until = runtime.clock.now().after_float_ms(ms);
        self.stage = Stage::BackingOff(until);
        Ok(Next::Wait(Some(until)))
    }

    fn late(&self, runtime: &Runtime) -> bool {
        self.deadline.is_some_and(|at| runtime.clock.now() >= at)
    }

    fn timeout(&self) -> Error {
        let ms = self.asked.step.timeout_ms.unwrap_or_default();
        let id = &self.asked.step.id;
        Error::timeout(Phase::Total, format!("step {id:?} took longer than {ms} ms"))
    }

    fn stop(&mut self, runtime: &mut Runtime, me: Token, stop: &Stop) -> Error {
        self.abandon(runtime, me);
        match stop {
            Stop::Deadline if self.late(runtime) => self.timeout(),
            stop => stopped(stop, "the workflow"),
        }
    }

    fn ids(&self, runtime: &Runtime) -> Record {
        let ids = runtime.workflows.ids(self.asked.frame.execution, &self.asked.step.id);
        ids.unwrap_or_default()
    }
}

/// Between two attempts.
const LONGEST_MS: f64 = 3_600_000.0;

impl Machine for StepRun {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        if let Outcome::Stop(stop) = &outcome {
            return Err(self.stop(runtime, me, stop));
        }
        match (self.stage, outcome) {
            (_, Outcome::Start) => self.start(runtime, me),
            (Stage::BackingOff(until), _) if runtime.clock.now() < until => {
                Ok(Next::Wait(Some(until)))
            }
            (Stage::BackingOff(_), _) => self.begin(runtime, me),
            (Stage::Mapping, outcome) => {
                let output = value_of(outcome, "the output of the step");
                output.map(|output| Next::Done(Output::Data(output)))
            }
            (Stage::Working, outcome) => self.forward(runtime, me, outcome),
        }
    }

    fn about(&self, runtime: &Runtime) -> Record {
        let about = self.ids(runtime).set("step_type", self.asked.step.does.name());
        if self.asked.attempt > 0 { about.set("attempts", self.asked.attempt) } else { about }
    }

    fn belongs_to(&self, runtime: &Runtime) -> Option<Record> {
        Some(self.ids(runtime))
    }

    fn input(&self) -> Data {
        self.asked.input.clone()
    }

    fn replace_input(&mut self, _: &mut Runtime, given: &Given<'_>) -> Result<()> {
        self.asked.input = Data::from(given.slot.clone());
        Ok(())
    }

    fn told_of(&self, output: &Output) -> Record {
        let output = output.to_data();
        Record::new().set("output", output.clone()).set("result", output)
    }

    fn resumes(&self) -> bool {
        self.resumed
    }

    fn pauses(&self) -> bool {
        self.paused
    }

    fn chunk(&mut self) -> Option<crate::chunk::Chunk> {
        self.work.as_mut()?.chunk()
    }

    fn abandon(&mut self, runtime: &mut Runtime, me: Token) {
        if let Some(mut work) = self.work.take() {
            work.abandon(runtime, me);
        }
    }
}
