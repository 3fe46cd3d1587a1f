//! An agent as a document: its configuration, its conversations, what waits, and its counts.
//! Functions and secrets stay behind.

use serde_json::{Map, Value, json};

use super::paused::Paused;
use super::plain::{messages, messages_to_json, tool, tool_to_json, usage, usage_to_json};
use super::{Agent, AgentTool, Conversation, Counts};
use crate::error::{Error, Result, quoted};
use crate::provider::options::portable;
use crate::provider::{Providers, Whom};
use crate::runtime::Runtime;
use crate::shape::{Check, Field, Kind, Shape};
use crate::tool::Tools;
use crate::value::Ref;
use crate::value::json::without_nulls;

/// What such a document says it is.
const FORMAT: &str = "zigllms-agent";
/// What this version writes; it reads no later one.
const VERSION: u64 = 1;

const COUNT: Kind = Kind::Number(0.0, 1e18);

static CONVERSATION: Shape = Shape::new(
    "ExportedConversation",
    &[
        Field::new("session", Kind::Text, "\"\"", "\"\" is the agent's own"),
        Field::new("messages", Kind::List(&Kind::Map), "{}", "every call has a result"),
        Field::new("paused", Kind::Map, "", "a run that has stopped with calls open"),
    ],
    &[],
);

static EXPORTED: Shape = Shape::new(
    "ExportedAgent",
    &[
        Field::new("format", Kind::Enum(&[FORMAT]), "required", ""),
        Field::new("version", Kind::Number(1.0, 1e15), "required", ""),
        Field::new("name", Kind::Name, "the id", ""),
        Field::new("config", Kind::Map, "{}", "options of `agent.create`"),
        Field::new("provider", Kind::OneOf(&[Kind::Name, Kind::Map]), "`default_provider`", ""),
        Field::new("fallback", Kind::List(&Kind::Any), "none", ""),
        Field::new("tools", Kind::List(&Kind::Map), "none", "by name, or without functions"),
        Field::new("conversations", Kind::List(&Kind::Table(&CONVERSATION)), "{}", ""),
        Field::new("aside", Kind::List(&Kind::Map), "{}", "runs that remember nothing"),
        Field::new("usage", Kind::Map, "", ""),
        Field::new("run_count", COUNT, "0", ""),
        Field::new("error_count", COUNT, "0", ""),
        Field::new("last_run_at", COUNT, "", ""),
    ],
    &[],
);

/// The agent of that number.
pub fn export(runtime: &Runtime, number: u64) -> Result<Value> {
    let id = runtime.agents.id(number);
    let agent = runtime.agents.get(number).ok_or_else(|| Error::not_found("agent", &id))?;
    let mut all = Map::new();
    all.insert("format".into(), FORMAT.into());
    all.insert("version".into(), VERSION.into());
    // Where it comes to it has another id.
    if agent.name != id {
        all.insert("name".into(), agent.name.as_str().into());
    }
    all.insert("config".into(), portable(&agent.config.to_map()).into());
    if let Some(whom) = &agent.provider {
        all.insert("provider".into(), provider(whom, &runtime.providers));
    }
    let fallback = agent.reach();
    if !fallback.fallback().is_empty() {
        let list = fallback.fallback().iter().map(|one| {
            let whom = one.whom.as_ref().map(|whom| provider(whom, &runtime.providers));
            match (&one.model, whom) {
                (None, Some(whom)) => whom,
                (model, whom) => json!({ "provider": whom, "model": model }),
            }
        });
        all.insert("fallback".into(), list.collect());
    }
    let tools = agent.tools.iter().map(|one| tool_to_json(&by_name(one, &runtime.tools)));
    all.insert("tools".into(), tools.collect());
    all.insert("conversations".into(), conversations(agent));
    if !agent.aside.is_empty() {
        all.insert("aside".into(), agent.aside.iter().map(|paused| paused.to_json()).collect());
    }
    if let Some(counts) = &agent.counts {
        all.insert("usage".into(), usage_to_json(&counts.usage));
        all.insert("run_count".into(), counts.runs.into());
        all.insert("error_count".into(), counts.errors.into());
        all.insert("last_run_at".into(), json!(counts.last_run_at));
    }
    Ok(without_nulls(Value::Object(all)))
}

/// By a name that means the same elsewhere; else as a configuration of its own.
fn provider(whom: &Whom, providers: &Providers) -> Value {
    match whom {
        Whom::Own(own) => own.portable().into(),
        Whom::Known(key) => match providers.find(key) {
            Some(known) if known.name.is_some() => json!(known.name),
            Some(known) if known.id != known.row.name => known.portable().into(),
            Some(known) => known.id.as_str().into(),
            None => json!(key),
        },
    }
}

/// Ids mean nothing elsewhere.
pub fn by_name(tool: &AgentTool, tools: &Tools) -> AgentTool {
    let AgentTool::Named(key) = tool else { return tool.clone() };
    let found = tools.usable(key).ok().flatten();
    AgentTool::Named(found.map_or_else(|| key.clone(), |found| found.tool.name.clone()))
}

fn conversations(agent: &Agent) -> Value {
    let mut all: Vec<_> = agent.conversations.iter().filter(|(_, c)| !c.is_empty()).collect();
    all.sort_by_key(|(session, _)| *session);
    let one = |(session, conversation): (&String, &Conversation)| {
        // Who goes on with it here does so here only.
        let unclaimed = |run: &Box<Paused>| Paused { claimed_until: None, ..(**run).clone() };
        let paused = conversation.paused.as_ref().map(|run| unclaimed(run).to_json());
        let messages = messages_to_json(&conversation.messages);
        json!({ "session": session, "messages": messages, "paused": paused })
    };
    all.into_iter().map(one).collect()
}

/// What of an agent a document holds besides its options.
#[derive(Debug, Default)]
pub struct Imported {
    pub tools: Vec<AgentTool>,
    pub conversations: Vec<(String, Conversation)>,
    pub aside: Vec<Box<Paused>>,
    pub counts: Option<Box<Counts>>,
}

/// Checks a document, and reads all of it but the options.
pub fn read(given: Ref<'_>, strict: bool, path: &str) -> Result<Imported> {
    check_version(given, path)?;
    static KIND: Kind = Kind::Table(&EXPORTED);
    Check { strict }.value(given, &KIND, path)?;
    let value = given.to_json();
    let tools = each(&value["tools"], &format!("{path}.tools"), tool)?;
    let conversations = each(&value["conversations"], &format!("{path}.conversations"), talk)?;
    let aside = each(&value["aside"], &format!("{path}.aside"), |value, path| {
        Paused::parse(value, path).map(Box::new)
    })?;
    only_once(&conversations, path)?;
    Ok(Imported { tools, conversations, aside, counts: counts(&value, path)? })
}

fn check_version(given: Ref<'_>, path: &str) -> Result<()> {
    let missing = |name: &str| {
        let what = if name == "format" { quoted(FORMAT) } else { VERSION.to_string() };
        Error::invalid(format!("{path}.{name}: expected {what}, got nil"))
    };
    given.get("format").filter(|v| !v.is_null()).ok_or_else(|| missing("format"))?;
    let version =
        given.get("version").filter(|v| !v.is_null()).ok_or_else(|| missing("version"))?;
    match version.as_f64() {
        Some(later) if later > VERSION as f64 => Err(Error::unsupported(format!(
            "{path}.version: this is version {later}, and this module reads up to {VERSION}"
        ))),
        _ => Ok(()),
    }
}

fn each<T>(list: &Value, path: &str, one: impl Fn(&Value, &str) -> Result<T>) -> Result<Vec<T>> {
    let items = list.as_array().into_iter().flatten().enumerate();
    items.map(|(i, item)| one(item, &format!("{path}[{}]", i + 1))).collect()
}

fn talk(value: &Value, path: &str) -> Result<(String, Conversation)> {
    let session = value["session"].as_str().unwrap_or_default().to_owned();
    let messages = messages(&value["messages"], &format!("{path}.messages"))?;
    super::plain::all_answered(&messages, &[], &format!("{path}.messages"))?;
    let paused = match &value["paused"] {
        Value::Null => None,
        paused => Some(Box::new(Paused::parse(paused, &format!("{path}.paused"))?)),
    };
    Ok((session, Conversation { messages, paused, ..Conversation::default() }))
}

fn only_once(conversations: &[(String, Conversation)], path: &str) -> Result<()> {
    for (i, (session, _)) in conversations.iter().enumerate() {
        if conversations.iter().take(i).any(|(other, _)| other == session) {
            return Err(Error::invalid(format!(
                "{path}.conversations[{}].session: {} is there twice",
                i + 1,
                quoted(session)
            )));
        }
    }
    Ok(())
}

fn counts(value: &Value, path: &str) -> Result<Option<Box<Counts>>> {
    let count = |name: &str| value[name].as_f64().unwrap_or_default() as u64;
    let usage = usage(&value["usage"], &format!("{path}.usage"))?;
    let (runs, errors) = (count("run_count"), count("error_count"));
    let last_run_at = value["last_run_at"].as_f64();
    Ok((runs > 0).then(|| Box::new(Counts { usage, runs, errors, last_run_at })))
}

/// Tools of the same name take the place of those that came; others come on top.
pub fn bind(tools: Vec<AgentTool>, given: &[AgentTool], known: &Tools) -> Vec<AgentTool> {
    let name = |tool: &AgentTool| match by_name(tool, known) {
        AgentTool::Named(name) => name,
        AgentTool::Inline(tool) => tool.name.clone(),
    };
    let mut all = tools;
    for new in given {
        match all.iter_mut().find(|old| name(old) == name(new)) {
            Some(old) => *old = new.clone(),
            None => all.push(new.clone()),
        }
    }
    all
}
