//! Executions step by step.

use super::control::{EXECUTION, Found, find};
use super::execute::{ERRORS, LAID, begin, lay};
use crate::error::{Error, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Read, Run};
use crate::lua::faces::{ASYNC, face};
use crate::runtime::Runtime;
use crate::shape::{Kind, Options, Shape};
use crate::step::{Operation, Start};
use crate::workflow::Stepping;
use crate::workflow::deciding;
use crate::workflow::execution::{self, Status};

static OPTIONS: Shape = Shape::new("WorkflowStepOptions", &[ASYNC], &[&LAID]);

pub const STEP: Function = Function {
    name: "step",
    params: &[
        EXECUTION,
        Param::new("input", Kind::Any).optional().read(Read::Whole),
        Param::new("options", Kind::Table(&OPTIONS)).optional(),
    ],
    returns: &[("step", "zigllms.StepResult")],
    doc: "Executes one step, then pauses: `{id, status, output, response, error, attempts, started_at, duration_ms}` of \
          that step, with `execution_id`, `execution_status` and `result`, which `execute` would have returned. The id of \
          a workflow begins a new execution, unless `step` has paused its latest one, which goes on; so does a paused \
          execution by its own id. Input and options are those of a new execution. Steps that hold others are gone into: \
          what counts as one step is what does work itself, in a parallel step one branch after the other; a \
          `workflow_call` is executed whole. Steps whose condition does not hold are passed over. `resume` executes \
          all that is left. A failure raises as `execute` does. Waits.",
    errors: ERRORS,
    effect: Effect::Outside,
    example: "local id = zigllms.workflow.create{ steps = {\n  \
              { id = \"one\", fn = function(ctx) return ctx.input + 1 end },\n  \
              { id = \"two\", fn = function(ctx) return ctx.input * 2 end },\n} }\n\
              local step = zigllms.workflow.step(id, 20)\n\
              assert(step.output == 21 and step.execution_status == \"paused\")\n\
              step = zigllms.workflow.step(id)\n\
              assert(step.id == \"two\" and step.result.output == 42)",
    run: Run::Waits(step),
};

fn step(runtime: &mut Runtime, args: &Args<'_>) -> Result<Start> {
    let options = args.options(2, &OPTIONS);
    let number = match paused(runtime, &args.id(0))? {
        Some(number) => decided(runtime, number)?,
        None => fresh(runtime, args, &options)?,
    };
    let operation = Operation::new("workflow_stepping", Stepping::new(number));
    Ok(Start { operation, face: face(&options), sink: None })
}

/// What agents wait for only `resume` can say.
fn decided(runtime: &Runtime, number: u64) -> Result<u64> {
    if deciding::waits(&runtime.workflows, number) {
        let id = &runtime.workflows.execution(number)?.id;
        let message = format!("{id} waits for decisions on calls: workflow.resume takes them");
        return Err(Error::state(message));
    }
    Ok(number)
}

/// The execution that goes on: one that is named, or the latest one if it is gone through step by
/// step.
fn paused(runtime: &Runtime, key: &str) -> Result<Option<u64>> {
    let named = runtime.workflows.executions.find(key);
    let Found::Execution(number) = find(runtime, key)? else { return Ok(None) };
    let execution = runtime.workflows.execution(number)?;
    let is_paused = execution.status == Status::Paused;
    let by_step = !matches!(execution.stepping, execution::Stepping::No);
    match named {
        Some(_) if !is_paused => {
            let (id, status) = (&execution.id, execution.status.name());
            Err(Error::state(format!("{id} is {status}: only a paused execution has a next step")))
        }
        Some(_) => Ok(named),
        None => Ok(Some(number).filter(|_| is_paused && by_step)),
    }
}

fn fresh(runtime: &mut Runtime, args: &Args<'_>, options: &Options<'_>) -> Result<u64> {
    let workflow = runtime.workflows.known.require(&args.id(0))?;
    let number = begin(runtime, args, workflow)?;
    lay(runtime, number, options)?;
    Ok(number)
}
