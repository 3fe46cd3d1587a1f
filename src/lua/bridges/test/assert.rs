//! `test.assert_equals`, `test.assert_contains`: declarations; `asserting.lua` compares.

use crate::error::Code;
use crate::lua::bridge::{Effect, Function, Param, Read, Run};
use crate::shape::Kind;

const MESSAGE: Param = Param::new("message", Kind::Text).optional();

pub const EQUALS: Function = Function {
    name: "assert_equals",
    params: &[
        Param::new("actual", Kind::Value).read(Read::Reference),
        Param::new("expected", Kind::Value).read(Read::Reference),
        MESSAGE,
    ],
    returns: &[("equal", "true")],
    doc: "Raises `assertion_failed` unless two values are equal. Tables are equal if they have equal members, \
          however deep, also in cycles; `__eq` is asked, other metatables and fields behind `__index` are not. Numbers \
          are equal by value, also 1 and 1.0, and NaN equals NaN; functions, threads and userdata are equal to themselves. \
          The message names the first difference: `at .steps[2].status: expected \"ok\", got \"failed\"`, with `message` \
          before it. `details` of the error has `path`, `expected`, `actual` and, if there are more, up to 20 \
          `differences`.",
    errors: &[Code::AssertionFailed],
    effect: Effect::Pure,
    example: "zigllms.test.assert_equals({ a = { 1, 2 } }, { a = { 1, 2 } })\n\
              local ok, err = pcall(zigllms.test.assert_equals, { a = { 1, 2 } }, { a = { 1, 3 } })\n\
              assert(not ok and err.details.path == \".a[2]\")",
    run: Run::Lua,
};

pub const CONTAINS: Function = Function {
    name: "assert_contains",
    params: &[
        Param::new("haystack", Kind::Value).read(Read::Reference),
        Param::new("needle", Kind::Value).read(Read::Reference),
        MESSAGE,
    ],
    returns: &[("contained", "true")],
    doc: "Raises `assertion_failed` unless the first value contains the second one: a text that plain text, an array an \
          element that is equal to it, a map all members of a table, however deep (an array among them has the same length), \
          or a map the key that a text names. The error is that of assert_equals.",
    errors: &[Code::AssertionFailed],
    effect: Effect::Pure,
    example: "zigllms.test.assert_contains(\"Hello, world\", \"world\")\n\
              zigllms.test.assert_contains({ \"a\", { b = 1 } }, { b = 1 })\n\
              zigllms.test.assert_contains({ status = \"ok\", usage = { total = 3 } }, { usage = { total = 3 } })\n\
              zigllms.test.assert_contains({ status = \"ok\" }, \"status\")",
    run: Run::Lua,
};
