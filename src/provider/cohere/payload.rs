//! The body of a request.

use serde_json::{Value, json};

use super::answer::NAME;
use crate::chat::{Content, Format, Message, Part, Request, Role, Settings, ToolCall, ToolChoice};
use crate::error::Result;
use crate::provider::fields::{
    Object, answered, automatic_cache, body_for, each_message, image_url, kept, nameless, not_in,
    overlay, refuse, set, set_list, system, tidied,
};
use crate::provider::openai::tool;
use crate::provider::question::Embed;
use crate::provider::structured;

pub fn of(request: &Request) -> Result<Object> {
    let settings = &request.settings;
    refuse_what_it_lacks(settings)?;
    settings.prompt_cache.iter().try_for_each(automatic_cache)?;
    let mut body = body_for(request);
    let mut messages = each_message(&request.messages, message)?;
    messages.splice(0..0, structured::reminder(request).map(system));
    body.insert("messages".into(), messages.into());
    if !request.tools.is_empty() {
        body.insert("tools".into(), request.tools.iter().map(tool).collect());
        set(&mut body, "tool_choice", settings.tool_choice.as_ref().and_then(tool_choice));
    }
    set(&mut body, "max_tokens", settings.max_tokens);
    set(&mut body, "temperature", settings.temperature);
    set(&mut body, "p", settings.top_p);
    set(&mut body, "k", settings.top_k);
    set(&mut body, "seed", settings.seed);
    set(&mut body, "presence_penalty", settings.presence_penalty);
    set(&mut body, "frequency_penalty", settings.frequency_penalty);
    set_list(&mut body, "stop_sequences", &settings.stop);
    set(&mut body, "thinking", settings.reasoning.as_deref().map(thinking));
    set(&mut body, "response_format", settings.format.as_ref().map(response_format));
    set(&mut body, "stream", request.stream.then_some(true));
    overlay(&mut body, &settings.extra);
    Ok(body)
}

/// What the vectors are for must be said: texts that are stored, unless told otherwise.
pub fn embed(embed: &Embed) -> Object {
    let mut body = Object::new();
    body.insert("model".into(), embed.model.as_str().into());
    body.insert("texts".into(), embed.texts.as_slice().into());
    let purpose = embed.input_type.as_deref().unwrap_or("search_document");
    body.insert("input_type".into(), purpose.into());
    body.insert("embedding_types".into(), json!(["float"]));
    set(&mut body, "output_dimension", embed.dimensions);
    overlay(&mut body, &embed.extra);
    body
}

fn refuse_what_it_lacks(settings: &Settings) -> Result<()> {
    let named = matches!(settings.tool_choice, Some(ToolChoice::Named(_)));
    refuse(&[
        ("tool_choice of one tool", named),
        ("parallel_tool_calls=false", settings.parallel_tool_calls == Some(false)),
    ])
}

/// Without a word the model decides.
fn tool_choice(choice: &ToolChoice) -> Option<&'static str> {
    match choice {
        ToolChoice::Auto | ToolChoice::Named(_) => None,
        ToolChoice::None => Some("NONE"),
        ToolChoice::Required => Some("REQUIRED"),
    }
}

fn thinking(effort: &str) -> Value {
    match effort {
        "none" => json!({ "type": "disabled" }),
        "low" => json!({ "type": "enabled", "token_budget": 1024 }),
        "medium" => json!({ "type": "enabled", "token_budget": 8192 }),
        _ => json!({ "type": "enabled" }),
    }
}

fn response_format(format: &Format) -> Value {
    let Format::Schema { schema, .. } = format else { return json!({ "type": "json_object" }) };
    json!({ "type": "json_object", "json_schema": tidied(schema) })
}

fn message(message: &Message) -> Result<Value> {
    nameless(message)?;
    let mut out = Object::new();
    out.insert("role".into(), message.role.name().into());
    if message.role == Role::Tool {
        out.insert("tool_call_id".into(), answered(message)?.into());
    }
    let content = content(message)?;
    if message.tool_calls.is_empty() || content != "" {
        out.insert("content".into(), content);
    }
    if !message.tool_calls.is_empty() {
        out.insert("tool_calls".into(), message.tool_calls.iter().map(tool_call).collect());
        if let Some(Value::Object(kept)) = kept(message, NAME) {
            give_back(&mut out, kept);
        }
    }
    Ok(out.into())
}

/// The plan and the thinking of a round of tools.
fn give_back(message: &mut Object, kept: &Object) {
    if let Some(plan) = kept.get("tool_plan") {
        message.insert("tool_plan".into(), plan.clone());
    }
    let Some(thinking) = kept.get("thinking") else { return };
    let mut parts = vec![json!({ "type": "thinking", "thinking": thinking })];
    match message.shift_remove("content") {
        Some(Value::String(text)) => parts.push(json!({ "type": "text", "text": text })),
        Some(Value::Array(more)) => parts.extend(more),
        _ => {}
    }
    message.insert("content".into(), parts.into());
}

fn content(message: &Message) -> Result<Value> {
    match &message.content {
        Content::Text(text) => Ok(text.as_str().into()),
        Content::Parts(parts) => {
            let parts = parts.iter().filter_map(|p| part(p, message.role).transpose());
            parts.collect::<Result<Vec<_>>>().map(Value::from)
        }
    }
}

fn part(part: &Part, role: Role) -> Result<Option<Value>> {
    Ok(Some(match part {
        Part::Text(text) => json!({ "type": "text", "text": text }),
        Part::Image { .. } if role != Role::User => return Err(not_in("an image", role)),
        Part::Image { source, detail } => image_url(source, detail.as_deref()),
        Part::Document { .. } => return Err(not_in("a document", role)),
        Part::Cache(cache) => return automatic_cache(cache).map(|()| None),
        Part::Other(value) => value.clone(),
    }))
}

/// The server parses the arguments: what is no JSON stands inside a document.
fn tool_call(call: &ToolCall) -> Value {
    let arguments = match call.arguments() {
        Some(_) if call.arguments_json.trim().is_empty() => "{}".to_owned(),
        Some(_) => call.arguments_json.clone(),
        None => json!({ "invalid_json": call.arguments_json }).to_string(),
    };
    let function = json!({ "name": call.name, "arguments": arguments });
    json!({ "id": call.id, "type": "function", "function": function })
}
