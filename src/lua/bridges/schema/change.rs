//! `schema.coerce` and `schema.extract`.

use serde_json::Value;

use super::given::{COMPILING, DATA, SCHEMA, compiled, with_data};
use crate::error::{Code, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::runtime::Runtime;
use crate::schema::align::{Rules, align, text};
use crate::shape::{Field, Kind, Shape};
use crate::value::{Data, Ref};

static EXTRACTING: Shape = Shape::new(
    "ExtractOptions",
    &[Field::new(
        "partial",
        Kind::Bool,
        "false",
        "what is missing may be missing, and what does not fit is left out",
    )],
    &[&COMPILING],
);

pub const COERCE: Function = Function {
    name: "coerce",
    params: &[DATA, SCHEMA, Param::new("options", Kind::Table(&COMPILING)).optional()],
    returns: &[("value", "any"), ("changed", "string[]")],
    doc: "A copy of the data with members turned into what the schema wants, and JSON pointers to what was changed: \
          strings become numbers (`\"12\"`), numbers and booleans strings, `true/yes/on/1` and `false/no/off/0` \
          booleans, null the default, a single value a list, JSON text an object or array; texts lose the space \
          around them, and defaults are filled in.",
    errors: &[Code::ValidationFailed, Code::NotFound, Code::Unsupported, Code::ConversionError],
    effect: Effect::Pure,
    example: "local value, changed = zigllms.schema.coerce({ age = \"36\" }, { age = \"integer\" })\n\
              assert(value.age == 36 and changed[1] == \"/age\")",
    run: Run::Now(coerce),
};

pub const EXTRACT: Function = Function {
    name: "extract",
    params: &[DATA, SCHEMA, Param::new("options", Kind::Table(&EXTRACTING)).optional()],
    returns: &[("value", "any")],
    doc: "What the schema describes, and nothing else. Of a table: its described members, coerced, with defaults. Of a \
          text, as models write them: the JSON in it that fits best, mended and aligned to the schema (keys and enum \
          words in other spellings, numbers among words, a single value for a list, …). No model is asked.",
    errors: &[Code::ValidationFailed, Code::NotFound, Code::Unsupported, Code::ConversionError],
    effect: Effect::Pure,
    example: "local text = \"Here you are: {'Name': 'Ada', age: '36',}. Well?\"\n\
              local person = zigllms.schema.extract(text, { name = \"string\", age = \"integer\" })\n\
              assert(person.name == \"Ada\" and person.age == 36)",
    run: Run::Now(extract),
};

fn coerce(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let schema = compiled(runtime, args, 1, &args.options(2, &COMPILING))?;
    let given = with_data(args, |value| value.to_json());
    let fit = align(&schema, &given, Rules::coerce())?;
    Ok(Data::Many(vec![result(fit.value), fit.changed.into()]))
}

fn extract(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let options = args.options(2, &EXTRACTING);
    let partial = options.bool("partial").unwrap_or_default();
    let schema = compiled(runtime, args, 1, &options)?;
    let fit = match args.get(0).and_then(text_of) {
        Some(given) => {
            text::read(&schema, given, Rules { described: true, partial, ..Rules::text() })?.0
        }
        None => {
            let given = with_data(args, |value| value.to_json());
            align(&schema, &given, Rules { partial, ..Rules::extract() })?
        }
    };
    Ok(result(fit.value))
}

/// A string, or the content of an agent's or provider's response.
fn text_of(value: Ref<'_>) -> Option<&str> {
    value.as_str().or_else(|| {
        value.get("finish_reason")?.as_str()?;
        value.get("content")?.as_str()
    })
}

/// As a whole, null is nil.
fn result(value: Value) -> Data {
    if value.is_null() { Data::Nil } else { value.into() }
}
