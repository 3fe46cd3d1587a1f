//! Runs that this process takes over from others: one that is to be resumed, or all that nobody has.

use std::collections::VecDeque;

use super::distant::unknown;
use super::{Resuming, only};
use crate::agent::Decisions;
use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step as Next, Token, stopped};
use crate::value::{Data, Failure, Record};
use crate::workflow::journal::{self, Asked, Claim, Claimed, Claiming, Filter, Head, Listed};
use crate::workflow::{Status, deciding};

/// `resume` of a run that this process does not know.
pub struct Fetching {
    run: String,
    /// On the calls that agents in it wait for.
    decisions: Option<Decisions>,
    asked: Option<Asked<Option<journal::Recorded>>>,
}

impl Fetching {
    pub fn operation(run: String, decisions: Option<Decisions>) -> Operation {
        Operation::new("workflow_resuming", Fetching { run, decisions, asked: None })
    }

    fn start(&mut self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        self.asked = Some(journal::load(runtime, me, &self.run)?);
        self.look(runtime)
    }

    fn look(&mut self, runtime: &mut Runtime) -> Result<Next> {
        let Some(answer) = self.asked.as_ref().and_then(Asked::take) else {
            return Ok(Next::Wait(None));
        };
        let recorded = answer?.ok_or_else(|| unknown(&self.run))?;
        let head = &recorded.head;
        if head.is_owned || head.is_over() {
            return Ok(Next::Done(Output::Data(Data::Bool(false))));
        }
        let said = deciding::decide_elsewhere(&recorded, self.decisions.as_ref())?;
        let number = take_in(runtime, head)?;
        runtime.workflows.executions.get_mut(number)?.said = said;
        Ok(Next::Run(Operation::new("workflow_resuming", Resuming::new(number))))
    }
}

impl Machine for Fetching {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        match outcome {
            Outcome::Start => self.start(runtime, me),
            Outcome::Finished(outputs) => only(outputs).map(Next::Done),
            Outcome::Stop(stop) => Err(stopped(&stop, "the workflow")),
            _ => self.look(runtime),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}

/// An execution that stands still, of a run that is in the store.
fn take_in(runtime: &mut Runtime, head: &Head) -> Result<u64> {
    let workflow = runtime.workflows.known.require(&head.workflow)?;
    let claim = claim(runtime, workflow, head)?;
    if let Some(known) = runtime.workflows.executions.find(&head.run) {
        runtime.workflows.executions.remove(known);
    }
    let number = runtime.workflows.begin_as(head.run.clone(), workflow, Data::Nil)?;
    let execution = runtime.workflows.executions.get_mut(number)?;
    (execution.claim, execution.status) = (Some(claim), Status::Paused);
    Ok(number)
}

fn claim(runtime: &Runtime, workflow: u64, head: &Head) -> Result<Claim> {
    let definition = runtime.workflows.definition(workflow)?;
    Ok(Claim {
        run: head.run.clone(),
        workflow: head.workflow.clone(),
        version: definition.version.clone(),
        definition: definition.hash(runtime),
        ..Claim::default()
    })
}

/// `recover`: claims all runs that may go on, and ends with their ids, and with what was left out.
pub struct Recovering {
    name: Option<String>,
    asked: Option<Asked<Listed>>,
    heads: VecDeque<Head>,
    claiming: Option<(Head, Claiming)>,
    taken: Vec<Data>,
    skipped: Vec<Data>,
}

impl Recovering {
    pub fn operation(name: Option<String>) -> Operation {
        let (heads, taken, skipped) = Default::default();
        let recovering = Recovering { name, asked: None, heads, claiming: None, taken, skipped };
        Operation::new("workflow_control", recovering)
    }

    fn start(&mut self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        let filter = Filter { name: self.name.take(), status: None, unfinished: true };
        self.asked = Some(journal::runs(runtime, me, filter)?);
        self.look(runtime, me)
    }

    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        if let Some(asked) = &self.asked {
            let Some(answer) = asked.take() else { return Ok(Next::Wait(None)) };
            self.asked = None;
            self.listed(answer?);
        }
        if let Some((head, claiming)) = self.claiming.take() {
            match claiming.take(runtime) {
                Some(claimed) => self.came(runtime, &head, claimed)?,
                None => {
                    self.claiming = Some((head, claiming));
                    return Ok(Next::Wait(None));
                }
            }
        }
        self.next(runtime, me)
    }

    fn listed(&mut self, listed: Listed) {
        self.heads = listed.heads.into();
        for (run, error) in listed.unreadable {
            self.skipped.push(unreadable(&run, error).into());
        }
    }

    fn next(&mut self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        while let Some(head) = self.heads.pop_front() {
            match self.refusal(runtime, &head)? {
                Some(reason) => self.skip(&head, reason),
                None => return self.ask(runtime, me, head),
            }
        }
        let (taken, skipped) = (std::mem::take(&mut self.taken), std::mem::take(&mut self.skipped));
        Ok(Next::Done(Output::Data(Data::Many(vec![Data::List(taken), Data::List(skipped)]))))
    }

    /// Why a run does not go on here.
    fn refusal(&self, runtime: &Runtime, head: &Head) -> Result<Option<&'static str>> {
        let found = runtime.workflows.known.find(&head.workflow);
        Ok(match found {
            _ if head.is_owned => Some("owned"),
            _ if head.status == Status::Paused => Some("paused"),
            _ if head.open => Some("unknown_outcome"),
            Err(_) => Some("ambiguous"),
            Ok(None) => Some("unknown_workflow"),
            Ok(Some(number)) => {
                let definition = runtime.workflows.definition(number)?;
                let same = (definition.hash(runtime), &definition.version);
                (same != (head.definition, &head.version)).then_some("version_mismatch")
            }
        })
    }

    fn skip(&mut self, head: &Head, reason: &str) {
        let skipped = Record::new()
            .set("run_id", head.run.as_str())
            .set("workflow", head.workflow.as_str())
            .set("reason", reason);
        self.skipped.push(skipped.into());
    }

    fn ask(&mut self, runtime: &mut Runtime, me: Token, head: Head) -> Result<Next> {
        let workflow = runtime.workflows.known.require(&head.workflow)?;
        let claim = claim(runtime, workflow, &head)?;
        let claiming = Claiming::ask(runtime, me, claim)?;
        self.claiming = Some((head, claiming));
        self.look(runtime, me)
    }

    fn came(&mut self, runtime: &mut Runtime, head: &Head, claimed: Result<Claimed>) -> Result<()> {
        match claimed {
            Ok(Claimed::Finished(_)) => {}
            Ok(claimed) => {
                let number = take_in(runtime, head)?;
                runtime.workflows.executions.get_mut(number)?.claimed = Some(claimed);
                self.taken.push(Data::from(head.run.as_str()));
            }
            Err(error) if error.code() == Code::InvalidState => self.skip(head, "owned"),
            Err(error) if error.code() == Code::VersionMismatch => {
                self.skip(head, "version_mismatch");
            }
            Err(error) if is_about_records(&error) => {
                let skipped = unreadable(&head.run, error);
                self.skipped.push(skipped.set("workflow", head.workflow.as_str()).into());
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn unreadable(run: &str, error: Error) -> Record {
    let failure = Failure { error, function: "workflow.recover" };
    Record::new()
        .set("run_id", run)
        .set("reason", "unreadable")
        .set("error", Data::Error(Box::new(failure)))
}

/// Whether it is this run that cannot be read, and not the store that cannot be asked.
fn is_about_records(error: &Error) -> bool {
    let details = error.fields().details.as_ref();
    let reason = details.and_then(|details| details.get("reason"));
    error.code() == Code::Unsupported || reason.is_some_and(|reason| reason == "corrupt")
}

impl Machine for Recovering {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        match outcome {
            Outcome::Start => self.start(runtime, me),
            Outcome::Stop(stop) => Err(stopped(&stop, "recovering")),
            Outcome::Ready => self.look(runtime, me),
            _ => Err(Error::internal("recovering waits for the store only")),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
