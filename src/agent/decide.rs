//! Decisions on calls: whether they fit the calls that wait for them.

use super::paused::{Decision, Decisions, Leaf, Paused, Why, leaves};
use crate::error::{Error, Result, quoted};
use crate::tool::Input;
use crate::tool::Usable;

/// Whether the decisions are on calls of that run.
pub fn about(paused: &Paused, decisions: &Decisions) -> bool {
    decisions.is_empty() || decisions.keys().any(|id| paused.knows(id))
}

pub fn nothing_waits() -> Error {
    Error::state("no call of the agent waits for a decision")
}

/// Every call that waits for approval needs a decision, and no other call may have one.
pub fn check(paused: &Paused, decisions: &Decisions, tools: &[Usable]) -> Result<()> {
    let open = leaves(&paused.open);
    if let Some(id) = decisions.keys().find(|id| !paused.knows(id)) {
        return Err(unknown(id, &open));
    }
    for leaf in &open {
        match (leaf.open.why, decisions.get(&leaf.id)) {
            (Why::Approval, None) => return Err(missing(leaf)),
            (Why::Client, Some(Decision::Approve | Decision::Change(_))) => {
                return Err(of_a_client(leaf));
            }
            (_, Some(Decision::Change(arguments))) => fits(leaf, arguments, tools)?,
            _ => {}
        }
    }
    Ok(())
}

fn place(leaf: &Leaf<'_>) -> String {
    format!("decisions[{}]", quoted(&leaf.id))
}

fn unknown(id: &str, open: &[Leaf<'_>]) -> Error {
    let ids: Vec<String> = open.iter().map(|leaf| quoted(&leaf.id)).collect();
    let waiting = if ids.is_empty() { "none does".to_owned() } else { ids.join(", ") };
    Error::invalid(format!(
        "decisions: no call {} waits for a decision; those that do: {waiting}",
        quoted(id)
    ))
}

fn missing(leaf: &Leaf<'_>) -> Error {
    Error::invalid(format!(
        "{}: expected a decision on the call of {}, got nil",
        place(leaf),
        quoted(&leaf.open.call.name)
    ))
}

fn of_a_client(leaf: &Leaf<'_>) -> Error {
    Error::invalid(format!(
        "{}: expected {{result=…}} or \"deny\", since a client answers calls of {}",
        place(leaf),
        quoted(&leaf.open.call.name)
    ))
}

/// Whoever changes arguments hears what is wrong with them; a model would be told of its own.
fn fits(leaf: &Leaf<'_>, arguments: &serde_json::Value, tools: &[Usable]) -> Result<()> {
    let named = |usable: &&Usable| usable.tool.name == leaf.open.call.name;
    // Of a call inside another one its own run knows the tool.
    let Some(usable) = tools.iter().find(named).filter(|_| leaf.id == leaf.open.call.id) else {
        return Ok(());
    };
    let place = format!("{}.arguments", place(leaf));
    Input::from_json(&usable.tool, arguments.clone()).map(drop).map_err(|error| error.at(&place))
}
