//! `zigllms.tool`: functions that models may call.

use std::rc::Rc;

use crate::agent::bind;
use crate::error::{Code, Error, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Bridge, Constants, Effect, Function, Param, Read, Run};
use crate::optimize::cache::WISH;
use crate::optimize::{Key, Wish};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Shape};
use crate::step::{Face, Start};
use crate::tool::{DEFINITION, Input, Tool, ToolRun, recall};
use crate::value::{Data, Record, Ref};

use super::super::faces::{ASYNC, DETACH, face};

mod inspect;
mod mcp;

use inspect::Wanted;

static EXECUTE: Shape = Shape::new(
    "ToolOptions",
    &[
        Field::new(
            "timeout_ms",
            Kind::Number(0.0, 1e12),
            "the tool's",
            "limit of this call; 0 = none",
        ),
        Field::new(
            "retries",
            Kind::Int(0, 100),
            "the tool's max_retries",
            "further calls after one that raised",
        ),
        Field::new("validate", Kind::Bool, "the tool's", "check the input"),
        Field::new("context", Kind::Map, "", "added to the `ctx` of the function"),
        Field::new(
            "mode",
            Kind::Enum(&["direct", "async", "sandboxed"]),
            "the tool's",
            "how it runs; \"sandboxed\" needs the tool's `source`",
        ),
        Field::new(
            "cache",
            WISH,
            "the tool's",
            "true, or milliseconds: the result of a call with an equal input is given again",
        ),
        ASYNC,
        DETACH,
    ],
    &[],
);

const TOOL: Param = Param::new("tool_id", Kind::Id("a tool"));

pub static BRIDGE: Bridge = Bridge {
    name: "tool",
    doc: "Functions that models may call: a name, a JSON Schema of the input, and a Lua function.",
    constants: &[
        Constants {
            name: "ExecutionMode",
            members: &[("DIRECT", "direct"), ("SANDBOXED", "sandboxed"), ("ASYNC", "async")],
        },
        Constants {
            name: "Category",
            members: &[("FILE", "file"), ("HTTP", "http"), ("SYSTEM", "system"), ("DATA", "data")],
        },
    ],
    functions: &[
        Function {
            name: "register",
            params: &[Param::new("definition", Kind::Table(&DEFINITION))],
            returns: &[("tool_id", "string")],
            doc: "Makes a tool known by id and name. `execute(input, ctx)` may wait and may return any value; \
                  raising, or returning `nil, message`, is a failure. `ctx` holds `tool_id`, `name`, `cancelled()` and, \
                  inside an agent, `agent_id` and `call_id`. \
                  `source`, Lua text that returns such a function, runs sandboxed instead: in a Lua state of its own that \
                  every call finds new, on a thread of the module, so that calls overlap and the host goes on. It has no io, os, \
                  package, debug, load, print, ffi or jit, no finalizers, and nothing of the host; plain data go in \
                  and out. `timeout_ms` (1000), `memory_limit` (64 MiB) and `max_result_bytes` (1 MiB) hold whatever it \
                  does: `timeout` of phase tool, or `tool_error` whose `details.reason` is \"memory\", \"stack_overflow\", \
                  \"result_too_large\", \"not_plain_data\", \"no_function\" or \"raised\". See doc/sandbox.md.",
            errors: &[Code::AlreadyExists, Code::ValidationFailed, Code::Unsupported],
            effect: Effect::Writes("tools"),
            example: "local id = zigllms.tool.register{ name = \"double\", execute = function(input) return input.n * 2 end }\n\
                      local safe = zigllms.tool.register{ name = \"triple\", source = \"return function(input) return input.n * 3 end\" }\n\
                      assert(zigllms.tool.execute(safe, { n = 2 }) == 6)",
            run: Run::Now(register),
        },
        Function {
            name: "unregister",
            params: &[TOOL],
            returns: &[("existed", "boolean")],
            doc: "Forgets a tool. Agents that hold it skip it and show it as missing. Built-in tools stay: false.",
            errors: &[],
            effect: Effect::Writes("tools"),
            example: "zigllms.tool.register{ name = \"old\" }\nassert(zigllms.tool.unregister(\"old\"))",
            run: Run::Now(unregister),
        },
        Function {
            name: "execute",
            params: &[
                TOOL,
                Param::new("input", Kind::Any).optional().read(Read::Both),
                Param::new("options", Kind::Table(&EXECUTE)).optional(),
            ],
            returns: &[("result", "any")],
            doc: "Calls a tool: fills the schema's defaults (the caller's table is not written), checks the input, \
                  calls the function, and returns its first value as it is. A JSON string is read if the tool takes \
                  an object, with repairs that lose nothing. With `cache` the result for an equal input (and `context`) is given again \
                  without a call: as a copy, and only of plain data without metatables and integer keys beside names. Waits.",
            errors: &[
                Code::NotFound,
                Code::ValidationFailed,
                Code::ToolError,
                Code::Timeout,
                Code::Cancelled,
                Code::Unsupported,
            ],
            effect: Effect::Outside,
            example: "zigllms.tool.register{ name = \"greet\", execute = function(input) return \"hello \" .. input.who end }\n\
                      assert(zigllms.tool.execute(\"greet\", { who = \"Lua\" }) == \"hello Lua\")",
            run: Run::Waits(execute),
        },
        Function {
            name: "list",
            params: &[inspect::FILTERED],
            returns: &[("tools", "table[]")],
            doc: "Registered tools in the order they were registered: `{id, name, description, category, source, tags}`. \
                  The filter is that of `discover`.",
            errors: &[],
            effect: Effect::Reads("tools"),
            example: "for _, tool in ipairs(zigllms.tool.list()) do print(tool.id, tool.name) end",
            run: Run::Now(list),
        },
        Function {
            name: "get",
            params: &[TOOL],
            returns: &[("definition", "table?")],
            doc: "The normalised definition with the id and the same function; nil if there is no such tool. The id of a \
                  built-in tool is its name.",
            errors: &[],
            effect: Effect::Reads("tools"),
            example: "assert(zigllms.tool.get(\"no_such_tool\") == nil)",
            run: Run::Now(get),
        },
        Function {
            name: "exists",
            params: &[TOOL],
            returns: &[("exists", "boolean")],
            doc: "Whether a tool has that id or name; built-in tools are there.",
            errors: &[],
            effect: Effect::Reads("tools"),
            example: "assert(not zigllms.tool.exists(\"no_such_tool\"))",
            run: Run::Now(exists),
        },
        inspect::DISCOVER,
        inspect::VALIDATE,
        inspect::GET_SCHEMA,
        inspect::GET_INFO,
    ],
    extras: &[mcp::IMPORT_MCP, mcp::SERVE_MCP],
};

fn register(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let options = args.options(0, &DEFINITION);
    let tool =
        Tool::define(&options, &runtime.schemas, &runtime.config.tools, runtime.clock.unix())?;
    let tool = Rc::new(bind(runtime, tool, &options)?);
    if let Some(old) = runtime
        .tools
        .find(&tool.name)?
        .filter(|n| runtime.tools.get(*n).is_some_and(|t| t.name == tool.name))
    {
        if options.bool("replace") != Some(true) {
            let message =
                format!("a tool named {:?} exists: use replace=true to overwrite it", tool.name);
            return Err(Error::new(Code::AlreadyExists, message));
        }
        runtime.tools.remove(old);
    }
    runtime.coverage.note(|count| count.tools.known(&tool.name));
    let number = runtime.tools.insert(tool);
    Ok(Data::from(runtime.tools.id(number)))
}

fn unregister(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let found = runtime.tools.find(&args.id(0))?;
    Ok(Data::Bool(found.and_then(|number| runtime.tools.remove(number)).is_some()))
}

fn execute(runtime: &mut Runtime, args: &Args<'_>) -> Result<Start> {
    let key = args.id(0);
    let found = runtime.tools.usable(&key)?.ok_or_else(|| Error::not_found("tool", &key))?;
    let options = args.options(2, &EXECUTE);
    let tool = found.tool;
    let checks = options.bool("validate").unwrap_or_else(|| tool.validates());
    let mode = options.word("mode");
    let sandboxed = tool.runs_sandboxed(mode.map(|mode| mode == "sandboxed"))?;
    let input = input(&tool, checks, sandboxed, args)?;
    let mut info = Record::new();
    if let Some(context) = options.get("context") {
        context.members().for_each(|(key, value)| info.put(key.to_text(), value.to_json()));
    }
    let said = Wish::of(options.get("cache").map(Ref::to_json).as_ref());
    let recall = recall::question(&runtime.cache, &tool, said, |key| {
        args.write_one(1, key);
        key.option(options.get("context"), Key::value);
    });
    let hands_over = mode.map_or(tool.overlaps(), |mode| mode == "async");
    let face = match face(&options) {
        Face::Plain if hands_over => Face::Handle,
        face => face,
    };
    let run = ToolRun::new(tool, found.id, input, info)
        .copied(runtime, args.get(1))
        .recalled(recall)
        .checks(checks)
        .sandboxed(sandboxed)
        .limit(options.number("timeout_ms"))
        .retries(options.number("retries"));
    Ok(Start { operation: run.operation(), face, sink: None })
}

fn input(tool: &Tool, checks: bool, sandboxed: bool, args: &Args<'_>) -> Result<Input> {
    let works = tool.worker_for(sandboxed).is_some();
    if let Some(value) = args.bytes_of(1).filter(|_| sandboxed) {
        return Input::from_bytes(tool, checks, value);
    }
    if tool.has_schema() || works {
        args.require_data(1)?;
    }
    Input::from_lua(tool, checks, works, args.get(1), args.given(1))
}

fn list(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let wanted = Wanted::from(args, 0);
    Ok(Data::List(inspect::registered(runtime, &wanted)))
}

fn get(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let found = runtime.tools.usable(&args.id(0))?;
    Ok(found.map(|found| found.tool.definition(&found.id)).into())
}

fn exists(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    Ok(Data::Bool(runtime.tools.usable(&args.id(0))?.is_some()))
}
