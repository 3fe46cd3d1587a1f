//! `schema.create`, `schema.compile` and `schema.get_info`.

use std::cell::Cell;

use serde_json::Value;

use super::given::{COMPILING, DRAFT, SCHEMA, compiled, draft, required};
use crate::error::{Code, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::runtime::Runtime;
use crate::schema::{Created, info};
use crate::shape::{Field, Kind, Shape};
use crate::value::{Data, Record};

static CREATING: Shape = Shape::new(
    "CreateOptions",
    &[
        Field::new("name", Kind::Name, "the definition's `name`", "by which it is found, unique"),
        DRAFT,
        Field::new("replace", Kind::Bool, "false", "overwrite a schema of that name"),
    ],
    &[],
);

pub const CREATE: Function = Function {
    name: "create",
    params: &[
        Param { name: "definition", ..SCHEMA },
        Param::new("options", Kind::Table(&CREATING)).optional(),
    ],
    returns: &[("schema_id", "string")],
    doc: "Makes a schema known by an id, by its `name` (the definition's member of that name, or the option) and by its \
          `$id`. Other schemas refer to it by name or `$id`; a `$ref` to one that is not there yet is found when it is. \
          The short form `{name=\"string\", age=\"integer?\", tags={\"string\"}}` is an object of those members.",
    errors: &[Code::ValidationFailed, Code::AlreadyExists, Code::NotFound],
    effect: Effect::Writes("schemas"),
    example: "local id = zigllms.schema.create({ city = \"string\", sights = { \"string\" } }, { name = \"place\" })\n\
              assert(zigllms.schema.validate({ city = \"Oslo\", sights = {} }, \"place\").valid)",
    run: Run::Now(create),
};

pub const COMPILE: Function = Function {
    name: "compile",
    params: &[SCHEMA, Param::new("options", Kind::Table(&COMPILING)).optional()],
    returns: &[("compiled", "zigllms.CompiledSchema")],
    doc: "A schema compiled once, to be used many times: `:check(data)`, `:validate(data)`, `:coerce(data)`, \
          `:extract(data)` and `.schema`. It is taken wherever a schema is.",
    errors: &[Code::ValidationFailed, Code::NotFound, Code::Unsupported],
    effect: Effect::Pure,
    example: "local age = zigllms.schema.compile({ type = \"integer\", minimum = 0 })\n\
              assert(age:check(36) and not age:check(-1))",
    run: Run::Now(compile),
};

pub const GET_INFO: Function = Function {
    name: "get_info",
    params: &[SCHEMA],
    returns: &[("info", "table")],
    doc: "What a schema says: `{id, name, type, title, description, properties, required, property_count, depth, \
          keywords, refs, formats, compiled, dialect}`; lists are sorted, `depth` counts schemas inside each other, \
          `compiled` says whether it is a compiled one, or a created one that was used before.",
    errors: &[Code::NotFound, Code::ValidationFailed],
    effect: Effect::Reads("schemas"),
    example: "local info = zigllms.schema.get_info({ name = \"string\", age = \"integer?\" })\n\
              assert(info.property_count == 2 and info.required[1] == \"name\")",
    run: Run::Now(get_info),
};

fn create(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let options = args.options(1, &CREATING);
    let mut source = runtime.schemas.source(required(args, 0)?)?;
    let own = source.as_object_mut().and_then(|members| match members.get("name") {
        Some(Value::String(_)) => members.shift_remove("name"),
        _ => None,
    });
    let own = own.and_then(|name| name.as_str().map(str::to_owned));
    let name = options.text("name").or(own).unwrap_or_default();
    let draft = draft(&options)?;
    let created = Created { name, source, draft, compiled: Cell::default() };
    let id = runtime.schemas.create(created, options.bool("replace") == Some(true))?;
    Ok(id.into())
}

/// Number, source and title; the Lua side makes an object of them.
fn compile(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let schema = compiled(runtime, args, 0, &args.options(1, &COMPILING))?;
    let source = schema.source().clone();
    let word = |key: &str| source.get(key).and_then(Value::as_str).map(str::to_owned);
    let label = word("title").or_else(|| word("$id")).or_else(|| word("type"));
    let number = runtime.schemas.hold(schema);
    Ok(Data::Many(vec![number.into(), source.into(), label.into()]))
}

fn get_info(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let given = required(args, 0)?;
    let found = runtime.schemas.find(given)?;
    let source = &found.source;
    let about = info::info(source);
    let text = |key: &str| source.get(key).and_then(Value::as_str).map(str::to_owned);
    let name = found.created.map(|created| created.name.clone()).filter(|name| !name.is_empty());
    let sorted = |words: std::collections::BTreeSet<String>| words.into_iter().collect::<Vec<_>>();
    let used = found.created.is_some_and(|created| created.compiled.get());
    let compiled = found.compiled.is_some() || used;
    let record = Record::new()
        .set("id", found.id.clone())
        .set("name", name)
        .set("type", info::type_of(source))
        .set("title", text("title"))
        .set("description", text("description"))
        .set("property_count", about.properties.len())
        .set("properties", about.properties)
        .set("required", about.required)
        .set("depth", about.depth)
        .set("keywords", sorted(about.keywords))
        .set("refs", sorted(about.refs))
        .set("formats", sorted(about.formats))
        .set("compiled", compiled)
        .set("dialect", info::dialect(source, found.created.and_then(|created| created.draft)));
    Ok(record.into())
}
