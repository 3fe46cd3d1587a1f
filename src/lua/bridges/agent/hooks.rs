//! Hooks that an agent brings along: they are for it alone, and go with it.

use crate::error::{Error, Result};
use crate::hook::{Hook, Scope, Type, check, is_glob, is_point, names, operation};
use crate::runtime::Runtime;
use crate::shape::{Options, nearest};
use crate::value::Slot;

/// What the option `hooks` says: a function for each point. `None` leaves those that are there.
pub fn said(options: &Options<'_>) -> Result<Option<Vec<(String, Slot)>>> {
    if options.unsets("hooks") {
        return Ok(Some(Vec::new()));
    }
    let Some(table) = options.get("hooks") else { return Ok(None) };
    let mut hooks = Vec::new();
    for (name, function) in table.members() {
        let name = name.to_text();
        let place = format!("config.hooks.{name}");
        known(&name).map_err(|error| error.at(&place))?;
        check(&name, Type::of(&name)).map_err(|error| error.at(&place))?;
        hooks.extend(function.as_slot().map(|slot| (name, slot.clone())));
    }
    Ok(Some(hooks))
}

/// Only operations call an agent's hooks: any other name would never be called.
fn known(name: &str) -> Result<()> {
    if is_point(name) || operation(name).is_some() || is_glob(name) {
        return Ok(());
    }
    let near =
        nearest(name, names()).map_or(String::new(), |near| format!(", did you mean {near:?}?"));
    Err(Error::invalid(format!("no hook point has that name{near}")))
}

/// Those an agent has, to be given to another one.
pub fn of(runtime: &Runtime, number: u64) -> Vec<(String, Slot)> {
    let own = runtime.agents.get(number).map(|agent| agent.hooks.clone()).unwrap_or_default();
    let hooks = own.iter().filter_map(|hook| runtime.hooks.all().get(*hook));
    hooks.map(|hook| (hook.name.clone(), hook.callback.clone())).collect()
}

/// Puts these in the place of those the agent has.
pub fn set(runtime: &mut Runtime, number: u64, hooks: Vec<(String, Slot)>) {
    let before = runtime.agents.get(number).map(|agent| agent.hooks.clone()).unwrap_or_default();
    if before.is_empty() && hooks.is_empty() {
        return;
    }
    forget(runtime, before);
    let id = runtime.agents.id(number);
    let made: Vec<u64> = hooks.into_iter().map(|hook| add(runtime, &id, hook)).collect();
    if let Some(agent) = runtime.agents.get_mut(number) {
        agent.hooks = made;
    }
}

fn add(runtime: &mut Runtime, id: &str, (name, callback): (String, Slot)) -> u64 {
    let scopes = vec![Scope { of: "agent", id: id.to_owned() }];
    let kind = Type::of(&name);
    let created_at = runtime.clock.unix();
    runtime.hooks.add(Hook { scopes, created_at, ..Hook::new(&name, kind, callback) })
}

pub fn forget(runtime: &mut Runtime, hooks: Vec<u64>) {
    hooks.into_iter().for_each(|hook| drop(runtime.hooks.remove(hook)));
}
