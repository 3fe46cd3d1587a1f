//! The body of a request.

use serde_json::{Map, Value, json};

use super::answer::NAME;
use super::server::{Server, Structured};
use crate::chat::{
    Cache, Content, Format, Message, Part, Request, Role, Rung, Settings, Source, ToolCall,
    ToolChoice, ToolSpec,
};
use crate::error::{Error, Result};
use crate::provider::fields::{
    Object, answered, automatic_cache, body_for, each_message, image_url, kept, not_in, overlay,
    parameters, refuse, schema_name, sealed_or_tidied, set, set_list, system,
};
use crate::provider::structured;

/// The body that asks `server` for `request`.
pub fn of(request: &Request, server: &Server) -> Result<Object> {
    let mut body = body_for(request);
    let mut messages = each_message(&request.messages, |m| message(m, server))?;
    if !request.tools.is_empty() {
        tools(&mut body, request, server)?;
    }
    sampling(&mut body, &request.settings, server)?;
    if let Some(format) = &request.settings.format {
        body.insert("response_format".into(), response_format(format, server));
        messages.splice(0..0, told(request, format, server));
    }
    body.insert("messages".into(), messages.into());
    if request.stream {
        body.insert("stream".into(), true.into());
        if server.stream_options {
            body.insert("stream_options".into(), json!({ "include_usage": true }));
        }
    }
    overlay(&mut body, &request.settings.extra);
    Ok(body)
}

fn sampling(body: &mut Map<String, Value>, settings: &Settings, server: &Server) -> Result<()> {
    refuse(&[("top_k", !server.top_k && settings.top_k.is_some())])?;
    settings.prompt_cache.iter().try_for_each(automatic_cache)?;
    set(body, "temperature", settings.temperature);
    set(body, "top_p", settings.top_p);
    set(body, "top_k", settings.top_k);
    set(body, server.max_tokens, settings.max_tokens);
    set(body, server.seed, settings.seed);
    set(body, "presence_penalty", settings.presence_penalty);
    set(body, "frequency_penalty", settings.frequency_penalty);
    set(body, "reasoning_effort", settings.reasoning.as_deref());
    set_list(body, "stop", &settings.stop);
    Ok(())
}

/// `tool_choice` and `parallel_tool_calls` without tools are errors at OpenAI.
fn tools(body: &mut Map<String, Value>, request: &Request, server: &Server) -> Result<()> {
    let settings = &request.settings;
    let choice = &settings.tool_choice;
    let must = matches!(choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    refuse(&[("tool_choice of a tool that must be called", must && !server.demands)])?;
    body.insert("tools".into(), request.tools.iter().map(tool).collect());
    set(body, "tool_choice", settings.tool_choice.as_ref().map(tool_choice));
    set(body, "parallel_tool_calls", settings.parallel_tool_calls);
    Ok(())
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

/// A schema that the server does not know is told to the model.
fn told(request: &Request, format: &Format, server: &Server) -> Option<Value> {
    let text = match (format, server.output) {
        (Format::Schema { .. }, Structured::Json) => Some(structured::instruction(format)),
        (Format::Json, Structured::All | Structured::Json) => structured::reminder(request),
        _ => None,
    };
    text.map(system)
}

/// How far the server goes to make an answer fit.
pub fn rung(format: &Format, server: &Server) -> Rung {
    match (format, server.output) {
        (Format::Schema { schema, .. }, Structured::All | Structured::Schema) => {
            if sealed_or_tidied(schema).1 {
                Rung::Strict
            } else {
                Rung::Json
            }
        }
        _ => Rung::Json,
    }
}

/// A schema that can be sealed is, so that the server enforces it.
fn response_format(format: &Format, server: &Server) -> Value {
    let (name, schema) = match (format, server.output) {
        (Format::Json, Structured::Schema) => ("response", &json!({ "type": "object" })),
        (Format::Schema { name, schema }, Structured::All | Structured::Schema) => {
            (name.as_str(), schema)
        }
        _ => return json!({ "type": "json_object" }),
    };
    let (schema, strict) = sealed_or_tidied(schema);
    let inner = json!({ "name": schema_name(name), "schema": schema, "strict": strict });
    json!({ "type": "json_schema", "json_schema": inner })
}

fn message(message: &Message, server: &Server) -> Result<Value> {
    let mut out = Map::new();
    out.insert("role".into(), message.role.name().into());
    out.insert("content".into(), content(message, server)?);
    set(&mut out, "name", message.name.as_deref());
    if message.role == Role::Tool {
        out.insert("tool_call_id".into(), answered(message)?.into());
    }
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter().map(|call| tool_call(call, server)).collect();
        out.insert("tool_calls".into(), calls);
    }
    // Servers with rules of their own refuse members they do not know.
    if let Some(Value::Object(blocks)) = kept(message, NAME).filter(|_| server.takes_back) {
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

fn content(message: &Message, server: &Server) -> Result<Value> {
    match &message.content {
        // Some servers refuse an empty text beside tool calls.
        Content::Text(text) if text.is_empty() && !message.tool_calls.is_empty() => Ok(Value::Null),
        Content::Text(text) => Ok(text.as_str().into()),
        Content::Parts(given) => {
            let mut parts = Vec::new();
            for one in given {
                match (one, parts.last_mut()) {
                    (Part::Cache(cache), Some(last)) if server.marks => mark(last, cache),
                    (Part::Cache(cache), _) => automatic_cache(cache)?,
                    _ => parts.push(part(one, message.role, server)?),
                }
            }
            Ok(parts.into())
        }
    }
}

fn mark(part: &mut Value, cache: &Cache) {
    part["cache_control"] = json!({ "type": "ephemeral" });
    cache.ttl.iter().for_each(|ttl| part["cache_control"]["ttl"] = ttl.as_str().into());
}

fn part(part: &Part, role: Role, server: &Server) -> Result<Value> {
    if matches!(part, Part::Image { .. }) && !server.vision {
        return Err(Error::unsupported("an image: the models of this provider see none"));
    }
    let file = matches!(part, Part::Image { .. } | Part::Document { .. });
    if file && role != Role::User {
        return Err(not_in("an image or a document", role));
    }
    Ok(match part {
        Part::Text(text) => json!({ "type": "text", "text": text }),
        Part::Image { source, detail } => image_url(source, detail.as_deref()),
        Part::Document { source, name } => document(source, name.as_deref())?,
        Part::Cache(_) => Value::Null,
        Part::Other(value) => value.clone(),
    })
}

fn document(source: &Source, name: Option<&str>) -> Result<Value> {
    if matches!(source, Source::Url(_)) {
        return Err(Error::unsupported("a document by its URL: give its bytes (data or path)"));
    }
    let file = json!({ "filename": name.unwrap_or("document"), "file_data": source.to_url() });
    Ok(json!({ "type": "file", "file": file }))
}

fn tool_call(call: &ToolCall, server: &Server) -> Value {
    let function = json!({ "name": call.name, "arguments": arguments(call, server) });
    json!({ "id": call.id, "type": "function", "function": function })
}

/// OpenAI takes back whatever its model wrote. Other servers parse it and fail on what is no
/// JSON, so they get the text inside a document.
fn arguments(call: &ToolCall, server: &Server) -> String {
    match call.arguments() {
        _ if call.arguments_json.trim().is_empty() => "{}".into(),
        None if !server.any_arguments => json!({ "invalid_json": call.arguments_json }).to_string(),
        _ => call.arguments_json.clone(),
    }
}
