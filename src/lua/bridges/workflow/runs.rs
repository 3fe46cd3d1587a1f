//! Runs in the store: those that others have, and those that nobody has.

use crate::agent::Decisions;
use crate::error::{Code, Error, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape};
use crate::step::{Face, Operation, Ready};
use crate::value::Data;
use crate::workflow::distant;
use crate::workflow::journal::{self, Filter, Wish, Wished};
use crate::workflow::{Distant, Expecting, Fetching, Recovering, Status, cancel as cancel_here};

static FILTER: Shape = Shape::new(
    "WorkflowRecover",
    &[Field::new("name", Kind::Name, "", "only runs of the workflow of that name")],
    &[],
);

pub const RECOVER: Function = Function {
    name: "recover",
    params: &[Param::new("filter", Kind::Table(&FILTER)).optional()],
    returns: &[("handles", "zigllms.Handle[]"), ("skipped", "table[]")],
    doc: "Goes on with every durable run in the store that has not ended, whose workflow, by its name, has been created \
          here, and whose process is gone: a handle for each. `skipped` are the others that have not ended: \
          `{run_id, workflow, reason}`, with the reason \"owned\", \"paused\", \"unknown_outcome\", \
          \"unknown_workflow\", \"ambiguous\", \"version_mismatch\" or \"unreadable\" (with `error`: records that are \
          damaged, or of a later version). Waits.",
    errors: &[Code::InvalidState, Code::IoError, Code::Unsupported, Code::Cancelled],
    effect: Effect::Outside,
    example: "zigllms.configure{ store = os.tmpname() .. \".db\" }\n\
              local handles, skipped = zigllms.workflow.recover()\n\
              for _, handle in ipairs(handles) do handle:await() end\n\
              assert(#skipped == 0)",
    run: Run::Perhaps(None, recover),
};

/// recover(filter?) → ids, skipped; the chunks make handles of the ids.
fn recover(_: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let options = args.options(0, &FILTER);
    Ok(Ready::waits(Recovering::operation(options.text("name")), Face::Plain))
}

/// The run that an id which nobody knows here may be.
pub fn elsewhere(runtime: &Runtime, key: &str, error: &Error) -> Option<String> {
    let may_be = error.code() == Code::NotFound && !runtime.store.place().is_memory();
    may_be.then(|| key.to_owned())
}

/// The run of an execution that others may have by now.
pub fn left(runtime: &Runtime, number: u64) -> Option<String> {
    let execution = runtime.workflows.execution(number).ok()?;
    let claim = execution.claim.as_ref()?;
    let left = matches!(execution.status, Status::Paused | Status::Failed);
    (left && !execution.owned).then(|| claim.run.clone())
}

/// The run of an execution that only gave what was recorded: its steps are in the store.
pub fn recorded(runtime: &Runtime, number: u64) -> Option<String> {
    let execution = runtime.workflows.execution(number).ok()?;
    let did_nothing = execution.status == Status::Completed && execution.scope.is_none();
    execution.claim.as_ref().filter(|_| did_nothing).map(|claim| claim.run.clone())
}

pub fn pause(run: String) -> Ready {
    let ask = move |runtime: &mut Runtime, me| journal::wish(runtime, me, &run, Wish::Pause);
    plain(Distant::operation(ask, |_, wished| Ok(Data::Bool(wished == Wished::Told))))
}

/// `number`: of what is left of it here.
pub fn cancel(run: String, number: Option<u64>, reason: Option<&str>) -> Ready {
    let (reason, said) = (reason.map(str::to_owned), reason.map(str::to_owned));
    let ask =
        move |runtime: &mut Runtime, me| journal::wish(runtime, me, &run, Wish::Cancel(reason));
    plain(Distant::operation(ask, move |runtime, wished| {
        if let Some(number) = number {
            cancel_here(runtime, number, said.as_deref())?;
        }
        Ok(Data::Bool(matches!(wished, Wished::Told | Wished::Done)))
    }))
}

pub fn status(run: String) -> Ready {
    let name = run.clone();
    let ask = move |runtime: &mut Runtime, me| journal::load(runtime, me, &run);
    plain(Distant::operation(ask, move |runtime, recorded| {
        let recorded = recorded.ok_or_else(|| distant::unknown(&name))?;
        Ok(distant::info(runtime, &recorded))
    }))
}

pub fn result(
    runtime: &Runtime,
    run: String,
    waits: bool,
    timeout_ms: Option<f64>,
    face: Face,
) -> Ready {
    let deadline = timeout_ms.map(|ms| runtime.clock.now().after_float_ms(ms));
    let expecting = Expecting::new(run, waits, timeout_ms);
    let operation = Operation::new("workflow_awaiting", expecting);
    Ready::waits(Operation { deadline, ..operation }, face)
}

pub fn resume(run: String, decisions: Option<Decisions>, face: Face) -> Ready {
    Ready::waits(Fetching::operation(run, decisions), face)
}

/// `list{runs=true}`
pub fn list(options: &Options<'_>) -> Ready {
    let status = options.word("status").and_then(Status::of);
    let (name, ids) = (options.text("name"), options.bool("ids") == Some(true));
    let all = name.is_none() && status.is_none();
    let filter = Filter { name, status, unfinished: false };
    let ask = move |runtime: &mut Runtime, me| journal::runs(runtime, me, filter);
    plain(Distant::operation(ask, move |runtime, listed| {
        let shown = listed.heads.iter().map(|head| match ids {
            true => Data::from(head.run.as_str()),
            false => distant::summary(runtime, head).into(),
        });
        let unreadable = listed.unreadable.iter().filter(|_| all).map(|(run, error)| match ids {
            true => Data::from(run.as_str()),
            false => distant::unreadable(run, error).into(),
        });
        Ok(Data::List(shown.chain(unreadable).collect()))
    }))
}

fn plain(operation: Operation) -> Ready {
    Ready::waits(operation, Face::Plain)
}
