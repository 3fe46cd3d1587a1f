//! What agents inside executions wait for, and what is decided on that.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::execution::Waiting;
use super::journal::Recorded;
use super::{Workflows, recalling};
use crate::agent::{self, Decisions, Own, Plan, pending_calls};
use crate::error::{Error, Result, quoted};
use crate::runtime::Runtime;
use crate::value::{Data, Record};

/// An agent that waits for decisions.
struct Waits<'w> {
    execution: u64,
    path: &'w Rc<str>,
    /// The same from the outermost execution on.
    place: String,
    waiting: &'w Waiting,
}

/// All of them in an execution and those inside it.
fn all(workflows: &Workflows, number: u64) -> Vec<Waits<'_>> {
    let mut found = Vec::new();
    collect(workflows, number, "", &mut found);
    found
}

fn collect<'w>(workflows: &'w Workflows, number: u64, outer: &str, found: &mut Vec<Waits<'w>>) {
    let Ok(execution) = workflows.execution(number) else { return };
    for (path, waiting) in execution.waiting.iter().filter(|(_, one)| one.needs_decisions()) {
        let place = format!("{outer}{path}");
        found.push(Waits { execution: number, path, place, waiting });
    }
    let children: BTreeMap<&str, u64> =
        execution.children.iter().map(|(path, child)| (&**path, *child)).collect();
    for (path, child) in children {
        collect(workflows, child, &format!("{outer}{path}/"), found);
    }
}

/// The call of an agent by the name under which decisions on it come.
struct Name<'w> {
    /// Its id; with the place of its step before it where another agent waits for a call of that id.
    text: String,
    id: String,
    waits: &'w Waits<'w>,
}

fn names<'w>(all: &'w [Waits<'w>]) -> Vec<Name<'w>> {
    let ids = |waits: &Waits<'_>| waits.waiting.run.ids().collect::<Vec<_>>();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    all.iter().flat_map(ids).for_each(|id| *counts.entry(id).or_default() += 1);
    let of = |waits: &'w Waits<'w>| {
        ids(waits).into_iter().map(move |id| (id, waits)).collect::<Vec<_>>()
    };
    let name = |(id, waits): (String, &'w Waits<'w>)| {
        let shared = counts.get(&id).is_some_and(|count| *count > 1);
        let text = if shared { format!("{}/{id}", waits.place) } else { id.clone() };
        Name { text, id, waits }
    };
    all.iter().flat_map(of).map(name).collect()
}

/// `{step_id, agent_id, session, execution_id, calls}` of the agent that waits first, with the calls
/// of all of them, and `agents`: the same for each.
pub fn pending(workflows: &Workflows, number: u64) -> Data {
    let waits = all(workflows, number);
    let names = names(&waits);
    let agents: Vec<Record> = waits.iter().map(|one| told(workflows, one, &names)).collect();
    let Some(first) = agents.first().cloned() else { return Data::Nil };
    let calls = agents.iter().filter_map(|agent| match agent.get("calls") {
        Some(Data::List(calls)) => Some(calls.clone()),
        _ => None,
    });
    let calls: Vec<Data> = calls.flatten().collect();
    let fields = first.fields.into_iter().filter(|(name, _)| name != "calls");
    let first = Record { fields: fields.collect(), ..Record::new() };
    first.set("calls", Data::List(calls)).set("agents", agents).into()
}

fn told(workflows: &Workflows, waits: &Waits<'_>, names: &[Name<'_>]) -> Record {
    let Waiting { step, agent, session, run } = waits.waiting;
    let own = names.iter().filter(|name| std::ptr::eq(name.waits, waits));
    let calls = pending_calls((None, run.as_ref())).into_iter().zip(own);
    let calls = calls.map(|(call, name)| {
        let rest = call.fields.into_iter().filter(|(field, _)| field != "id");
        let call = Record { fields: rest.collect(), ..Record::new() };
        Data::from(call.set("id", name.text.as_str()))
    });
    let id = workflows.execution(waits.execution).map(|execution| execution.id.clone());
    Record::new()
        .set("step_id", step.as_ref())
        .set("agent_id", agent.as_str())
        .set("session", Some(session.as_str()).filter(|session| !session.is_empty()))
        .set("execution_id", id.unwrap_or_default())
        .set("calls", Data::List(calls.collect()))
}

/// Whether an agent in the execution waits for decisions.
pub fn waits(workflows: &Workflows, number: u64) -> bool {
    !all(workflows, number).is_empty()
}

/// Takes decisions on the calls that agents in the execution wait for, once all fit. Agents on whose
/// calls nothing is said go on waiting.
pub fn decide(runtime: &mut Runtime, number: u64, decisions: &Decisions) -> Result<()> {
    let sorted = sort(&all(&runtime.workflows, number), decisions)?;
    for (execution, path, decisions) in &sorted {
        let waiting = runtime.workflows.execution(*execution)?.waiting.get(path);
        let waiting = waiting.ok_or_else(|| Error::internal("nothing waits there"))?;
        check(runtime, waiting, decisions)?;
    }
    for (execution, path, decisions) in sorted {
        runtime.workflows.executions.get_mut(execution)?.decisions.insert(path, decisions);
    }
    Ok(())
}

/// What was decided in an execution and those inside it, by the keys of the steps: they are made
/// anew from what is recorded.
pub fn decided(workflows: &mut Workflows, number: u64) -> BTreeMap<String, Decisions> {
    let Ok(execution) = workflows.executions.get_mut(number) else { return BTreeMap::new() };
    let mut all = std::mem::take(&mut execution.said);
    let own = std::mem::take(&mut execution.decisions);
    all.extend(own.into_iter().map(|(path, decisions)| (execution.key(&path), decisions)));
    for child in execution.children.values().copied().collect::<Vec<_>>() {
        all.extend(decided(workflows, child));
    }
    all
}

/// The same for a run that is only in the store; nothing may be decided only where nothing waits.
pub fn decide_elsewhere(
    recorded: &Recorded,
    decisions: Option<&Decisions>,
) -> Result<BTreeMap<String, Decisions>> {
    let all = recalling::waiting(recorded)?;
    let all = all.into_iter().map(|(place, waiting)| (Rc::<str>::from(place), waiting));
    let all: Vec<(Rc<str>, Waiting)> = all.filter(|(_, one)| one.needs_decisions()).collect();
    let waits = all.iter().map(|(path, waiting)| {
        let place = path.to_string();
        Waits { execution: 0, path, place, waiting }
    });
    let waits: Vec<Waits<'_>> = waits.collect();
    match decisions {
        None if waits.is_empty() => Ok(BTreeMap::new()),
        None => Err(nothing_said(&names(&waits))),
        Some(decisions) => {
            let run = &recorded.head.run;
            let sorted = sort(&waits, decisions)?.into_iter();
            Ok(sorted.map(|(_, place, own)| (format!("{run}:{place}"), own)).collect())
        }
    }
}

type Sorted = Vec<(u64, Rc<str>, Decisions)>;

/// Which decisions are whose, by the ids of their own calls.
fn sort(waits: &[Waits<'_>], decisions: &Decisions) -> Result<Sorted> {
    let names = names(waits);
    let mut sorted: BTreeMap<&str, (u64, Rc<str>, Decisions)> = BTreeMap::new();
    for (text, decision) in decisions {
        let name = names.iter().find(|name| name.text == *text);
        let Name { id, waits, .. } = name.ok_or_else(|| unknown(text, &names))?;
        let empty = || (waits.execution, waits.path.clone(), Decisions::new());
        let (.., own) = sorted.entry(&waits.place).or_insert_with(empty);
        own.insert(id.clone(), decision.clone());
    }
    Ok(sorted.into_values().collect())
}

fn unknown(text: &str, names: &[Name<'_>]) -> Error {
    let all: Vec<String> = names.iter().map(|name| quoted(&name.text)).collect();
    let waiting = if all.is_empty() { "none does".to_owned() } else { all.join(", ") };
    let text = quoted(text);
    Error::invalid(format!(
        "options.decisions: no call {text} waits for a decision; those that do: {waiting}"
    ))
}

/// Fails where nothing is decided although an agent waits.
pub fn missing(workflows: &Workflows, number: u64) -> Error {
    nothing_said(&names(&all(workflows, number)))
}

fn nothing_said(names: &[Name<'_>]) -> Error {
    let names: Vec<String> = names.iter().map(|name| quoted(&name.text)).collect();
    let names = names.join(", ");
    Error::invalid(format!("options.decisions: expected decisions on the calls {names}, got nil"))
}

fn check(runtime: &Runtime, waiting: &Waiting, decisions: &Decisions) -> Result<()> {
    // Without its agent the step fails, as any other.
    let Ok(agent) = runtime.agents.require(&waiting.agent) else { return Ok(()) };
    let mut plan = Plan::new(runtime, agent, Own::default())?;
    plan.over(runtime, &waiting.run.own)?;
    agent::check_decisions(runtime, &waiting.run, decisions, &plan.tools)
        .map_err(|error| error.at("options"))
}
