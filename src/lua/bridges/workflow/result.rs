//! How executions have ended.

use super::control::{EXECUTION, Found, Place, place};
use super::runs;
use crate::error::{Code, Error, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::lua::faces::{ASYNC, face};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape};
use crate::step::{Operation, Ready};
use crate::value::Data;
use crate::workflow::execution::Status;
use crate::workflow::{Awaiting, standing};

static OPTIONS: Shape = Shape::new(
    "WorkflowResultOptions",
    &[
        Field::new("wait", Kind::Bool, "false", "true = waits until the execution has ended"),
        Field::new(
            "timeout_ms",
            Kind::Number(0.0, 1e12),
            "",
            "waits at most so long, then raises `timeout`; 0 = no limit",
        ),
        ASYNC,
    ],
    &[],
);

pub const GET_RESULT: Function = Function {
    name: "get_result",
    params: &[EXECUTION, Param::new("options", Kind::Table(&OPTIONS)).optional()],
    returns: &[
        ("result", "zigllms.WorkflowResult?"),
        ("status", "zigllms.workflow.Status?"),
        ("error", "zigllms.Error?"),
    ],
    doc: "The result of an execution that is completed: the very table that `execute` returned. Of one that is pending, \
          running or paused nil and the status; of one that has failed or was cancelled nil, the status and the error. \
          `wait` or `timeout_ms` waits for the end, also while it is paused. A workflow that was never executed is \
          pending, and is not waited for.",
    errors: &[
        Code::NotFound,
        Code::Timeout,
        Code::Cancelled,
        Code::InvalidState,
        Code::IoError,
        Code::Unsupported,
    ],
    effect: Effect::Reads("workflows"),
    example: "local id = zigllms.workflow.create{ steps = { { template = \"Hello, {{input}}!\" } } }\n\
              assert(select(2, zigllms.workflow.get_result(id)) == \"pending\")\n\
              local result = zigllms.workflow.execute(id, \"Lua\")\n\
              assert(zigllms.workflow.get_result(id) == result)",
    run: Run::Perhaps(None, get_result),
};

fn get_result(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let options = args.options(1, &OPTIONS);
    let face = face(&options);
    let timeout_ms = options.number("timeout_ms").filter(|ms| *ms > 0.0);
    let number = match place(runtime, &args.id(0))? {
        Place::Elsewhere(run) => {
            return Ok(runs::result(runtime, run, waits(&options), timeout_ms, face));
        }
        Place::Here(Found::Execution(number)) => number,
        Place::Here(Found::Unused(_)) => {
            let pending = vec![Data::Nil, Data::from(Status::Pending.name())];
            return Ok(Ready::now("workflow_control", face, Data::Many(pending)));
        }
    };
    if let Some(run) = runs::left(runtime, number) {
        return Ok(runs::result(runtime, run, waits(&options), timeout_ms, face));
    }
    if !waits(&options) || runtime.workflows.execution(number)?.status.has_ended() {
        return Ok(Ready::now("workflow_control", face, standing(runtime, number)?));
    }
    refuse_own(runtime, number)?;
    let deadline = timeout_ms.map(|ms| runtime.clock.now().after_float_ms(ms));
    let awaiting = Operation::new("workflow_awaiting", Awaiting::new(number, timeout_ms));
    Ok(Ready::waits(Operation { deadline, ..awaiting }, face))
}

fn waits(options: &Options<'_>) -> bool {
    options.bool("wait").unwrap_or(options.number("timeout_ms").is_some())
}

/// What is inside an execution cannot wait for its end.
fn refuse_own(runtime: &Runtime, number: u64) -> Result<()> {
    let id = &runtime.workflows.execution(number)?.id;
    if runtime.is_in_execution(runtime.tasks.around, id) {
        return Err(Error::state(format!("{id} cannot wait for its own result")));
    }
    Ok(())
}
