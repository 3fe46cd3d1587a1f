//! `output.extract_json`.

use super::RECOVERIES;
use super::source::{TEXT, text};
use crate::error::{Code, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::output;
use crate::runtime::Runtime;
use crate::schema::{self, Schema};
use crate::shape::{Field, Kind, Shape};
use crate::value::repair::{self, Candidate, Options};
use crate::value::{Data, Document, MAX_DEPTH, Record, json};

static OPTIONS: Shape = Shape::new(
    "ExtractOptions",
    &[
        Field::new("all", Kind::Bool, "false", "every object and array, as an array"),
        Field::new("schema", Kind::Schema, "", "the first one that is valid by it"),
        Field::new("recovery", Kind::Enum(RECOVERIES), "lenient", "how much may be wrong with it"),
        Field::new("max_depth", Kind::Int(1, 1000), "100", "deepest nesting"),
    ],
    &[],
);

pub const EXTRACT_JSON: Function = Function {
    name: "extract_json",
    params: &[TEXT, Param::new("options", Kind::Table(&OPTIONS)).optional()],
    returns: &[("value", "any"), ("info", "zigllms.ReadInfo?")],
    doc: "The object or array in a text: one in a code fence, else the first that is complete; one that holds more \
          than bare numbers before `[1]` and `{}`. With a schema, the first that is valid by it. Strings are respected, scalars are not looked for. nil, and nothing \
          more, if there is none. With `all=true` an array of all that stand in no other, in order; \
          `info.positions` then says where each one stands.",
    errors: &[Code::ValidationFailed, Code::NotFound, Code::Unsupported],
    effect: Effect::Pure,
    example: "local text = 'Sure! {\"city\": \"Oslo\"} is what you asked for.'\n\
              assert(zigllms.output.extract_json(text).city == \"Oslo\")\n\
              assert(zigllms.output.extract_json(\"no document\") == nil)",
    run: Run::Now(extract_json),
};

fn extract_json(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let text = text(args)?;
    let asked = args.options(1, &OPTIONS);
    let level = asked.word("recovery").and_then(output::level_named).unwrap_or_default();
    let max_depth = asked.int("max_depth").map_or(MAX_DEPTH, |n| n as usize);
    let options = Options { level, max_depth, ..Options::default() };
    let mut document = Document::default();
    let schema = asked.get("schema").map(|given| {
        runtime.schemas.compile(given, &schema::Options::default(), &mut runtime.cache)
    });
    let schema = schema.transpose()?;
    if asked.bool("all").unwrap_or_default() {
        return Ok(everything(text, &options, schema.as_ref()));
    }
    let found = repair::candidates(text.as_bytes(), &options, &mut document.tape);
    let found = valid(found, schema.as_ref(), &document);
    let Some(meant) = repair::first(&found, &document.tape).and_then(|n| found.get(n)) else {
        return Ok(Data::Nil);
    };
    document.root = meant.root;
    Ok(Data::Many(vec![document.into(), info(meant).into()]))
}

/// Those that a schema allows.
fn valid(
    mut found: Vec<Candidate>,
    schema: Option<&Schema>,
    document: &Document,
) -> Vec<Candidate> {
    if let Some(schema) = schema {
        let fits = |it: &Candidate| document.tape.at(it.root).is_some_and(|it| schema.is_valid(it));
        found.retain(fits);
    }
    found
}

fn everything(text: &str, options: &repair::Options, schema: Option<&Schema>) -> Data {
    let mut document = Document::default();
    let found = repair::all(text.as_bytes(), options, &mut document.tape);
    document.root = found.root;
    let count = found.items.len();
    let kept = valid(found.items, schema, &document);
    if kept.len() < count {
        document = only(&kept, &document);
    }
    let positions: Vec<Data> = kept.iter().map(|it| position(it).into()).collect();
    let info = Record::new().set("positions", positions);
    Data::Many(vec![document.into(), info.into()])
}

/// An array of these alone.
fn only(kept: &[Candidate], from: &Document) -> Document {
    let mut to = Document::default();
    let array = to.tape.open_array();
    for value in kept.iter().filter_map(|it| from.tape.at(it.root)) {
        json::put(&value.to_json(), &mut to.tape);
    }
    to.tape.close(array, kept.len());
    to
}

fn info(found: &Candidate) -> Record {
    Record::new()
        .set("format", "json")
        .set("recovered", !found.fixes.is_empty())
        .set("fixes", found.fixes.clone())
        .set("start", found.start + 1)
        .set("stop", found.stop)
}

fn position(found: &Candidate) -> Record {
    Record::new()
        .set("start", found.start + 1)
        .set("stop", found.stop)
        .set("fixes", found.fixes.clone())
}
