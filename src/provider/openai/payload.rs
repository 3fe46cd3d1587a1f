//! The body of a request.

use serde_json::{Map, Value, json};

use super::Server;
use super::answer::NAME;
use crate::chat::{
    Content, Format, Message, Part, Request, Role, Settings, Source, ToolCall, ToolChoice, ToolSpec,
};
use crate::error::{Error, Result};
use crate::provider::fields::{
    Object, answered, automatic_cache, each_message, kept, not_in, overlay, parameters, refuse,
    schema_name, set, set_list,
};
use crate::schema::{dialect, tidy};

/// The body that asks `server` for `request`.
pub fn of(request: &Request, server: Server) -> Result<Object> {
    let mut body = Map::new();
    body.insert("model".into(), request.model.as_str().into());
    body.insert("messages".into(), each_message(&request.messages, |m| message(m, server))?.into());
    if !request.tools.is_empty() {
        tools(&mut body, request);
    }
    sampling(&mut body, &request.settings, server)?;
    if let Some(format) = &request.settings.format {
        body.insert("response_format".into(), response_format(format));
    }
    if request.stream {
        body.insert("stream".into(), true.into());
        // Mistral refuses the member, and reports usage without being asked.
        if server != Server::Mistral {
            body.insert("stream_options".into(), json!({ "include_usage": true }));
        }
    }
    overlay(&mut body, &request.settings.extra);
    Ok(body)
}

fn sampling(body: &mut Map<String, Value>, settings: &Settings, server: Server) -> Result<()> {
    let max_tokens = match server {
        Server::OpenAi => "max_completion_tokens",
        _ => "max_tokens",
    };
    let seed = if server == Server::Mistral { "random_seed" } else { "seed" };
    refuse(&[("top_k", server != Server::Compatible && settings.top_k.is_some())])?;
    settings.prompt_cache.iter().try_for_each(automatic_cache)?;
    set(body, "temperature", settings.temperature);
    set(body, "top_p", settings.top_p);
    set(body, "top_k", settings.top_k);
    set(body, max_tokens, settings.max_tokens);
    set(body, seed, settings.seed);
    set(body, "presence_penalty", settings.presence_penalty);
    set(body, "frequency_penalty", settings.frequency_penalty);
    set(body, "reasoning_effort", settings.reasoning.as_deref());
    set_list(body, "stop", &settings.stop);
    Ok(())
}

/// `tool_choice` and `parallel_tool_calls` without tools are errors at OpenAI.
fn tools(body: &mut Map<String, Value>, request: &Request) {
    let settings = &request.settings;
    body.insert("tools".into(), request.tools.iter().map(tool).collect());
    set(body, "tool_choice", settings.tool_choice.as_ref().map(tool_choice));
    set(body, "parallel_tool_calls", settings.parallel_tool_calls);
}

/// A tool in this protocol's wrapper.
pub fn tool(tool: &ToolSpec) -> Value {
    let mut function = Map::new();
    function.insert("name".into(), tool.name.as_str().into());
    if !tool.description.is_empty() {
        function.insert("description".into(), tool.description.as_str().into());
    }
    function.insert("parameters".into(), parameters(&tool.parameters));
    json!({ "type": "function", "function": function })
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => json!({ "type": "function", "function": { "name": name } }),
    }
}

/// A schema that can be sealed is, so that the server enforces it.
fn response_format(format: &Format) -> Value {
    let Format::Schema { name, schema } = format else { return json!({ "type": "json_object" }) };
    let sealed = dialect::sealed(schema);
    let strict = sealed.is_some();
    let schema = sealed.unwrap_or_else(|| {
        let mut schema = schema.clone();
        tidy(&mut schema);
        schema
    });
    let inner = json!({ "name": schema_name(name), "schema": schema, "strict": strict });
    json!({ "type": "json_schema", "json_schema": inner })
}

fn message(message: &Message, server: Server) -> Result<Value> {
    let mut out = Map::new();
    out.insert("role".into(), message.role.name().into());
    out.insert("content".into(), content(message)?);
    set(&mut out, "name", message.name.as_deref());
    if message.role == Role::Tool {
        out.insert("tool_call_id".into(), answered(message)?.into());
    }
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter().map(|call| tool_call(call, server)).collect();
        out.insert("tool_calls".into(), calls);
    }
    // Servers with rules of their own refuse members they do not know.
    if let Some(Value::Object(blocks)) = kept(message, NAME).filter(|_| server.takes_back()) {
        give_back(&mut out, blocks);
    }
    Ok(out.into())
}

/// What an answer asked to have returned: members of the message, and of its tool calls by id.
fn give_back(message: &mut Map<String, Value>, blocks: &Map<String, Value>) {
    for (key, value) in blocks.iter().filter(|(key, _)| *key != "tool_calls") {
        message.insert(key.clone(), value.clone());
    }
    let Some(Value::Object(extras)) = blocks.get("tool_calls") else { return };
    for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
        let extra = call["id"].as_str().and_then(|id| extras.get(id)).and_then(Value::as_object);
        if let (Some(extra), Some(call)) = (extra.cloned(), call.as_object_mut()) {
            call.extend(extra);
        }
    }
}

fn content(message: &Message) -> Result<Value> {
    match &message.content {
        // Some servers refuse an empty text beside tool calls.
        Content::Text(text) if text.is_empty() && !message.tool_calls.is_empty() => Ok(Value::Null),
        Content::Text(text) => Ok(text.as_str().into()),
        Content::Parts(parts) => {
            let parts = parts.iter().filter_map(|p| part(p, message.role).transpose());
            parts.collect::<Result<Vec<_>>>().map(Value::from)
        }
    }
}

fn part(part: &Part, role: Role) -> Result<Option<Value>> {
    let file = matches!(part, Part::Image { .. } | Part::Document { .. });
    if file && role != Role::User {
        return Err(not_in("an image or a document", role));
    }
    Ok(Some(match part {
        Part::Text(text) => json!({ "type": "text", "text": text }),
        Part::Image { source, detail } => {
            let mut image = Map::new();
            image.insert("url".into(), source.to_url().into());
            set(&mut image, "detail", detail.as_deref());
            json!({ "type": "image_url", "image_url": image })
        }
        Part::Document { source, name } => document(source, name.as_deref())?,
        Part::Cache(cache) => return automatic_cache(cache).map(|()| None),
        Part::Other(value) => value.clone(),
    }))
}

fn document(source: &Source, name: Option<&str>) -> Result<Value> {
    if matches!(source, Source::Url(_)) {
        return Err(Error::unsupported("a document by its URL: give its bytes (data or path)"));
    }
    let file = json!({ "filename": name.unwrap_or("document"), "file_data": source.to_url() });
    Ok(json!({ "type": "file", "file": file }))
}

fn tool_call(call: &ToolCall, server: Server) -> Value {
    let function = json!({ "name": call.name, "arguments": arguments(call, server) });
    json!({ "id": call.id, "type": "function", "function": function })
}

/// OpenAI takes back whatever its model wrote. Other servers parse it and fail on what is no
/// JSON, so they get the text inside a document.
fn arguments(call: &ToolCall, server: Server) -> String {
    match (call.arguments(), server) {
        _ if call.arguments_json.trim().is_empty() => "{}".into(),
        (Some(_), _) | (None, Server::OpenAi) => call.arguments_json.clone(),
        (None, _) => json!({ "invalid_json": call.arguments_json }).to_string(),
    }
}
