//! `schema.generate` and `schema.merge`.

use super::given::{DATA, with_data};
use crate::error::{Code, Error, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Read, Run};
use crate::runtime::Runtime;
use crate::schema::generate::{self, generate};
use crate::schema::merge::{self, Strategy};
use crate::shape::{Field, Kind, Shape};
use crate::value::{Data, Ref};

static GENERATING: Shape = Shape::new(
    "GenerateOptions",
    &[
        Field::new("required", Kind::Bool, "true", "members that every example has are required"),
        Field::new(
            "formats",
            Kind::Bool,
            "false",
            "name the format that all texts of a place have",
        ),
        Field::new(
            "examples",
            Kind::List(&Kind::Any),
            "",
            "further examples; a member that one of them lacks is optional",
        ),
    ],
    &[],
);

static MERGING: Shape = Shape::new(
    "MergeOptions",
    &[Field::new(
        "strategy",
        Kind::Enum(&["deep", "all_of", "override"]),
        "\"deep\"",
        "\"deep\": keyword by keyword; \"all_of\": side by side; \"override\": later keywords replace earlier ones",
    )],
    &[],
);

pub const GENERATE: Function = Function {
    name: "generate",
    params: &[
        Param { name: "example", ..DATA },
        Param::new("options", Kind::Table(&GENERATING)).optional(),
    ],
    returns: &[("schema", "table")],
    doc: "The schema that an example follows: types, properties (all required), items merged over all elements, \
          alternatives as `anyOf`.",
    errors: &[Code::ConversionError],
    effect: Effect::Pure,
    example: "local schema = zigllms.schema.generate({ name = \"Ada\", tags = { \"x\" } })\n\
              assert(schema.properties.tags.items.type == \"string\")",
    run: Run::Now(generated),
};

pub const MERGE: Function = Function {
    name: "merge",
    params: &[
        Param::new("schemas", Kind::Any).read(Read::Options),
        Param::new("options", Kind::Table(&MERGING)).optional(),
    ],
    returns: &[("schema", "table")],
    doc: "One schema out of any number: `merge(schema1, schema2, …, options?)`. Properties are merged recursively, \
          required ones united, enums intersected, of two bounds the tighter one is taken, and where schemas \
          contradict each other the later one wins. A last table that has nothing but `strategy` is the options.",
    errors: &[Code::ValidationFailed, Code::NotFound, Code::ConversionError],
    effect: Effect::Pure,
    example: "local schema = zigllms.schema.merge({ minimum = 1, maximum = 9 }, { minimum = 3 })\n\
              assert(schema.minimum == 3 and schema.maximum == 9)",
    run: Run::Now(merged),
};

fn generated(_: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let given = args.options(1, &GENERATING);
    let options = generate::Options {
        required: given.bool("required").unwrap_or(true),
        formats: given.bool("formats").unwrap_or_default(),
    };
    let more: Vec<Ref<'_>> = given.get("examples").map(|e| e.items().collect()).unwrap_or_default();
    Ok(with_data(args, |example| {
        let all: Vec<Ref<'_>> = std::iter::once(example).chain(more).collect();
        generate(&all, options).into()
    }))
}

/// The Lua side hands over all schemas as one list.
fn merged(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let options = args.options(1, &MERGING);
    let strategy = match options.word("strategy") {
        Some("all_of") => Strategy::AllOf,
        Some("override") => Strategy::Override,
        _ => Strategy::Deep,
    };
    let given = args.get(0).map(Ref::items).into_iter().flatten();
    let sources = given.enumerate().map(|(i, schema)| {
        let source = runtime.schemas.source(schema);
        source.map_err(|e: Error| e.at(&format!("argument #{}", i + 1)))
    });
    let sources: Vec<_> = sources.collect::<Result<_>>()?;
    if sources.is_empty() {
        return Err(Error::invalid("argument #1: schema1: expected a schema, got nil"));
    }
    Ok(merge::merge(sources, strategy).into())
}
