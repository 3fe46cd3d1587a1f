//! Messages as users write them: checked, and turned into the neutral form.

use serde_json::{Value, json};

use super::{Content, Message, Part, Role, ToolCall};
use crate::error::{Error, Result, quoted};
use crate::value::json;

/// A string is one user message; a table with `role` is one message; an array is several.
pub fn parse(value: &Value, path: &str) -> Result<Vec<Message>> {
    match value {
        Value::String(text) => Ok(vec![Message::new(Role::User, text.as_str())]),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(i, item)| one(item, &format!("{path}[{}]", i + 1)))
            .collect(),
        Value::Object(members) if members.is_empty() => Ok(Vec::new()),
        Value::Object(_) => Ok(vec![one(value, path)?]),
        other => Err(expected(path, "a string, a message or an array of messages", other)),
    }
}

fn expected(path: &str, what: &str, got: &Value) -> Error {
    let got = match got {
        Value::Null => "nil".to_owned(),
        Value::String(text) => quoted(text),
        Value::Array(_) | Value::Object(_) => "a table".to_owned(),
        other => other.to_string(),
    };
    Error::invalid(format!("{path}: expected {what}, got {got}"))
}

fn one(value: &Value, path: &str) -> Result<Message> {
    if !value.is_object() {
        return Err(expected(path, "a message {role=, content=}", value));
    }
    let message = Message {
        role: role(&value["role"], path)?,
        content: content(&value["content"], &format!("{path}.content"))?,
        name: text(value, "name", path)?,
        tool_call_id: text(value, "tool_call_id", path)?,
        tool_calls: tool_calls(&value["tool_calls"], &format!("{path}.tool_calls"))?,
        blocks: Some(&value["blocks"]).filter(|blocks| !blocks.is_null()).cloned(),
    };
    complete(message, path)
}

/// A tool message must say which call it answers; any other must say something.
fn complete(message: Message, path: &str) -> Result<Message> {
    if message.role == Role::Tool && message.tool_call_id.is_none() {
        return Err(Error::invalid(format!(
            "{path}.tool_call_id: expected the id of the call it answers, got nil"
        )));
    }
    if message.role != Role::Assistant && !message.tool_calls.is_empty() {
        return Err(Error::invalid(format!(
            "{path}.tool_calls: only assistant messages have tool calls"
        )));
    }
    Ok(message)
}

fn role(value: &Value, path: &str) -> Result<Role> {
    const ROLES: &str = r#"one of "system", "user", "assistant", "tool""#;
    value
        .as_str()
        .and_then(Role::parse)
        .ok_or_else(|| expected(&format!("{path}.role"), ROLES, value))
}

fn text(message: &Value, key: &str, path: &str) -> Result<Option<String>> {
    match &message[key] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        other => Err(expected(&format!("{path}.{key}"), "a string", other)),
    }
}

fn content(value: &Value, path: &str) -> Result<Content> {
    match value {
        Value::Null => Ok(Content::default()),
        Value::String(text) => Ok(Content::Text(text.clone())),
        Value::Array(parts) => {
            let part = |(i, value)| part(value, &format!("{path}[{}]", i + 1));
            Ok(Content::Parts(parts.iter().enumerate().map(part).collect::<Result<_>>()?))
        }
        other => Err(expected(path, "a string or an array of parts", other)),
    }
}

fn part(value: &Value, path: &str) -> Result<Part> {
    match value["type"].as_str() {
        Some("text") => match &value["text"] {
            Value::String(text) => Ok(Part::Text(text.clone())),
            other => Err(expected(&format!("{path}.text"), "a string", other)),
        },
        Some("image_url") => image_url(&value["image_url"], &format!("{path}.image_url")),
        Some(_) => Ok(Part::Other(value.clone())),
        None => {
            Err(expected(&format!("{path}.type"), "a part type such as \"text\"", &value["type"]))
        }
    }
}

fn image_url(value: &Value, path: &str) -> Result<Part> {
    let url = value.as_str().or_else(|| value["url"].as_str());
    let url = url.ok_or_else(|| expected(&format!("{path}.url"), "a string", &value["url"]))?;
    Ok(Part::ImageUrl { url: url.to_owned(), detail: value["detail"].as_str().map(str::to_owned) })
}

fn tool_calls(value: &Value, path: &str) -> Result<Vec<ToolCall>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Object(map) if map.is_empty() => Ok(Vec::new()),
        Value::Array(calls) => {
            let call = |(i, value)| tool_call(value, &format!("{path}[{}]", i + 1));
            calls.iter().enumerate().map(call).collect()
        }
        other => Err(expected(path, "an array of tool calls", other)),
    }
}

/// Both the flat form of responses and the nested one of the OpenAI wire.
fn tool_call(value: &Value, path: &str) -> Result<ToolCall> {
    let function = &value["function"];
    let name = value["name"].as_str().or_else(|| function["name"].as_str());
    let name = name.ok_or_else(|| expected(&format!("{path}.name"), "a string", &value["name"]))?;
    let id = value["id"]
        .as_str()
        .ok_or_else(|| expected(&format!("{path}.id"), "a string", &value["id"]))?;
    let arguments = [&value["arguments_json"], &function["arguments"], &value["arguments"]];
    let arguments = arguments.into_iter().find(|a| !a.is_null()).map_or(String::new(), json::plain);
    Ok(ToolCall { id: id.to_owned(), name: name.to_owned(), arguments_json: arguments })
}

/// A message as users read it in `response.messages` and in memory.
pub fn to_json(message: &Message) -> Value {
    let mut value =
        json!({ "role": message.role.name(), "content": content_value(&message.content) });
    if let Some(name) = &message.name {
        value["name"] = json!(name);
    }
    if let Some(id) = &message.tool_call_id {
        value["tool_call_id"] = json!(id);
    }
    if !message.tool_calls.is_empty() {
        value["tool_calls"] = message.tool_calls.iter().map(call_value).collect();
    }
    if let Some(blocks) = &message.blocks {
        value["blocks"] = blocks.clone();
    }
    value
}

fn call_value(call: &ToolCall) -> Value {
    let mut value = json!({ "id": call.id, "type": "function", "name": call.name, "arguments_json": call.arguments_json });
    if let Some(arguments) = call.arguments() {
        value["arguments"] = json::without_nulls(arguments);
    }
    value
}

fn content_value(content: &Content) -> Value {
    match content {
        Content::Text(text) => json!(text),
        Content::Parts(parts) => parts.iter().map(part_value).collect(),
    }
}

fn part_value(part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({ "type": "text", "text": text }),
        Part::ImageUrl { url, detail } => {
            json!({ "type": "image_url", "image_url": { "url": url, "detail": detail } })
        }
        Part::Image { mime_type, .. } => json!({ "type": "image", "mime_type": mime_type }),
        Part::Other(value) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(value: Value) -> String {
        parse(&value, "messages").unwrap_err().message().to_owned()
    }

    #[test]
    fn mistakes_name_their_path() {
        assert_eq!(
            error(json!([{"role": "user"}, {"role": "robot"}])),
            r#"messages[2].role: expected one of "system", "user", "assistant", "tool", got "robot""#
        );
        assert_eq!(
            error(json!([{"role": "user", "content": [{"type": "text", "text": 1}]}])),
            "messages[1].content[1].text: expected a string, got 1"
        );
        assert!(error(json!({"role": "tool", "content": "x"})).contains("messages.tool_call_id"));
        assert_eq!(
            error(json!(true)),
            "messages: expected a string, a message or an array of messages, got true"
        );
    }

    #[test]
    fn messages_round_trip_through_the_users_form() {
        let given = json!([
            {"role": "user", "content": [{"type": "text", "text": "a"}]},
            {"role": "assistant", "content": "", "tool_calls": [{"id": "c", "name": "f", "arguments_json": "{\"x\":1}"}]},
            {"role": "tool", "content": "1", "tool_call_id": "c"},
        ]);
        let messages = parse(&given, "m").unwrap();
        let again: Value = messages.iter().map(to_json).collect();
        assert_eq!(parse(&again, "m").unwrap(), messages);
        assert_eq!(again[1]["tool_calls"][0]["arguments"]["x"], 1);
    }
}
