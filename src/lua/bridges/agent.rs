//! `zigllms.agent`: a model with instructions, tools and a memory of the conversation.

use serde_json::Value;

use crate::agent::{
    self, Agent, BEHAVIOUR, CONFIG, Conversation, MODEL, Plan, RAW, Run as AgentRun, State, Why,
    info, pending_calls, summary,
};
use crate::error::{Code, Error, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Bridge, Constants, Effect, Function, Param, Read, Run};
use crate::memory::{Address, Scope, forget, forget_all};
use crate::provider::options::{GENERATION, LIMITS, merge};
use crate::provider::reach::REACH;
use crate::provider::{Reach, Whom};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape};
use crate::step::Start;
use crate::value::{Data, Kept, Record, glob};

use super::super::faces::{ASYNC, DETACH, STREAM, follows, streamed};

pub(super) mod approval;
mod as_tool;
mod export;
mod hooks;
mod send;

static RUN: Shape = Shape::new(
    "RunOptions",
    &[
        Field::new(
            "remember",
            Kind::Bool,
            "true",
            "false: neither read nor write the conversation",
        ),
        Field::new("session", Kind::Name, "", "a conversation of its own, by name"),
        STREAM,
        ASYNC,
        DETACH,
        MODEL,
        RAW,
    ],
    &[&BEHAVIOUR, &GENERATION, &LIMITS, &REACH],
);

static DESTROY: Shape = Shape::new(
    "AgentDestroy",
    &[Field::new(
        "keep_memory",
        Kind::Bool,
        "false",
        "true: what lies under its name in `memory` stays, and so do its conversations in the store",
    )],
    &[],
);

static RESET: Shape = Shape::new(
    "AgentReset",
    &[
        Field::new("keep_usage", Kind::Bool, "false", "keep usage and counters"),
        Field::new("session", Kind::Name, "", "clear this conversation only"),
        Field::new(
            "memory",
            Kind::Bool,
            "false",
            "true: also what lies under its name in `memory`",
        ),
    ],
    &[],
);

static LIST: Shape = Shape::new(
    "AgentFilter",
    &[
        Field::new(
            "state",
            Kind::Enum(&["idle", "ready", "running", "completed", "error"]),
            "",
            "agents in this state",
        ),
        Field::new("provider", Kind::Text, "", "agents of this provider"),
        Field::new("name", Kind::Text, "", "a name; `*` stands for any text"),
        Field::new("ids", Kind::Bool, "false", "an array of ids instead of tables"),
    ],
    &[],
);

pub(super) const AGENT: Param = Param::new("agent_id", Kind::Id("an agent"));

pub static BRIDGE: Bridge = Bridge {
    name: "agent",
    doc: "A model with instructions, tools and a memory of the conversation.",
    constants: &[Constants {
        name: "State",
        members: &[
            ("IDLE", "idle"),
            ("READY", "ready"),
            ("RUNNING", "running"),
            ("COMPLETED", "completed"),
            ("ERROR", "error"),
        ],
    }],
    functions: &[
        Function {
            name: "create",
            params: &[Param::new("config", Kind::Table(&CONFIG))],
            returns: &[("agent_id", "string")],
            doc: "Makes an agent. No network is used and no key is needed yet. A provider configured here belongs to \
                  the agent and its clones: it has no id, and infos show its type. Each round of a run asks the provider \
                  first, and those in `fallback` where it fails.",
            errors: &[Code::NotFound, Code::ValidationFailed, Code::Unsupported],
            effect: Effect::Writes("agents"),
            example: "local id = zigllms.agent.create{ name = \"my_agent\", provider = \"openai\", temperature = 0.7 }",
            run: Run::Now(create),
        },
        Function {
            name: "destroy",
            params: &[AGENT, Param::new("options", Kind::Table(&DESTROY)).optional()],
            returns: &[("existed", "boolean")],
            doc: "Forgets an agent with its conversations; a run under way is cancelled. What lies under its name in \
                  `memory` goes too, in the process and in the store, unless `keep_memory` is true.",
            errors: &[Code::IoError],
            effect: Effect::Writes("agents"),
            example: "local id = zigllms.agent.create{ provider = \"openai\" }\nassert(zigllms.agent.destroy(id))",
            run: Run::Now(destroy),
        },
        Function {
            name: "run",
            params: &[
                AGENT,
                Param::new("input", Kind::OneOf(&[Kind::Text, Kind::List(&Kind::Any), Kind::Map]))
                    .read(Read::Data),
                Param::new("options", Kind::Table(&RUN)).optional(),
            ],
            returns: &[("response", "zigllms.Response")],
            doc: "Gives the agent an input and runs it until the model has answered: while the model asks for tools, they \
                  are executed and it is asked again. `input` is a string, a message, an array of messages, \
                  `{message=|content=, context=}`, or any other table as JSON. A failing tool is told to the model. The \
                  turn is added to the conversation when the run returns; one that raises adds nothing, and \
                  `err.partial` has what there was. `usage` is the sum over rounds, repeated requests and all that ran inside. \
                  `tostring(response)` is its content. Waits.",
            errors: &[
                Code::NotFound,
                Code::InvalidState,
                Code::ValidationFailed,
                Code::Auth,
                Code::RateLimited,
                Code::Overloaded,
                Code::ContextLength,
                Code::ContentFilter,
                Code::BadRequest,
                Code::ServerError,
                Code::Network,
                Code::BadResponse,
                Code::Cancelled,
                Code::Timeout,
                Code::BudgetExceeded,
                Code::MaxIterations,
                Code::CallbackError,
                Code::ToolError,
            ],
            effect: Effect::Outside,
            example: "local id = zigllms.agent.create{ provider = \"openai\" }\nlocal ok, response = pcall(zigllms.agent.run, id, \"Hello, world!\")",
            run: Run::Waits(run),
        },
        Function {
            name: "configure",
            params: &[AGENT, Param::new("config", Kind::Table(&CONFIG))],
            returns: &[("ok", "true")],
            doc: "Merges options into an agent; `zigllms.null` unsets one. It applies to the next run; conversations stay.",
            errors: &[Code::NotFound],
            effect: Effect::Writes("agents"),
            example: "local id = zigllms.agent.create{ provider = \"openai\" }\nzigllms.agent.configure(id, { temperature = 0 })",
            run: Run::Now(configure),
        },
        Function {
            name: "get_state",
            params: &[AGENT],
            returns: &[("state", "string"), ("detail", "table")],
            doc: "An `agent.State` string, and `{state, since, last_error, iteration, waiting_for, pending, pending_tool_calls}`. \
                  `waiting_for` is \"approval\" or \"tool_results\", `pending` the ids of the calls that wait in all sessions, \
                  `pending_tool_calls` is the calls themselves, with their `session`.",
            errors: &[Code::NotFound],
            effect: Effect::Reads("agents"),
            example: "local id = zigllms.agent.create{ provider = \"openai\" }\nassert(zigllms.agent.get_state(id) == zigllms.agent.State.IDLE)",
            run: Run::Now(get_state),
        },
        Function {
            name: "get_info",
            params: &[AGENT],
            returns: &[("info", "table")],
            doc: "Everything about an agent: its options, tools, memory, counts and state. `usage` is \
                  that of its runs, each with the agents inside it. A fresh table each time.",
            errors: &[Code::NotFound],
            effect: Effect::Reads("agents"),
            example: "local id = zigllms.agent.create{ provider = \"openai\" }\nprint(zigllms.agent.get_info(id).run_count)",
            run: Run::Now(get_info),
        },
        Function {
            name: "list",
            params: &[Param::new("filter", Kind::Table(&LIST)).optional()],
            returns: &[("agents", "table[]")],
            doc: "Agents in the order they were created: `{id, name, state, provider, model}`.",
            errors: &[],
            effect: Effect::Reads("agents"),
            example: "for _, agent in ipairs(zigllms.agent.list{ state = \"idle\" }) do print(agent.id) end",
            run: Run::Now(list),
        },
        Function {
            name: "reset",
            params: &[AGENT, Param::new("options", Kind::Table(&RESET)).optional()],
            returns: &[("ok", "true")],
            doc: "Clears conversations, pending calls, counters, usage and the last error; the configuration stays, and \
                  so does what lies in `memory`, unless `memory` is true. Persistent conversations are cleared in the \
                  store.",
            errors: &[Code::NotFound, Code::InvalidState, Code::IoError],
            effect: Effect::Writes("agents"),
            example: "local id = zigllms.agent.create{ provider = \"openai\" }\nzigllms.agent.reset(id)",
            run: Run::Now(reset),
        },
    ],
    extras: &[
        approval::RESUME,
        Function {
            name: "exists",
            params: &[AGENT],
            returns: &[("exists", "boolean")],
            doc: "Whether an agent has that id or name.",
            errors: &[],
            effect: Effect::Reads("agents"),
            example: "assert(not zigllms.agent.exists(\"nobody\"))",
            run: Run::Now(exists),
        },
        Function {
            name: "clone",
            params: &[AGENT, Param::new("overrides", Kind::Table(&CONFIG)).optional()],
            returns: &[("agent_id", "string")],
            doc: "A new agent of the same configuration, with some options changed; the conversation is not copied.",
            errors: &[Code::NotFound],
            effect: Effect::Writes("agents"),
            example: "local id = zigllms.agent.create{ provider = \"openai\" }\nlocal hot = zigllms.agent.clone(id, { temperature = 1 })",
            run: Run::Now(clone),
        },
        as_tool::AS_TOOL,
        send::SEND,
        export::EXPORT,
        export::IMPORT,
    ],
};

fn create(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let options = args.options(0, &CONFIG);
    let agent = Agent { created_at: runtime.clock.unix(), ..Agent::default() };
    let agent = with_options(runtime, agent, &options)?;
    let hooks = hooks::said(&options)?.unwrap_or_default();
    if agent.provider.is_none() {
        Whom::usual(runtime)?;
    }
    let number = insert(runtime, agent);
    hooks::set(runtime, number, hooks);
    Ok(Data::from(runtime.agents.id(number)))
}

/// An agent without a name is named after its id.
fn insert(runtime: &mut Runtime, mut agent: Agent) -> u64 {
    if agent.name.is_empty() {
        agent.name = runtime.agents.id(runtime.agents.next());
    }
    agent.since = agent.created_at;
    runtime.coverage.note(|count| count.has_agent(&agent));
    agent.alias = alias(runtime, &agent.name, runtime.agents.next());
    let number = runtime.agents.insert(agent);
    runtime.welcome(number);
    number
}

/// The first of `name#2`, `name#3`, … that is free, if the name is not.
fn alias(runtime: &Runtime, name: &str, number: u64) -> Option<Box<str>> {
    let taken = |owner: &str| runtime.agent_of(owner).is_some_and(|other| other != number);
    if !taken(name) {
        return None;
    }
    let mut numbered = (2..).map(|n| format!("{name}#{n}"));
    numbered.find(|owner| !taken(owner)).map(Into::into)
}

/// The agent with checked options merged in.
fn with_options(runtime: &Runtime, mut agent: Agent, options: &Options<'_>) -> Result<Agent> {
    let (map, given) = Reach::split(options, &runtime.providers, "config")?;
    let mut map = agent::own::with_schema(runtime, map, "config")?;
    let mut reach = agent.reach();
    reach.configure(&given);
    agent.reach = reach.is_said().then(|| Box::new(reach));
    if let Some(tools) = options.get("tools") {
        agent.tools = agent::own::tools_of(runtime, tools, "config.tools")?;
    } else if map.get("tools").is_some_and(Value::is_null) {
        agent.tools.clear();
    }
    if let Some(whom) = Whom::given(options, &runtime.providers, "config")? {
        whom.check(&runtime.providers)?;
        agent.provider = Some(whom);
    } else if map.get("provider").is_some_and(Value::is_null) {
        agent.provider = None;
    }
    crate::provider::options::settings(&map).map_err(|e| e.at("config"))?;
    if let Some(name) = options.text("name") {
        agent.name = name;
    }
    if let Some(said) = agent::summarize::given(options, &runtime.providers, "config")? {
        agent.summarize = said;
        // A function is no plain data; it takes the place of a table.
        map.entry("summarize").or_insert(Value::Null);
    }
    for known in ["name", "tools", "provider", "hooks"] {
        map.shift_remove(known);
    }
    let mut config = agent.config.to_map();
    merge(&mut config, &map);
    agent.config = Kept::new(&config);
    Ok(agent)
}

fn destroy(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let Some(number) = runtime.agents.find(&args.id(0))? else { return Ok(Data::Bool(false)) };
    let Some(agent) = runtime.agents.remove(number) else { return Ok(Data::Bool(false)) };
    let queued = agent.conversations.values().flat_map(|c| c.queue.waiting());
    for token in agent.runs.iter().copied().chain(queued) {
        runtime.tasks.stop(token, "agent destroyed");
    }
    hooks::forget(runtime, agent.hooks.clone());
    if args.options(1, &DESTROY).bool("keep_memory") != Some(true) {
        runtime.forget_agent(agent.owner())?;
    }
    Ok(Data::Bool(true))
}

fn run(runtime: &mut Runtime, args: &Args<'_>) -> Result<Start> {
    let number = runtime.agents.require(&args.id(0))?;
    let options = args.options(2, &RUN);
    let (face, sink) = streamed(&options, None)?;
    let input = agent::input::read(args.get(1))?;
    let plan = Plan::new(runtime, number, agent::own::read(runtime, &options)?)?;
    let plan = Plan {
        session: options.text("session").unwrap_or_default(),
        remember: options.bool("remember").unwrap_or(true) && plan.remember,
        input,
        follow: follows(face, sink.as_ref()),
        ..plan
    };
    agent::refuse_nesting(runtime, runtime.tasks.around, &plan)?;
    Ok(Start { operation: AgentRun::new(runtime, plan).operation(), face, sink })
}

fn configure(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let number = runtime.agents.require(&args.id(0))?;
    let options = args.options(1, &CONFIG);
    let blank = with_options(runtime, copy(runtime, number), &options)?;
    if let Some(own) = hooks::said(&options)? {
        hooks::set(runtime, number, own);
    }
    let now = runtime.clock.unix();
    let Some(agent) = runtime.agents.get_mut(number) else { return Ok(Data::Bool(true)) };
    let old = std::mem::replace(&mut agent.name, blank.name);
    let renamed = agent.name != old;
    agent.provider = blank.provider;
    agent.config = blank.config;
    agent.reach = blank.reach;
    agent.summarize = blank.summarize;
    agent.tools = blank.tools;
    runtime.coverage.note(|count| count.has_agent(agent));
    if matches!(agent.state, State::Completed | State::Error) {
        agent.enter(State::Ready, now);
    }
    runtime.agents.rename(number, &old);
    if renamed {
        goes_by_its_new_name(runtime, number);
    }
    Ok(Data::Bool(true))
}

/// Its memory lies under the new name from now on; no two agents share one.
fn goes_by_its_new_name(runtime: &mut Runtime, number: u64) {
    let Some(name) = runtime.agents.get(number).map(|agent| agent.name.clone()) else { return };
    let alias = alias(runtime, &name, number);
    if let Some(agent) = runtime.agents.get_mut(number) {
        agent.alias = alias;
    }
}

/// Name, provider, configuration and tools of an agent, in an agent of their own.
fn copy(runtime: &Runtime, number: u64) -> Agent {
    runtime.agents.get(number).map_or_else(Agent::default, |agent| Agent {
        name: agent.name.clone(),
        provider: agent.provider.clone(),
        config: agent.config.clone(),
        reach: agent.reach.clone(),
        summarize: agent.summarize.clone(),
        tools: agent.tools.clone(),
        ..Agent::default()
    })
}

fn get_state(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let number = runtime.agents.require(&args.id(0))?;
    let Some(agent) = runtime.agents.get(number) else { return Ok(Data::Nil) };
    let id = runtime.agents.id(number);
    let inside = runtime.workflows.waiting_of(&id);
    let all = agent.waiting().into_iter().chain(inside);
    let waiting: Vec<_> = all.clone().map(|(_, run)| run).collect();
    let calls: Vec<Record> = all.flat_map(pending_calls).collect();
    let waits_for = |why| waiting.iter().any(|run| run.waits_for(why)).then_some(why);
    let waiting_for = waits_for(Why::Approval).or_else(|| waits_for(Why::Client));
    let pending: Vec<String> = waiting.iter().flat_map(|run| run.ids()).collect();
    let detail = Record::new()
        .set("state", agent.state.name())
        .set("since", agent.since)
        .set("last_error", agent.last_error.as_deref())
        .set("iteration", agent.iteration)
        .set("waiting_for", waiting_for.map(Why::state))
        .set("pending", Some(pending).filter(|calls| !calls.is_empty()))
        .set("pending_tool_calls", Some(calls).filter(|calls| !calls.is_empty()));
    Ok(Data::Many(vec![Data::from(agent.state.name()), detail.into()]))
}

fn get_info(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let number = runtime.agents.require(&args.id(0))?;
    Ok(info_of(runtime, number))
}

fn info_of(runtime: &Runtime, number: u64) -> Data {
    let Some(agent) = runtime.agents.get(number) else { return Data::Nil };
    let kind = agent.provider.as_ref().and_then(|whom| whom.kind(&runtime.providers));
    info(&runtime.agents.id(number), agent, kind, &runtime.tools).into()
}

/// Ids and names of an agent, and all about it; nothing if there is none.
pub fn about(runtime: &Runtime, key: &str) -> Option<(Record, Data)> {
    let number = runtime.agents.find(key).ok().flatten()?;
    let agent = runtime.agents.get(number)?;
    let about = Record::new()
        .set("agent_id", runtime.agents.id(number))
        .set("agent_name", agent.name.as_str());
    Some((about, info_of(runtime, number)))
}

fn list(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let options = args.options(0, &LIST);
    let (state, provider, name) =
        (options.word("state"), options.text("provider"), options.text("name"));
    let wanted = |agent: &Agent| {
        state.is_none_or(|s| agent.state.name() == s)
            && provider
                .as_deref()
                .is_none_or(|p| agent.provider.as_ref().is_some_and(|whom| whom.label() == p))
            && name.as_deref().is_none_or(|n| glob::matches(n, &agent.name))
    };
    let ids = options.bool("ids") == Some(true);
    let items = runtime.agents.iter().filter(|(_, agent)| wanted(agent)).map(|(number, agent)| {
        let id = runtime.agents.id(number);
        if ids { Data::from(id) } else { summary(&id, agent).into() }
    });
    Ok(Data::List(items.collect()))
}

fn reset(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let number = runtime.agents.require(&args.id(0))?;
    let options = args.options(1, &RESET);
    let now = runtime.clock.unix();
    let Some(agent) = runtime.agents.get_mut(number) else { return Ok(Data::Bool(true)) };
    let idle = |c: &Conversation| c.queue.is_idle();
    if !agent.runs.is_empty() || !agent.conversations.values().all(idle) {
        return Err(Error::state("the agent is running"));
    }
    let stored = agent.is_persistent().then(|| agent.owner().to_owned());
    let owner = agent.owner().to_owned();
    if let Some(session) = options.text("session") {
        agent.conversations.insert(session.clone(), Conversation::default());
        let cleared = Conversation::default().to_talk(&owner, &session);
        runtime.tell_store(stored.map(|_| cleared.write(None)).into_iter().collect())?;
        return Ok(Data::Bool(true));
    }
    agent.conversations.clear();
    agent.aside.clear();
    agent.last_error = None;
    if options.bool("keep_usage") != Some(true) {
        agent.counts = None;
    }
    agent.enter(State::Idle, now);
    runtime.tell_store(stored.map(|owner| forget(&owner)).into_iter().collect())?;
    if options.bool("memory") == Some(true) {
        forget_all(runtime, &Address::new(Scope::Agent, owner))?;
    }
    Ok(Data::Bool(true))
}

fn exists(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    Ok(Data::Bool(runtime.agents.find(&args.id(0))?.is_some()))
}

fn clone(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let number = runtime.agents.require(&args.id(0))?;
    let mut agent = copy(runtime, number);
    let unnamed = agent.name == runtime.agents.id(number);
    if unnamed {
        agent.name.clear();
    }
    agent.created_at = runtime.clock.unix();
    let options = args.options(1, &CONFIG);
    let agent = with_options(runtime, agent, &options)?;
    let hooks = hooks::said(&options)?.unwrap_or_else(|| hooks::of(runtime, number));
    let number = insert(runtime, agent);
    hooks::set(runtime, number, hooks);
    Ok(Data::from(runtime.agents.id(number)))
}
