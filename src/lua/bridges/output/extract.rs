//! `output.extract_json`.

use super::RECOVERIES;
use super::source::{TEXT, text};
use crate::error::Result;
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::output;
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Shape};
use crate::value::repair::{self, Candidate, Options};
use crate::value::{Data, Document, MAX_DEPTH, Record};

static OPTIONS: Shape = Shape::new(
    "ExtractOptions",
    &[
        Field::new("all", Kind::Bool, "false", "every object and array, as an array"),
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
          than bare numbers before `[1]` and `{}`. Strings are respected, scalars are not looked for. nil, and nothing \
          more, if there is none. With `all=true` an array of all that stand in no other, in order; \
          `info.positions` then says where each one stands.",
    errors: &[],
    effect: Effect::Pure,
    example: "local text = 'Sure! {\"city\": \"Oslo\"} is what you asked for.'\n\
              assert(zigllms.output.extract_json(text).city == \"Oslo\")\n\
              assert(zigllms.output.extract_json(\"no document\") == nil)",
    run: Run::Now(extract_json),
};

fn extract_json(_: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let text = text(args)?;
    let asked = args.options(1, &OPTIONS);
    let level = asked.word("recovery").and_then(output::level_named).unwrap_or_default();
    let max_depth = asked.int("max_depth").map_or(MAX_DEPTH, |n| n as usize);
    let options = Options { level, max_depth, ..Options::default() };
    let mut document = Document::default();
    if asked.bool("all").unwrap_or_default() {
        let found = repair::all(text.as_bytes(), &options, &mut document.tape);
        document.root = found.root;
        let positions: Vec<Data> = found.items.iter().map(|it| position(it).into()).collect();
        let info = Record::new().set("positions", positions);
        return Ok(Data::Many(vec![document.into(), info.into()]));
    }
    let found = repair::candidates(text.as_bytes(), &options, &mut document.tape);
    let Some(meant) = repair::first(&found, &document.tape).and_then(|n| found.get(n)) else {
        return Ok(Data::Nil);
    };
    document.root = meant.root;
    Ok(Data::Many(vec![document.into(), info(meant).into()]))
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
