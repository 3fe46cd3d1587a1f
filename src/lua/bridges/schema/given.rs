//! The schema and the options of a call.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Param, Read};
use crate::runtime::Runtime;
use crate::schema::{self, Draft, Schema, tidy};
use crate::shape::{Field, Kind, Options, Shape};
use crate::value::{Ref, Tape};

pub const DATA: Param = Param::new("data", Kind::Any).read(Read::Data);
pub const SCHEMA: Param = Param::new("schema", Kind::Schema);

pub const DRAFT: Field = Field::new(
    "draft",
    Kind::OneOf(&[Kind::Text, Kind::Int(4, 7)]),
    "what `$schema` says, else \"2020-12\"",
    "\"4\", \"6\", \"7\", \"2019-09\" or \"2020-12\"",
);

/// How a schema is read.
pub static COMPILING: Shape = Shape::new(
    "CompileOptions",
    &[
        DRAFT,
        Field::new("formats", Kind::Bool, "true", "check `format`; false: it is only a remark"),
        Field::new(
            "documents",
            Kind::Map,
            "",
            "what a `$ref` to another document finds, by URI; nothing is ever fetched",
        ),
    ],
    &[],
);

/// As the core has the options of a call.
pub fn options(runtime: &Runtime, given: &Options<'_>) -> Result<schema::Options> {
    let documents = match given.get("documents") {
        Some(table) => runtime.schemas.with_documents(documents(table)),
        None => Default::default(),
    };
    Ok(schema::Options {
        draft: draft(given)?,
        formats: given.bool("formats").unwrap_or(true),
        documents,
    })
}

fn documents(table: Ref<'_>) -> BTreeMap<String, Value> {
    let document = |value: Ref<'_>| {
        let mut document = value.to_json();
        tidy(&mut document);
        document
    };
    table.members().map(|(uri, value)| (uri.to_text(), document(value))).collect()
}

pub fn draft(given: &Options<'_>) -> Result<Option<Draft>> {
    let number = given.int("draft").map(|n| n.to_string());
    let Some(name) = given.text("draft").or(number) else { return Ok(None) };
    schema::draft(&name).map(Some).map_err(|e| e.at("options"))
}

/// The compiled schema of an argument.
pub fn compiled(
    runtime: &mut Runtime,
    args: &Args<'_>,
    at: usize,
    given: &Options<'_>,
) -> Result<Schema> {
    let options = options(runtime, given)?;
    runtime.schemas.compile(required(args, at)?, &options, &mut runtime.cache)
}

pub fn required<'t>(args: &Args<'t>, at: usize) -> Result<Ref<'t>> {
    args.get(at).ok_or_else(|| Error::invalid("schema: expected a schema, got nil"))
}

/// Gives `run` the data of a call; nil is null.
pub fn with_data<T>(args: &Args<'_>, run: impl FnOnce(Ref<'_>) -> T) -> T {
    if let Some(value) = args.get(0) {
        return run(value);
    }
    let mut tape = Tape::default();
    tape.null();
    run(tape.view(0))
}
