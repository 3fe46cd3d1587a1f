//! `schema.validate` and `schema.check`.

use super::given::{COMPILING, DATA, SCHEMA, compiled, with_data};
use crate::error::{Code, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::runtime::Runtime;
use crate::schema::{Schema, Violation, summary};
use crate::shape::{Field, Kind, Shape};
use crate::value::{Data, Record, Ref};

static VALIDATING: Shape = Shape::new(
    "ValidateOptions",
    &[Field::new("max_errors", Kind::Int(1, 1_000_000_000), "all", "most errors reported")],
    &[&COMPILING],
);

pub const VALIDATE: Function = Function {
    name: "validate",
    params: &[DATA, SCHEMA, Param::new("options", Kind::Table(&VALIDATING)).optional()],
    returns: &[("result", "zigllms.ValidationResult")],
    doc: "Says whether data fit a schema, and everything that is wrong: `{valid, errors, error_count}`, each error \
          `{path, message, keyword, schema_path, expected, actual}` with JSON pointers. Data that do not fit are no \
          error; the result is a table, so test `.valid`. An empty table is an array where one is wanted.",
    errors: &[Code::ValidationFailed, Code::NotFound, Code::Unsupported, Code::ConversionError],
    effect: Effect::Pure,
    example: "local result = zigllms.schema.validate({ age = \"ten\" }, { properties = { age = { type = \"integer\" } } })\n\
              assert(not result.valid and result.errors[1].path == \"/age\")",
    run: Run::Now(validate),
};

pub const CHECK: Function = Function {
    name: "check",
    params: &[DATA, SCHEMA, Param::new("options", Kind::Table(&COMPILING)).optional()],
    returns: &[("valid", "boolean"), ("message", "string?")],
    doc: "Whether data fit a schema; if not, also one line that says what is wrong.",
    errors: VALIDATE.errors,
    effect: Effect::Pure,
    example: "local ok, message = zigllms.schema.check({ age = \"ten\" }, { age = \"integer\" })\n\
              assert(not ok and message == '/age: expected integer, got string \"ten\"')",
    run: Run::Now(check),
};

fn validate(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let options = args.options(2, &VALIDATING);
    let most = options.int("max_errors").map_or(usize::MAX, |n| n as usize);
    let schema = compiled(runtime, args, 1, &options)?;
    Ok(with_data(args, |value| report(&schema, value, most)))
}

fn check(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let schema = compiled(runtime, args, 1, &args.options(2, &COMPILING))?;
    Ok(with_data(args, |value| verdict(&schema, value)))
}

/// `{valid, errors, error_count}`
pub fn report(schema: &Schema, value: Ref<'_>, most: usize) -> Data {
    let wrong = schema.check_some(value, most);
    Record::new()
        .set("valid", wrong.is_empty())
        .set("error_count", wrong.len())
        .set("errors", wrong.into_iter().map(entry).collect::<Vec<_>>())
        .into()
}

fn entry(wrong: Violation) -> Record {
    Record::new()
        .set("path", wrong.path)
        .set("message", wrong.message)
        .set("keyword", wrong.keyword)
        .set("schema_path", wrong.schema_path)
        .set("expected", wrong.expected)
        .set("actual", wrong.actual)
}

/// true, or false and what is wrong.
pub fn verdict(schema: &Schema, value: Ref<'_>) -> Data {
    match schema.check(value).as_slice() {
        [] => Data::Bool(true),
        wrong => Data::Many(vec![Data::Bool(false), summary(wrong).into()]),
    }
}
