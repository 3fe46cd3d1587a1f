//! `agent.as_tool`: an agent as a tool of others.

use super::AGENT;
use crate::agent::definition;
use crate::error::{Code, Error, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Shape};
use crate::value::Data;

static OPTIONS: Shape = Shape::new(
    "AsTool",
    &[
        Field::new("name", Kind::Name, "the agent's", "of the tool"),
        Field::new(
            "description",
            Kind::Text,
            "the agent's",
            "what the agent is for; the model that calls it reads this",
        ),
        Field::new(
            "parameters",
            Kind::Schema,
            "`{input=string}`",
            "schema of what it is given; anything but a lone `input` is read as `agent.run` reads a table",
        ),
        Field::new(
            "mode",
            Kind::Enum(&["call", "handoff"]),
            "\"call\"",
            "\"handoff\": its answer becomes the response of the run that calls it",
        ),
        Field::new(
            "history",
            Kind::Bool,
            "false",
            "true: it reads the conversation that the calling model was shown",
        ),
        Field::new(
            "session",
            Kind::Name,
            "none: each call starts anew",
            "a conversation of its own that it goes on with",
        ),
    ],
    &[],
);

pub const AS_TOOL: Function = Function {
    name: "as_tool",
    params: &[AGENT, Param::new("options", Kind::Table(&OPTIONS)).optional()],
    returns: &[("definition", "zigllms.ToolDefinition")],
    doc: "The definition of a tool that runs the agent: for the `tools` of another agent, or for `tool.register`. \
          Its result is the agent's `content`, or `parsed` if it has a schema; a failure is told to the model that \
          called. Calls of one round run side by side, the handoffs after all others: the first one ends the run with \
          the other agent's answer (`response.agent_id` says whose), a second one is not executed. The run inside is \
          one of its agent, with hooks and events of its own and without a time limit as a tool; what it uses is part \
          of the `usage` and the `budget` of the runs around it. Only a handoff is heard in the stream. Calls in it \
          that need approval stop the outermost run, under ids like `c1/p1`. Agents are nested 16 deep at most; one that \
          would wait for a conversation of a run around it is refused (invalid_state).",
    errors: &[Code::NotFound],
    effect: Effect::Reads("agents"),
    example: "local reader = zigllms.agent.create{ name = \"reader\", provider = \"openai\" }\n\
              local tool = zigllms.agent.as_tool(reader, { description = \"Reads long texts\" })\n\
              zigllms.agent.create{ provider = \"openai\", tools = { tool } }",
    run: Run::Now(as_tool),
};

fn as_tool(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let key = args.id(0);
    let number = runtime.agents.require(&key)?;
    let agent = runtime.agents.get(number).ok_or_else(|| Error::not_found("agent", &key))?;
    let options = args.options(1, &OPTIONS);
    Ok(definition(&runtime.agents.id(number), agent, &options).into())
}
