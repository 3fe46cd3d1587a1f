//! `test.get_coverage`: the declaration; `coverage.lua` performs it.

use crate::error::Code;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::shape::{Field, Kind, Shape};

static OPTIONS: Shape = Shape::new(
    "CoverageOptions",
    &[
        Field::new("reset", Kind::Bool, "false", "counts anew once the report is made"),
        Field::new(
            "lines",
            Kind::Bool,
            "",
            "true: has lines of Lua counted from now on, by a debug hook, and reports those so far; false: \
             reports them for the last time and takes the hook away",
        ),
    ],
    &[],
);

pub const GET: Function = Function {
    name: "get_coverage",
    params: &[Param::new("options", Kind::Table(&OPTIONS)).optional()],
    returns: &[("report", "table")],
    doc: "What was used since the module was loaded, or since `{reset=true}`; `zigllms.reset()` does not change it. \
          `functions` of the bridges: `{total, called, percent, by_bridge = {agent = {total, called, percent, \
          functions = {create = 3, …}, missing = {…}}}, extras}`: the 86 functions that make the ten bridges; `extras` has \
          those that came along, by their full names. `tools` `{registered, executed, percent, missing}` and \
          `agents` `{created, run, percent, missing}` by their names (at most 10,000 of each). `workflows` by \
          id: `{name, steps_total, steps_executed, percent, missing, branches}` (at most 1,000), where `branches` says of each \
          step that decides which ways were taken: `[\"then\"]` and `[\"else\"]`, `run` and `skip`, `body`, or the ids of \
          the steps to choose from. All of these also if they have gone. `events` `{emitted, handled}`: calls of `event.emit` and of handlers. `hooks` `{registered, fired, percent}`. \
          `lines` if they are counted: `{[\"file.lua\"] = {[12] = 3}}`; LuaJIT does not see lines that it has compiled, other \
          engines not those of coroutines that you create yourself. A debug hook of somebody else, as luacov's, is left alone: then `lines=true` is invalid_state.",
    errors: &[Code::InvalidState, Code::Unsupported],
    effect: Effect::Outside,
    example: "zigllms.tool.exists(\"calculator\")\nlocal report = zigllms.test.get_coverage()\n\
              assert(report.functions.by_bridge.tool.functions.exists >= 1)",
    run: Run::Lua,
};
