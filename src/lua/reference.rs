//! `require("zigllms.reference")`: the bridge tables as plain data, for whoever writes documents,
//! stubs or completions from them.
//!
//! ```lua
//! for _, bridge in ipairs(require("zigllms.reference").bridges) do print(bridge.name, bridge.doc) end
//! ```
//!
//! It makes no instance and starts nothing.

use once_cell::sync::Lazy;

use crate::shape::{Field, Kind, Shape};
use crate::value::{Data, Record};

use super::bridge::{Bridge, Constants, Effect, Function, Param, Run};
use super::bridges::BRIDGES;
use super::help;

/// `{bridges, shapes}`. A constant of the process, so that a Lua error raised while it is pushed
/// leaves no Rust value behind.
pub static DATA: Lazy<Data> = Lazy::new(|| {
    Record::new()
        .set("bridges", list(BRIDGES.iter().copied(), bridge))
        .set("shapes", list(shapes().into_iter(), shape))
        .into()
});

fn list<T>(items: impl Iterator<Item = T>, item: impl Fn(T) -> Record) -> Vec<Record> {
    items.map(item).collect()
}

fn bridge(bridge: &'static Bridge) -> Record {
    Record::new()
        .set("name", bridge.name)
        .set("doc", bridge.doc)
        .set("constants", list(bridge.constants.iter(), constants))
        .set("functions", list(bridge.all(), |f| function(bridge, f)))
}

fn constants(table: &Constants) -> Record {
    let member = |(name, value): &(&'static str, &'static str)| {
        Record::new().set("name", *name).set("value", *value)
    };
    Record::new().set("name", table.name).set("members", list(table.members.iter(), member))
}

fn function(bridge: &Bridge, function: &'static Function) -> Record {
    let result = |(name, kind): &(&'static str, &'static str)| {
        Record::new().set("name", *name).set("type", *kind)
    };
    let errors: Vec<&str> = function.errors.iter().map(|code| code.name()).collect();
    Record::new()
        .set("name", function.name)
        .set("full_name", bridge.full_name(function))
        .set("signature", function.signature())
        .set("doc", function.doc)
        .set("summary", help::summary(function))
        .set("params", list(function.params.iter(), param))
        .set("returns", list(function.returns.iter(), result))
        .set("errors", errors)
        .set("effect", effect(function.effect))
        .set("waits", waits(function))
        .set("extra", bridge.is_extra(function))
        .set("example", function.example)
}

/// Whether it is called in the faces of a call that waits: those are options.
fn waits(function: &'static Function) -> bool {
    let is_async = |field: &Field| field.name == "async";
    let takes = |param: &'static Param| {
        help::shapes(&param.kind).into_iter().any(|shape| shape.all().any(is_async))
    };
    match function.run {
        Run::Waits(_) => true,
        Run::Perhaps(..) => function.params.iter().any(takes),
        _ => false,
    }
}

fn param(param: &'static Param) -> Record {
    let shapes: Vec<&str> = help::shapes(&param.kind).into_iter().map(|shape| shape.name).collect();
    Record::new()
        .set("name", param.name)
        .set("type", param.kind.annotation())
        .set("describe", param.kind.describe())
        .set("optional", param.optional)
        .set("shapes", shapes)
}

fn effect(effect: Effect) -> String {
    match effect {
        Effect::Pure => "pure".into(),
        Effect::Reads(area) => format!("reads {area}"),
        Effect::Writes(area) => format!("writes {area}"),
        Effect::Outside => "outside".into(),
    }
}

/// Every table type that an argument may have, in the order they are met.
fn shapes() -> Vec<&'static Shape> {
    let mut found = Vec::new();
    let functions = BRIDGES.iter().flat_map(|bridge| bridge.all());
    functions
        .flat_map(|function| function.params)
        .for_each(|param| add_kind(&param.kind, &mut found));
    found
}

fn add_kind(kind: &'static Kind, found: &mut Vec<&'static Shape>) {
    help::shapes(kind).into_iter().for_each(|shape| add(shape, found));
}

/// A shape, the shapes of its fields, and those whose fields it shares.
fn add(shape: &'static Shape, found: &mut Vec<&'static Shape>) {
    if found.iter().any(|known| known.name == shape.name) {
        return;
    }
    found.push(shape);
    shape.fields.iter().for_each(|field| add_kind(&field.kind, found));
    shape.also.iter().for_each(|shared| add(shared, found));
}

/// Its own fields, and the names of the shapes whose fields it has besides.
fn shape(shape: &'static Shape) -> Record {
    let known = shape.fields.iter().filter(|field| !matches!(field.kind, Kind::Absent(_)));
    let also: Vec<&str> = shape.also.iter().map(|shared| shared.name).collect();
    Record::new().set("name", shape.name).set("also", also).set("fields", list(known, field))
}

fn field(field: &'static Field) -> Record {
    let shapes: Vec<&str> = help::shapes(&field.kind).into_iter().map(|shape| shape.name).collect();
    Record::new()
        .set("name", field.name)
        .set("aliases", field.aliases.to_vec())
        .set("type", field.kind.annotation())
        .set("describe", field.kind.describe())
        .set("shapes", shapes)
        .set("default", field.default)
        .set("doc", field.doc)
}
