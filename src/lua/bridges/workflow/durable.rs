//! Executions that are runs: what of a call the journal is asked for.

use serde_json::json;

use crate::chance;
use crate::error::{Code, Error, Result, quoted};
use crate::lua::args::Args;
use crate::runtime::Runtime;
use crate::shape::Options;
use crate::value::Data;
use crate::workflow::definition::OnUnknown;
use crate::workflow::journal::{self, Claim, Plain};
use crate::workflow::{Status, check_input};

/// The run that a call of `execute` is about; `None` if it is not durable.
pub fn claim(
    runtime: &Runtime,
    workflow: u64,
    args: &Args<'_>,
    options: &Options<'_>,
) -> Result<Option<Claim>> {
    let (run, durable) = (options.text("run_id"), options.bool("durable"));
    if run.is_none() && durable != Some(true) {
        return needs_none(options).map(|()| None);
    }
    if let (Some(run), Some(false)) = (&run, durable) {
        let run = quoted(run);
        let message = format!("options.run_id: expected nil, as durable is false, got {run}");
        return Err(Error::invalid(message));
    }
    if runtime.store.place().is_memory() {
        let message = "a durable execution needs a store: zigllms.configure{store = \"runs.db\"}";
        return Err(Error::state(message));
    }
    args.require_data(1)?;
    let input = args.get(1).map(Plain::read);
    let asked = journal::Options {
        on_unknown: options.word("on_unknown").and_then(OnUnknown::of),
        metadata: options.get("metadata").map(Plain::read).unwrap_or_default(),
        timeout_ms: options.number("timeout_ms"),
    };
    let run = run.unwrap_or_else(|| new_id(runtime));
    journal::check_run(&run).map_err(|error| error.at("options.run_id"))?;
    of(runtime, workflow, run).map(|claim| Some(Claim { input, options: asked, ..claim }))
}

/// A claim of a run that may be there or not.
pub fn of(runtime: &Runtime, workflow: u64, run: String) -> Result<Claim> {
    let definition = runtime.workflows.definition(workflow)?;
    let Some(name) = definition.name.clone() else {
        let id = runtime.workflows.known.id(workflow);
        let message = format!(
            "a durable execution needs a workflow with a name, by which it is found again: {} \
             has none",
            quoted(&id)
        );
        return Err(Error::state(message));
    };
    Ok(Claim {
        run,
        workflow: name,
        version: definition.version.clone(),
        definition: definition.hash(runtime),
        create: true,
        ..Claim::default()
    })
}

fn needs_none(options: &Options<'_>) -> Result<()> {
    let Some(word) = options.word("on_unknown") else { return Ok(()) };
    Err(Error::invalid(format!(
        "options.on_unknown: expected nil without durable or run_id, got {word:?}"
    )))
}

fn new_id(runtime: &Runtime) -> String {
    format!("run_{:x}_{:016x}", (runtime.clock.unix() * 1000.0) as u64, chance::random())
}

/// The execution of the run; one that is paused here goes on.
pub fn begin(runtime: &mut Runtime, args: &Args<'_>, workflow: u64, claim: Claim) -> Result<u64> {
    let definition = runtime.workflows.definition(workflow)?;
    if claim.input.is_some() {
        check_input(&definition, args.get(1), true)?;
    }
    let number = match runtime.workflows.executions.find(&claim.run) {
        Some(known) => known_here(runtime, known, &claim.run)?,
        None => None,
    };
    let number = match number {
        Some(number) => number,
        None => {
            let input = Data::from(args.given(1));
            runtime.workflows.begin_as(claim.run.clone(), workflow, input)?
        }
    };
    runtime.workflows.executions.get_mut(number)?.claim = Some(claim);
    Ok(number)
}

/// Of what has ended here the journal knows more; `Some`: it is paused.
fn known_here(runtime: &mut Runtime, number: u64, run: &str) -> Result<Option<u64>> {
    let execution = runtime.workflows.execution(number)?;
    if execution.claim.is_none() {
        let message = format!("{} is the id of an execution that is not durable", quoted(run));
        return Err(Error::new(Code::AlreadyExists, message));
    }
    match execution.status {
        Status::Paused => Ok(Some(number)),
        Status::Pending | Status::Running => {
            let details = json!({ "reason": "owned", "run_id": run });
            let message = format!("run {} is under way in this process", quoted(run));
            Err(Error::state(message).with(|f| f.details = Some(details)))
        }
        _ => {
            runtime.workflows.executions.remove(number);
            Ok(None)
        }
    }
}
