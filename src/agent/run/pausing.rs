//! A run that stops before calls that somebody has to decide on, and one that goes on with them.

use super::{Run, Stage, claim};
use crate::agent::State;
use crate::agent::decide;
use crate::agent::paused::{Decision, Decisions, Open, Paused, Resumed, Why, inside, leaves};
use crate::agent::record::{self, Executed};
use crate::chat::{Message, Role, ToolCall, Usage};
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::Step;
use crate::tool::error_text;
use crate::value::Data;

/// What a run goes on with.
#[derive(Debug)]
pub struct Resume {
    pub decisions: Decisions,
    /// `None`: what its conversation, or its agent, has kept.
    pub run: Option<Box<Paused>>,
}

/// Runs that are kept beside the conversations of an agent: beyond that the oldest go.
const ASIDE: usize = 1000;

impl Run {
    /// It goes on with a run that has stopped.
    #[must_use]
    pub fn resuming(mut self, resume: Resume) -> Run {
        self.resumes = true;
        self.resume = Some(resume);
        self
    }

    pub fn elapsed_ms(&self, runtime: &Runtime) -> f64 {
        self.ledger.elapsed_ms(&runtime.clock)
    }

    /// What was used since it began or went on.
    pub(super) fn used(&self) -> Usage {
        self.ledger.usage.since(&self.counted)
    }

    pub(super) fn waits_for(&self, why: Why) -> bool {
        leaves(&self.pending).iter().any(|leaf| leaf.open.why == why)
    }

    /// Why it stops, with calls open.
    pub(super) fn waiting_reason(&self) -> &'static str {
        if self.waits_for(Why::Approval) { "approval_required" } else { "tool_calls" }
    }

    /// Whether it stops before its end.
    pub(super) fn stops_early(&self) -> bool {
        self.stands_still || !self.pending.is_empty()
    }

    /// Whether what is around it keeps what it goes on with.
    pub(super) fn is_handed_out(&self) -> bool {
        let is_kept = self.plan.within.is_some() || self.plan.execution.is_some();
        is_kept && self.stops_early()
    }

    /// Between a round of tools and the next question, if its execution is to pause.
    pub(super) fn is_to_pause(&self, runtime: &Runtime) -> bool {
        let execution = self.plan.execution.map(|number| runtime.workflows.execution(number));
        self.iteration > 0 && execution.is_some_and(|one| one.is_ok_and(|one| one.pause))
    }

    pub(super) fn stand_still(&mut self, runtime: &mut Runtime) -> Result<Step> {
        self.stands_still = true;
        self.close_desk();
        self.finished = Some(record::response(self, runtime, "pause"));
        self.over(runtime)
    }

    /// Everything it needs to go on, if it has stopped with calls open.
    pub(super) fn pause(&self, runtime: &Runtime) -> Option<Box<Paused>> {
        if !self.stops_early() {
            return None;
        }
        Some(Box::new(Paused {
            turn: self.closed.iter().chain(&self.turn).cloned().collect(),
            open: self.pending.clone(),
            settled: Vec::new(),
            claimed_until: None,
            executed: self.executed.clone(),
            usage: self.ledger.usage,
            steps: self.ledger.steps,
            iteration: self.iteration,
            attempts: self.attempts,
            spent_ms: self.elapsed_ms(runtime),
            ttft_ms: self.ttft_ms,
            inbox: self.kept_inbox(),
            unseen: self.desk.unseen.clone(),
            repaired: self.repaired,
            own: self.plan.own.by_name(&runtime.tools),
        }))
    }

    /// Keeps it where it can be found by the ids of its calls.
    pub(super) fn keep_aside(&mut self, runtime: &mut Runtime, paused: Box<Paused>) -> Result<()> {
        let aside = &mut self.agent(runtime)?.aside;
        if aside.len() >= ASIDE {
            aside.remove(0);
        }
        aside.push(paused);
        Ok(())
    }

    /// What the conversation, or the agent, has kept of the run that goes on.
    fn found_paused(
        &mut self,
        runtime: &mut Runtime,
        decisions: &Decisions,
    ) -> Result<Box<Paused>> {
        if self.plan.remember {
            let paused = self.conversation(runtime)?.paused.clone();
            let paused = paused.ok_or_else(decide::nothing_waits)?;
            claim::check(&paused, runtime)?;
            return Ok(paused);
        }
        let aside = &mut self.agent(runtime)?.aside;
        let at = aside
            .iter()
            .rposition(|paused| decide::about(paused, decisions))
            .ok_or_else(decide::nothing_waits)?;
        Ok(aside.remove(at))
    }

    /// Takes up the run where it stopped.
    pub(super) fn take_up(&mut self, runtime: &mut Runtime) -> Result<Decisions> {
        let resume = self.resume.take().ok_or_else(|| Error::internal("nothing to resume"))?;
        let paused = match resume.run {
            Some(run) => run,
            None => self.found_paused(runtime, &resume.decisions)?,
        };
        // From here on it is put back should going on fail.
        self.restore(*paused.clone());
        let origin = self.origin.insert(paused);
        self.plan.over(runtime, &origin.own)?;
        self.ledger.limit(self.plan.options.get("budget"));
        decide::check(runtime, origin, &resume.decisions, &self.plan.tools)?;
        if self.plan.execution.is_some() {
            self.origin = None; // no conversation has it
        }
        Ok(resume.decisions)
    }

    pub(super) fn restore(&mut self, paused: Paused) {
        self.told = paused.executed.len();
        // What was said since it began to go on comes after that.
        self.desk.inbox.splice(..0, paused.inbox);
        self.desk.unseen = paused.unseen;
        (self.turn, self.executed, self.pending) = (paused.turn, paused.executed, paused.open);
        (self.ledger.usage, self.counted) = (paused.usage, paused.usage);
        (self.ledger.steps, self.ledger.earlier_ms) = (paused.steps, paused.spent_ms);
        (self.iteration, self.attempts) = (paused.iteration, paused.attempts);
        (self.repaired, self.ttft_ms) = (paused.repaired, paused.ttft_ms);
    }

    /// Makes the calls that were agreed to; the others have their answer.
    pub(super) fn go_on(&mut self, runtime: &mut Runtime, decisions: &Decisions) -> Result<Step> {
        let (now, iteration) = (runtime.clock.unix(), self.iteration);
        let agent = self.agent(runtime)?;
        agent.iteration = Some(iteration);
        agent.enter(State::Running, now);
        let round = std::mem::take(&mut self.pending);
        for open in round {
            self.decide(open, decisions);
        }
        self.make_calls(runtime)
    }

    fn decide(&mut self, open: Open, decisions: &Decisions) {
        let Open { call, run, .. } = &open;
        if let Some(run) = run {
            let decisions = inside(decisions, &call.id);
            self.resumed.insert(call.id.clone(), Resumed { run: run.clone(), decisions });
            return self.calls.push_back(open.call);
        }
        match decisions.get(&call.id).cloned() {
            // Only a client's may be left open.
            None => self.pending.push(open),
            Some(Decision::Approve) => self.calls.push_back(open.call),
            Some(Decision::Change(arguments)) => {
                let arguments_json = arguments.to_string();
                self.calls.push_back(ToolCall { arguments_json, whole: true, ..open.call });
            }
            Some(Decision::Deny(why)) => self.denied(open.call, why.as_deref().unwrap_or("denied")),
            Some(Decision::Answer(text)) => {
                self.turn.push(Message::tool_result(&call.id, text));
            }
        }
    }

    fn denied(&mut self, call: ToolCall, why: &str) {
        self.turn.push(Message::tool_result(&call.id, error_text(why)));
        let (result, error) = (Data::Nil, Some(why.to_owned()));
        self.executed.push(Executed { call, result, error, duration_ms: 0.0 });
    }

    /// Whether the input is nothing but answers to some of the open calls, while others wait for
    /// approval: they go on waiting.
    pub(super) fn only_answers(&self, paused: &Paused) -> bool {
        let answers = |open: &Open| {
            let id = Some(open.call.id.as_str());
            self.plan.input.iter().any(|message| message.tool_call_id.as_deref() == id)
        };
        let fits = |message: &Message| {
            let id = message.tool_call_id.as_deref();
            message.role == Role::Tool
                && paused.open.iter().any(|open| Some(open.call.id.as_str()) == id)
        };
        let (_, left): (Vec<_>, Vec<_>) = paused.open.iter().cloned().partition(answers);
        !self.plan.input.is_empty()
            && self.plan.input.iter().all(fits)
            && leaves(&left).iter().any(|leaf| leaf.open.why == Why::Approval)
    }

    /// Takes such answers in.
    pub(super) fn answer(&mut self, runtime: &mut Runtime, paused: Paused) -> Result<()> {
        claim::check(&paused, runtime)?;
        self.plan.over(runtime, &paused.own)?;
        self.origin = Some(Box::new(paused.clone()));
        self.restore(paused);
        self.stage = Stage::Calling;
        for message in self.plan.input.clone() {
            let id = message.tool_call_id.clone().unwrap_or_default();
            self.pending.retain(|open| open.call.id != id);
            self.turn.push(message);
        }
        self.answers = true;
        Ok(())
    }

    /// The run around this one puts it back, should it fail as well.
    fn hand_back(&self, runtime: &mut Runtime, call_id: String, origin: Box<Paused>) {
        if let Some(desk) = self.desk_around(runtime) {
            desk.put_back.push((call_id, origin));
        }
    }

    /// Going on failed: what had stopped is there as before, without the calls that were made.
    pub(super) fn put_back(&mut self, runtime: &mut Runtime) {
        let Some(mut origin) = self.origin.take() else { return };
        origin.put_back_inside(&mut self.desk.put_back);
        origin.settle(&self.turn, &self.executed, &self.skipped);
        (origin.usage, origin.attempts) = (self.ledger.usage, self.attempts);
        origin.steps = self.ledger.steps;
        if let Some(call_id) = self.plan.within.clone() {
            return self.hand_back(runtime, call_id, origin);
        } else if !self.plan.remember {
            // Without its agent it has no place any more.
            let _ = self.keep_aside(runtime, origin);
            return;
        }
        let Ok(conversation) = self.conversation(runtime) else { return };
        conversation.paused = Some(origin);
        if self.claims {
            // The run has failed already: what the store says to that nobody hears.
            let _ = self.keep_settled(runtime);
        }
    }
}
