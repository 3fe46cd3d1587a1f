//! Tools of a model whose chat template has none: they are told in words, and what the model is to
//! print is what [`crate::chat::printed`] reads.

use serde_json::json;

use crate::chat::{Content, Message, Part, Role, ToolCall, ToolSpec};

/// Tells of the tools, in the system message where the template has one, else in front of the
/// first question.
pub fn tell(messages: &mut Vec<Message>, tools: &[ToolSpec], has_system: bool) {
    let text = instruction(tools);
    let wanted = if has_system { Role::System } else { Role::User };
    match messages.iter_mut().find(|message| message.role == wanted) {
        Some(system) if has_system => add(&mut system.content, &format!("\n\n{text}"), false),
        Some(question) => add(&mut question.content, &format!("{text}\n\n"), true),
        None => messages.insert(0, Message::new(wanted, text)),
    }
}

fn instruction(tools: &[ToolSpec]) -> String {
    let line = |it: &ToolSpec| {
        let about =
            json!({ "name": it.name, "description": it.description, "parameters": it.parameters });
        format!("{about}\n")
    };
    let list: String = tools.iter().map(line).collect();
    format!(
        "You can call functions. Each line is one, with a JSON Schema of its arguments:\n{list}\
         To call one, answer with a block like this, and with nothing else:\n\
         <tool_call>\n{{\"name\": \"NAME\", \"arguments\": {{}}}}\n</tool_call>\n\
         You will get the result between <tool_response> and </tool_response>. \
         Where no function helps, answer in words."
    )
}

fn add(content: &mut Content, text: &str, front: bool) {
    match content {
        Content::Text(all) if front => all.insert_str(0, text),
        Content::Text(all) => all.push_str(text),
        Content::Parts(parts) => {
            let at = if front { 0 } else { parts.len() };
            parts.insert(at, Part::Text(text.to_owned()));
        }
    }
}

/// The conversation with calls as the model printed them, and results as an answer to it. Results
/// of one round stand in one message: many templates want the roles to alternate.
pub fn as_text(messages: &[Message]) -> Vec<Message> {
    let mut all: Vec<Message> = Vec::new();
    let mut answering = false;
    for message in messages {
        match message.role {
            Role::Tool => {
                let text = message.content.text();
                let text = format!("<tool_response>\n{text}\n</tool_response>");
                match all.last_mut().filter(|_| answering) {
                    Some(last) => add(&mut last.content, &format!("\n{text}"), false),
                    None => all.push(Message::new(Role::User, text)),
                }
            }
            _ => all.push(printed(message)),
        }
        answering = message.role == Role::Tool;
    }
    all
}

fn printed(message: &Message) -> Message {
    let mut message = message.clone();
    for call in std::mem::take(&mut message.tool_calls) {
        let gap = if message.content.text().is_empty() { "" } else { "\n" };
        add(&mut message.content, &format!("{gap}{}", block(&call)), false);
    }
    message
}

fn block(call: &ToolCall) -> String {
    let arguments = call.arguments().unwrap_or_else(|| call.arguments_json.clone().into());
    let call = json!({ "name": call.name, "arguments": arguments });
    format!("<tool_call>\n{call}\n</tool_call>")
}
