//! `batch`: the declaration; `batch.lua` performs it.

use crate::error::Code;
use crate::lua::bridge::{Effect, Function, Param, Read, Run};
use crate::shape::{Field, Kind, Shape};

static OPTIONS: Shape = Shape::new(
    "BatchOptions",
    &[
        Field::new(
            "max_concurrency",
            Kind::Int(1, 1_000_000),
            "8",
            "calls that wait at the same time; those of priority \"critical\" do not count",
        ),
        Field::new(
            "on_each",
            Kind::Function,
            "",
            "`function(done, total, index, err)` after each call",
        ),
        Field::new("async", Kind::Bool, "false", "true = a handle at once"),
    ],
    &[],
);

pub const BATCH: Function = Function {
    name: "batch",
    params: &[
        Param::new("entries", Kind::Any).read(Read::Reference),
        Param::new("options", Kind::Table(&OPTIONS)).optional(),
    ],
    returns: &[("results", "table[]")],
    doc: "Calls many functions: an array of `{\"bridge.function\", arguments…, priority=}`, which may hold the options as \
          well, or `function(b)` in which `b.bridge.function(…)` is taken down, with the priority that `b.priority(p)` named \
          last. Those that wait run side by side, the higher priority first (\"low\", \"normal\", \"high\", \"critical\" or 0 to \
          3; equal ones in order); the others run in order, each behind the start of what stands before it. Calls for one \
          key of memory keep their order. An array of `{ok, value or error, duration_ms}` in the order of the entries; \
          `values` too where a call returned several. One failure stops nothing. Waits.",
    errors: &[Code::Cancelled, Code::CallbackError],
    effect: Effect::Outside,
    example: "local results = zigllms.batch{\n  { \"sleep\", 1 },\n  { \"output.parse\", \"[1, 2]\", priority = \"high\" },\n}\n\
              assert(results[1].ok and results[2].value[2] == 2)",
    run: Run::Lua,
};
