//! `test.create_scenario`, `test.run_scenario`: declarations; `testing/` performs them.

use super::mock::MOCK;
use crate::error::Code;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::lua::faces::ASYNC;
use crate::shape::{Field, Kind, Shape};

pub const TIMEOUT: Kind = Kind::Number(0.0, 1e12);

static STEP: Shape = Shape::new(
    "TestStep",
    &[
        Field::new("name", Kind::Name, "\"step N\"", "stands in results and reports"),
        Field::new(
            "run",
            Kind::Function,
            "",
            "`function(ctx)`, which may wait; what it returns is the step's output",
        ),
        Field::new("agent", Kind::Id("an agent"), "", "runs it with `input`, instead of `run`"),
        Field::new("tool", Kind::Id("a tool"), "", "executes it with `input`"),
        Field::new(
            "workflow",
            Kind::Id("a workflow"),
            "",
            "executes it with `input`; its `output` is the step's, or the whole result of one that paused",
        ),
        Field::new(
            "provider",
            Kind::Id("a provider"),
            "",
            "asks its model: `input` is a text or messages",
        ),
        Field::new("input", Kind::Value, "", "of the action, or `function(ctx)` that returns it"),
        Field::new(
            "expect",
            Kind::Value,
            "",
            "what the output must be: a value, `{type=, value=}` with a type of AssertType, or an array in which such \
             tables stand. A text is compared with the content of a response",
        ),
        Field::new("expected_output", Kind::Value, "", "as `expect` of a value"),
        Field::new(
            "should_fail",
            Kind::Bool,
            "false",
            "the step must raise, and what is expected is expected of the error",
        ),
        Field::new("timeout_ms", TIMEOUT, "", "limit of the step; 0 = none"),
    ],
    &[],
);

static STEPS: Kind = Kind::OneOf(&[Kind::Function, Kind::Table(&STEP)]);

pub static SCENARIO: Shape = Shape::new(
    "TestScenario",
    &[
        Field::new("name", Kind::Name, "required", "stands in results and reports"),
        Field::new("description", Kind::Text, "", "what it is about"),
        Field::new("setup", Kind::Function, "", "`function(ctx)` before the steps"),
        Field::new(
            "teardown",
            Kind::Function,
            "",
            "`function(ctx)` after them, whatever has happened",
        ),
        Field::new(
            "fixtures",
            Kind::List(&Kind::Id("a fixture")),
            "",
            "names of fixtures: their data are in `ctx.fixtures`",
        ),
        Field::new(
            "mocks",
            Kind::OneOf(&[Kind::List(&Kind::Table(&MOCK)), Kind::MapOf(&Kind::Table(&MOCK))]),
            "",
            "definitions of create_mock, each with a name or under one: made before anything else, in `ctx.mocks`, \
             and restored at the end",
        ),
        Field::new("tags", Kind::List(&Kind::Text), "", "run_suite chooses by them"),
        Field::new("timeout_ms", TIMEOUT, "", "limit of all but the teardown; 0 = none"),
        Field::new(
            "stop_on_failure",
            Kind::Bool,
            "true",
            "after a step that failed the others are skipped",
        ),
        Field::new("steps", Kind::List(&STEPS), "required", "in order: functions or tables"),
    ],
    &[],
);

const DEFINITION: Kind = Kind::OneOf(&[Kind::Function, Kind::Table(&SCENARIO)]);

static OPTIONS: Shape = Shape::new(
    "TestRunOptions",
    &[Field::new("timeout_ms", TIMEOUT, "the scenario's", "limit of this run; 0 = none"), ASYNC],
    &[],
);

pub const CREATE: Function = Function {
    name: "create_scenario",
    params: &[Param::new("definition", DEFINITION)],
    returns: &[("scenario_id", "string")],
    doc: "Makes a scenario known by id and name: a function, or steps that are run one after the other. A step is a \
          function, or it runs an agent, a tool, a workflow or a provider, and says what it expects: \
          AssertType.EQUALS compares as assert_equals, CONTAINS as assert_contains, MATCHES looks for a Lua pattern, or for \
          `{regex=\"…\"}`, in a text, and THROWS wants an error with that code, or with that text in its message. Functions get \
          `ctx`: `{scenario={id, name, description, tags}, fixtures, mocks, results}`, the same table for all of them; \
          `results` has the results of earlier steps, in order and by name.",
    errors: &[],
    effect: Effect::Writes("tests"),
    example: "local id = zigllms.test.create_scenario{ name = \"adding\", steps = {\n  \
              { run = function() return 1 + 1 end, expect = 2 },\n} }\n\
              assert(zigllms.test.run_scenario(id).success)",
    run: Run::Lua,
};

pub const RUN: Function = Function {
    name: "run_scenario",
    params: &[
        Param::new("scenario_id", Kind::Id("a scenario")),
        Param::new("options", Kind::Table(&OPTIONS)).optional(),
    ],
    returns: &[("result", "zigllms.TestResult")],
    doc: "Runs a scenario: mocks, fixtures, `setup`, the steps, `teardown`; the teardown always runs, and mocks and \
          fixtures always end. An assertion that fails raises nothing here: the step and the scenario are \"failed\", and \
          \"error\" if anything else was raised. A step that runs into its time limit is failed with an error of code \
          `timeout`. `total`, `passed`, `failed` and `skipped` count steps. Waits; if it is cancelled, the teardown runs, \
          and `err.partial` is the result so far.",
    errors: &[Code::NotFound, Code::Cancelled, Code::Timeout],
    effect: Effect::Outside,
    example: "local test = zigllms.test\nlocal id = test.create_scenario(function() test.assert_equals(1, 2) end)\n\
              local result = zigllms.test.run_scenario(id)\n\
              assert(result.status == \"failed\")\n\
              assert(result.steps[1].error:is(\"assertion_failed\"))",
    run: Run::Lua,
};
