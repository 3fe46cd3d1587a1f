//! What makes workflows, and what is known of them.

use super::WORKFLOW;
use crate::error::{Code, Error, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::runtime::Runtime;
use crate::shape::{Check, Kind};
use crate::value::Data;
use crate::workflow::definition::shape;
use crate::workflow::definition::{read, refusal};
use crate::workflow::insert;

pub const CREATE: Function = Function {
    name: "create",
    params: &[Param::new("definition", Kind::Later(&shape::WORKFLOW))],
    returns: &[("workflow_id", "string")],
    doc: "Makes a workflow known by id and name. What is wrong with the definition is told all at once, in \
          `details.errors`: `{path, message, code}` of 1000 problems at most, and in `details.more_errors` how many \
          more there are. Scripts are compiled, conditions and templates are read; agents, tools and workflows are \
          looked for when a step is executed, so they may come later. What else can be known before that, `validate` \
          says. Templates are `{{path}}`, `{{path | json}}`, `{{path | trim}}` or `{{path | default(\"x\")}}`; the path \
          begins with `input`, `previous.output`, `steps.<id>.output`, `variables.<name>`, `workflow.name`, or in loops \
          and maps `loop.item` or `loop.index`. Conditions compare templates and literals by `== ~= < <= > >= contains \
          matches`, with `not`, `and`, `or` and parentheses. Functions get `ctx`: `{input, previous, steps, variables, \
          workflow, loop, step_id, attempt, idempotency_key}` with `cancelled()` and in loops `break_loop()`. More is in \
          doc/workflows.md.",
    errors: &[Code::ValidationFailed],
    effect: Effect::Writes("workflows"),
    example: "local id = zigllms.workflow.create{ name = \"hello\", steps = {\n  \
              { type = \"transform\", template = \"Hello, {{input}}!\" },\n} }",
    run: Run::Now(create),
};

pub const GET: Function = Function {
    name: "get",
    params: &[WORKFLOW],
    returns: &[("definition", "table?")],
    doc: "The normalised definition with its id; nil if there is no such workflow.",
    errors: &[],
    effect: Effect::Reads("workflows"),
    example: "assert(zigllms.workflow.get(\"nobody\") == nil)",
    run: Run::Now(get),
};

fn create(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let table = args.get(0).ok_or_else(|| Error::invalid("definition: expected a table"))?;
    let found = read(table, &runtime.schemas, Check { strict: runtime.config.strict }, "");
    if !found.problems.is_empty() {
        return Err(refusal(&found.problems));
    }
    let number = insert(runtime, found.definition);
    Ok(Data::from(runtime.workflows.known.id(number)))
}

fn get(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let workflows = &runtime.workflows.known;
    let found = workflows.find(&args.id(0))?;
    let shown = |number| {
        let workflow = workflows.get(number)?;
        Some(workflow.definition.to_record(&workflows.id(number), &workflow.name))
    };
    Ok(found.and_then(shown).into())
}
