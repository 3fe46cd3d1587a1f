//! Messages as users write them: checked, and turned into the neutral form.

use serde_json::{Value, json};

use super::media::{decoded, encoded};
use super::{Cache, Content, Message, Part, Role, Source, ToolCall};
use crate::error::{Code, Error, Result, quoted};
use crate::value::{Ref, json};

/// As [`parse`], from values of Lua: strings that are bytes of a file survive.
pub fn read(value: Ref<'_>, path: &str) -> Result<Vec<Message>> {
    let mut copy = value.to_json();
    let single = value.get("role").is_some();
    match &mut copy {
        Value::Array(messages) => {
            messages.iter_mut().zip(value.items()).for_each(|(copy, value)| keep_bytes(copy, value))
        }
        copy if single => keep_bytes(copy, value),
        _ => {}
    }
    parse(&copy, path)
}

/// Raw bytes do not fit into a document: they become base64, and say so.
fn keep_bytes(message: &mut Value, value: Ref<'_>) {
    let parts = message.get_mut("content").and_then(Value::as_array_mut);
    let given = value.get("content").into_iter().flat_map(Ref::items);
    for (part, given) in parts.into_iter().flatten().zip(given) {
        let bytes = given.get("data").and_then(Ref::as_bytes);
        if let (Some(bytes), Some(part)) = (bytes, part.as_object_mut())
            && is_file(part.get("type"))
            && !part.contains_key("encoding")
        {
            part.insert("data".into(), encoded(bytes).into());
            part.insert("encoding".into(), "base64".into());
        }
    }
}

fn is_file(kind: Option<&Value>) -> bool {
    matches!(kind.and_then(Value::as_str), Some("image" | "document"))
}

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
        content: marked(content(&value["content"], &format!("{path}.content"))?, value, path)?,
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
            let mut all = Vec::new();
            for (i, value) in parts.iter().enumerate() {
                let path = format!("{path}[{}]", i + 1);
                all.push(part(value, &path)?);
                all.extend(cache(value, &path)?.map(Part::Cache));
            }
            Ok(Content::Parts(all))
        }
        other => Err(expected(path, "a string or an array of parts", other)),
    }
}

/// A message with a cache mark of its own has it behind its last part.
fn marked(content: Content, value: &Value, path: &str) -> Result<Content> {
    let Some(cache) = cache(value, path)? else { return Ok(content) };
    let mut parts = match content {
        Content::Text(text) => vec![Part::Text(text)],
        Content::Parts(parts) => parts,
    };
    parts.push(Part::Cache(cache));
    Ok(Content::Parts(parts))
}

/// `cache=true`, `cache="1h"`, or the form `cache_control={type="ephemeral", ttl=}`.
fn cache(value: &Value, path: &str) -> Result<Option<Cache>> {
    let control = &value["cache_control"];
    if control.is_object() {
        return Ok(Some(Cache { ttl: control["ttl"].as_str().map(str::to_owned) }));
    }
    cache_of(&value["cache"]).ok_or_else(|| {
        expected(&format!("{path}.cache"), "true, false or how long, as \"5m\"", &value["cache"])
    })
}

/// `None` if the value is no mark at all.
pub fn cache_of(value: &Value) -> Option<Option<Cache>> {
    Some(match value {
        Value::Null | Value::Bool(false) => None,
        Value::Bool(true) => Some(Cache::default()),
        Value::String(ttl) => Some(Cache { ttl: Some(ttl.clone()) }),
        _ => return None,
    })
}

fn part(value: &Value, path: &str) -> Result<Part> {
    match value["type"].as_str() {
        Some("text") => match &value["text"] {
            Value::String(text) => Ok(Part::Text(text.clone())),
            other => Err(expected(&format!("{path}.text"), "a string", other)),
        },
        Some("image_url") => image_url(&value["image_url"], &format!("{path}.image_url")),
        Some("cache") => Ok(Part::Cache(Cache { ttl: value["ttl"].as_str().map(str::to_owned) })),
        // Whatever has a source of its own is in the words of some protocol.
        Some("image") if value["source"].is_null() => {
            let detail = value["detail"].as_str().map(str::to_owned);
            Ok(Part::Image { source: source(value, path)?, detail })
        }
        Some("document") if value["source"].is_null() => {
            let name = value["name"].as_str().or_else(|| value["title"].as_str());
            Ok(Part::Document { source: source(value, path)?, name: name.map(str::to_owned) })
        }
        Some(_) => Ok(Part::Other(value.clone())),
        None => {
            Err(expected(&format!("{path}.type"), "a part type such as \"text\"", &value["type"]))
        }
    }
}

/// The bytes of a file, where they lie, or a file of this machine.
fn source(value: &Value, path: &str) -> Result<Source> {
    let kind = value["mime_type"].as_str();
    if let Some(url) = value["url"].as_str() {
        return Ok(Source::url(url));
    }
    if let Some(file) = value["path"].as_str() {
        let failed = |e: std::io::Error| Error::new(Code::IoError, format!("{path}.path: {e}"));
        return Ok(Source::bytes(std::fs::read(file).map_err(failed)?, kind));
    }
    let Some(data) = value["data"].as_str() else {
        return Err(expected(
            &format!("{path}.data"),
            "the bytes, or path= or url=",
            &value["data"],
        ));
    };
    if value["encoding"] != "base64" {
        return Ok(Source::bytes(data.as_bytes().to_vec(), kind));
    }
    let bytes = decoded(data).ok_or_else(|| Error::invalid(format!("{path}.data: no base64")))?;
    Ok(Source::bytes(bytes, kind))
}

fn image_url(value: &Value, path: &str) -> Result<Part> {
    let url = value.as_str().or_else(|| value["url"].as_str());
    let url = url.ok_or_else(|| expected(&format!("{path}.url"), "a string", &value["url"]))?;
    let detail = value["detail"].as_str().map(str::to_owned);
    Ok(Part::Image { source: Source::url(url), detail })
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
    let (id, name) = (id.to_owned(), name.to_owned());
    let mut call = ToolCall { id, name, arguments_json: arguments, whole: false };
    // Arguments that stand beside a text that is broken: it was put right when it came.
    call.whole = value["arguments"].is_object() || call.arguments().is_some();
    Ok(call)
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
    let source = match part {
        Part::Text(text) => return json!({ "type": "text", "text": text }),
        Part::Cache(Cache { ttl: None }) => return json!({ "type": "cache" }),
        Part::Cache(Cache { ttl }) => return json!({ "type": "cache", "ttl": ttl }),
        Part::Other(value) => return value.clone(),
        Part::Image { source: Source::Url(url), detail } => {
            return json!({ "type": "image_url", "image_url": { "url": url, "detail": detail } });
        }
        Part::Image { source, .. } | Part::Document { source, .. } => source,
    };
    let mut value = match source {
        Source::Url(url) => json!({ "url": url }),
        Source::Bytes { data, mime_type } => {
            json!({ "data": encoded(data), "encoding": "base64", "mime_type": mime_type })
        }
    };
    match part {
        Part::Document { name, .. } => {
            value["type"] = "document".into();
            name.iter().for_each(|name| value["name"] = name.as_str().into());
        }
        Part::Image { detail, .. } => {
            value["type"] = "image".into();
            detail.iter().for_each(|detail| value["detail"] = detail.as_str().into());
        }
        _ => {}
    }
    value
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
            {"role": "user", "content": [{"type": "text", "text": "a", "cache": true},
                {"type": "image", "data": "GIF8", "detail": "low"},
                {"type": "image_url", "image_url": "https://x/y.png"},
                {"type": "document", "url": "https://x/y.pdf", "name": "y", "cache": "1h"},
                {"type": "document", "data": "words"}], "cache": "5m"},
            {"role": "assistant", "content": "", "tool_calls": [{"id": "c", "name": "f", "arguments_json": "{\"x\":1}"}]},
            {"role": "tool", "content": "1", "tool_call_id": "c"},
        ]);
        let messages = parse(&given, "m").unwrap();
        let again: Value = messages.iter().map(to_json).collect();
        assert_eq!(parse(&again, "m").unwrap(), messages);
        assert_eq!(again[1]["tool_calls"][0]["arguments"]["x"], 1);
    }
}
