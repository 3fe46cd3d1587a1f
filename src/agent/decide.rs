//! Decisions on calls: whether they fit the calls that wait for them.

use serde_json::Value;

use super::paused::{Decision, Decisions, Leaf, Open, Paused, Why, inside, leaves};
use super::tools::usable;
use crate::error::{Error, Result, quoted};
use crate::runtime::Runtime;
use crate::tool::{Input, Usable};

/// Whether the decisions are on calls of that run.
pub fn about(paused: &Paused, decisions: &Decisions) -> bool {
    decisions.is_empty() || decisions.keys().any(|id| paused.knows(id))
}

pub fn nothing_waits() -> Error {
    Error::state("no call of the agent waits for a decision")
}

/// Every call that waits for approval needs a decision, and no other call may have one.
pub fn check(
    runtime: &Runtime,
    paused: &Paused,
    decisions: &Decisions,
    tools: &[Usable],
) -> Result<()> {
    if let Some(id) = decisions.keys().find(|id| !paused.knows(id)) {
        return Err(unknown(id, &leaves(&paused.open)));
    }
    each(runtime, &paused.open, decisions, tools, "")
}

/// The same of the calls of a run, which may be inside another call: then `outer` ends with a slash.
fn each(
    runtime: &Runtime,
    open: &[Open],
    decisions: &Decisions,
    tools: &[Usable],
    outer: &str,
) -> Result<()> {
    for one in open {
        let id = format!("{outer}{}", one.call.id);
        match &one.run {
            None => judge(one, decisions.get(&one.call.id), tools, &id)?,
            Some(run) => {
                let decisions = inside(decisions, &one.call.id);
                let tools = tools_inside(runtime, run, &one.call.name, tools);
                each(runtime, &run.open, &decisions, &tools, &format!("{id}/"))?;
            }
        }
    }
    Ok(())
}

/// The tools of the agent that a call went to; none if it cannot be told which that is.
fn tools_inside(runtime: &Runtime, run: &Paused, called: &str, tools: &[Usable]) -> Vec<Usable> {
    let called = tools.iter().find(|usable| usable.tool.name == called);
    let worker = called.and_then(|usable| usable.tool.worker.clone());
    let key = worker.as_ref().and_then(|worker| worker.agent_key());
    let number = key.and_then(|key| runtime.agents.find(key).ok().flatten());
    let agent = number.and_then(|number| runtime.agents.get(number));
    let own = run.own.tools.as_ref().or(agent.map(|agent| &agent.tools));
    own.map_or_else(Vec::new, |own| usable(own, &runtime.tools))
}

fn judge(open: &Open, decision: Option<&Decision>, tools: &[Usable], id: &str) -> Result<()> {
    let place = format!("decisions[{}]", quoted(id));
    let name = &open.call.name;
    match (open.why, decision) {
        (Why::Approval, None) => Err(missing(&place, name)),
        (Why::Client, Some(Decision::Approve | Decision::Change(_))) => {
            Err(of_a_client(&place, name))
        }
        (_, Some(Decision::Change(arguments))) => fits(&place, name, arguments, tools),
        _ => Ok(()),
    }
}

fn unknown(id: &str, open: &[Leaf<'_>]) -> Error {
    let ids: Vec<String> = open.iter().map(|leaf| quoted(&leaf.id)).collect();
    let waiting = if ids.is_empty() { "none does".to_owned() } else { ids.join(", ") };
    Error::invalid(format!(
        "decisions: no call {} waits for a decision; those that do: {waiting}",
        quoted(id)
    ))
}

fn missing(place: &str, name: &str) -> Error {
    let name = quoted(name);
    Error::invalid(format!("{place}: expected a decision on the call of {name}, got nil"))
}

fn of_a_client(place: &str, name: &str) -> Error {
    let name = quoted(name);
    Error::invalid(format!(
        "{place}: expected {{result=…}} or \"deny\", since a client answers calls of {name}"
    ))
}

/// Whoever changes arguments hears what is wrong with them; a model would be told of its own.
fn fits(place: &str, name: &str, arguments: &Value, tools: &[Usable]) -> Result<()> {
    let Some(usable) = tools.iter().find(|usable| usable.tool.name == name) else {
        return Ok(());
    };
    let place = format!("{place}.arguments");
    Input::from_json(&usable.tool, arguments.clone()).map(drop).map_err(|error| error.at(&place))
}
