//! How many tokens something is taken for where nobody counts them: a quarter of its bytes.

use super::{Content, Message, Part, Source, ToolSpec};

/// Tokens a text of so many bytes is taken for.
pub fn of_bytes(bytes: usize) -> u64 {
    bytes.div_ceil(4) as u64
}

/// Tokens an image is taken for.
const IMAGE: u64 = 85;
/// Tokens a document elsewhere is taken for.
const PAGE: u64 = 2000;

pub fn of_message(message: &Message) -> u64 {
    let content = match &message.content {
        Content::Text(text) => of_bytes(text.len()),
        Content::Parts(parts) => parts.iter().map(of_part).sum(),
    };
    let calls = message.tool_calls.iter().map(|c| of_bytes(c.name.len() + c.arguments_json.len()));
    content + calls.sum::<u64>()
}

fn of_part(part: &Part) -> u64 {
    match part {
        Part::Text(text) => of_bytes(text.len()),
        Part::Image { .. } => IMAGE,
        Part::Document { source: Source::Bytes { data, .. }, .. } => of_bytes(data.len()),
        Part::Document { .. } => PAGE,
        Part::Cache(_) => 0,
        Part::Other(value) => of_bytes(value.to_string().len()),
    }
}

pub fn of_tool(tool: &ToolSpec) -> u64 {
    let parameters = tool.parameters.to_string().len();
    of_bytes(tool.name.len() + tool.description.len() + parameters)
}

/// Everything that a model is told.
pub fn of_all(messages: &[Message], tools: &[ToolSpec]) -> u64 {
    let tools: u64 = tools.iter().map(of_tool).sum();
    messages.iter().map(of_message).sum::<u64>() + tools
}
