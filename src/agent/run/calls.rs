//! The tool calls of a round, one after the other. Every call gets a result, whatever becomes of it.

use std::collections::HashSet;

use super::{Run, Stage};
use crate::agent::conversation::not_executed;
use crate::agent::record::{self, Executed};
use crate::agent::tools::Usable;
use crate::chat::{Answer, Message, ToolCall};
use crate::chunk::Chunk;
use crate::error::{Code, Error, Result, quoted};
use crate::runtime::Runtime;
use crate::step::{Output, Step};
use crate::tool::{Input, ToolRun, error_text, recall};
use crate::value::{Data, Record};

impl Run {
    /// Calls get an id of their own where a server gave none or repeats one: results go by id.
    pub(super) fn name_calls(&self, answer: &mut Answer) {
        let known = self.history.iter().chain(&self.turn).flat_map(|m| &m.tool_calls);
        let mut taken: HashSet<String> = known.map(|call| call.id.clone()).collect();
        let mut next = taken.len();
        for call in &mut answer.reply.tool_calls {
            while call.id.is_empty() || taken.contains(&call.id) {
                next += 1;
                call.id = format!("call_{next}");
            }
            taken.insert(call.id.clone());
        }
    }

    /// The model wants tools: run them, or say why not.
    pub(super) fn called(&mut self, runtime: &mut Runtime, calls: Vec<ToolCall>) -> Result<Step> {
        let spent = self.iteration >= self.max_iterations() || self.over_budget(runtime).is_some();
        if spent {
            self.turn.append(&mut not_executed(&calls));
            return self.ask(runtime);
        }
        self.calls = calls.into();
        self.stage = Stage::Calling;
        self.next_call(runtime)
    }

    /// Runs the next call of the round; after the last one the model is asked again.
    pub(super) fn next_call(&mut self, runtime: &mut Runtime) -> Result<Step> {
        while let Some(call) = self.calls.pop_front() {
            let now = runtime.clock.now();
            match self.prepare(runtime, &call) {
                Ok(None) => self.pending.push(call),
                Ok(Some(machine)) => {
                    self.running = Some((call, now));
                    return Ok(Step::Run(machine.operation()));
                }
                Err(error) => {
                    self.running = Some((call, now));
                    return self.tool_failed(runtime, error);
                }
            }
        }
        if self.pending.is_empty() { self.ask(runtime) } else { self.finish(runtime, "tool_calls") }
    }

    /// The machine for a call; `None` if a client answers it.
    fn prepare(&self, runtime: &Runtime, call: &ToolCall) -> Result<Option<ToolRun>> {
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
        Ok(Some(run.for_model().recalled(recall)))
    }

    pub(super) fn tool_ended(
        &mut self,
        runtime: &mut Runtime,
        output: Result<Output>,
    ) -> Result<Step> {
        match output {
            Ok(Output::Tool { result, text }) => self.tool_succeeded(runtime, result, text),
            Ok(_) => Err(Error::internal("a tool call ended with something else")),
            Err(error) => self.tool_failed(runtime, error),
        }
    }

    fn tool_succeeded(&mut self, runtime: &Runtime, result: Data, text: String) -> Result<Step> {
        let Some((call, since)) = self.running.take() else {
            return Err(Error::internal("no tool was running"));
        };
        let duration_ms = runtime.clock.now().ms_since(since);
        self.turn.push(Message::tool_result(&call.id, text));
        self.executed.push(Executed { call, result, error: None, duration_ms });
        Ok(self.tell())
    }

    /// A failing tool is the model's to deal with, unless the tool says otherwise.
    fn tool_failed(&mut self, runtime: &mut Runtime, error: Error) -> Result<Step> {
        let Some((call, since)) = self.running.take() else { return Err(error) };
        let raises = self.plan.tools.iter().any(|u| u.tool.name == call.name && u.tool.raises());
        let text = error.message().to_owned();
        let duration_ms = runtime.clock.now().ms_since(since);
        self.turn.push(Message::tool_result(&call.id, error_text(&text)));
        self.executed.push(Executed { call, result: Data::Nil, error: Some(text), duration_ms });
        if raises {
            let mut open = std::mem::take(&mut self.pending);
            open.extend(self.calls.drain(..));
            self.turn.append(&mut not_executed(&open));
            let partial = record::response(self, runtime, "unknown");
            return Err(error.with(|f| f.partial = Some(partial)));
        }
        Ok(self.tell())
    }

    /// Tells a follower of the stream about the tool that has ended.
    fn tell(&mut self) -> Step {
        let tool_result = self.executed.last().map(Executed::to_record);
        self.chunk =
            Some(Chunk { tool_result, iteration: Some(self.iteration), ..Chunk::default() });
        Step::Emit
    }

    /// The stream callback returned `false` after a tool: the rest of the round is not run.
    pub(super) fn refused(&mut self, runtime: &mut Runtime) -> Result<Step> {
        self.turn.append(&mut not_executed(self.calls.make_contiguous()));
        self.plan.follow = false;
        self.finish(runtime, "cancelled")
    }
}
