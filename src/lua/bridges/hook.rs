//! `zigllms.hook`: functions around operations.

use crate::error::{Code, Error, Result};
use crate::hook::{self, Hook, Scope, Type};
use crate::lua::args::Args;
use crate::lua::bridge::{Bridge, Constants, Effect, Function, Param, Read, Run};
use crate::lua::filters::{LIST, Wanted};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape};
use crate::value::{Data, Ref, Slot};

const PRIORITY: Kind = Kind::OneOf(&[
    Kind::Number(f64::NEG_INFINITY, f64::INFINITY),
    Kind::Enum(&["highest", "high", "normal", "low", "lowest"]),
]);

static OPTIONS: Shape = Shape::new(
    "HookOptions",
    &[
        Field::new(
            "name",
            Kind::Name,
            "",
            "in a table that is the only argument: where the hook attaches; else what the hook itself is called",
        ),
        Field::new(
            "callback",
            Kind::Function,
            "",
            "the function, in a table that is the only argument",
        ),
        Field::new(
            "type",
            Kind::Enum(Type::NAMES),
            "by the name",
            "when it runs: before, after or around an operation, or when it failed",
        ),
        Field::new(
            "priority",
            PRIORITY,
            "\"normal\"",
            "higher runs first: a `hook.Priority` or any number",
        ),
        Field::new("description", Kind::Text, "", "shown in infos"),
        Field::new("enabled", Kind::Bool, "true", "whether it runs"),
        Field::new("once", Kind::Bool, "false", "it is unregistered by its first call"),
        Field::new(
            "agent",
            Kind::Id("an agent"),
            "",
            "only for that agent, with its tools and requests",
        ),
        Field::new(
            "tool",
            Kind::Id("a tool"),
            "",
            "only for that tool; by name also for its successors",
        ),
        Field::new("workflow", Kind::Id("a workflow"), "", "only for that workflow"),
        Field::new(
            "timeout_ms",
            Kind::Number(0.0, 1e12),
            "none",
            "limit of one call; around an operation also of what it runs; 0 = none",
        ),
        Field::new(
            "metadata",
            Kind::Map,
            "",
            "plain data, shown in infos and given to the function",
        ),
    ],
    &[],
);

pub const MODES: &[&str] = &["sequential", "parallel", "first"];

pub static COMPOSE: Shape = Shape::new(
    "ComposeOptions",
    &[
        Field::new(
            "mode",
            Kind::Enum(MODES),
            "\"sequential\"",
            "each gets what the one before it left; \"parallel\": all get the same, the results are an array; \
             \"first\": until one returns a value",
        ),
        Field::new(
            "name",
            Kind::Name,
            "",
            "where it attaches; without one only hook.execute(id) runs it",
        ),
        Field::new(
            "type",
            Kind::Enum(Type::NAMES),
            "theirs, if they agree, else \"post\"",
            "when it runs",
        ),
        Field::new("priority", PRIORITY, "\"normal\"", "higher runs first"),
    ],
    &[],
);

/// Parameters of `compose`.
pub static COMPOSED: &[Param] = &[
    Param::new("hook_ids", Kind::List(&Kind::Id("a hook"))),
    Param::new("how", Kind::OneOf(&[Kind::Enum(MODES), Kind::Table(&COMPOSE)])).optional(),
];

const HOOK: Param = Param::new("hook_id", Kind::Id("a hook"));

pub static BRIDGE: Bridge = Bridge {
    name: "hook",
    doc: "Functions around operations: they change what goes in and what comes out, or say no.",
    constants: &[
        Constants {
            name: "Type",
            members: &[("PRE", "pre"), ("POST", "post"), ("AROUND", "around"), ("ERROR", "error")],
        },
        Constants {
            name: "Priority",
            members: &[
                ("HIGHEST", "highest"),
                ("HIGH", "high"),
                ("NORMAL", "normal"),
                ("LOW", "low"),
                ("LOWEST", "lowest"),
            ],
        },
    ],
    functions: &[
        Function {
            name: "register",
            params: &[
                Param::new("name", Kind::OneOf(&[Kind::Name, Kind::Table(&OPTIONS)])),
                Param::new("callback", Kind::Function).optional(),
                Param::new("options", Kind::OneOf(&[PRIORITY, Kind::Table(&OPTIONS)])).optional(),
            ],
            returns: &[("hook_id", "string")],
            doc: "Calls `callback(context)` at a point: `agent_init`, `agent_before_run`, `agent_after_run`, `agent_error`, \
                  `agent_cleanup`, `tool_before_execute`, `tool_after_execute`, `tool_error`, `provider_before_request`, \
                  `provider_after_response`, `provider_error`, `memory_before_save`, `memory_after_load`, `workflow_start`, \
                  `workflow_complete`, `workflow_error`, `workflow_step_start`, `workflow_step_complete`, \
                  `workflow_step_error`; around an operation: `agent_run`, `tool_execute`, `provider_request`, \
                  `memory_save`, `memory_load`, `workflow_execute`, `workflow_step`; at a name of your own, which \
                  hook.execute calls; or at all that a glob stands for (`tool_*`). The third argument may be the priority \
                  alone; one table with name, callback and options does as well. Where the type is not said the name \
                  tells it: `_before_`, `_init` and `_start` are PRE, `_error` is ERROR, operations are AROUND, all else is \
                  POST. `context` holds `data` (the working value), `input`, `result` and `output` (POST), `error` \
                  (ERROR), the ids of what it is about, `hook`, `point`, `type`, `hook_id`, `metadata`, `timestamp`, \
                  `elapsed_ms`, `index` and `total`. What the hook returns, or assigns to `context.data`, `input` or \
                  `result`, is the new value; nil changes nothing. `false` from PRE, with a reason or without, is a veto: \
                  the operation raises `aborted_by_hook`. What `agent_after_run` changes is the response alone; the conversation gets what \
                  `provider_after_response` left, and what was streamed is out. An AROUND hook gets `next(data?)` as well, which performs the \
                  operation, at most once and only while the hook runs, and returns the result or raises the error; what the \
                  hook returns is the result. What `next` has done stays done where the hook raises after it: an agent's \
                  turn is in its conversation. What an ERROR hook returns stands for the result that is missing. Errors in \
                  PRE and AROUND end the operation with `hook_error`; in POST and ERROR they are counted and told as event \
                  `hook.failed`. Hooks may wait. A hook that is registered while an operation runs counts from the next one; \
                  one that is disabled or unregistered is called no more.",
            errors: &[],
            effect: Effect::Writes("hooks"),
            example: "zigllms.hook.register(\"tool_before_execute\", function(context)\n  if context.tool_name == \"rm\" then return false end\nend, \"high\")",
            run: Run::Now(register),
        },
        Function {
            name: "unregister",
            params: &[HOOK],
            returns: &[("existed", "boolean")],
            doc: "Forgets a hook; it is called no more, also by operations under way.",
            errors: &[],
            effect: Effect::Writes("hooks"),
            example: "local id = zigllms.hook.register(\"custom\", function() end)\nassert(zigllms.hook.unregister(id))",
            run: Run::Now(unregister),
        },
        Function {
            name: "enable",
            params: &[HOOK],
            returns: &[("exists", "boolean")],
            doc: "Lets a disabled hook run again.",
            errors: &[],
            effect: Effect::Writes("hooks"),
            example: "local id = zigllms.hook.register(\"custom\", function() end, { enabled = false })\nassert(zigllms.hook.enable(id))",
            run: Run::Now(enable),
        },
        Function {
            name: "disable",
            params: &[HOOK],
            returns: &[("exists", "boolean")],
            doc: "Keeps a hook from being called until it is enabled.",
            errors: &[],
            effect: Effect::Writes("hooks"),
            example: "local id = zigllms.hook.register(\"custom\", function() end)\nassert(zigllms.hook.disable(id))",
            run: Run::Now(disable),
        },
        Function {
            name: "execute",
            params: &[
                Param::new("name", Kind::Id("a hook")),
                Param::new("data", Kind::Any).optional().read(Read::Reference),
            ],
            returns: &[("result", "zigllms.HookResult")],
            doc: "Calls the enabled hooks of a name, or one hook by its id, in the order PRE, AROUND, POST, ERROR; each gets the \
                  data that the one before it left. `{hook, hooks_executed, executed, data, aborted, results = {{hook_id, ok, \
                  value?, error?, duration_ms}}}`. Without hooks the data are unchanged. It raises nothing that a hook raises: \
                  an error is in `results` and the others go on; a veto ends it with `aborted` set. Hooks for one object run if \
                  the data say so in `agent_id`, `tool_id` or `workflow_id`. At most 64 calls are nested.",
            errors: &[Code::NotFound, Code::InvalidState],
            effect: Effect::Outside,
            example: "zigllms.hook.register(\"shout\", function(context) return context.data:upper() end)\n\
                      assert(zigllms.hook.execute(\"shout\", \"hi\").data == \"HI\")",
            run: Run::Lua,
        },
        Function {
            name: "list",
            params: &[Param::new("name", Kind::OneOf(&[Kind::Text, Kind::Table(&LIST)])).optional()],
            returns: &[("hooks", "zigllms.Hook[]|string[]")],
            doc: "The hooks in the order in which they run: `{id, name, label?, type, priority, enabled, call_count}`. With a name \
                  those that it stands for: `*` is any text, and hooks that are registered for a glob are among those of \
                  each name it stands for.",
            errors: &[],
            effect: Effect::Reads("hooks"),
            example: "for _, hook in ipairs(zigllms.hook.list(\"tool_*\")) do print(hook.id, hook.name) end",
            run: Run::Now(list),
        },
        Function {
            name: "get_info",
            params: &[HOOK],
            returns: &[("info", "zigllms.Hook")],
            doc: "What `list` tells and `error_count`, `avg_time_ms` (with what it waited for, or ran), `last_called_at`, \
                  `last_error`, `metadata`, `created_at` and the options that are set.",
            errors: &[Code::NotFound],
            effect: Effect::Reads("hooks"),
            example: "local id = zigllms.hook.register(\"custom\", function() end)\nprint(zigllms.hook.get_info(id).type)",
            run: Run::Now(get_info),
        },
        Function {
            name: "compose",
            params: COMPOSED,
            returns: &[("hook_id", "string")],
            doc: "Makes one hook of several, which stay as they are; it goes on when they are gone. \"sequential\" gives each what the \
                  one before it left (AROUND hooks are nested), \"parallel\" gives all the same and leaves an array of what \
                  each made of it, \"first\" stops at the first that returns a value. Where one of them fails, so does the whole. \
                  Without a name only hook.execute runs it.",
            errors: &[Code::NotFound],
            effect: Effect::Writes("hooks"),
            example: "local function add(n) return function(context) return context.data + n end end\n\
                      local a, b = zigllms.hook.register(\"one\", add(1)), zigllms.hook.register(\"two\", add(2))\n\
                      assert(zigllms.hook.execute(zigllms.hook.compose{ a, b }, 4).data == 7)",
            run: Run::Lua,
        },
    ],
    extras: &[],
};

/// A priority by number or name.
pub fn priority_of(value: Ref<'_>) -> Option<f64> {
    value.as_f64().or_else(|| hook::priority(value.as_str()?))
}

fn register(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let alone = args.options(0, &OPTIONS);
    let options = match args.text(0) {
        Some(_) => args.options(2, &OPTIONS),
        None => alone,
    };
    let name = match args.text(0) {
        Some(name) => name.to_owned(),
        None => alone.text("name").ok_or_else(|| missing("name", "a non-empty string"))?,
    };
    let callback = args.get(1).and_then(|value| value.as_slot().cloned());
    let callback = callback.or_else(|| options.function("callback"));
    let callback = callback.ok_or_else(|| missing("callback", "a function"))?;
    let mut hook = made(runtime, &name, callback, &options)?;
    hook.label = args.text(0).and_then(|_| options.text("name"));
    if let Some(priority) = args.get(2).and_then(priority_of) {
        hook.priority = priority;
    }
    let number = runtime.hooks.add(hook);
    Ok(Data::from(runtime.hooks.all().id(number)))
}

fn missing(what: &str, expected: &str) -> Error {
    Error::invalid(format!("{what}: expected {expected}, got nil"))
}

fn made(runtime: &Runtime, name: &str, callback: Slot, options: &Options<'_>) -> Result<Hook> {
    let kind = options.word("type").and_then(Type::parse).unwrap_or_else(|| Type::of(name));
    hook::check(name, kind)?;
    Ok(Hook {
        priority: options.get("priority").and_then(priority_of).unwrap_or(0.0),
        scopes: scopes(runtime, options)?,
        once: options.bool("once") == Some(true),
        enabled: options.bool("enabled") != Some(false),
        timeout_ms: options.number("timeout_ms"),
        description: options.text("description"),
        metadata: options.get("metadata").map(Ref::to_json),
        created_at: runtime.clock.unix(),
        ..Hook::new(name, kind, callback)
    })
}

/// What exists is meant by its id from here on; what does not, by what it is called. So is a tool
/// that was named: another one that takes its place is guarded as well.
fn scopes(runtime: &Runtime, options: &Options<'_>) -> Result<Vec<Scope>> {
    let mut scopes = Vec::new();
    for of in ["agent", "tool", "workflow"] {
        let Some(key) = options.id(of) else { continue };
        let found = match of {
            "agent" => runtime.agents.find(&key)?.map(|number| runtime.agents.id(number)),
            // By its name also what takes its place; an alias is no name.
            "tool" => runtime
                .tools
                .usable(&key)?
                .map(|found| if found.id == key { found.id } else { found.tool.name.clone() }),
            _ => None,
        };
        scopes.push(Scope { of, id: found.unwrap_or(key) });
    }
    Ok(scopes)
}

fn unregister(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let found = runtime.hooks.all().find(&args.id(0))?;
    Ok(Data::Bool(found.and_then(|number| runtime.hooks.remove(number)).is_some()))
}

fn enable(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    switch(runtime, args, true)
}

fn disable(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    switch(runtime, args, false)
}

fn switch(runtime: &mut Runtime, args: &Args<'_>, on: bool) -> Result<Data> {
    let found = runtime.hooks.all().find(&args.id(0))?;
    if let Some(number) = found {
        runtime.hooks.enable(number, on);
    }
    Ok(Data::Bool(found.is_some()))
}

fn list(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let wanted = Wanted::from(args, 0);
    let named = |hook: &Hook| match args.text(0) {
        Some(name) => {
            hook::covers(name, &hook.name)
                || (!hook.name.is_empty() && hook::covers(&hook.name, name))
        }
        None => wanted.name(&hook.name),
    };
    let hooks = &runtime.hooks;
    let all = hooks.listed().into_iter().filter(|(_, hook)| named(hook));
    let items = all.map(|(number, hook)| {
        let id = hooks.all().id(number);
        if wanted.ids { Data::from(id) } else { hook.summary(&id).into() }
    });
    Ok(Data::List(items.collect()))
}

fn get_info(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let hooks = runtime.hooks.all();
    let number = hooks.require(&args.id(0))?;
    let info = hooks.get(number).map(|hook| hook.info(&hooks.id(number)));
    Ok(info.into())
}
