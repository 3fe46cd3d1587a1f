//! What stops executions, lets them go on, and tells how they stand.

use super::execute::ERRORS;
use super::runs;
use crate::agent::{Decision, Decisions};
use crate::error::{Code, Error, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Read, Run};
use crate::lua::bridges::agent::approval::{self, DECISION_KIND};
use crate::lua::faces::{ASYNC, face};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape};
use crate::step::{Face, Operation, Ready};
use crate::value::{Data, Record, Ref};
use crate::workflow::deciding;
use crate::workflow::execution::{Execution, Status};
use crate::workflow::{Cancelling, Kept, Resuming};

pub const EXECUTION: Param = Param::new("id", Kind::Id("an execution")).read(Read::Named);

/// What may be raised where an id may be that of a run in the store.
const ANYWHERE: &[Code] = &[Code::NotFound, Code::IoError, Code::Unsupported, Code::Cancelled];

pub const PAUSE: Function = Function {
    name: "pause",
    params: &[EXECUTION],
    returns: &[("paused", "boolean")],
    doc: "Stops an execution at the next boundary: before a step, an iteration, or the next question of an agent. true if it was running; a plain \
          `execute` then returns a result with `status = \"paused\"`. The id is an execution's, or a workflow's: its \
          latest execution. Steps, tools and hooks of the execution itself may call it.",
    errors: ANYWHERE,
    effect: Effect::Writes("workflows"),
    example: "local id = zigllms.workflow.create{ steps = {\n  \
              { id = \"a\", fn = function(ctx) return zigllms.workflow.pause(ctx.workflow.execution_id) end },\n  \
              { id = \"b\", fn = function() return \"done\" end },\n} }\n\
              assert(zigllms.workflow.execute(id).status == \"paused\")\n\
              local resumed, result = zigllms.workflow.resume(id)\n\
              assert(resumed and result.output == \"done\")",
    run: Run::Perhaps(None, pause),
};

static RESUME_OPTIONS: Shape = Shape::new(
    "WorkflowResume",
    &[
        Field::new(
            "decisions",
            Kind::MapOf(&DECISION_KIND),
            "",
            "what becomes of each call that an agent waits for, by its id: as `agent.resume` takes them",
        ),
        Field::new(
            "tool_results",
            Kind::Map,
            "",
            "results of such calls, by their ids: `{[id]=value}` is the decision `{result=value}`",
        ),
        ASYNC,
    ],
    &[],
);

pub const RESUME: Function = Function {
    name: "resume",
    params: &[EXECUTION, Param::new("options", Kind::Table(&RESUME_OPTIONS)).optional()],
    returns: &[("resumed", "boolean"), ("result", "zigllms.WorkflowResult?")],
    doc: "Lets a paused execution go on to its end, or to the next pause: true and the result. false if it is not \
          paused. Steps that have ended are not executed again. Where agents wait for decisions on their calls, \
          `decisions` or `tool_results` say what becomes of those, by the ids in `result.pending`; agents on whose calls \
          nothing is said go on waiting. Raises as `execute` does. With `async=true` the \
          execution's handle: the one it has, if it was begun with one. Waits.",
    errors: ERRORS,
    effect: Effect::Outside,
    example: "assert(not zigllms.workflow.resume(zigllms.workflow.create{ steps = {} }))",
    run: Run::Perhaps(None, resume),
};

pub const CANCEL: Function = Function {
    name: "cancel",
    params: &[EXECUTION, Param::new("reason", Kind::Text).optional()],
    returns: &[("cancelled", "boolean")],
    doc: "Ends an execution that is running or paused: true. Whoever waits for it gets the error `cancelled`, with \
          `details.reason`.",
    errors: ANYWHERE,
    effect: Effect::Writes("workflows"),
    example: "assert(not zigllms.workflow.cancel(zigllms.workflow.create{ steps = {} }))",
    run: Run::Perhaps(None, cancel),
};

pub const GET_STATUS: Function = Function {
    name: "get_status",
    params: &[EXECUTION],
    returns: &[("status", "zigllms.workflow.Status"), ("info", "zigllms.ExecutionInfo")],
    doc: "How an execution stands, and `{id, execution_id, name, status, pattern, steps_count, completed_steps, \
          current_step, progress, started_at, finished_at, duration_ms, error, steps}`. `steps_count` and \
          `completed_steps` count steps inside of others, too; `progress` from 0 to 1 is how many of the outermost \
          ones are over; times are Unix seconds. \"pending\" for a workflow that was never executed. Never waits, but \
          for a run that this process does not have: that is in the store, and `owned` and `owner` say who has it.",
    errors: ANYWHERE,
    effect: Effect::Reads("workflows"),
    example: "assert(zigllms.workflow.get_status(zigllms.workflow.create{ steps = {} }) == \"pending\")",
    run: Run::Perhaps(None, get_status),
};

/// An execution, or a workflow that was never executed.
pub enum Found {
    Execution(u64),
    Unused(u64),
}

pub fn find(runtime: &Runtime, key: &str) -> Result<Found> {
    if let Some(number) = runtime.workflows.executions.find(key) {
        return Ok(Found::Execution(number));
    }
    let found = runtime.workflows.known.find(key)?;
    let workflow = found.ok_or_else(|| Error::not_found("execution or workflow", key))?;
    let latest = runtime.workflows.executions.latest(workflow);
    Ok(latest.map_or(Found::Unused(workflow), Found::Execution))
}

/// An execution that this process has, or else a run in the store.
pub enum Place {
    Here(Found),
    Elsewhere(String),
}

pub fn place(runtime: &Runtime, key: &str) -> Result<Place> {
    match find(runtime, key) {
        Ok(found) => Ok(Place::Here(found)),
        Err(error) => runs::elsewhere(runtime, key, &error).map(Place::Elsewhere).ok_or(error),
    }
}

fn pause(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let number = match place(runtime, &args.id(0))? {
        Place::Here(Found::Execution(number)) => number,
        Place::Here(Found::Unused(_)) => return Ok(Ready::Now(Data::Bool(false))),
        Place::Elsewhere(run) => return Ok(runs::pause(run)),
    };
    Ok(Ready::Now(Data::Bool(runtime.workflows.pause(number)?)))
}

fn resume(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let number = match place(runtime, &args.id(0))? {
        Place::Here(Found::Execution(number)) => number,
        Place::Here(Found::Unused(_)) => return Ok(Ready::Now(Data::Bool(false))),
        Place::Elsewhere(run) => {
            let options = args.options(1, &RESUME_OPTIONS);
            return Ok(runs::resume(run, said(&options)?, face(&options)));
        }
    };
    if runtime.workflows.execution(number)?.status != Status::Paused {
        return Ok(Ready::Now(Data::Bool(false)));
    }
    let options = args.options(1, &RESUME_OPTIONS);
    decide(runtime, number, &options)?;
    let face = face(&options);
    let operation = match face {
        Face::Handle => Kept::operation(runtime, number)?,
        _ => Operation::new("workflow_resuming", Resuming::new(number)),
    };
    Ok(Ready::waits(operation, face))
}

/// Every call may be left open, but somebody has to have looked at them.
fn decide(runtime: &mut Runtime, number: u64, options: &Options<'_>) -> Result<()> {
    match said(options)? {
        Some(decisions) => deciding::decide(runtime, number, &decisions),
        None if deciding::waits(&runtime.workflows, number) => {
            Err(deciding::missing(&runtime.workflows, number))
        }
        None => Ok(()),
    }
}

/// What the options say of calls that agents wait for.
fn said(options: &Options<'_>) -> Result<Option<Decisions>> {
    let given = ["decisions", "tool_results"].map(|name| options.get(name));
    if given.iter().all(Option::is_none) {
        return Ok(None);
    }
    let [decisions, results] = given;
    let mut decisions = approval::read(decisions)?;
    for (id, result) in results.into_iter().flat_map(Ref::members) {
        decisions.insert(id.to_text(), Decision::Answer(approval::in_words(result)));
    }
    Ok(Some(decisions))
}

/// A machine, so that the event is told before the call returns.
fn cancel(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let number = match place(runtime, &args.id(0))? {
        Place::Here(Found::Execution(number)) => number,
        Place::Here(Found::Unused(_)) => return Ok(Ready::Now(Data::Bool(false))),
        Place::Elsewhere(run) => return Ok(runs::cancel(run, None, args.text(1))),
    };
    if let Some(run) = runs::left(runtime, number) {
        return Ok(runs::cancel(run, Some(number), args.text(1)));
    }
    let cancelling = Cancelling::new(number, args.text(1));
    Ok(Ready::waits(Operation::new("workflow_control", cancelling), Face::Plain))
}

fn get_status(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let (status, info) = match place(runtime, &args.id(0))? {
        Place::Elsewhere(run) => return Ok(runs::status(run)),
        Place::Here(Found::Execution(number)) => {
            let run = runs::left(runtime, number);
            if let Some(run) = run.or_else(|| runs::recorded(runtime, number)) {
                return Ok(runs::status(run));
            }
            let execution = runtime.workflows.execution(number)?;
            (execution.status, standing(runtime, execution))
        }
        Place::Here(Found::Unused(number)) => (Status::Pending, unused(runtime, number)?),
    };
    Ok(Ready::Now(Data::Many(vec![Data::from(status.name()), info.into()])))
}

fn unused(runtime: &Runtime, number: u64) -> Result<Record> {
    let known = runtime.workflows.known.get(number);
    let known = known.ok_or_else(|| Error::state("the workflow is gone"))?;
    Ok(Record::new()
        .set("id", runtime.workflows.known.id(number))
        .set("name", known.name.as_str())
        .set("status", Status::Pending.name())
        .set("pattern", known.definition.pattern.name())
        .set("steps_count", known.definition.count)
        .set("completed_steps", 0u64)
        .set("progress", 0.0)
        .set("steps", Record::new()))
}

fn progress(execution: &Execution) -> f64 {
    let is_over = |id: &str| execution.ended.contains_key(id);
    execution.definition.progress(execution.status, is_over)
}

fn standing(runtime: &Runtime, execution: &Execution) -> Record {
    let error = execution.error.clone().map_or(Data::Nil, |error| Data::Error(Box::new(error)));
    Record::new()
        .set("id", runtime.workflows.known.id(execution.workflow))
        .set("execution_id", execution.id.as_str())
        .set("name", execution.name.as_str())
        .set("status", execution.status.name())
        .set("pattern", execution.definition.pattern.name())
        .set("steps_count", execution.definition.count)
        .set("completed_steps", execution.completed().len())
        .set("current_step", execution.current.as_deref())
        .set("progress", progress(execution))
        .set("started_at", execution.started_at)
        .set("finished_at", execution.finished_at)
        .set("duration_ms", execution.elapsed_ms(&runtime.clock))
        .set("steps", execution.steps())
        .set("error", error)
}
