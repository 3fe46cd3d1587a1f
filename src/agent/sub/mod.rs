//! Agents as tools of other agents: who is asked, and with what.

use std::rc::Rc;

use serde_json::{Value, json};

use super::{Agent, Own, Plan};
use crate::chat::{Message, Role};
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::shape::Options;
use crate::tool::{Asked, Tool, Work, Worker};
use crate::value::{Kept, Record, Tape, json as text};

mod delegation;

use delegation::Delegation;

/// An agent that does the work of a tool.
#[derive(Clone, Debug)]
pub struct Colleague {
    /// Its id, or else its name.
    agent: String,
    name: String,
    hands_over: bool,
    history: bool,
    session: Option<String>,
}

impl Worker for Colleague {
    /// As the work of a function of the user's, who has made the agent.
    fn kind(&self) -> &'static str {
        "script"
    }

    fn overlaps(&self) -> bool {
        !self.hands_over
    }

    fn agent_name(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn agent_key(&self) -> Option<&str> {
        Some(&self.agent)
    }

    fn is_heard(&self, _: &Runtime) -> bool {
        true
    }

    fn start(&self, _: &mut Runtime, asked: Asked) -> Result<Work> {
        Ok(Work::Goes(Box::new(Delegation::new(self.clone(), asked))))
    }
}

/// The tool with the agent behind it that its definition names, if it does.
pub fn bind(runtime: &Runtime, tool: Tool, options: &Options<'_>) -> Result<Tool> {
    let Some(key) = options.id("agent") else { return refuse_lonely(tool, options) };
    let number = runtime.agents.find(&key)?.ok_or_else(|| Error::not_found("agent", &key))?;
    if tool.execute.is_some() || options.get("source").is_some() {
        return Err(Error::invalid("definition: `agent` and a function, only one can do the work"));
    }
    let name = runtime.agents.get(number).map_or(String::new(), |agent| agent.name.clone());
    Ok(with_agent(tool, runtime.agents.id(number), name, options))
}

/// The same where the agent may not be there yet: it is looked for by its name at each call.
pub fn bind_by_name(tool: Tool, options: &Options<'_>) -> Tool {
    match options.id("agent") {
        Some(name) => with_agent(tool, name.clone(), name, options),
        None => tool,
    }
}

fn with_agent(mut tool: Tool, agent: String, name: String, options: &Options<'_>) -> Tool {
    let mut rest = tool.options.to_map();
    rest.insert("agent".into(), agent.as_str().into());
    tool.builtin = None;
    tool.options = Kept::new(&rest);
    tool.worker = Some(Rc::new(Colleague {
        agent,
        name,
        hands_over: options.word("mode") == Some("handoff"),
        history: options.bool("history") == Some(true),
        session: options.text("session"),
    }));
    tool
}

/// Words that mean nothing without an agent.
fn refuse_lonely(tool: Tool, options: &Options<'_>) -> Result<Tool> {
    match ["mode", "history", "session"].iter().find(|name| options.get(name).is_some()) {
        Some(name) => Err(Error::invalid(format!("definition.{name}: belongs to `agent`"))),
        None => Ok(tool),
    }
}

/// What the tool takes if nothing else is said.
fn parameters() -> Value {
    json!({
        "type": "object",
        "properties": { "input": { "type": "string", "description": "what it is to do" } },
        "required": ["input"],
    })
}

/// `agent.as_tool`: the definition of a tool with an agent behind it.
pub fn definition(id: &str, agent: &Agent, options: &Options<'_>) -> Record {
    let mode = options.word("mode").unwrap_or("call");
    let parameters = options.get("parameters").map_or_else(parameters, |given| given.to_json());
    let name = options.text("name").unwrap_or_else(|| tool_name(&agent.name));
    let description = options.text("description").or_else(|| agent.text("description"));
    Record::new()
        .set("name", name)
        .set("description", description.unwrap_or_else(|| what_for(mode, &agent.name)))
        .set("parameters", parameters)
        .set("agent", id)
        .set("mode", mode)
        .set("history", options.bool("history").unwrap_or(false))
        .set("session", options.text("session"))
}

/// A name in the letters that names of tools have.
fn tool_name(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    name.chars().map(|c| if fits(c) { c } else { '_' }).take(64).collect()
}

fn what_for(mode: &str, name: &str) -> String {
    match mode {
        "handoff" => format!("Hands the conversation over to the agent {name}, which answers it."),
        _ => format!("Gives a task to the agent {name}, and its answer back."),
    }
}

impl Colleague {
    /// What its agent is to do for a call.
    fn plan(&self, runtime: &Runtime, input: Value, shown: &[Message]) -> Result<Plan> {
        let number = runtime.agents.require(&self.agent)?;
        let plan = Plan::new(runtime, number, Own::default())?;
        Ok(Plan {
            session: self.session.clone().unwrap_or_default(),
            remember: self.session.is_some() && plan.remember,
            inner: true,
            input: read_input(input)?,
            context: shown.to_vec(),
            ..plan
        })
    }
}

/// A lone `input` is what is said; anything else is read as `agent.run` reads it.
fn read_input(input: Value) -> Result<Vec<Message>> {
    if let Value::Object(members) = &input
        && members.len() == 1
        && let Some(Value::String(said)) = members.get("input")
    {
        return Ok(vec![Message::new(Role::User, said.as_str())]);
    }
    let mut tape = Tape::default();
    let root = text::put(&input, &mut tape);
    super::input::read(tape.at(root))
}
