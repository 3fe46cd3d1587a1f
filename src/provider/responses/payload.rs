//! The body of a request.

use serde_json::{Value, json};

use super::answer::NAME;
use crate::chat::{
    Format, Message, Part, Request, Role, Rung, Settings, Source, ToolCall, ToolChoice, ToolSpec,
};
use crate::error::Result;
use crate::provider::fields::{
    Object, answered, automatic_cache, body_for, each_message, kept, nameless, not_in, overlay,
    parameters, parts, refuse, schema_name, sealed_or_tidied, set, system,
};
use crate::provider::structured;

pub fn of(request: &Request) -> Result<Object> {
    let settings = &request.settings;
    refuse_what_it_lacks(settings)?;
    settings.prompt_cache.iter().try_for_each(automatic_cache)?;
    let mut body = body_for(request);
    let items = each_message(&request.messages, items)?;
    let told = structured::reminder(request).map(system).into_iter();
    body.insert("input".into(), told.chain(items.into_iter().flatten()).collect());
    if !request.tools.is_empty() {
        body.insert("tools".into(), request.tools.iter().map(tool).collect());
        set(&mut body, "tool_choice", settings.tool_choice.as_ref().map(tool_choice));
        set(&mut body, "parallel_tool_calls", settings.parallel_tool_calls);
    }
    set(&mut body, "max_output_tokens", settings.max_tokens);
    set(&mut body, "temperature", settings.temperature);
    set(&mut body, "top_p", settings.top_p);
    set(
        &mut body,
        "reasoning",
        settings.reasoning.as_ref().map(|effort| json!({ "effort": effort })),
    );
    set(&mut body, "text", settings.format.as_ref().map(|f| json!({ "format": format(f) })));
    set(&mut body, "stream", request.stream.then_some(true));
    overlay(&mut body, &settings.extra);
    Ok(body)
}

fn refuse_what_it_lacks(settings: &Settings) -> Result<()> {
    refuse(&[
        ("top_k", settings.top_k.is_some()),
        ("stop", !settings.stop.is_empty()),
        ("seed", settings.seed.is_some()),
        ("presence_penalty", settings.presence_penalty.is_some()),
        ("frequency_penalty", settings.frequency_penalty.is_some()),
    ])
}

/// Tools stand flat here. Unless told otherwise, the server would make their schemas strict.
fn tool(tool: &ToolSpec) -> Value {
    let mut out = Object::new();
    out.insert("type".into(), "function".into());
    out.insert("name".into(), tool.name.as_str().into());
    set(&mut out, "description", Some(tool.description.as_str()).filter(|text| !text.is_empty()));
    out.insert("parameters".into(), parameters(&tool.parameters));
    out.insert("strict".into(), false.into());
    out.into()
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => json!({ "type": "function", "name": name }),
    }
}

/// Members that count as input.
pub const COUNTED: &[&str] = &["model", "input", "tools", "tool_choice", "text", "reasoning"];

/// How far the server goes to make an answer fit.
pub fn rung(format: &Format) -> Rung {
    match format {
        Format::Schema { schema, .. } if sealed_or_tidied(schema).1 => Rung::Strict,
        _ => Rung::Json,
    }
}

/// A schema that can be sealed is, so that the server enforces it.
fn format(format: &Format) -> Value {
    let Format::Schema { name, schema } = format else { return json!({ "type": "json_object" }) };
    let (schema, strict) = sealed_or_tidied(schema);
    json!({ "type": "json_schema", "name": schema_name(name), "schema": schema, "strict": strict })
}

/// The items that a message consists of.
fn items(message: &Message) -> Result<Vec<Value>> {
    nameless(message)?;
    match message.role {
        Role::Tool => {
            let (id, output) = (answered(message)?, content(message)?);
            Ok(vec![json!({ "type": "function_call_output", "call_id": id, "output": output })])
        }
        Role::Assistant => assistant(message),
        role => Ok(vec![json!({ "role": role.name(), "content": content(message)? })]),
    }
}

/// An answer goes back as it came, if it still says the same; reasoning is only taken together
/// with what followed it.
fn assistant(message: &Message) -> Result<Vec<Value>> {
    let kept = kept(message, NAME).and_then(Value::as_array);
    if let Some(kept) = kept.filter(|kept| says(kept, message)) {
        return Ok(kept.clone());
    }
    let mut items = Vec::new();
    let said = content(message)?;
    if said != "" {
        items.push(json!({ "role": "assistant", "content": said }));
    }
    items.extend(message.tool_calls.iter().map(function_call));
    Ok(items)
}

fn says(kept: &[Value], message: &Message) -> bool {
    let parts = kept.iter().flat_map(|item| item["content"].as_array().into_iter().flatten());
    let texts = parts.filter_map(|part| match part["type"].as_str() {
        Some("output_text") => part["text"].as_str(),
        Some("refusal") => part["refusal"].as_str(),
        _ => None,
    });
    let calls = kept.iter().filter(|item| item["type"] == "function_call");
    let ids = calls.map(|item| item["call_id"].as_str().unwrap_or_default());
    texts.collect::<String>() == message.content.text()
        && ids.eq(message.tool_calls.iter().map(|call| call.id.as_str()))
}

fn function_call(call: &ToolCall) -> Value {
    let arguments = if call.arguments_json.trim().is_empty() { "{}" } else { &call.arguments_json };
    json!({ "type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments })
}

/// A text stays a text.
fn content(message: &Message) -> Result<Value> {
    let mut all = Vec::new();
    for given in parts(&message.content) {
        all.extend(part(given, message.role)?);
    }
    let kind = text_kind(message.role);
    match all.as_mut_slice() {
        [] => Ok("".into()),
        [only] if only["type"] == kind => Ok(only["text"].take()),
        _ => Ok(all.into()),
    }
}

fn text_kind(role: Role) -> &'static str {
    if role == Role::Assistant { "output_text" } else { "input_text" }
}

fn part(part: Part, role: Role) -> Result<Option<Value>> {
    let file = matches!(part, Part::Image { .. } | Part::Document { .. });
    if file && matches!(role, Role::System | Role::Assistant) {
        return Err(not_in("an image or a document", role));
    }
    Ok(Some(match part {
        Part::Text(text) => json!({ "type": text_kind(role), "text": text }),
        Part::Image { source, detail } => json!({
            "type": "input_image", "image_url": source.to_url(),
            "detail": detail.as_deref().unwrap_or("auto"),
        }),
        Part::Document { source: Source::Url(url), .. } => {
            json!({ "type": "input_file", "file_url": url })
        }
        Part::Document { source, name } => json!({
            "type": "input_file", "filename": name.as_deref().unwrap_or("document"),
            "file_data": source.to_url(),
        }),
        Part::Cache(cache) => return automatic_cache(&cache).map(|()| None),
        Part::Other(value) => value,
    }))
}
