//! A durable execution: the run is claimed before it, and left behind it.

use std::collections::BTreeMap;

use super::executing::{Executing, result};
use super::only;
use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;
use crate::step::{Act, Machine, Operation, Outcome, Output, Step as Next, Token, stopped};
use crate::value::{Data, Failure};
use crate::workflow::durable::{Durable, Unknown, is_unknown};
use crate::workflow::execution::Execution;
use crate::workflow::frame::{self, document_of, value_of};
use crate::workflow::journal::{
    Claimed, Claiming, Committing, Ending, Journal, Over, Plain, Recorded,
};
use crate::workflow::{Status, deciding, recalling};

pub struct Owning {
    number: u64,
    stage: Stage,
    durable: Option<Durable>,
    /// What the execution has ended with.
    ended: Option<Result<Output>>,
}

enum Stage {
    Claiming(Option<Claiming>),
    /// Wishes of others are listened to from now on.
    Listening,
    Working,
    /// Its result is being read, for the journal.
    Reading(Over),
    Leaving(Committing),
    /// Nothing of the run is ours; who listened to wishes hears of that.
    Closing(Option<Error>),
    /// A result that was recorded becomes a table.
    Showing,
}

impl Owning {
    pub fn operation(number: u64) -> Operation {
        let stage = Stage::Claiming(None);
        let owning = Owning { number, stage, durable: None, ended: None };
        Operation::new("workflow_run", owning)
    }

    fn execution<'r>(&self, runtime: &'r mut Runtime) -> Result<&'r mut Execution> {
        runtime.workflows.executions.get_mut(self.number)
    }

    /// Who had it here before may still be recording how it stopped.
    fn claim(&mut self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        // It stays known until its end is recorded.
        runtime.workflows.watch(self.number, me)?;
        let execution = self.execution(runtime)?;
        if execution.owned {
            return Ok(Next::Wait(None));
        }
        if let Some(claimed) = execution.claimed.take() {
            return self.claimed(runtime, claimed);
        }
        let claim = execution.claim.clone();
        let claim = claim.ok_or_else(|| Error::internal("nothing is to be claimed"))?;
        match Claiming::ask(runtime, me, claim) {
            Ok(claiming) => self.stage = Stage::Claiming(Some(claiming)),
            Err(error) => return Err(self.refused(runtime, me, error)),
        }
        self.look(runtime, me)
    }

    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        if matches!(self.stage, Stage::Claiming(None)) {
            return self.claim(runtime, me);
        }
        let Stage::Claiming(Some(claiming)) = &mut self.stage else {
            return Err(Error::internal("nothing was claimed"));
        };
        match claiming.take(runtime) {
            None => Ok(Next::Wait(None)),
            Some(Ok(claimed)) => self.claimed(runtime, claimed),
            Some(Err(error)) => Err(self.refused(runtime, me, error)),
        }
    }

    /// One that never began is not what others find by the id of the run; one that was paused is so
    /// still.
    fn refused(&self, runtime: &mut Runtime, me: Token, error: Error) -> Error {
        runtime.workflows.unwatch(self.number, me);
        if self.execution(runtime).is_ok_and(|execution| execution.started_at > 0.0) {
            runtime.workflows.never_began(self.number);
            return error;
        }
        runtime.workflows.executions.unlist(self.number);
        let clock = runtime.clock.clone();
        if let Ok(execution) = self.execution(runtime) {
            execution.error = Some(Failure { error: error.clone(), function: "workflow.execute" });
            execution.stops(Status::Failed, &clock);
        }
        runtime.tell_watchers(self.number);
        runtime.workflows.settle(self.number);
        error
    }

    fn claimed(&mut self, runtime: &mut Runtime, claimed: Claimed) -> Result<Next> {
        let durable = match claimed {
            Claimed::Finished(recorded) => return self.finished(runtime, &recorded),
            Claimed::New(journal) => {
                let unknown = self.unknown(runtime, None)?;
                Durable::new(journal, None, unknown, BTreeMap::new())
            }
            Claimed::Going(journal, recorded) => self.restore(runtime, journal, recorded)?,
        };
        let execution = self.execution(runtime)?;
        execution.recovered = Some(durable.recovered());
        execution.durable = Some(durable.clone());
        execution.owned = true;
        self.stage = Stage::Listening;
        let keeper = durable.journal().keeper(self.number);
        self.durable = Some(durable);
        Ok(Next::Begin(keeper))
    }

    /// What the execution says of steps whose end nobody knows, else what the run was begun with.
    fn unknown(&self, runtime: &mut Runtime, recorded: Option<&Recorded>) -> Result<Unknown> {
        let claim = self.execution(runtime)?.claim.as_ref();
        let said = claim.and_then(|claim| claim.options.on_unknown);
        let before = recorded.and_then(|recorded| recorded.options.on_unknown);
        let asked = recorded.is_some_and(|recorded| recorded.head.open);
        Ok(Unknown { option: said.or(before), answered: asked && said.is_some() })
    }

    fn restore(
        &self,
        runtime: &mut Runtime,
        journal: Journal,
        recorded: Box<Recorded>,
    ) -> Result<Durable> {
        let unknown = self.unknown(runtime, Some(&recorded))?;
        let (input, own) = (recorded.input.clone(), recorded.own.clone());
        let options = recorded.options.clone();
        let created_at = recorded.head.created_at;
        let stood = recorded.ending.as_ref().is_some_and(|ending| ending.over == Over::Paused);
        let decisions = deciding::decided(&mut runtime.workflows, self.number);
        let mut durable = Durable::new(journal, Some(recorded), unknown, decisions);
        let execution = self.execution(runtime)?;
        execution.restore(&mut durable, &input, &own)?;
        execution.started_at = created_at;
        execution.goes_on |= stood;
        execution.timeout_ms = execution.timeout_ms.or(options.timeout_ms);
        if matches!(execution.metadata, Data::Nil) {
            execution.metadata = options.metadata.to_data();
        }
        recalling::recall_all(runtime, self.number, &own)?;
        Ok(durable)
    }

    fn work(&mut self, runtime: &mut Runtime) -> Result<Next> {
        self.stage = Stage::Working;
        Ok(Next::Run(Executing::new(runtime, self.number)?.operation(runtime)))
    }

    /// It has ended or stopped: what there is to say of it is read.
    fn worked(&mut self, runtime: &mut Runtime, me: Token, ended: Result<Output>) -> Result<Next> {
        let (over, status) = (over(&ended), self.execution(runtime)?.status);
        let broken = self.durable.as_ref().and_then(Durable::broken);
        if let Some(error) = broken.filter(|error| !is_unknown(error)) {
            // Nothing more can be recorded: the run is left as it is.
            self.ended = Some(Err(ended.err().unwrap_or(error)));
            return self.close(runtime, me, None);
        }
        let shown = match &ended {
            Ok(output) => output.to_data(),
            Err(_) => result(runtime, self.number, status)?.into(),
        };
        self.ended = Some(ended);
        if over == Over::Cancelled {
            // Nobody may be left to wait: no more is said of it than that.
            return self.leave(runtime, me, over, Plain::default());
        }
        self.stage = Stage::Reading(over);
        Ok(Next::Scope(Act { keeps: true, ..frame::apart("give", [shown]) }))
    }

    fn read(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        let Stage::Reading(over) = self.stage else {
            return Err(Error::internal("nothing was to be read"));
        };
        let document = match document_of(outcome, "the result of the workflow") {
            Err(error) if matches!(self.ended, Some(Ok(_))) => return Err(error),
            document => document.ok().flatten(),
        };
        self.leave(runtime, me, over, Plain::document(document.as_deref()))
    }

    fn leave(
        &mut self,
        runtime: &mut Runtime,
        me: Token,
        over: Over,
        result: Plain,
    ) -> Result<Next> {
        let error = match &self.ended {
            Some(Err(error)) => Some(error.clone()),
            _ => None,
        };
        let Some(durable) = &self.durable else { return Err(Error::internal("no run is owned")) };
        let ending = Ending { over, result, error };
        self.stage = Stage::Leaving(durable.journal().leaving(runtime, me, ending)?);
        self.left(runtime, me)
    }

    fn left(&mut self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        let Stage::Leaving(leaving) = &self.stage else {
            return Err(Error::internal("no run is being left"));
        };
        match leaving.take() {
            Some(left) => self.close(runtime, me, left.err()),
            None => Ok(Next::Wait(None)),
        }
    }

    fn close(&mut self, runtime: &mut Runtime, me: Token, refused: Option<Error>) -> Result<Next> {
        self.let_go(runtime, me);
        self.stage = Stage::Closing(refused);
        self.closed(runtime, me)
    }

    fn let_go(&mut self, runtime: &mut Runtime, me: Token) {
        self.durable = None;
        if let Ok(execution) = self.execution(runtime) {
            execution.owned = false;
        }
        runtime.workflows.unwatch(self.number, me);
        runtime.tell_watchers(self.number);
    }

    /// An end that could not be recorded is none, unless it is an error anyway.
    fn closed(&mut self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        if runtime.tasks.take_ended(me).is_empty() {
            return Ok(Next::Wait(None));
        }
        let Stage::Closing(refused) = &mut self.stage else {
            return Err(Error::internal("no run is being closed"));
        };
        let refused = refused.take();
        let own = self.ended()?;
        refused.map_or(Ok(Next::Done(own)), Err)
    }

    fn ended(&mut self) -> Result<Output> {
        self.ended.take().unwrap_or_else(|| Err(Error::internal("nothing has ended")))
    }

    /// Nothing runs: the result is that of before.
    fn finished(&mut self, runtime: &mut Runtime, recorded: &Recorded) -> Result<Next> {
        let Some(ending) = &recorded.ending else {
            return Err(Error::internal("a run has ended without its end"));
        };
        let clock = runtime.clock.clone();
        let execution = self.execution(runtime)?;
        execution.started_at = recorded.head.created_at;
        execution.result = ending.result.to_data();
        execution.stops(recorded.head.status, &clock);
        execution.finished_at = recorded.head.finished_at;
        let error = ending.error.clone();
        execution.error = error.map(|error| Failure { error, function: "workflow.execute" });
        let failure = execution.error.clone().map(|failure| Data::Error(Box::new(failure)));
        runtime.workflows.settle(self.number);
        self.stage = Stage::Showing;
        let own = [ending.result.to_data(), Data::from(failure)];
        Ok(Next::Scope(frame::apart("recovered", own)))
    }

    fn shown(&self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        let shown = value_of(outcome, "the result")?;
        let execution = self.execution(runtime)?;
        execution.result = shown.clone();
        let ended = match &execution.error {
            Some(failure) => Err(failure.error.clone()),
            None => Ok(Next::Done(Output::Data(shown))),
        };
        runtime.workflows.unwatch(self.number, me);
        ended
    }
}

/// How the run has ended for the journal.
fn over(ended: &Result<Output>) -> Over {
    match ended {
        Ok(Output::Paused { .. }) => Over::Paused,
        Ok(_) => Over::Completed,
        Err(error) if is_unknown(error) => Over::Open,
        Err(error) if error.code() == Code::Cancelled => Over::Cancelled,
        Err(_) => Over::Failed,
    }
}

impl Machine for Owning {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        match (&self.stage, outcome) {
            (Stage::Claiming(None), Outcome::Start) => self.claim(runtime, me),
            (Stage::Claiming(_), Outcome::Ready) => self.look(runtime, me),
            (Stage::Claiming(_), Outcome::Stop(stop)) => {
                Err(self.refused(runtime, me, stopped(&stop, "the workflow")))
            }
            (Stage::Listening, Outcome::Ready) => self.work(runtime),
            (Stage::Working, Outcome::Finished(outputs)) => self.worked(runtime, me, only(outputs)),
            (Stage::Leaving(_), Outcome::Ready) => self.left(runtime, me),
            (Stage::Closing(_), Outcome::Ready) => self.closed(runtime, me),
            // It happens all the same.
            (Stage::Leaving(_) | Stage::Closing(_), Outcome::Stop(_)) => {
                self.let_go(runtime, me);
                self.ended().map(Next::Done)
            }
            (Stage::Reading(_), outcome) => self.read(runtime, me, outcome),
            (Stage::Showing, outcome) => self.shown(runtime, me, outcome),
            (_, Outcome::Stop(stop)) => {
                self.let_go(runtime, me);
                Err(stopped(&stop, "the workflow"))
            }
            _ => Err(Error::internal("a run waits for something else")),
        }
    }

    /// Without a word: the run stays as it is recorded, for others to go on with.
    fn abandon(&mut self, runtime: &mut Runtime, me: Token) {
        runtime.workflows.never_began(self.number);
        self.let_go(runtime, me);
    }
}
