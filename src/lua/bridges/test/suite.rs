//! `test.run_suite`, `test.skip`: declarations; `testing/suites.lua` performs them.

use super::scenario::{SCENARIO, TIMEOUT};
use crate::error::Code;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::lua::faces::ASYNC;
use crate::report::REPORTERS;
use crate::shape::{Field, Kind, Shape};

static TEST: Shape = Shape::new(
    "Test",
    &[
        Field::new("name", Kind::Name, "required in arrays", "stands in results and reports"),
        Field::new("fn", Kind::Function, "required", "`function(ctx)`, the test"),
        Field::new("tags", Kind::List(&Kind::Text), "", "as those of a scenario"),
        Field::new("timeout_ms", TIMEOUT, "", "limit of the test; 0 = none"),
    ],
    &[],
);

static NAMED: Kind = Kind::OneOf(&[Kind::Function, Kind::Table(&TEST)]);
static WHICH: Kind = Kind::OneOf(&[Kind::Text, Kind::Function, Kind::Table(&SCENARIO)]);

static SUITE: Shape = Shape::new(
    "TestSuite",
    &[
        Field::new("name", Kind::Text, "\"suite\"", "stands in results and reports"),
        Field::new(
            "scenarios",
            Kind::List(&WHICH),
            "all, if there are no tests",
            "ids or names of scenarios, or definitions",
        ),
        Field::new(
            "tests",
            Kind::OneOf(&[Kind::List(&Kind::Table(&TEST)), Kind::MapOf(&NAMED)]),
            "",
            "`{name=, fn=}` in order, or functions by name, which run in the order of their names",
        ),
        Field::new("before_all", Kind::Function, "", "`function(suite)` before the first"),
        Field::new(
            "after_all",
            Kind::Function,
            "",
            "`function(suite)` after the last, whatever has happened",
        ),
        Field::new("before_each", Kind::Function, "", "`function(ctx)` before each `setup`"),
        Field::new(
            "after_each",
            Kind::Function,
            "",
            "`function(ctx)` after each `teardown`, whatever has happened",
        ),
        Field::new("filter", Kind::Text, "", "only those with this plain text in their names"),
        Field::new(
            "tags",
            Kind::OneOf(&[Kind::Text, Kind::List(&Kind::Text)]),
            "",
            "only those with one of these tags",
        ),
        Field::new("bail", Kind::Bool, "false", "after one that failed the others are skipped"),
        Field::new(
            "coverage",
            Kind::Bool,
            "false",
            "`coverage` of the result is what get_coverage reports, of this run alone",
        ),
        Field::new("timeout_ms", TIMEOUT, "", "limit of all but what comes after; 0 = none"),
        Field::new(
            "reporter",
            Kind::Enum(REPORTERS),
            "text",
            "how `report` of the result is written",
        ),
        ASYNC,
    ],
    &[],
);

const DEFINITION: Kind = Kind::OneOf(&[Kind::List(&WHICH), Kind::Table(&SUITE)]);

pub const RUN: Function = Function {
    name: "run_suite",
    params: &[Param::new("definition", DEFINITION).optional()],
    returns: &[("result", "zigllms.TestSuiteResult")],
    doc: "Runs scenarios and tests, one after the other: those of the definition, an array of scenarios, or all there are, \
          in the order they were created. A test is a scenario of one step. One that fails stops nothing, unless there is \
          `bail`. `results` has the result of each, as run_scenario returns it; `failed` counts those with errors, too. A \
          failing `before_all` or `after_all` is a result of that name. With `coverage` the result has what get_coverage \
          reports, of this run alone, and the report a line of it. `report` is the text of the reporter: \"text\" to \
          read, \"tap\" (version 13), \"json\" or \"junit\" (XML). Waits.",
    errors: &[Code::NotFound, Code::Cancelled, Code::Timeout],
    effect: Effect::Outside,
    example: "local result = zigllms.test.run_suite{ tests = {\n  \
              [\"one is one\"] = function() zigllms.test.assert_equals(1, 1) end,\n  \
              later = function() zigllms.test.skip(\"not written yet\") end,\n} }\n\
              assert(result.success and result.passed == 1 and result.skipped == 1)\nprint(result.report)",
    run: Run::Lua,
};

pub const SKIP: Function = Function {
    name: "skip",
    params: &[Param::new("reason", Kind::Text).optional()],
    returns: &[],
    doc: "Ends the step it is called in, which is skipped; in `setup` and `before_each` the whole scenario, in \
          `before_all` all of them. It raises, so nothing after it is carried out.",
    errors: &[Code::InvalidState],
    effect: Effect::Outside,
    example: "local result = zigllms.test.run_suite{ tests = {\n  \
              slow = function() zigllms.test.skip(\"takes a day\") end,\n} }\n\
              assert(result.results[1].reason == \"takes a day\")",
    run: Run::Lua,
};
