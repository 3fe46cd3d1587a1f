//! Agents and their runs in the shapes that Lua gets.

use serde_json::Value;

use super::paused::{Leaf, Open, Paused, leaves};
use super::run::Run;
use super::run::handoff::overlay;
use super::summarize::Summarize;
use super::{Agent, AgentTool};
use crate::chat::estimate::of_message;
use crate::chat::messages::to_json;
use crate::chat::{Message, Rung, ToolCall, non_empty};
use crate::provider::Whom;
use crate::provider::options::shown;
use crate::runtime::Runtime;
use crate::tool::Tools;
use crate::value::json::without_nulls;
use crate::value::{Data, Record};

/// A tool call that was executed, or refused with an error.
#[derive(Clone, Debug)]
pub struct Executed {
    pub call: ToolCall,
    pub result: Data,
    pub error: Option<String>,
    pub duration_ms: f64,
}

impl Executed {
    pub fn to_record(&self) -> Record {
        call(&self.call)
            .set("result", self.result.clone())
            .set("error", self.error.clone())
            .set("duration_ms", self.duration_ms)
    }
}

fn call(call: &ToolCall) -> Record {
    Record::new()
        .set("id", call.id.as_str())
        .set("name", call.name.as_str())
        .set("arguments", call.arguments().map(without_nulls))
        .set("arguments_json", call.arguments_json.as_str())
}

/// A call that waits; one inside another call is named by both.
fn pending(leaf: &Leaf<'_>) -> Record {
    let Open { call: own, why, doubt, .. } = leaf.open;
    let named = ToolCall { id: leaf.id.clone(), ..own.clone() };
    call(&named).set("reason", why.name()).set("error", doubt.clone())
}

/// The calls that a run of some session waits for.
pub fn pending_calls((session, run): (Option<&str>, &Paused)) -> Vec<Record> {
    leaves(&run.open).iter().map(|leaf| pending(leaf).set("session", session)).collect()
}

/// The response of a run, also of one that broke off.
pub fn response(run: &Run, runtime: &Runtime, reason: &str) -> Data {
    let own = own_response(run, runtime, reason);
    let whole = match &run.taken_over {
        Some(other) => overlay(own, other),
        None => own,
    };
    whole.response().into()
}

/// As the model asked for them: those that ran beside others have ended before them.
fn in_call_order(run: &Run) -> impl Iterator<Item = &Executed> {
    let calls: Vec<&str> =
        run.turn.iter().flat_map(|m| &m.tool_calls).map(|c| c.id.as_str()).collect();
    let place = |executed: &&Executed| {
        calls.iter().position(|id| *id == executed.call.id).unwrap_or(usize::MAX)
    };
    let mut executed: Vec<&Executed> = run.executed.iter().collect();
    executed.sort_by_key(place);
    executed.into_iter()
}

fn own_response(run: &Run, runtime: &Runtime, reason: &str) -> Record {
    let last = run.last.as_deref();
    let content = || last.map_or(String::new(), |answer| answer.reply.content.clone()).into();
    let executed: Vec<Record> = in_call_order(run).map(Executed::to_record).collect();
    let open: Vec<Record> = leaves(&run.pending).iter().map(pending).collect();
    let raw = run.plan.options.get("raw") == Some(&Value::Bool(true));
    Record::new()
        .set("content", run.broken.clone().unwrap_or_else(content))
        .set("role", "assistant")
        .set("finish_reason", reason)
        .set("native_finish_reason", last.and_then(|answer| answer.reply.native_finish.clone()))
        .set("model", last.map(|answer| answer.model()))
        .set(
            "provider",
            last.map_or(run.plan.whom.label().to_owned(), |answer| answer.provider.clone()),
        )
        .set("id", last.and_then(|answer| answer.reply.id.clone()))
        .set("created", runtime.clock.unix())
        .set("usage", run.ledger.usage.to_record())
        .set("cost", run.ledger.usage.cost)
        .set("thinking", last.and_then(|answer| non_empty(&answer.reply.thinking)))
        .set("tool_calls", executed)
        .set("pending_tool_calls", Some(open).filter(|calls| !calls.is_empty()))
        .set("iterations", run.iteration)
        .set("messages", messages(&run.turn))
        .set("parsed", last.and_then(|answer| answer.parsed.clone()))
        .set("structured", last.and_then(|answer| answer.structured).map(Rung::name))
        .set("duration_ms", run.elapsed_ms(runtime))
        .set("ttft_ms", run.ttft_ms)
        .set("attempts", run.attempts)
        .set("request_id", last.and_then(|answer| answer.request_id.clone()))
        .set("agent_id", run.plan.agent_id.as_str())
        .set("metadata", run.plan.options.get("metadata").cloned())
        .set("raw", last.and_then(|answer| answer.reply.raw.clone()).filter(|_| raw))
        .set(
            "unseen_messages",
            Some(run.unseen()).filter(|unseen| !unseen.is_empty()).map(|unseen| messages(&unseen)),
        )
}

pub fn messages(messages: &[Message]) -> Value {
    messages.iter().map(|message| without_nulls(to_json(message))).collect()
}

/// An item of `agent.list`.
pub fn summary(id: &str, agent: &Agent) -> Record {
    Record::new()
        .set("id", id)
        .set("name", agent.name.as_str())
        .set("state", agent.state.name())
        .set("provider", agent.provider.as_ref().map(Whom::label))
        .set("model", agent.text("model"))
}

/// `agent.get_info`: the configuration, and what has happened so far.
pub fn info(id: &str, agent: &Agent, provider_type: Option<&str>, tools: &Tools) -> Record {
    let counts = agent.counts.as_deref().cloned().unwrap_or_default();
    let mut record = summary(id, agent)
        .set("status", agent.state.name())
        .set("provider_type", provider_type)
        .set("tools", agent.tools.iter().map(|tool| tool_item(tool, tools)).collect::<Vec<_>>())
        .set("memory", memory(agent))
        .set("usage", counts.usage.to_record())
        .set("run_count", counts.runs)
        .set("error_count", counts.errors)
        .set("last_error", agent.last_error.as_deref())
        .set("created_at", agent.created_at)
        .set("last_run_at", counts.last_run_at);
    for (key, value) in shown(&agent.config.to_map()) {
        if record.get(&key).is_none() && key != "memory" {
            record.put(key, value);
        }
    }
    if let Some(Summarize::Function(_)) = &agent.summarize {
        record.put("summarize", true);
    }
    agent.reach().show(&mut record);
    record
}

fn tool_item(tool: &AgentTool, tools: &Tools) -> Record {
    match tool {
        AgentTool::Inline(tool) => {
            Record::new().set("id", tool.name.as_str()).set("name", tool.name.as_str())
        }
        AgentTool::Named(key) => match tools.usable(key).ok().flatten() {
            Some(found) => Record::new().set("id", found.id).set("name", found.tool.name.as_str()),
            None => {
                Record::new().set("id", key.as_str()).set("name", key.as_str()).set("missing", true)
            }
        },
    }
}

fn memory(agent: &Agent) -> Data {
    if !agent.remembers() {
        return Data::Bool(false);
    }
    let own = agent.conversation("");
    let window = super::conversation::Window::of(agent.config.get("memory").as_ref());
    Record::new()
        .set("type", if agent.is_persistent() { "persistent" } else { "short_term" })
        .set("messages", own.map_or(0, |c| c.messages.len()))
        .set("max_messages", window.max_messages)
        .set("tokens_estimate", own.map_or(0, |c| c.messages.iter().map(of_message).sum::<u64>()))
        .set("max_tokens", window.max_tokens)
        .into()
}
