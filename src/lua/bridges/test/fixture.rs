//! `test.setup_fixture`: the declaration; `testing/fixtures.lua` performs it.

use crate::error::Code;
use crate::lua::bridge::{Effect, Function, Param, Read, Run};
use crate::shape::{Field, Kind, Shape};

static FIXTURE: Shape = Shape::new(
    "TestFixture",
    &[
        Field::new("name", Kind::Name, "required", "by which scenarios ask for it"),
        Field::new("data", Kind::Value, "", "copied for each use"),
        Field::new(
            "setup",
            Kind::Function,
            "",
            "`function()` that returns the data, instead of `data`",
        ),
        Field::new("teardown", Kind::Function, "", "`function(data)` at the end of its scope"),
        Field::new(
            "scope",
            Kind::Enum(&["scenario", "suite", "global"]),
            "scenario",
            "set up for each scenario, once for a suite, or once until it is replaced or `reset()`",
        ),
    ],
    &[],
);

const DEFINITION: Kind = Kind::OneOf(&[Kind::Name, Kind::Table(&FIXTURE)]);

pub const SETUP: Function = Function {
    name: "setup_fixture",
    params: &[
        Param::new("definition", DEFINITION),
        Param::new("data", Kind::Any).optional().read(Read::Reference),
    ],
    returns: &[("fixture_id", "string"), ("data", "any")],
    doc: "Makes a fixture known by id and name, in place of one of that name: `setup_fixture(name, data)`, or a definition. \
          It is set up right away, for its first use, and again for each further one; each setup has its teardown. \
          Scenarios that ask for it have a deep copy of the data in `ctx.fixtures[name]`; functions and userdata in it \
          stay themselves. Data of scope \"scenario\" that `setup` returned are that scenario's own, and not copied.",
    errors: &[Code::CallbackError],
    effect: Effect::Writes("tests"),
    example: "local id, user = zigllms.test.setup_fixture(\"user\", { name = \"Ada\" })\n\
              assert(user.name == \"Ada\")\n\
              local scenario = zigllms.test.create_scenario{ name = \"greets\", fixtures = { \"user\" }, steps = {\n  \
              { run = function(ctx) return \"Hello, \" .. ctx.fixtures.user.name end, expect = \"Hello, Ada\" },\n} }\n\
              assert(zigllms.test.run_scenario(scenario).success)",
    run: Run::Lua,
};
