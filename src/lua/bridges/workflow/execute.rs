//! What runs workflows.

use super::{WORKFLOW, durable};
use crate::error::{Code, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Read, Run};
use crate::lua::faces::{ASYNC, DETACH, face};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape};
use crate::step::{Face, Start};
use crate::value::Data;
use crate::workflow::definition::OnUnknown;
use crate::workflow::{Kept, check_input, whole};

/// What belongs to an execution as a whole.
pub static LAID: Shape = Shape::new(
    "WorkflowExecution",
    &[
        Field::new(
            "timeout_ms",
            Kind::Number(0.0, 1e12),
            "the workflow's",
            "limit of the execution, without the time it was paused; 0 = none",
        ),
        Field::new(
            "variables",
            Kind::Map,
            "",
            "values of `variables` beside, or in place of, those of the definition",
        ),
        Field::new(
            "on_step",
            Kind::Function,
            "",
            "`function(step)`, called with `{id, status, output, …}` of each step that has ended",
        ),
        Field::new("metadata", Kind::Map, "", "stands in the result"),
    ],
    &[],
);

static OPTIONS: Shape = Shape::new(
    "WorkflowOptions",
    &[
        Field::new(
            "on_error",
            Kind::Enum(&["raise", "return"]),
            "\"raise\"",
            "\"return\": a failure is a result with `status = \"failed\"` and `error`",
        ),
        Field::new(
            "durable",
            Kind::Bool,
            "false",
            "every step that has ended is recorded in the store: a run outlives its process",
        ),
        Field::new(
            "run_id",
            Kind::Name,
            "",
            "durable: begins the run of that name, goes on with it, or gives its recorded result",
        ),
        Field::new(
            "on_unknown",
            Kind::Enum(OnUnknown::NAMES),
            "as the steps say",
            "durable: what becomes of a step of which nobody knows whether it ended",
        ),
        ASYNC,
        DETACH,
    ],
    &[&LAID],
);

/// What every execution may raise.
pub const ERRORS: &[Code] = &[
    Code::NotFound,
    Code::ValidationFailed,
    Code::TemplateError,
    Code::ConversionError,
    Code::CallbackError,
    Code::ToolError,
    Code::Timeout,
    Code::Cancelled,
    Code::AbortedByHook,
    Code::HookError,
    Code::InvalidState,
    Code::AlreadyExists,
    Code::VersionMismatch,
    Code::IoError,
    Code::Unsupported,
];

pub const EXECUTE: Function = Function {
    name: "execute",
    params: &[
        WORKFLOW,
        Param::new("input", Kind::Any).optional().read(Read::Whole),
        Param::new("options", Kind::Table(&OPTIONS)).optional(),
    ],
    returns: &[("result", "zigllms.WorkflowResult")],
    doc: "Executes a workflow with an input, any value. The result is `{workflow_id, execution_id, name, status, output, \
          steps={[id]={status, output?, response?, error?, attempts, started_at, duration_ms}}, step_order, usage, \
          started_at, finished_at, duration_ms}`. `output` is the last executed step's (SEQUENTIAL), a table by step \
          (PARALLEL), the executed branch's (CONDITIONAL) or an array of the iterations' (LOOP; with `iterations` and \
          `break_reason`). Where an agent's calls need a decision the result has `status = \"paused\"` and `pending`: \
          `{step_id, agent_id, session, execution_id, calls}`, with the calls of all agents that wait, and in its array \
          the same of each agent; `resume` goes on. Values pass from step to step as they are. A failure raises the error of the step, with \
          `details.workflow_id`, `execution_id`, `step_id` and `completed`. With `durable` or `run_id` the execution is a run \
          that a store records (`result.run_id`, `recovered_steps`): see doc/durability.md. Waits.",
    errors: ERRORS,
    effect: Effect::Outside,
    example: "local id = zigllms.workflow.create{ steps = {\n  \
              { id = \"twice\", fn = function(ctx) return ctx.input * 2 end },\n  \
              { id = \"say\", type = \"transform\", template = \"it is {{previous.output}}\" },\n} }\n\
              assert(zigllms.workflow.execute(id, 21).output == \"it is 42\")",
    run: Run::Waits(execute),
};

/// A new execution, with the second argument as its input. Answers its number.
pub fn begin(runtime: &mut Runtime, args: &Args<'_>, workflow: u64) -> Result<u64> {
    let definition = runtime.workflows.definition(workflow)?;
    check_input(&definition, args.get(1), args.given(1).is_some())?;
    runtime.workflows.begin(workflow, Data::from(args.given(1)))
}

fn execute(runtime: &mut Runtime, args: &Args<'_>) -> Result<Start> {
    let workflow = runtime.workflows.known.require(&args.id(0))?;
    let options = args.options(2, &OPTIONS);
    let claim = durable::claim(runtime, workflow, args, &options)?;
    let number = match claim {
        Some(claim) => durable::begin(runtime, args, workflow, claim)?,
        None => begin(runtime, args, workflow)?,
    };
    lay(runtime, number, &options)?;
    let execution = runtime.workflows.executions.get_mut(number)?;
    execution.returns = options.word("on_error") == Some("return");
    start(runtime, number, face(&options))
}

/// The execution in the face that was asked for: a handle follows it.
fn start(runtime: &mut Runtime, number: u64, face: Face) -> Result<Start> {
    let operation = match face {
        Face::Handle | Face::Detached => Kept::operation(runtime, number)?,
        _ => whole(runtime, number)?,
    };
    Ok(Start { operation, face, sink: None })
}

/// The options of an execution over its workflow's definition.
pub fn lay(runtime: &mut Runtime, number: u64, options: &Options<'_>) -> Result<()> {
    let execution = runtime.workflows.executions.get_mut(number)?;
    execution.timeout_ms = options.number("timeout_ms");
    execution.on_step = options.function("on_step");
    execution.metadata = options.get("metadata").map_or(Data::Nil, |m| Data::Json(m.to_json()));
    if let (Data::Json(own), Some(given)) = (&mut execution.variables, options.get("variables"))
        && let Some(own) = own.as_object_mut()
    {
        given.members().for_each(|(name, value)| drop(own.insert(name.to_text(), value.to_json())));
    }
    Ok(())
}
