//! How many tokens texts and messages are taken for where nobody has counted them.

use super::{Content, Message, Part, Request, Source, ToolSpec};

/// Tokens an image is taken for.
const IMAGE: u64 = 85;
/// Tokens a document elsewhere is taken for.
const PAGE: u64 = 2000;

/// Tokens a text of so many bytes is taken for.
pub fn tokens(bytes: usize) -> u64 {
    bytes.div_ceil(4) as u64
}

/// Tokens a message is taken for.
pub fn estimate(message: &Message) -> u64 {
    let content = match &message.content {
        Content::Text(text) => tokens(text.len()),
        Content::Parts(parts) => parts.iter().map(part).sum(),
    };
    let calls = message.tool_calls.iter().map(|c| tokens(c.name.len() + c.arguments_json.len()));
    content + calls.sum::<u64>()
}

fn part(part: &Part) -> u64 {
    match part {
        Part::Text(text) => tokens(text.len()),
        Part::Image { .. } => IMAGE,
        Part::Document { source: Source::Bytes { data, .. }, .. } => tokens(data.len()),
        Part::Document { .. } => PAGE,
        Part::Cache(_) => 0,
        Part::Other(value) => tokens(value.to_string().len()),
    }
}

/// Tokens the prompt of a request is taken for, its tools included.
pub fn estimate_request(request: &Request) -> u64 {
    let messages: u64 = request.messages.iter().map(estimate).sum();
    messages + request.tools.iter().map(tool).sum::<u64>()
}

fn tool(tool: &ToolSpec) -> u64 {
    let schema = tool.parameters.to_string();
    tokens(tool.name.len() + tool.description.len() + schema.len())
}
