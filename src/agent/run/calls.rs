//! The tool calls of a round: those that overlap side by side, then the others one after the other.
//! Every call gets a result, whatever becomes of it; the results stand in the order of the calls.

use std::collections::HashSet;

use super::{Run, Stage};
use crate::agent::Paused;
use crate::agent::conversation::not_executed;
use crate::agent::paused::{Open, Why};
use crate::agent::record::{self, Executed};
use crate::chat::{Answer, Message, ToolCall};
use crate::chunk::Chunk;
use crate::clock::Moment;
use crate::error::{Code, Error, Result, quoted};
use crate::runtime::Runtime;
use crate::step::{Operation, Output, Rest, Step};
use crate::tool::Usable;
use crate::tool::{Input, Tool, ToolRun, error_text, recall};
use crate::value::{Data, Record};

impl Run {
    /// Calls get an id of their own where a server gave none or repeats one: results go by id.
    pub(super) fn name_calls(&self, runtime: &Runtime, answer: &mut Answer) {
        let known = self.history.iter().chain(&self.turn).flat_map(|m| &m.tool_calls);
        let mut taken: HashSet<String> = known.map(|call| call.id.clone()).collect();
        self.take_waiting(runtime, &mut taken);
        let mut next = taken.len();
        for call in &mut answer.reply.tool_calls {
            while call.id.is_empty() || taken.contains(&call.id) {
                next += 1;
                call.id = format!("call_{next}");
            }
            taken.insert(call.id.clone());
        }
    }

    /// What waits beside the conversations is found by the ids of its calls: no other run that
    /// waits may have one of them.
    fn take_waiting(&self, runtime: &Runtime, taken: &mut HashSet<String>) {
        let Some(agent) = runtime.agents.get(self.plan.agent) else { return };
        let kept = agent.conversations.values().filter_map(|talk| talk.paused.as_ref());
        let kept = kept.filter(|_| !self.plan.remember);
        taken.extend(agent.aside.iter().chain(kept).flat_map(|run| run.outer_ids()));
    }

    /// The model wants tools: run them, or say why not.
    pub(super) fn called(&mut self, runtime: &mut Runtime, calls: Vec<ToolCall>) -> Result<Step> {
        let spent = self.iteration >= self.max_iterations() || self.over_budget(runtime).is_some();
        if spent {
            self.skip(&calls);
            return self.ask(runtime);
        }
        self.unweighed = calls.into();
        self.weigh(runtime)
    }

    /// Makes the calls that may be made.
    pub(super) fn make_calls(&mut self, runtime: &mut Runtime) -> Result<Step> {
        let mut calls = std::mem::take(&mut self.calls);
        self.show_conversation(calls.make_contiguous());
        let (beside, alone): (Vec<_>, Vec<_>) =
            calls.into_iter().partition(|call| self.is_one(call, Tool::runs_aside));
        let (last, alone): (Vec<_>, Vec<_>) =
            alone.into_iter().partition(|call| self.is_one(call, Tool::hands_over));
        self.calls = alone.into_iter().chain(last).collect();
        self.call_beside(runtime, beside)
    }

    /// Whether the tool that is called is such a one.
    pub(super) fn is_one(&self, call: &ToolCall, such: fn(&Tool) -> bool) -> bool {
        self.plan.tools.iter().any(|usable| usable.tool.name == call.name && such(&usable.tool))
    }

    /// Runs calls side by side.
    fn call_beside(&mut self, runtime: &mut Runtime, calls: Vec<ToolCall>) -> Result<Step> {
        let mut operations = Vec::new();
        for call in calls {
            let now = runtime.clock.now();
            match self.prepare(runtime, &call) {
                Ok(None) => self.pending.push(Open::new(call, Why::Client)),
                Ok(Some(machine)) => {
                    operations.push(self.within_budget(machine.operation()));
                    self.beside.push((call, now));
                }
                Err(error) => self.failed(runtime, (call, now), &error),
            }
        }
        if operations.is_empty() {
            self.stage = Stage::Calling;
            return self.next_call(runtime);
        }
        self.stage = Stage::Beside;
        Ok(Step::Fork(operations, runtime.config.max_concurrency()))
    }

    /// All of them have ended. One that raises ends the run, now that the others have results.
    pub(super) fn all_ended(
        &mut self,
        runtime: &mut Runtime,
        outputs: Vec<Result<Output>>,
    ) -> Result<Step> {
        self.stage = Stage::Calling;
        let mut raised = None;
        for (begun, output) in std::mem::take(&mut self.beside).into_iter().zip(outputs) {
            match output {
                Ok(Output::Tool { result, text, ms }) => self.succeeded(begun.0, result, text, ms),
                Ok(Output::Paused { rest, .. }) => self.stopped_inside(begun.0, &rest)?,
                Ok(_) => return Err(Error::internal("a tool call ended with something else")),
                Err(error) => {
                    let raises = self.raises(&begun.0);
                    self.failed(runtime, begun, &error);
                    raised = raised.or(Some(error).filter(|_| raises));
                }
            }
        }
        match raised {
            Some(error) => Err(self.broken_off(runtime, error)),
            None => self.next_call(runtime),
        }
    }

    /// Runs the next call of the round; after the last one the model is asked again.
    pub(super) fn next_call(&mut self, runtime: &mut Runtime) -> Result<Step> {
        if self.told < self.executed.len() {
            return Ok(self.tell());
        }
        if self.taken_over.is_some() {
            return self.hand_over(runtime);
        }
        self.drop_rest_over_budget(runtime);
        while let Some(call) = self.calls.pop_front() {
            let now = runtime.clock.now();
            match self.prepare(runtime, &call) {
                Ok(None) => self.pending.push(Open::new(call, Why::Client)),
                Ok(Some(machine)) => {
                    self.running = Some((call, now));
                    return Ok(Step::Run(self.within_budget(machine.operation())));
                }
                Err(error) => {
                    self.running = Some((call, now));
                    return self.tool_failed(runtime, error);
                }
            }
        }
        self.settle_order();
        if self.pending.is_empty() {
            return self.ask(runtime);
        }
        self.finish(runtime, self.waiting_reason())
    }

    /// The machine for a call; `None` if a client answers it.
    fn prepare(&mut self, runtime: &Runtime, call: &ToolCall) -> Result<Option<ToolRun>> {
        let usable = self.plan.tools.iter().find(|usable| usable.tool.name == call.name);
        let unknown =
            || Error::new(Code::NotFound, format!("no tool is named {}", quoted(&call.name)));
        let Usable { id, tool } = usable.ok_or_else(unknown)?;
        if tool.is_declared() {
            return Ok(None);
        }
        let bad = || Error::new(Code::ValidationFailed, "the arguments are not valid JSON");
        let given = call.arguments().ok_or_else(bad)?;
        // Who asks is told to the function.
        let recall = recall::question(&runtime.cache, tool, None, |key| {
            key.json(&given);
            key.text(&self.plan.agent_id);
        });
        let input = Input::from_json(tool, given)?;
        let info = Record::new()
            .set("agent_id", self.plan.agent_id.as_str())
            .set("call_id", call.id.as_str());
        let run = ToolRun::new(tool.clone(), id.clone(), input, info);
        Ok(Some(
            run.for_model().recalled(recall).resumed(self.resumed.remove(&call.id).map(Rest::new)),
        ))
    }

    pub(super) fn tool_ended(
        &mut self,
        runtime: &mut Runtime,
        output: Result<Output>,
    ) -> Result<Step> {
        match output {
            Ok(Output::Tool { result, text, ms }) => {
                let Some((call, _)) = self.running.take() else {
                    return Err(Error::internal("no tool was running"));
                };
                self.succeeded(call, result, text, ms);
                Ok(self.tell())
            }
            Ok(Output::Paused { rest, .. }) => {
                if let Some((call, _)) = self.running.take() {
                    self.stopped_inside(call, &rest)?;
                }
                self.next_call(runtime)
            }
            Ok(_) => Err(Error::internal("a tool call ended with something else")),
            Err(error) => self.tool_failed(runtime, error),
        }
    }

    /// The run inside a call waits for a decision.
    fn stopped_inside(&mut self, call: ToolCall, rest: &Rest) -> Result<()> {
        let run: Paused = rest.get().cloned()?;
        self.pending.push(Open::within(call, Box::new(run)));
        Ok(())
    }

    fn succeeded(&mut self, call: ToolCall, result: Data, text: String, duration_ms: f64) {
        self.accept(&call, &text);
        self.turn.push(Message::tool_result(&call.id, text));
        self.executed.push(Executed { call, result, error: None, duration_ms });
    }

    /// A failing tool is the model's to deal with, unless the tool says otherwise.
    fn tool_failed(&mut self, runtime: &mut Runtime, error: Error) -> Result<Step> {
        let Some(begun) = self.running.take() else { return Err(error) };
        let raises = self.raises(&begun.0);
        self.failed(runtime, begun, &error);
        if raises {
            return Err(self.broken_off(runtime, error));
        }
        Ok(self.tell())
    }

    fn raises(&self, call: &ToolCall) -> bool {
        self.is_one(call, Tool::raises)
    }

    fn failed(&mut self, runtime: &Runtime, (call, since): (ToolCall, Moment), error: &Error) {
        // Whether it was made nobody knows: should the run go on later, somebody has to say so.
        if error.code() == Code::Cancelled {
            self.skipped.push(call.id.clone());
        }
        self.desk.taken_over = None;
        let text = error.message().to_owned();
        let duration_ms = runtime.clock.now().ms_since(since);
        self.turn.push(Message::tool_result(&call.id, error_text(&text)));
        self.executed.push(Executed { call, result: Data::Nil, error: Some(text), duration_ms });
    }

    /// Once the budget is used up, by the tools of this round, the others do not run.
    fn drop_rest_over_budget(&mut self, runtime: &Runtime) {
        if !self.calls.is_empty() && self.over_budget(runtime).is_some() {
            let rest: Vec<ToolCall> = self.calls.drain(..).collect();
            self.skip(&rest);
        }
    }

    /// The time of the run's budget bounds what it waits for.
    fn within_budget(&self, operation: Operation) -> Operation {
        Operation { deadline: self.ledger.end(), ..operation }
    }

    /// A tool's error ends the run.
    fn broken_off(&mut self, runtime: &mut Runtime, error: Error) -> Error {
        self.break_off();
        let partial = record::response(self, runtime, "unknown");
        error.with(|f| f.partial = Some(partial))
    }

    /// Calls that will not be made get a result that says so.
    pub(super) fn skip(&mut self, calls: &[ToolCall]) {
        self.skipped.extend(calls.iter().map(|call| call.id.clone()));
        self.turn.append(&mut not_executed(calls));
    }

    /// The round ends here: whatever has no result yet gets one.
    pub(super) fn break_off(&mut self) {
        self.pending.clear();
        self.calls.clear();
        let asked = self.turn.iter().rposition(|message| !message.tool_calls.is_empty());
        let Some((_, round)) = asked.and_then(|at| self.turn.split_at_checked(at)) else {
            return;
        };
        let answered = |call: &&ToolCall| {
            round.iter().any(|m| m.tool_call_id.as_deref() == Some(call.id.as_str()))
        };
        let calls = round.first().into_iter().flat_map(|message| &message.tool_calls);
        let open: Vec<ToolCall> = calls.filter(|call| !answered(call)).cloned().collect();
        self.skip(&open);
        self.settle_order();
    }

    /// Those that ran beside others have ended before them: results stand in the order of the calls.
    pub(super) fn settle_order(&mut self) {
        let asked = self.turn.iter().rposition(|message| !message.tool_calls.is_empty());
        let Some((asking, results)) = asked.and_then(|at| self.turn.split_at_mut_checked(at + 1))
        else {
            return;
        };
        let Some(calls) = asking.last().map(|message| &message.tool_calls) else { return };
        let place = |message: &Message| {
            calls.iter().position(|call| Some(&call.id) == message.tool_call_id.as_ref())
        };
        results.sort_by_key(|message| place(message).unwrap_or(usize::MAX));
        let place = |open: &Open| calls.iter().position(|call| call.id == open.call.id);
        self.pending.sort_by_key(|open| place(open).unwrap_or(usize::MAX));
    }

    /// Tells a follower of the stream about the next tool that has ended.
    fn tell(&mut self) -> Step {
        let tool_result = self.executed.get(self.told).map(Executed::to_record);
        self.told += 1;
        let chunk = Chunk { tool_result, iteration: Some(self.iteration), ..Chunk::default() };
        // Around a run inside another one there may be somebody who follows that one.
        self.chunk = Some(chunk).filter(|_| self.plan.follow);
        Step::Emit
    }

    /// The stream callback returned `false` after a tool: the rest of the round is not run.
    pub(super) fn refused(&mut self, runtime: &mut Runtime) -> Result<Step> {
        self.break_off();
        self.plan.follow = false;
        self.finish(runtime, "cancelled")
    }
}
