//! `help`: what the bridge tables say, as text.

use std::fmt::Write;

use crate::error::{Error, Result};
use crate::shape::{Field, Kind, Shape};

use super::bridge::{Bridge, Constants, Function, Param};
use super::bridges::BRIDGES;

mod builtin;
mod topics;

const TASKS: &str = "\
ask        zigllms.provider.chat(\"Hello\", { provider = \"openai\" })
stream     for chunk in zigllms.provider.stream(\"Hello\", { provider = \"openai\" }) do io.write(chunk.content) end
agent      zigllms.agent.run(zigllms.agent.create{ provider = \"openai\", tools = { \"my_tool\" } }, \"Hello\")
typed      zigllms.provider.chat(\"A plan\", { schema = { title = \"string\" } }).parsed.title
many       zigllms.all{ zigllms.provider.chat(a, { async = true }), zigllms.provider.chat(b, { async = true }) }
remember   zigllms.agent.run(id, \"And what did I say?\", { session = \"ann\" })
test       zigllms.test.create_mock{ provider = \"openai\", responses = { \"Hello!\" } } -- then ask as ever
local      zigllms.provider.create{ type = \"local\", model_path = \"model.gguf\" }
";

/// The overview, a bridge, a function, or whatever else has that name.
pub fn text(topic: Option<&str>) -> Result<String> {
    let Some(topic) = topic else { return Ok(overview()) };
    let topic = topic.strip_prefix("zigllms.").unwrap_or(topic);
    if let Some(bridge) = BRIDGES.iter().find(|bridge| bridge.name == topic && !topic.is_empty()) {
        return Ok(bridge_text(bridge));
    }
    let all = BRIDGES.iter().flat_map(|bridge| bridge.all().map(move |f| (bridge, f)));
    let found = all.into_iter().find(|(bridge, function)| bridge.full_name(function) == topic);
    found
        .map(|(bridge, function)| function_text(bridge, function))
        .or_else(|| topics::text(topic))
        .ok_or_else(|| unknown(topic))
}

fn unknown(topic: &str) -> Error {
    let error = Error::not_found("help topic", topic);
    match topics::alike(topic) {
        Some(name) => {
            let message = format!("{}; did you mean {name:?}?", error.message());
            Error::new(error.code(), message)
        }
        None => error,
    }
}

fn overview() -> String {
    let mut text = String::from("zigllms: agents, tools and language models for Lua\n\n");
    text.push_str(TASKS);
    for bridge in BRIDGES {
        let names: Vec<_> = bridge.all().map(|f| f.name).collect();
        let _ = write!(text, "\n{}: {}\n  {}\n", said(bridge), bridge.doc, names.join(" "));
    }
    text.push_str(
        "\nhelp(\"agent.run\") shows one function, help(\"retry\") an option,\n\
         help(\"file_reader\") a built-in tool.\n",
    );
    text
}

/// How a bridge is called.
fn said(bridge: &Bridge) -> &'static str {
    if bridge.name.is_empty() { "zigllms" } else { bridge.name }
}

fn bridge_text(bridge: &Bridge) -> String {
    let mut text = format!("{}: {}\n", bridge.name, bridge.doc);
    for function in bridge.all() {
        let _ = write!(text, "\n  {}\n    {}\n", function.signature(), summary(function));
    }
    for table in bridge.constants {
        let _ = write!(text, "\n  {}", constants_text(bridge, table));
    }
    text
}

fn constants_text(bridge: &Bridge, table: &Constants) -> String {
    let member = |(name, value): &(&str, &str)| format!("{name}={value:?}");
    let members: Vec<String> = table.members.iter().map(member).collect();
    format!("{}.{}: {}\n", said(bridge), table.name, members.join(" "))
}

/// The first sentence.
pub fn summary(function: &Function) -> &'static str {
    function.doc.find(". ").map_or(function.doc, |end| &function.doc[..=end])
}

fn function_text(bridge: &Bridge, function: &Function) -> String {
    let prefix = if bridge.name.is_empty() { String::new() } else { format!("{}.", bridge.name) };
    let mut text = format!("zigllms.{prefix}{}\n\n{}\n", function.signature(), function.doc);
    for param in function.params {
        let _ = writeln!(
            text,
            "\n{}: {}{}",
            param.name,
            param.kind.describe(),
            if param.optional { ", optional" } else { "" }
        );
        let own = own_shapes(&param.kind);
        let told = if own.is_empty() { shapes(&param.kind) } else { own };
        told.iter().for_each(|shape| shape_text(&mut text, shape));
        for (fields, shape) in listed(param, &told) {
            let _ = writeln!(text, "\neach of {}: a table, {}", fields.join(", "), shape.name);
            item_text(&mut text, shape);
        }
    }
    if !function.errors.is_empty() {
        let names: Vec<_> = function.errors.iter().map(|code| code.name()).collect();
        let _ = write!(text, "\nErrors: invalid_argument, {}\n", names.join(", "));
    }
    let _ = write!(text, "\nExample:\n{}\n", function.example);
    text
}

/// The table types a kind may be.
pub fn shapes(kind: &Kind) -> Vec<&'static Shape> {
    match kind {
        Kind::Table(shape) | Kind::Later(shape) => vec![shape],
        Kind::List(item) | Kind::MapOf(item) => shapes(item),
        Kind::OneOf(kinds) => kinds.iter().flat_map(shapes).collect(),
        _ => Vec::new(),
    }
}

/// Those that it may be itself.
fn own_shapes(kind: &Kind) -> Vec<&'static Shape> {
    match kind {
        Kind::Table(shape) | Kind::Later(shape) => vec![shape],
        Kind::OneOf(kinds) => kinds.iter().flat_map(own_shapes).collect(),
        _ => Vec::new(),
    }
}

/// Those that it may hold.
fn items(kind: &Kind) -> Vec<&'static Shape> {
    match kind {
        Kind::List(item) | Kind::MapOf(item) => own_shapes(item),
        Kind::OneOf(kinds) => kinds.iter().flat_map(items).collect(),
        _ => Vec::new(),
    }
}

pub fn shape_text(text: &mut String, shape: &'static Shape) {
    let offered = |field: &&Field| !matches!(field.kind, Kind::Absent(_));
    for field in shape.all().filter(offered) {
        field_text(text, field);
        inner_text(text, field, field.name);
    }
}

/// Tables that an argument or its fields are lists of, with the names of those, but for what was
/// `told`.
fn listed(param: &Param, told: &[&'static Shape]) -> Vec<(Vec<&'static str>, &'static Shape)> {
    let mut found: Vec<(Vec<&'static str>, &'static Shape)> = Vec::new();
    let fields = told.iter().flat_map(|shape| shape.all());
    let lists = fields.map(|field| (field.name, &field.kind));
    for (name, kind) in std::iter::once((param.name, &param.kind)).chain(lists) {
        for shape in items(kind) {
            let is_told = told.iter().any(|one| std::ptr::eq(*one, shape));
            match found.iter_mut().find(|(_, known)| std::ptr::eq(*known, shape)) {
                Some((names, _)) if names.contains(&name) => {}
                Some((names, _)) => names.push(name),
                None if is_told => {}
                None => found.push((vec![name], shape)),
            }
        }
    }
    found
}

/// What all such tables have, then what only those of each kind do.
fn item_text(text: &mut String, shape: &'static Shape) {
    let belongs = |field: &Field| shape.variants.iter().any(|kind| kind.has(field.name));
    for field in shape.all().filter(|field| !belongs(field)) {
        field_text(text, field);
        inner_text(text, field, field.name);
    }
    for kind in shape.variants {
        let also = kind.aliases.iter().map(|word| format!(" or {word:?}")).collect::<String>();
        let _ = writeln!(text, "of type {:?}{also}:", kind.name);
        let own = shape.all().filter(|field| kind.has(field.name));
        own.for_each(|field| field_text(text, field));
    }
}

/// What is in a table of options that is an option: `tools.process.allow`.
fn inner_text(text: &mut String, field: &Field, path: &str) {
    let Kind::Table(shape) = field.kind else { return };
    for inner in shape.fields.iter().filter(|inner| !matches!(inner.kind, Kind::Absent(_))) {
        let path = format!("{path}.{}", inner.name);
        line_text(text, &path, inner);
        inner_text(text, inner, &path);
    }
}

fn field_text(text: &mut String, field: &Field) {
    line_text(text, field.name, field);
}

fn line_text(text: &mut String, name: &str, field: &Field) {
    let default =
        if field.default.is_empty() { String::new() } else { format!(" [{}]", field.default) };
    let (kind, doc) = (field.kind.describe(), field.doc);
    let _ = writeln!(text, "  {name:<24} {kind}: {doc}{default}");
}
