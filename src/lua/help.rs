//! `help`: what the bridge tables say, as text.

use std::fmt::Write;

use crate::error::{Error, Result};
use crate::shape::{Kind, Shape};

use super::bridge::{Bridge, Function};
use super::bridges::BRIDGES;

const TASKS: &str = "\
ask        zigllms.provider.chat(\"Hello\", { provider = \"openai\" })
stream     for chunk in zigllms.provider.stream(\"Hello\", { provider = \"openai\" }) do io.write(chunk.content) end
agent      zigllms.agent.run(zigllms.agent.create{ provider = \"openai\", tools = { \"my_tool\" } }, \"Hello\")
typed      zigllms.provider.chat(\"A plan\", { schema = { title = \"string\" } }).parsed.title
many       zigllms.all{ zigllms.provider.chat(a, { async = true }), zigllms.provider.chat(b, { async = true }) }
remember   zigllms.agent.run(id, \"And what did I say?\", { session = \"ann\" })
local      zigllms.provider.create{ type = \"local\", model_path = \"model.gguf\" }
";

/// The overview, a bridge, or a function.
pub fn text(topic: Option<&str>) -> Result<String> {
    let Some(topic) = topic else { return Ok(overview()) };
    let topic = topic.strip_prefix("zigllms.").unwrap_or(topic);
    if let Some(bridge) = BRIDGES.iter().find(|bridge| bridge.name == topic && !topic.is_empty()) {
        return Ok(bridge_text(bridge));
    }
    let all = BRIDGES.iter().flat_map(|bridge| bridge.functions.iter().map(move |f| (bridge, f)));
    let found = all.into_iter().find(|(bridge, function)| bridge.full_name(function) == topic);
    found
        .map(|(bridge, function)| function_text(bridge, function))
        .ok_or_else(|| Error::not_found("help topic", topic))
}

fn overview() -> String {
    let mut text = String::from("zigllms: agents, tools and language models for Lua\n\n");
    text.push_str(TASKS);
    for bridge in BRIDGES {
        let names: Vec<_> = bridge.functions.iter().map(|f| f.name).collect();
        let name = if bridge.name.is_empty() { "zigllms" } else { bridge.name };
        let _ = write!(text, "\n{name}: {}\n  {}\n", bridge.doc, names.join(" "));
    }
    text.push_str("\nhelp(\"agent.run\") shows one function.\n");
    text
}

fn bridge_text(bridge: &Bridge) -> String {
    let mut text = format!("{}: {}\n", bridge.name, bridge.doc);
    for function in bridge.functions {
        let _ = write!(text, "\n  {}\n    {}\n", function.signature(), summary(function));
    }
    for constants in bridge.constants {
        let members: Vec<_> =
            constants.members.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let _ = write!(text, "\n  {}.{}: {}\n", bridge.name, constants.name, members.join(" "));
    }
    text
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
        shapes(&param.kind).into_iter().for_each(|shape| shape_text(&mut text, shape));
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
        Kind::Table(shape) => vec![shape],
        Kind::List(item) => shapes(item),
        Kind::OneOf(kinds) => kinds.iter().flat_map(shapes).collect(),
        _ => Vec::new(),
    }
}

fn shape_text(text: &mut String, shape: &'static Shape) {
    for field in shape.all().filter(|field| !matches!(field.kind, Kind::Absent(_))) {
        let default =
            if field.default.is_empty() { String::new() } else { format!(" [{}]", field.default) };
        let _ = writeln!(
            text,
            "  {:<24} {}: {}{default}",
            field.name,
            field.kind.describe(),
            field.doc
        );
    }
}
