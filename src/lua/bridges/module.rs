//! The functions of the module itself: configuration, waiting, styles, and what it tells of itself.

use serde_json::json;

use crate::cassette;
use crate::config::{CONFIG, LOOP};
use crate::error::{Code, Error, Result};
use crate::event;
use crate::lua::args::Args;
use crate::lua::bridge::{Bridge, Constants, ENTRIES, Effect, Function, Param, Read, Run};
use crate::lua::help;
use crate::lua::instance::Instance;
use crate::optimize::cache::CACHE;
use crate::optimize::functions;
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape};
use crate::step::Start;
use crate::store;
use crate::tool::builtin;
use crate::value::{Data, Record};

use super::super::faces::{ASYNC, DETACH, face};
use super::{batch, observe};

static MAP: Shape = Shape::new(
    "MapOptions",
    &[
        Field::new("max_concurrency", Kind::Int(1, 1_000_000), "8", "calls at the same time"),
        Field::new(
            "on_each",
            Kind::Function,
            "",
            "`function(done, total, index, err)` after each item",
        ),
        Field::new(
            "on_error",
            Kind::Enum(&["raise", "return"]),
            "\"raise\"",
            "\"raise\": the first error ends it (`details.index`); \"return\": errors come as the second result",
        ),
        Field::new("keep", Kind::Bool, "false", "an error does not cancel the other calls"),
        Field::new("async", Kind::Bool, "false", "true = a handle at once"),
    ],
    &[],
);

static FLUSH: Shape = Shape::new("FlushOptions", &[ASYNC, DETACH], &[]);

const FN: Param = Param::new("fn", Kind::Function).read(Read::Options);
const HANDLE: Kind = Kind::Handle;
const HANDLES: Param = Param::new("handles", Kind::Any).read(Read::Reference);

pub static BRIDGE: Bridge = Bridge {
    name: "",
    doc: "The functions of the module itself.",
    constants: &[Constants { name: "ErrorCode", members: ERROR_CODES }],
    functions: &[
        Function {
            name: "help",
            params: &[Param::new("topic", Kind::Text).optional()],
            returns: &[("text", "string")],
            doc: "An overview; with a topic such as \"agent\" or \"agent.run\", that bridge or function: signature, options, errors. \
                  An option, a table of constants, a hook point and an event are topics as well.",
            errors: &[Code::NotFound],
            effect: Effect::Pure,
            example: "print(zigllms.help(\"agent.run\"))",
            run: Run::Now(help_text),
        },
        Function {
            name: "modules",
            params: &[],
            returns: &[("names", "string[]")],
            doc: "The names of the bridges.",
            errors: &[],
            effect: Effect::Pure,
            example: "for _, name in ipairs(zigllms.modules()) do print(name) end",
            run: Run::Now(modules),
        },
        Function {
            name: "info",
            params: &[],
            returns: &[("info", "table")],
            doc: "`{version, library, lua_version, build_time, platform, features}`; `build_time` in Unix seconds.",
            errors: &[],
            effect: Effect::Pure,
            example: "print(zigllms.info().version)",
            run: Run::Now(info),
        },
        Function {
            name: "configure",
            params: &[Param::new("options", Kind::Table(&CONFIG))],
            returns: &[("ok", "true")],
            doc: "Merges global options, tables deeply; `zigllms.null` restores a default. A bad value changes nothing.",
            errors: &[Code::Unsupported, Code::IoError],
            effect: Effect::Writes("config"),
            example: "zigllms.configure{ http = { timeout_ms = 30000 } }",
            run: Run::Now(configure),
        },
        Function {
            name: "config",
            params: &[],
            returns: &[("options", "table")],
            doc: "A copy of the global options, without secrets.",
            errors: &[],
            effect: Effect::Reads("config"),
            example: "print(zigllms.config().strict)",
            run: Run::Now(config),
        },
        Function {
            name: "flush",
            params: &[Param::new("options", Kind::Table(&FLUSH)).optional()],
            returns: &[("count", "integer")],
            doc: "Writes what is queued for the store and for files of recorders, and returns how many writes that were \
                  once they and all before them survive a crash of the machine. What cannot be written stays queued and is tried again. Waits.",
            errors: &[Code::IoError, Code::Unsupported, Code::Cancelled],
            effect: Effect::Outside,
            example: "print(zigllms.flush())",
            run: Run::Waits(flush),
        },
        observe::METRICS,
        observe::METRICS_TEXT,
        Function {
            name: "reset",
            params: &[],
            returns: &[("ok", "true")],
            doc: "Drops every registration of this instance, cancels unfinished work, clears counters and what lies in \
                  this process of the memory scopes AGENT and SESSION. For tests.",
            errors: &[],
            effect: Effect::Writes("everything"),
            example: "zigllms.reset()",
            run: Run::Instance(reset),
        },
        Function {
            name: "new",
            params: &[Param::new("config", Kind::Table(&CONFIG)).optional()],
            returns: &[("module", "zigllms")],
            doc: "An independent module table, as a second Lua state would get it: own configuration, ids and registrations.",
            errors: &[Code::Unsupported],
            effect: Effect::Pure,
            example: "local mine = zigllms.new{ strict = false }",
            run: Run::Lua,
        },
        Function {
            name: "try",
            params: &[FN],
            returns: &[("values", "any")],
            doc: "Calls fn with the other arguments; its results, or nil and what it raised.",
            errors: &[],
            effect: Effect::Outside,
            example: "local value, err = zigllms.try(zigllms.agent.get_state, \"nobody\")",
            run: Run::Lua,
        },
        Function {
            name: "error",
            params: &[
                Param::new("code", Kind::Name),
                Param::new("message", Kind::Text),
                Param::new("fields", Kind::Any).optional().read(Read::Reference),
            ],
            returns: &[("err", "zigllms.Error")],
            doc: "Makes an error object, to be raised by tools and other callbacks; `fields` may set `details`, `cause`, `retryable` and so on.",
            errors: &[],
            effect: Effect::Pure,
            example: "local err = zigllms.error(\"rate_limited\", \"slow down\", { retryable = true })",
            run: Run::Lua,
        },
        Function {
            name: "array",
            params: &[Param::new("t", Kind::Any).read(Read::Reference)],
            returns: &[("t", "table")],
            doc: "Marks a table as a JSON array, also when it is empty, and returns it.",
            errors: &[],
            effect: Effect::Pure,
            example: "local none = zigllms.array{}",
            run: Run::Lua,
        },
        Function {
            name: "object",
            params: &[Param::new("t", Kind::Any).read(Read::Reference)],
            returns: &[("t", "table")],
            doc: "Marks a table as a JSON object and returns it.",
            errors: &[],
            effect: Effect::Pure,
            example: "local none = zigllms.object{}",
            run: Run::Lua,
        },
        Function {
            name: "await",
            params: &[Param::new("handle", HANDLE)],
            returns: &[("values", "any")],
            doc: "Waits for a handle: returns what the plain call returns, or raises its error.",
            errors: &[Code::Cancelled, Code::InvalidState],
            effect: Effect::Outside,
            example: "local handle = zigllms.spawn(function() return 1 + 1 end)\nassert(zigllms.await(handle) == 2)",
            run: Run::Lua,
        },
        Function {
            name: "all",
            params: &[HANDLES],
            returns: &[("results", "table")],
            doc: "Waits for all handles of an array: their results in order. If one fails, its error is raised \
                  (`details.index`) and the others are cancelled, unless the array has `keep=true`.",
            errors: &[Code::Cancelled],
            effect: Effect::Outside,
            example: "local one = zigllms.spawn(function() return 1 end)\nlocal two = zigllms.spawn(function() return 2 end)\n\
                      assert(zigllms.all{ one, two }[2] == 2)",
            run: Run::Lua,
        },
        Function {
            name: "race",
            params: &[HANDLES],
            returns: &[("index", "integer"), ("value", "any")],
            doc: "Waits for the first handle to end: its place and its result, or its error. The others are cancelled, \
                  unless the array has `keep=true`.",
            errors: &[Code::Cancelled],
            effect: Effect::Outside,
            example: "local slow = zigllms.spawn(function() zigllms.sleep(1000) end)\nlocal quick = zigllms.spawn(function() return \"me\" end)\n\
                      local index, value = zigllms.race{ slow, quick }",
            run: Run::Lua,
        },
        Function {
            name: "map",
            params: &[
                Param::new("list", Kind::Any).read(Read::Reference),
                FN,
                Param::new("options", Kind::Table(&MAP)).optional(),
            ],
            returns: &[("results", "table"), ("errors", "table<integer, any>")],
            doc: "Calls `fn(item, index)` for each item of an array, so many at a time, each in a coroutine: the results \
                  in order, and the errors by index. The list ends at its first nil. Waits.",
            errors: &[Code::Cancelled, Code::CallbackError],
            effect: Effect::Outside,
            example: "local lengths = zigllms.map({ \"a\", \"bb\" }, function(word) zigllms.sleep(1) return #word end)\n\
                      assert(lengths[2] == 2)",
            run: Run::Lua,
        },
        batch::BATCH,
        Function {
            name: "spawn",
            params: &[FN],
            returns: &[("handle", "zigllms.Handle")],
            doc: "Runs fn with the other arguments as a coroutine, at once until its first wait.",
            errors: &[],
            effect: Effect::Outside,
            example: "local handle = zigllms.spawn(function(ms) zigllms.sleep(ms) return \"done\" end, 5)\nassert(handle:await() == \"done\")",
            run: Run::Lua,
        },
        Function {
            name: "sleep",
            params: &[Param::new("ms", Kind::Number(0.0, 1e12))],
            returns: &[],
            doc: "Waits so many milliseconds, in the way of the host.",
            errors: &[Code::Cancelled],
            effect: Effect::Outside,
            example: "zigllms.sleep(5)",
            run: Run::Lua,
        },
        Function {
            name: "poll",
            params: &[Param::new("timeout_ms", Kind::Number(0.0, 1e12)).optional()],
            returns: &[("delivered", "integer")],
            doc: "Delivers finished work and callbacks, at most 64 or for 10 ms at a time; waits for the first one at most \
                  so long (default 0).",
            errors: &[],
            effect: Effect::Outside,
            example: "zigllms.poll()",
            run: Run::Lua,
        },
        Function {
            name: "run",
            params: &[FN.optional()],
            returns: &[("values", "any")],
            doc: "Spawns fn and goes on until nothing is unfinished; returns what fn returns.",
            errors: &[Code::InvalidState],
            effect: Effect::Outside,
            example: "assert(zigllms.run(function() zigllms.sleep(1) return 42 end) == 42)",
            run: Run::Lua,
        },
        Function {
            name: "loop",
            params: &[Param::new("loop", LOOP).optional().read(Read::Options)],
            returns: &[("name", "string")],
            doc: "How waits wait: \"auto\" (default) looks at the host each time; \"blocking\", \"nvim\", \"openresty\", \
                  \"luv\", \"copas\", \"cqueues\" name one; `{wait = function(fd, timeout_ms) … end}` is one of your own \
                  (\"custom\"). Returns the name of the choice; without an argument it changes nothing.",
            errors: &[Code::Unsupported],
            effect: Effect::Writes("config"),
            example: "assert(zigllms.loop(\"auto\") == \"auto\")",
            run: Run::Lua,
        },
        Function {
            name: "fd",
            params: &[],
            returns: &[("fd", "integer")],
            doc: "A file descriptor that is readable when `poll` has work, timers included; for the event loop of a host.",
            errors: &[Code::IoError],
            effect: Effect::Outside,
            example: "print(zigllms.fd())",
            run: Run::Lua,
        },
    ],
    extras: &[],
};

const ERROR_CODES: &[(&str, &str)] = &[
    ("INVALID_ARGUMENT", "invalid_argument"),
    ("NOT_FOUND", "not_found"),
    ("ALREADY_EXISTS", "already_exists"),
    ("INVALID_STATE", "invalid_state"),
    ("VALIDATION_FAILED", "validation_failed"),
    ("PARSE_FAILED", "parse_failed"),
    ("CONVERSION_ERROR", "conversion_error"),
    ("TEMPLATE_ERROR", "template_error"),
    ("UNSUPPORTED", "unsupported"),
    ("TIMEOUT", "timeout"),
    ("CANCELLED", "cancelled"),
    ("ABORTED_BY_HOOK", "aborted_by_hook"),
    ("BUDGET_EXCEEDED", "budget_exceeded"),
    ("MAX_ITERATIONS", "max_iterations"),
    ("VERSION_MISMATCH", "version_mismatch"),
    ("AUTH", "auth"),
    ("RATE_LIMITED", "rate_limited"),
    ("OVERLOADED", "overloaded"),
    ("CONTEXT_LENGTH", "context_length"),
    ("CONTENT_FILTER", "content_filter"),
    ("BAD_REQUEST", "bad_request"),
    ("SERVER_ERROR", "server_error"),
    ("NETWORK", "network"),
    ("BAD_RESPONSE", "bad_response"),
    ("TOOL_ERROR", "tool_error"),
    ("HOOK_ERROR", "hook_error"),
    ("CALLBACK_ERROR", "callback_error"),
    ("IO_ERROR", "io_error"),
    ("ASSERTION_FAILED", "assertion_failed"),
    ("INTERNAL", "internal"),
];

fn help_text(_: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    help::text(args.text(0)).map(Data::from)
}

fn modules(_: &mut Runtime, _: &Args<'_>) -> Result<Data> {
    let bridges = super::BRIDGES.iter().filter(|bridge| bridge.is_bridge());
    Ok(Data::List(bridges.map(|bridge| Data::from(bridge.name)).collect()))
}

fn info(_: &mut Runtime, _: &Args<'_>) -> Result<Data> {
    let built: f64 = env!("ZIGLLMS_BUILD_EPOCH").parse().unwrap_or_default();
    let debug = cfg!(debug_assertions);
    let features = json!({
        "local": cfg!(feature = "local"), "redis": cfg!(feature = "redis"), "debug": debug,
    });
    let record = Record::new()
        .set("version", env!("CARGO_PKG_VERSION"))
        .set("library", "zigllms")
        .set("lua_version", LUA_VERSION)
        .set("build_time", built)
        .set("platform", format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS))
        .set("features", features);
    Ok(record.into())
}

/// The engine this binary was built for; it loads in no other.
const LUA_VERSION: &str = if cfg!(feature = "luajit") {
    "LuaJIT 2.1"
} else if cfg!(feature = "lua54") {
    "Lua 5.4"
} else if cfg!(feature = "lua53") {
    "Lua 5.3"
} else if cfg!(feature = "lua52") {
    "Lua 5.2"
} else {
    "Lua 5.1"
};

fn configure(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let options = args.options(0, &CONFIG);
    // First what may fail: a bad value changes nothing.
    let cache = options.get("cache").map(|given| Options::new(Some(given), &CACHE).to_map());
    if let Some(switches) = cache.as_ref().and_then(|cache| cache.get("functions")) {
        functions::check(switches, "options.cache.functions", not_cached)?;
    }
    builtin::check(&options)?;
    if let Some(place) = store::chosen(&options, "options")? {
        refuse_with_runs(runtime, &place)?;
        let policy = runtime.config.batch.policy;
        runtime.store.choose(place, &runtime.clock, policy)?;
        runtime.settle_persistent()?;
    }
    runtime.config.configure(&options);
    runtime.tools.bound_by(&runtime.config.tools);
    if cache.is_some() || options.unsets("cache") {
        runtime.cache.configure(cache.as_ref());
    }
    Ok(Data::Bool(true))
}

/// What is recorded of a run lies in one store.
fn refuse_with_runs(runtime: &Runtime, place: &store::Place) -> Result<()> {
    let mut executions = runtime.workflows.executions.iter();
    match executions.find(|(_, execution)| execution.has_run()) {
        Some((_, execution)) if place != runtime.store.place() => Err(Error::state(format!(
            "options.store: the durable run {:?} is under way: wait for its end, or cancel it",
            execution.id
        ))),
        _ => Ok(()),
    }
}

/// Why the results of a function are not cached; `None` if there is no such function.
fn not_cached(name: &str) -> Option<String> {
    let entry = ENTRIES.iter().find(|entry| entry.bridge.full_name(entry.function) == name)?;
    let why = match entry.function.effect {
        Effect::Writes(area) => format!("it changes {area}"),
        Effect::Outside => "it has effects outside".to_owned(),
        Effect::Pure | Effect::Reads(_) => {
            "what it tells is told sooner than it is looked up, or changes by itself".to_owned()
        }
    };
    Some(format!("the results of this function cannot be cached: {why}"))
}

fn config(runtime: &mut Runtime, _: &Args<'_>) -> Result<Data> {
    let mut shown = runtime.config.shown();
    shown["cache"] = runtime.cache.config();
    shown["store"] = runtime.store.place().to_string().into();
    Ok(Data::Json(shown))
}

fn flush(runtime: &mut Runtime, args: &Args<'_>) -> Result<Start> {
    let face = face(&args.options(0, &FLUSH));
    Ok(Start { operation: event::flush(runtime), face, sink: None })
}

fn reset(instance: &mut Instance, _: &Args<'_>) -> Result<Data> {
    instance.forget_counts();
    let runtime = &mut instance.runtime;
    for token in runtime.tasks.all() {
        runtime.tasks.stop(token, "reset");
    }
    cassette::eject(runtime);
    runtime.agents.clear();
    runtime.tools.clear();
    runtime.workflows.clear();
    runtime.providers.clear();
    runtime.schemas.clear();
    runtime.events.clear();
    runtime.hooks.clear();
    runtime.memory.forget_own();
    runtime.cache.clear(None);
    runtime.servers.end_all();
    Ok(Data::Bool(true))
}
