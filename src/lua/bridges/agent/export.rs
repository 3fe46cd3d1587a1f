//! `agent.export` and `agent.import`: an agent that goes on in another process.

use super::{AGENT, hooks, insert, with_options};
use crate::agent::{Agent, CONFIG, State, export};
use crate::error::{Code, Error, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::provider::Whom;
use crate::runtime::Runtime;
use crate::shape::{Check, Kind, Options};
use crate::value::{Data, Ref, Tape};

const PLACE: &str = "exported";

pub const EXPORT: Function = Function {
    name: "export",
    params: &[AGENT],
    returns: &[("exported", "table")],
    doc: "An agent as plain data, for `agent.import` in this or another process: configuration, conversations of all \
          sessions as of their last finished turn, runs that wait for a decision, usage and counts. Functions, API \
          keys and headers stay behind: tools are named, those of the agent alone come without their function. What \
          lies in `memory` is no part of it; persistent conversations are in it as this process saw them last.",
    errors: &[Code::NotFound],
    effect: Effect::Reads("agents"),
    example: "local id = zigllms.agent.create{ name = \"ada\", provider = \"openai\" }\n\
              local text = zigllms.output.format(zigllms.agent.export(id), \"json\")",
    run: Run::Now(export_agent),
};

pub const IMPORT: Function = Function {
    name: "import",
    params: &[
        Param::new(PLACE, Kind::Map),
        Param::new("overrides", Kind::Table(&CONFIG)).optional(),
    ],
    returns: &[("agent_id", "string")],
    doc: "A new agent from what `agent.export` gave. `overrides` are options over those that came; `tools` in it bind \
          functions: a tool takes the place of the one of its name. Tools that are only named are looked up at each \
          run; what is not registered then is skipped, and `missing` in infos. A provider without a key takes it from \
          the environment. A stopped run goes on with `agent.resume`.",
    errors: &[Code::NotFound, Code::ValidationFailed, Code::Unsupported],
    effect: Effect::Writes("agents"),
    example: "local id = zigllms.agent.create{ name = \"ada\", provider = \"openai\" }\n\
              local copy = zigllms.agent.import(zigllms.agent.export(id), { model = \"gpt-4o\" })",
    run: Run::Now(import_agent),
};

fn export_agent(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let number = runtime.agents.require(&args.id(0))?;
    export::export(runtime, number).map(Data::Json)
}

fn import_agent(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let given = args.get(0).ok_or_else(|| Error::invalid("exported: expected a table, got nil"))?;
    let overrides = args.options(1, &CONFIG);
    let strict = runtime.config.strict;
    let imported = export::read(given, strict, PLACE)?;
    let mut agent = configured(runtime, given, &overrides, strict)?;
    agent.tools = export::bind(imported.tools, &agent.tools, &runtime.tools);
    let hooks = hooks::said(&overrides)?.unwrap_or_default();
    if agent.provider.is_none() {
        Whom::usual(runtime)?;
    }
    agent.conversations = imported.conversations.into_iter().collect();
    agent.aside = imported.aside;
    agent.counts = imported.counts;
    agent.state = state(&agent);
    let number = insert(runtime, agent);
    hooks::set(runtime, number, hooks);
    Ok(Data::from(runtime.agents.id(number)))
}

fn state(agent: &Agent) -> State {
    match agent.waiting().is_empty() {
        false => State::Ready,
        true if agent.counts.is_some() => State::Completed,
        true => State::Idle,
    }
}

/// The options that came, with those that are given over them.
fn configured(
    runtime: &Runtime,
    given: Ref<'_>,
    overrides: &Options<'_>,
    strict: bool,
) -> Result<Agent> {
    static KIND: Kind = Kind::Table(&CONFIG);
    let mut tape = Tape::default();
    put_options(given, overrides, &mut tape);
    let root = tape.root().ok_or_else(|| Error::internal("no options"))?;
    Check { strict }.value(root, &KIND, PLACE)?;
    let blank = Agent { created_at: runtime.clock.unix(), ..Agent::default() };
    let placed = |error: Error| {
        let message = error.message().replacen("config.", &format!("{PLACE}."), 1);
        Error::new(error.code(), message).with(|f| f.details = error.fields().details.clone())
    };
    let agent = with_options(runtime, blank, &Options::new(Some(root), &CONFIG)).map_err(placed)?;
    with_options(runtime, agent, overrides)
}

/// As `agent.create` takes them. Whom they name need not be there if another one takes its place;
/// tools are read apart, since their functions are not here.
fn put_options(given: Ref<'_>, overrides: &Options<'_>, tape: &mut Tape) {
    let config = given.get("config").into_iter().flat_map(Ref::members);
    let config = config.filter_map(|(name, value)| Some((name.as_str()?, value)));
    let config = config.filter(|(name, _)| !["tools", "hooks", "name"].contains(name));
    let beside = ["name", "provider", "fallback"].into_iter();
    let is_replaced =
        |name: &str| name != "name" && (overrides.get(name).is_some() || overrides.unsets(name));
    let beside = beside.filter(|name| !is_replaced(name));
    let beside = beside.filter_map(|name| Some((name, given.get(name)?)));
    let all: Vec<_> = config.chain(beside).collect();
    let object = tape.open_object();
    for (name, value) in &all {
        tape.str(name.as_bytes());
        tape.copy(value.walk());
    }
    tape.close(object, all.len());
}
