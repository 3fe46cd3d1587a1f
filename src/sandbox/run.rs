//! A call of sandboxed code as a machine: the host's loop goes on while it runs.

use std::sync::Arc;

use super::pool::pool;
use super::{Failure, Job, Limits, Script, engine};
use crate::clock::{Busy, Moment};
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Outcome, Output, Step, Stop, Token, stopped};
use crate::value::{Data, Document};

/// Ends with [`Data::Document`], or [`Data::Nil`].
pub struct Run {
    script: Arc<Script>,
    limits: Limits,
    deadline: Option<Moment>,
    arguments: Vec<Document>,
    job: Option<Arc<Job>>,
    busy: Option<Busy>,
}

impl Run {
    pub fn new(
        script: Arc<Script>,
        limits: Limits,
        deadline: Option<Moment>,
        arguments: Vec<Document>,
    ) -> Run {
        Run { script, limits, deadline, arguments, job: None, busy: None }
    }

    fn start(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let (script, arguments) = (self.script.clone(), std::mem::take(&mut self.arguments));
        let waker = runtime.tasks.waker(me)?;
        let clock = runtime.clock.clone();
        let job = Job::new(script, self.limits, self.deadline, arguments, clock, waker);
        let job = Arc::new(job);
        pool(engine()?).submit(job.clone())?;
        self.busy = Some(runtime.clock.busy());
        self.job = Some(job);
        Ok(Step::Wait(self.deadline))
    }

    fn look(&mut self, runtime: &Runtime) -> Result<Step> {
        let answer = self.job.as_ref().and_then(|job| job.take_answer());
        if answer.is_some() {
            self.busy = None;
        }
        match answer {
            Some(Ok(result)) => {
                self.job = None;
                Ok(Step::Done(Output::Data(result.map_or(Data::Nil, Data::from))))
            }
            Some(Err(failure)) => {
                self.job = None;
                Err(failure.into_error())
            }
            None if self.deadline.is_some_and(|at| runtime.clock.now() >= at) => {
                self.cancel();
                Err(Failure::Late.into_error())
            }
            None => Ok(Step::Wait(self.deadline)),
        }
    }

    /// The caller waits no longer; the code stops by itself within milliseconds.
    fn cancel(&mut self) {
        self.busy = None;
        if let Some(job) = self.job.take() {
            job.cancel();
            if let Ok(engine) = engine() {
                pool(engine).given_up();
            }
        }
    }
}

impl Machine for Run {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Start => self.start(runtime, me),
            Outcome::Ready => self.look(runtime),
            Outcome::Stop(stop) => {
                self.cancel();
                Err(match stop {
                    Stop::Deadline => Failure::Late.into_error(),
                    stop => stopped(&stop, "sandboxed code"),
                })
            }
            _ => Err(Error::internal("sandboxed code waits for its thread only")),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {
        self.cancel();
    }
}
