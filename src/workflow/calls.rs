//! Which workflows call which, and what they call that there is not.

use std::collections::HashMap;

use super::definition::{Definition, Flaw, Needs, Problem, Use, needs};
use crate::error::Result;
use crate::runtime::Runtime;
use crate::value::{Data, Record};

/// By which workflows one of that name is called in the end, its own name last.
pub fn reaches_name(runtime: &Runtime, calls: &[Use], name: &str) -> Option<Vec<String>> {
    reaches(runtime, calls, false, |key, _| key == name)
}

/// Goes through all that is called, maybe only by steps that always run, for what is looked for.
fn reaches(
    runtime: &Runtime,
    calls: &[Use],
    only_sure: bool,
    is_it: impl Fn(&str, Option<u64>) -> bool,
) -> Option<Vec<String>> {
    let known = &runtime.workflows.known;
    // The number of each that was seen, and of who called it.
    let mut callers: HashMap<u64, Option<u64>> = HashMap::new();
    let keys = |calls: &[Use], by: Option<u64>| {
        let wanted = calls.iter().filter(|call| call.sure || !only_sure);
        wanted.map(|call| (call.key.clone(), by)).collect::<Vec<_>>()
    };
    let mut open = keys(calls, None);
    while let Some((key, by)) = open.pop() {
        let number = known.find(&key).ok().flatten();
        if is_it(&key, number) {
            return Some(path(runtime, &callers, by, key));
        }
        let Some(number) = number.filter(|number| !callers.contains_key(number)) else { continue };
        callers.insert(number, by);
        let Some(workflow) = known.get(number) else { continue };
        open.extend(keys(&needs(&workflow.definition).workflows, Some(number)));
    }
    None
}

fn path(
    runtime: &Runtime,
    callers: &HashMap<u64, Option<u64>>,
    by: Option<u64>,
    last: String,
) -> Vec<String> {
    let mut path = vec![last];
    let mut here = by;
    while let Some(number) = here {
        path.extend(runtime.workflows.known.get(number).map(|workflow| workflow.name.clone()));
        here = callers.get(&number).copied().flatten();
    }
    path.reverse();
    path
}

/// What is wrong with whom a definition calls. `number`: of a workflow that there is.
pub fn judge(
    runtime: &Runtime,
    definition: &Definition,
    number: Option<u64>,
) -> (Vec<Problem>, Vec<Problem>) {
    let needs = needs(definition);
    let mut warnings = Vec::new();
    missing(&needs.agents, "agent", Flaw::UnknownAgent, &mut warnings, |key| {
        runtime.agents.find(key).map(|found| found.is_some())
    });
    missing(&needs.tools, "tool", Flaw::UnknownTool, &mut warnings, |key| {
        runtime.tools.usable(key).map(|found| found.is_some())
    });
    let own = definition.name.as_deref();
    missing(&needs.workflows, "workflow", Flaw::UnknownWorkflow, &mut warnings, |key| {
        let found = runtime.workflows.known.find(key)?;
        Ok(found.is_some() || Some(key) == own)
    });
    let is_it = |key: &str, found: Option<u64>| match number {
        Some(number) => found == Some(number),
        None => Some(key) == own,
    };
    let label = number.and_then(|n| runtime.workflows.known.get(n)).map(|w| w.name.clone());
    let label = label.or_else(|| own.map(str::to_owned)).unwrap_or_default();
    let told = |path: Vec<String>| format!("calls itself: {label} → {}", path.join(" → "));
    let mut errors = Vec::new();
    if let Some(path) = reaches(runtime, &needs.workflows, true, is_it) {
        let message = format!("{}, without end", told(path));
        errors.push(Problem::new("steps", message, Flaw::Cycle));
    } else if let Some(path) = reaches(runtime, &needs.workflows, false, is_it) {
        warnings.push(Problem::new("steps", told(path), Flaw::Recursion));
    }
    (errors, warnings)
}

fn missing(
    uses: &[Use],
    what: &str,
    flaw: Flaw,
    warnings: &mut Vec<Problem>,
    exists: impl Fn(&str) -> Result<bool>,
) {
    for one in uses {
        let message = match exists(&one.key) {
            Ok(true) => continue,
            Ok(false) => format!("there is no {what} {:?} yet", one.key),
            Err(error) => error.message().to_owned(),
        };
        warnings.push(Problem::new(one.path.clone(), message, flaw));
    }
}

/// What a workflow needs, by the ids of what there is.
pub fn dependencies(runtime: &Runtime, definition: &Definition) -> Record {
    let Needs { agents, tools, workflows, steps } = needs(definition);
    let mut missing = Record::new();
    let agents = resolved("agents", &agents, &mut missing, |key| {
        Some(runtime.agents.id(runtime.agents.find(key).ok().flatten()?))
    });
    let tools = resolved("tools", &tools, &mut missing, |key| {
        runtime.tools.usable(key).ok().flatten().map(|tool| tool.id)
    });
    let known = &runtime.workflows.known;
    let workflows = resolved("workflows", &workflows, &mut missing, |key| {
        Some(known.id(known.find(key).ok().flatten()?))
    });
    let order: Vec<Data> = steps.iter().map(|(id, _)| Data::from(id.as_str())).collect();
    let mut by_step = Record::sized(steps.len());
    steps.into_iter().for_each(|(id, needed)| by_step.put(id, needed));
    Record::new()
        .set("agents", agents)
        .set("tools", tools)
        .set("workflows", workflows)
        .set("steps", by_step)
        .set("order", Data::List(order))
        .set("missing", missing)
}

/// Ids of what there is, each once; the rest goes to `missing`, under the same name.
fn resolved(
    kind: &'static str,
    uses: &[Use],
    missing: &mut Record,
    id: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let (mut found, mut lost) = (Vec::new(), Vec::new());
    let mut seen = std::collections::HashSet::new();
    for one in uses {
        let id = id(&one.key);
        let list = if id.is_some() { &mut found } else { &mut lost };
        let word = id.unwrap_or_else(|| one.key.clone());
        if seen.insert(word.clone()) {
            list.push(word);
        }
    }
    if !lost.is_empty() {
        missing.put(kind, lost);
    }
    found
}
