//! A run that has stopped, as a document: what of it lies in a store and goes to other processes.
//! Functions and secrets stay behind.

use serde_json::{Map, Value, json};

use super::AgentTool;
use super::paused::{Open, Own, Paused, Why, plain};
use super::record::Executed;
use crate::chat::messages::{parse, to_json};
use crate::chat::{Message, Role, ToolCall, Usage};
use crate::error::{Error, Result, quoted};
use crate::provider::options::portable;
use crate::schema::Library;
use crate::shape::{Check, Kind, Options};
use crate::tool::{Bounds, DEFINITION, Tool};
use crate::value::json::without_nulls;
use crate::value::{Data, Tape, json};

impl Paused {
    pub fn to_json(&self) -> Value {
        let mut all = Map::new();
        all.insert("messages".into(), messages_to_json(&self.turn));
        all.insert("pending".into(), self.open.iter().map(open_to_json).collect());
        if !self.settled.is_empty() {
            all.insert("settled".into(), json!(self.settled));
        }
        if let Some(until) = self.claimed_until {
            all.insert("claimed_until".into(), until.into());
        }
        let executed = self.executed.iter().map(|done| executed_to_json(done, &self.turn));
        all.insert("executed".into(), executed.collect());
        all.insert("usage".into(), usage_to_json(&self.usage));
        all.insert("iteration".into(), self.iteration.into());
        all.insert("steps".into(), self.steps.into());
        all.insert("attempts".into(), self.attempts.into());
        all.insert("spent_ms".into(), self.spent_ms.into());
        if let Some(ttft_ms) = self.ttft_ms {
            all.insert("ttft_ms".into(), ttft_ms.into());
        }
        for (name, said) in [("inbox", &self.inbox), ("unseen", &self.unseen)] {
            if !said.is_empty() {
                all.insert(name.into(), messages_to_json(said));
            }
        }
        if self.repaired {
            all.insert("repaired".into(), true.into());
        }
        let options = portable(&self.own.options);
        if !options.is_empty() {
            all.insert("options".into(), options.into());
        }
        if let Some(tools) = &self.own.tools {
            all.insert("tools".into(), tools.iter().map(tool_to_json).collect());
        }
        Value::Object(all)
    }

    pub fn parse(value: &Value, path: &str) -> Result<Paused> {
        if !value.is_object() {
            return Err(expected(path, "a table", value));
        }
        let of = |name: &str| format!("{path}.{name}");
        let number = |name| number(value, name, path);
        let few = |name| Ok(number(name)?.unwrap_or_default().min(1e9) as u32);
        Ok(Paused {
            turn: messages(&value["messages"], &of("messages"))?,
            open: list(&value["pending"], &of("pending"), open)?,
            settled: list(&value["settled"], &of("settled"), text)?,
            claimed_until: number("claimed_until")?,
            executed: list(&value["executed"], &of("executed"), executed)?,
            usage: usage(&value["usage"], &of("usage"))?,
            iteration: few("iteration")?,
            steps: number("steps")?.or(number("iteration")?).unwrap_or_default() as u64,
            attempts: few("attempts")?,
            spent_ms: number("spent_ms")?.unwrap_or_default(),
            ttft_ms: number("ttft_ms")?,
            inbox: said(&value["inbox"], &of("inbox"))?,
            unseen: said(&value["unseen"], &of("unseen"))?,
            repaired: value["repaired"] == true,
            own: Own {
                options: options(&value["options"], &of("options"))?,
                tools: match &value["tools"] {
                    Value::Null => None,
                    tools => Some(list(tools, &of("tools"), tool)?),
                },
                ..Own::default()
            },
        })?
        .whole(path)
    }

    /// Each open call stands in the turn, where it has no result.
    fn whole(self, path: &str) -> Result<Paused> {
        let open: Vec<&str> = self.open.iter().map(|open| open.call.id.as_str()).collect();
        all_answered(&self.turn, &open, &format!("{path}.messages"))?;
        let called = |id: &str| {
            self.turn.iter().flat_map(|message| &message.tool_calls).any(|call| call.id == id)
        };
        let answered =
            |id: &str| self.turn.iter().any(|message| message.tool_call_id.as_deref() == Some(id));
        for (i, open) in self.open.iter().enumerate() {
            let id = &open.call.id;
            if !called(id) || answered(id) {
                return Err(Error::invalid(format!(
                    "{path}.pending[{}].id: expected a call of the messages without a result, got {}",
                    i + 1,
                    quoted(id)
                )));
            }
        }
        Ok(self)
    }
}

/// Blocks stand there as JSON text: they have to come back as they are, through any encoder.
pub fn messages_to_json(messages: &[Message]) -> Value {
    let one = |message: &Message| {
        let mut value = without_nulls(to_json(message));
        if let Some(blocks) = &message.blocks {
            value["blocks"] = blocks.to_string().into();
        }
        value
    };
    messages.iter().map(one).collect()
}

/// Every call has a result behind it, but those that are open.
pub fn all_answered(messages: &[Message], open: &[&str], path: &str) -> Result<()> {
    for (i, message) in messages.iter().enumerate() {
        let answered = |id: &str| {
            let mut behind = messages.iter().skip(i + 1);
            behind.any(|other| other.tool_call_id.as_deref() == Some(id))
        };
        let mut calls = message.tool_calls.iter().map(|call| call.id.as_str());
        if let Some(id) = calls.find(|id| !open.contains(id) && !answered(id)) {
            return Err(Error::invalid(format!(
                "{path}[{}].tool_calls: the call {} has no result",
                i + 1,
                quoted(id)
            )));
        }
    }
    Ok(())
}

/// Messages of a document that was kept: they hold their files themselves.
pub fn messages(value: &Value, path: &str) -> Result<Vec<Message>> {
    let contents = value.as_array().into_iter().flatten().map(|message| &message["content"]);
    let mut parts = contents.filter_map(Value::as_array).flatten();
    let is_path = |part: &Value| {
        matches!(part["type"].as_str(), Some("image" | "document")) && part["path"].is_string()
    };
    if parts.any(is_path) {
        return Err(Error::invalid(format!("{path}: a file that stands by its path")));
    }
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(_) => {
            let mut value = value.clone();
            for message in value.as_array_mut().into_iter().flatten() {
                if message.get("content").is_some_and(is_empty) {
                    message["content"] = "".into();
                }
            }
            let mut all = parse(&value, path)?;
            for message in &mut all {
                if let Some(Value::String(text)) = &message.blocks {
                    message.blocks = serde_json::from_str(text).ok();
                }
            }
            Ok(all)
        }
        Value::Object(members) if members.is_empty() => Ok(Vec::new()),
        other => Err(expected(path, "an array of messages", other)),
    }
}

/// What `agent.send` takes.
fn said(value: &Value, path: &str) -> Result<Vec<Message>> {
    let all = messages(value, path)?;
    match all.iter().position(|message| message.role != Role::User) {
        Some(i) => Err(Error::invalid(format!("{path}[{}].role: expected \"user\"", i + 1))),
        None => Ok(all),
    }
}

fn expected(path: &str, what: &str, got: &Value) -> Error {
    let got = match got {
        Value::Null => "nil".to_owned(),
        Value::String(text) => quoted(text),
        Value::Array(_) | Value::Object(_) => "a table".to_owned(),
        other => other.to_string(),
    };
    Error::invalid(format!("{path}: expected {what}, got {got}"))
}

fn list<T>(value: &Value, path: &str, one: fn(&Value, &str) -> Result<T>) -> Result<Vec<T>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Object(members) if members.is_empty() => Ok(Vec::new()),
        Value::Array(items) => {
            items.iter().enumerate().map(|(i, v)| one(v, &format!("{path}[{}]", i + 1))).collect()
        }
        other => Err(expected(path, "an array", other)),
    }
}

fn text(value: &Value, path: &str) -> Result<String> {
    value.as_str().map(str::to_owned).ok_or_else(|| expected(path, "a string", value))
}

fn member(value: &Value, name: &str, path: &str) -> Result<Option<String>> {
    match &value[name] {
        Value::Null => Ok(None),
        given => text(given, &format!("{path}.{name}")).map(Some),
    }
}

/// What counts something stays far below that: sums of such numbers are numbers.
const MOST: f64 = 1e15;

/// A number that counts something: none is below zero.
fn number(value: &Value, name: &str, path: &str) -> Result<Option<f64>> {
    match &value[name] {
        Value::Null => Ok(None),
        given => match given.as_f64().filter(|n| (0.0..=MOST).contains(n)) {
            Some(n) => Ok(Some(n)),
            None => Err(expected(&format!("{path}.{name}"), "a number from 0 to 1e15", given)),
        },
    }
}

fn call_to_json(call: &ToolCall) -> Map<String, Value> {
    let mut message = Message::new(Role::Assistant, "");
    message.tool_calls.push(call.clone());
    match to_json(&message)["tool_calls"][0].take() {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn call(value: &Value, path: &str) -> Result<ToolCall> {
    if !value.is_object() {
        return Err(expected(path, "a tool call {id=, name=}", value));
    }
    let message = parse(&json!({ "role": "assistant", "tool_calls": [value] }), path);
    // The path of the message around it is of no use to anybody.
    let inner = format!("{path}.tool_calls[1]");
    let message = message.map_err(|e| Error::new(e.code(), e.message().replace(&inner, path)))?;
    let call = message.into_iter().flat_map(|message| message.tool_calls).next();
    call.ok_or_else(|| expected(path, "a tool call {id=, name=}", value))
}

fn open_to_json(open: &Open) -> Value {
    let mut all = call_to_json(&open.call);
    all.insert("reason".into(), open.why.name().into());
    if let Some(doubt) = &open.doubt {
        all.insert("error".into(), doubt.as_str().into());
    }
    if let Some(run) = &open.run {
        all.insert("run".into(), run.to_json());
    }
    Value::Object(all)
}

fn open(value: &Value, path: &str) -> Result<Open> {
    let call = call(value, path)?;
    let why = match value["reason"].as_str() {
        Some("approval") => Why::Approval,
        Some("client") => Why::Client,
        _ => {
            let what = r#"one of "approval", "client""#;
            return Err(expected(&format!("{path}.reason"), what, &value["reason"]));
        }
    };
    let run = match &value["run"] {
        Value::Null => None,
        run => Some(Box::new(Paused::parse(run, &format!("{path}.run"))?)),
    };
    Ok(Open { call, why, doubt: member(value, "error", path)?, run })
}

/// A result that is a Lua value is given as the model has read it.
fn executed_to_json(done: &Executed, turn: &[Message]) -> Value {
    let mut all = call_to_json(&done.call);
    let told = || {
        let id = Some(done.call.id.as_str());
        let message = turn.iter().find(|message| message.tool_call_id.as_deref() == id)?;
        let text = message.content.text();
        Some(serde_json::from_str(&text).unwrap_or(Value::String(text)))
    };
    let result = if done.error.is_some() { None } else { plain(&done.result).or_else(told) };
    if let Some(result) = result.filter(|result| !result.is_null()) {
        all.insert("result".into(), result);
    }
    if let Some(error) = &done.error {
        all.insert("error".into(), error.as_str().into());
    }
    all.insert("duration_ms".into(), done.duration_ms.into());
    Value::Object(all)
}

fn executed(value: &Value, path: &str) -> Result<Executed> {
    let call = call(value, path)?;
    let result = match &value["result"] {
        Value::Null => Data::Nil,
        result => Data::Json(result.clone()),
    };
    let duration_ms = number(value, "duration_ms", path)?.unwrap_or_default();
    Ok(Executed { call, result, error: member(value, "error", path)?, duration_ms })
}

pub fn usage_to_json(usage: &Usage) -> Value {
    let members = [
        ("prompt_tokens", Some(usage.prompt_tokens.into())),
        ("completion_tokens", Some(usage.completion_tokens.into())),
        ("cached_tokens", usage.cached_tokens.map(Value::from)),
        ("cache_write_tokens", usage.cache_write_tokens.map(Value::from)),
        ("reasoning_tokens", usage.reasoning_tokens.map(Value::from)),
        ("other_tokens", Some(usage.other_tokens).filter(|n| *n > 0).map(Value::from)),
        ("estimated", usage.estimated.then_some(Value::Bool(true))),
        ("cost", usage.cost.map(Value::from)),
    ];
    let given = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect())
}

pub fn usage(value: &Value, path: &str) -> Result<Usage> {
    if !value.is_null() && !value.is_object() {
        return Err(expected(path, "a table", value));
    }
    let count = |name: &str| Ok(number(value, name, path)?.map(|n| n as u64));
    Ok(Usage {
        prompt_tokens: count("prompt_tokens")?.unwrap_or_default(),
        completion_tokens: count("completion_tokens")?.unwrap_or_default(),
        cached_tokens: count("cached_tokens")?,
        cache_write_tokens: count("cache_write_tokens")?,
        reasoning_tokens: count("reasoning_tokens")?,
        other_tokens: count("other_tokens")?.unwrap_or_default(),
        estimated: value["estimated"] == true,
        cost: number(value, "cost", path)?,
    })
}

/// Checked as the options of a run are.
fn options(value: &Value, path: &str) -> Result<Map<String, Value>> {
    static OPTIONS: Kind = Kind::Table(&super::RUN_OPTIONS);
    if value.is_null() {
        return Ok(Map::new());
    }
    let mut tape = Tape::default();
    let at = json::put(value, &mut tape);
    let Some(root) = tape.at(at) else { return Ok(Map::new()) };
    Check { strict: false }.value(root, &OPTIONS, path)?;
    Ok(Options::new(Some(root), &super::RUN_OPTIONS).to_map())
}

/// A tool by its name, or a definition without its function.
pub fn tool_to_json(tool: &AgentTool) -> Value {
    let tool = match tool {
        AgentTool::Named(name) => return json!({ "name": name }),
        AgentTool::Inline(tool) => tool,
    };
    let mut all = Map::new();
    for (name, value) in tool.definition("").fields {
        if let ("id" | "execute", _) = (name.as_ref(), &value) {
            continue;
        }
        // A function that says who needs approval stays behind: then everything does.
        let value =
            if name == "requires_approval" { Some(Value::Bool(true)) } else { plain(&value) };
        if let Some(value) = value {
            all.insert(name.into_owned(), value);
        }
    }
    if let Some(name) = tool.worker.as_ref().and_then(|worker| worker.agent_name()) {
        all.insert("agent".into(), name.into());
    }
    all.insert("execute".into(), tool.execute.is_some().into());
    Value::Object(all)
}

/// Encoders that know tables only write an empty array as an object.
fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

/// A tool whose function has stayed behind is looked for by its name, at each run.
pub fn tool(value: &Value, path: &str) -> Result<AgentTool> {
    let name = text(&value["name"], &format!("{path}.name"))?;
    if value["execute"] != false {
        return Ok(AgentTool::Named(name));
    }
    static TOOL: Kind = Kind::Table(&DEFINITION);
    let mut definition = value.clone();
    if let Some(members) = definition.as_object_mut() {
        members.retain(|name, value| name != "execute" && !is_empty(value));
    }
    let mut tape = Tape::default();
    let at = json::put(&definition, &mut tape);
    let root = tape.at(at).ok_or_else(|| expected(path, "a tool", value))?;
    Check { strict: false }.value(root, &TOOL, path)?;
    let options = Options::new(Some(root), &DEFINITION);
    let tool = Tool::define(&options, &Library::default(), &Bounds::default(), 0.0)
        .map_err(|error| error.at(path))?;
    Ok(AgentTool::Inline(std::rc::Rc::new(super::sub::bind_by_name(tool, &options))))
}

#[cfg(test)]
mod tests;
