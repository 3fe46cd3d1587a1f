//! Looking at workflows: which there are, what they need, whether they are sound.

use std::rc::Rc;

use super::{WORKFLOW, runs};
use crate::error::{Code, Error, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Read, Run};
use crate::lua::filters::{self, LIST};
use crate::runtime::Runtime;
use crate::shape::{Check, Field, Kind, Options, Shape, id_of};
use crate::step::{Face, Operation, Ready};
use crate::value::{Data, Record, Ref};
use crate::workflow::Destroying;
use crate::workflow::calls;
use crate::workflow::definition::shape::{PATTERNS, WORKFLOW as DEFINITION};
use crate::workflow::definition::{Definition, Flaw, Found, Problem, TOLD, judge, read, untold};
use crate::workflow::mermaid;

const STATUSES: &[&str] = &["pending", "running", "paused", "completed", "failed", "cancelled"];

static FILTER: Shape = Shape::new(
    "WorkflowFilter",
    &[
        Field::new("status", Kind::Enum(STATUSES), "", "status of the latest execution"),
        Field::new("pattern", Kind::Enum(PATTERNS), "", "workflows of this pattern"),
        Field::new("runs", Kind::Bool, "false", "the durable runs in the store, of all processes"),
    ],
    &[&LIST],
);

pub const LISTED: Function = Function {
    name: "list",
    params: &[Param::new("filter", Kind::Table(&FILTER)).optional()],
    returns: &[("workflows", "table[]")],
    doc: "All workflows in the order they were made: `{id, name, pattern, status, steps_count}`. The status is that of \
          the latest execution, \"pending\" before the first; `steps_count` counts steps inside of others, too. With \
          `runs=true` the runs in the store, the oldest first: `{id, workflow_id?, name, version, status, started_at, \
          finished_at?, owned, owner}`; `owned` says whether a process that lives has it.",
    errors: &[Code::InvalidState, Code::IoError, Code::Unsupported, Code::Cancelled],
    effect: Effect::Reads("workflows"),
    example: "for _, workflow in ipairs(zigllms.workflow.list{ pattern = \"parallel\" }) do print(workflow.id, workflow.status) end",
    run: Run::Perhaps(None, list),
};

const JUDGED: Kind = Kind::OneOf(&[Kind::Text, Kind::Later(&DEFINITION)]);

pub const VALIDATE: Function = Function {
    name: "validate",
    params: &[Param::new("definition", JUDGED).read(Read::Judged)],
    returns: &[("result", "table")],
    doc: "Says what is wrong with a definition, or with a workflow by its id, and executes nothing: \
          `{valid, errors, warnings, has_cycles, step_count}`, where each error and warning is `{path, message, code}`. \
          Besides what `create` refuses, errors are templates that can never be filled in: unknown roots and steps, \
          `loop` outside of loops, steps that cannot have run by then (with `default(…)` a warning). Warnings are \
          agents, tools and workflows that do not exist yet, steps that may not have run by then, steps that are \
          never reached, conditions that compare constants, lists without steps. Of each 1000 are told at most; \
          `more_errors` and `more_warnings` are how many more there are. What is wrong is no error; the result is a \
          table, so test `.valid`.",
    errors: &[Code::NotFound],
    effect: Effect::Reads("workflows"),
    example: "local result = zigllms.workflow.validate{ steps = {\n  \
              { id = \"a\", type = \"transform\", template = \"{{steps.b.output}}\" },\n  \
              { id = \"b\", type = \"transform\", template = \"{{inputs}}\" },\n} }\n\
              assert(not result.valid)\nassert(result.errors[1].path == \"steps[1].template\")",
    run: Run::Now(validate),
};

pub const GET_DEPENDENCIES: Function = Function {
    name: "get_dependencies",
    params: &[WORKFLOW],
    returns: &[("dependencies", "table")],
    doc: "What a workflow needs: `{agents, tools, workflows, steps, order, missing}`. The first three are ids of what its \
          steps call; `missing` has, under the same names, what does not exist (yet). `steps` has for each step the \
          ids of those it depends on: by `depends_on`, and by templates that name them or `previous`. `order` has the \
          ids of all steps in the order in which they run, those inside of a step behind it.",
    errors: &[Code::NotFound],
    effect: Effect::Reads("workflows"),
    example: "local id = zigllms.workflow.create{ steps = {\n  \
              { id = \"b\", tool = \"calculator\", depends_on = { \"a\" },\n    \
              input = { expression = \"{{steps.a.output}}\" } },\n  \
              { id = \"a\", type = \"transform\", template = \"1 + 1\" },\n} }\n\
              local needs = zigllms.workflow.get_dependencies(id)\n\
              assert(needs.order[1] == \"a\" and needs.steps.b[1] == \"a\")\n\
              assert(needs.tools[1] == \"calculator\")",
    run: Run::Now(get_dependencies),
};

pub const GET_INFO: Function = Function {
    name: "get_info",
    params: &[WORKFLOW],
    returns: &[("info", "table")],
    doc: "What is known of a workflow: `{id, name, description, version, pattern, status, steps_count, created_at, \
          metadata, executions}`, and of its executions that are still known `executions` by status, \
          `latest_execution_id`, `latest_started_at`, `latest_duration_ms` and `avg_time_ms`.",
    errors: &[Code::NotFound],
    effect: Effect::Reads("workflows"),
    example: "local id = zigllms.workflow.create{ name = \"nothing\", steps = {} }\n\
              assert(zigllms.workflow.get_info(id).status == \"pending\")",
    run: Run::Now(get_info),
};

pub const DESTROY: Function = Function {
    name: "destroy",
    params: &[WORKFLOW],
    returns: &[("existed", "boolean")],
    doc: "Forgets a workflow and cancels its executions: whoever waits for one gets the error `cancelled`. What is known \
          of executions stays, of the newest 100 of all workflows that are gone. False if there is no such workflow.",
    errors: &[],
    effect: Effect::Writes("workflows"),
    example: "local id = zigllms.workflow.create{ steps = {} }\n\
              assert(zigllms.workflow.destroy(id))\nassert(not zigllms.workflow.destroy(id))",
    run: Run::Perhaps(None, destroy),
};

pub const TO_MERMAID: Function = Function {
    name: "to_mermaid",
    params: &[Param::new("id", Kind::Id("a workflow or an execution")).read(Read::Named)],
    returns: &[("graph", "string")],
    doc: "The workflow as a flowchart in the language of Mermaid, which GitHub and many editors draw. The shape of a \
          step says what it does; conditions stand on arrows, loops and maps are boxes that lead back into themselves, \
          dotted arrows go on after a failure. Ids and names may be any text. By the id of an execution the colours say \
          how each step stands: pending, running, paused, completed, failed, skipped or cancelled; what is in loops and \
          maps looks like the last of its ends.",
    errors: &[Code::NotFound],
    effect: Effect::Reads("workflows"),
    example: "local id = zigllms.workflow.create{ name = \"greet\", steps = {\n  \
              { type = \"transform\", template = \"Hello, {{input}}!\" },\n} }\n\
              print(zigllms.workflow.to_mermaid(id))\n\
              local result = zigllms.workflow.execute(id, \"Lua\")\n\
              print(zigllms.workflow.to_mermaid(result.execution_id))",
    run: Run::Now(to_mermaid),
};

fn list(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let options = args.options(0, &FILTER);
    if options.bool("runs") == Some(true) {
        return Ok(runs::list(&options));
    }
    Ok(Ready::Now(known(runtime, &options)))
}

fn known(runtime: &Runtime, options: &Options<'_>) -> Data {
    let (status, pattern) = (options.word("status"), options.word("pattern"));
    let wanted = filters::Wanted::of(options);
    let workflows = &runtime.workflows;
    let fits = |number: u64, definition: &Definition| {
        status.is_none_or(|status| workflows.status(number) == status)
            && pattern.is_none_or(|pattern| definition.pattern.name() == pattern)
    };
    let all = workflows.known.iter();
    let chosen = all.filter(|(n, one)| fits(*n, &one.definition) && wanted.name(&one.name));
    let shown = chosen.map(|(number, one)| {
        let id = workflows.known.id(number);
        if wanted.ids { Data::from(id) } else { workflows.summary(number, &id, one).into() }
    });
    Data::List(shown.collect())
}

fn validate(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let Some(given) = args.get(0) else {
        let problem =
            args.require_data(0).err().unwrap_or_else(|| Error::internal("no definition"));
        let problem = unreadable(&problem);
        return Ok(verdict(&[problem], &[], 0).into());
    };
    if let Some(key) = id_of(given).filter(|_| !is_definition(given)) {
        let number = runtime.workflows.known.require(&key)?;
        let workflow = runtime.workflows.known.get(number);
        let definition = workflow.map(|workflow| workflow.definition.clone());
        let definition = definition.ok_or_else(|| Error::not_found("workflow", &key))?;
        return Ok(judged(runtime, &definition, Some(number), Vec::new()).into());
    }
    let check = Check { strict: runtime.config.strict };
    let Found { definition, problems } = read(given, &runtime.schemas, check, "");
    Ok(judged(runtime, &definition, None, problems).into())
}

/// As against a table that only names a workflow.
fn is_definition(given: Ref<'_>) -> bool {
    let fields = ["steps", "if_true", "then", "if_false", "else", "condition"];
    given.is_object()
        && (given.get("id").is_none() || fields.iter().any(|f| given.get(f).is_some()))
}

fn unreadable(error: &Error) -> Problem {
    let (path, message) = error.message().split_once(": ").unwrap_or(("", error.message()));
    let path = path.strip_prefix("definition").unwrap_or(path);
    Problem::new(path.strip_prefix('.').unwrap_or(path), message, Flaw::NotData)
}

fn judged(
    runtime: &Runtime,
    definition: &Definition,
    number: Option<u64>,
    mut errors: Vec<Problem>,
) -> Record {
    let whole = errors.is_empty();
    let own = judge(definition);
    let (recursion, unknown) = calls::judge(runtime, definition, number);
    errors.extend(own.errors.into_iter().chain(recursion));
    // What could not be read leaves gaps, which nobody has made.
    let meant = |problem: &Problem| whole || problem.flaw != Flaw::NoSteps;
    let warnings: Vec<Problem> = own.warnings.into_iter().filter(meant).chain(unknown).collect();
    verdict(&errors, &warnings, definition.count)
}

fn verdict(errors: &[Problem], warnings: &[Problem], count: usize) -> Record {
    let records = |problems: &[Problem]| {
        problems.iter().take(TOLD).map(Problem::to_record).collect::<Vec<_>>()
    };
    Record::new()
        .set("valid", errors.is_empty())
        .set("errors", records(errors))
        .set("more_errors", untold(errors))
        .set("warnings", records(warnings))
        .set("more_warnings", untold(warnings))
        .set("has_cycles", errors.iter().any(|problem| problem.flaw == Flaw::Cycle))
        .set("step_count", count)
}

/// The number, name and definition of a workflow.
fn require(runtime: &Runtime, args: &Args<'_>) -> Result<(u64, String, Rc<Definition>)> {
    let key = args.id(0);
    let number = runtime.workflows.known.require(&key)?;
    let workflow = runtime.workflows.known.get(number);
    let workflow = workflow.ok_or_else(|| Error::not_found("workflow", &key))?;
    Ok((number, workflow.name.clone(), workflow.definition.clone()))
}

fn get_dependencies(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let (_, _, definition) = require(runtime, args)?;
    Ok(calls::dependencies(runtime, &definition).into())
}

fn get_info(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let (number, _, _) = require(runtime, args)?;
    Ok(runtime.workflows.info(number, &runtime.clock).into())
}

/// A machine where there is something to cancel, so that its events are told before the call returns.
fn destroy(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let Some(number) = runtime.workflows.known.find(&args.id(0))? else {
        return Ok(Ready::Now(Data::Bool(false)));
    };
    Ok(Ready::waits(Operation::new("workflow_control", Destroying::new(number)), Face::Plain))
}

fn to_mermaid(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    if let Some(number) = runtime.workflows.executions.find(&args.id(0)) {
        return Ok(mermaid::graph_of(runtime.workflows.execution(number)?).into());
    }
    let (_, name, definition) = require(runtime, args)?;
    Ok(mermaid::graph(&definition, &name).into())
}
