//! The body of a request.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::answer::NAME;
use crate::chat::{
    Format, Message, Part, Request, Role, Settings, Source, ToolCall, ToolChoice, media,
};
use crate::error::{Error, Result};
use crate::provider::fields::{
    Object, answered, automatic_cache, body_for, kept, nameless, not_in, overlay, parts, refuse,
    set, set_list, system, tidied,
};
use crate::provider::openai::tool;
use crate::provider::question::Embed;
use crate::provider::structured;

pub fn of(request: &Request) -> Result<Object> {
    let settings = &request.settings;
    refuse_what_it_lacks(settings)?;
    settings.prompt_cache.iter().try_for_each(automatic_cache)?;
    let mut body = body_for(request);
    let mut messages = messages(&request.messages)?;
    messages.splice(0..0, structured::reminder(request).map(system));
    body.insert("messages".into(), messages.into());
    // Tools that must not be called are not offered.
    if !request.tools.is_empty() && settings.tool_choice != Some(ToolChoice::None) {
        body.insert("tools".into(), request.tools.iter().map(tool).collect());
    }
    set(&mut body, "think", settings.reasoning.as_deref().map(think));
    set(&mut body, "format", settings.format.as_ref().map(format));
    // The server streams unless it is told not to.
    body.insert("stream".into(), request.stream.into());
    let mut extra = settings.extra.clone();
    let options = options(settings, extra.shift_remove("options"));
    if !options.is_empty() {
        body.insert("options".into(), options.into());
    }
    overlay(&mut body, &extra);
    Ok(body)
}

pub fn embed(embed: &Embed) -> Result<Object> {
    refuse(&[("input_type", embed.input_type.is_some())])?;
    let mut body = Object::new();
    body.insert("model".into(), embed.model.as_str().into());
    body.insert("input".into(), embed.texts.as_slice().into());
    set(&mut body, "dimensions", embed.dimensions);
    overlay(&mut body, &embed.extra);
    Ok(body)
}

fn refuse_what_it_lacks(settings: &Settings) -> Result<()> {
    let choice = &settings.tool_choice;
    let must = matches!(choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    refuse(&[
        ("tool_choice of a tool that must be called", must),
        ("parallel_tool_calls=false", settings.parallel_tool_calls == Some(false)),
    ])
}

/// How to sample; options of `extra` stand beside them, and win.
fn options(settings: &Settings, extra: Option<Value>) -> Object {
    let mut options = Object::new();
    set(&mut options, "temperature", settings.temperature);
    set(&mut options, "top_p", settings.top_p);
    set(&mut options, "top_k", settings.top_k);
    set(&mut options, "num_predict", settings.max_tokens);
    set(&mut options, "seed", settings.seed);
    set(&mut options, "presence_penalty", settings.presence_penalty);
    set(&mut options, "frequency_penalty", settings.frequency_penalty);
    set_list(&mut options, "stop", &settings.stop);
    if let Some(Value::Object(extra)) = extra {
        overlay(&mut options, &extra);
    }
    options
}

fn think(effort: &str) -> Value {
    if effort == "none" { false.into() } else { effort.into() }
}

fn format(format: &Format) -> Value {
    let Format::Schema { schema, .. } = format else { return "json".into() };
    tidied(schema)
}

/// A result of a tool goes by the name of the tool; ids may repeat in a later round.
fn messages(messages: &[Message]) -> Result<Vec<Value>> {
    let (mut names, mut all) = (HashMap::new(), Vec::new());
    for (i, one) in messages.iter().enumerate() {
        names.extend(one.tool_calls.iter().map(|call| (call.id.as_str(), call.name.as_str())));
        all.push(message(one, &names).map_err(|e| e.at(&format!("messages[{}]", i + 1)))?);
    }
    Ok(all)
}

fn message(message: &Message, names: &HashMap<&str, &str>) -> Result<Value> {
    nameless(message)?;
    let mut out = Object::new();
    out.insert("role".into(), message.role.name().into());
    out.insert("content".into(), message.content.text().into());
    let images = images(message)?;
    if !images.is_empty() {
        out.insert("images".into(), images.into());
    }
    if message.role == Role::Tool {
        let id = answered(message)?;
        let name = message.name.as_deref().or_else(|| names.get(id).copied());
        set(&mut out, "tool_name", name);
        out.insert("tool_call_id".into(), id.into());
    }
    if !message.tool_calls.is_empty() {
        out.insert("tool_calls".into(), message.tool_calls.iter().map(tool_call).collect());
        set(
            &mut out,
            "thinking",
            kept(message, NAME).and_then(|kept| kept.get("thinking")).cloned(),
        );
    }
    Ok(out.into())
}

fn images(message: &Message) -> Result<Vec<Value>> {
    let mut images = Vec::new();
    for part in parts(&message.content) {
        match part {
            Part::Text(_) => {}
            Part::Cache(cache) => automatic_cache(&cache)?,
            Part::Image { source: Source::Bytes { data, .. }, .. } => {
                images.push(media::encoded(&data).into());
            }
            Part::Image { .. } => {
                let message = "an image by its URL: give its bytes (data or path)";
                return Err(Error::unsupported(message));
            }
            Part::Document { .. } => return Err(not_in("a document", message.role)),
            Part::Other(_) => return Err(not_in("a part of this type", message.role)),
        }
    }
    Ok(images)
}

/// The server wants an object, whatever the model wrote.
fn tool_call(call: &ToolCall) -> Value {
    let arguments = call.arguments().filter(Value::is_object);
    let arguments = arguments.unwrap_or_else(|| json!({ "invalid_json": call.arguments_json }));
    json!({ "id": call.id, "function": { "name": call.name, "arguments": arguments } })
}
