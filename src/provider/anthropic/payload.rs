//! The body of a request.

use serde_json::{Value, json};

use super::answer::NAME;
use super::model::{Model, Thinking};
use crate::chat::{
    Cache, Format, Message, Part, Request, Role, Rung, Settings, Source, ToolCall, ToolChoice,
    ToolSpec, media,
};
use crate::error::{Error, Result};
use crate::provider::fields::{
    Object, answered, body_for, each_message, kept, nameless, not_in, overlay, parameters, parts,
    refuse, set, set_list,
};
use crate::provider::structured;
use crate::schema::dialect;

/// Longest answer of a model nothing is known about.
const MAX_TOKENS: u32 = 8192;
/// The least that may be thought.
const MIN_BUDGET: u32 = 1024;

pub fn of(request: &Request) -> Result<Object> {
    let (settings, model) = (&request.settings, Model::named(&request.model));
    refuse_what_it_lacks(settings)?;
    let max_tokens = settings.max_tokens.or(model.max_tokens()).unwrap_or(MAX_TOKENS);
    let output = Output::of(settings, model);
    let mut body = body_for(request);
    body.insert("max_tokens".into(), max_tokens.into());
    let mut system = system(&request.messages)?;
    system.extend(output.instruction.map(|text| json!({ "type": "text", "text": text })));
    if !system.is_empty() {
        body.insert("system".into(), plain_or_blocks(system));
    }
    body.insert("messages".into(), messages(&request.messages)?);
    tools(&mut body, request);
    set(&mut body, "temperature", settings.temperature);
    set(&mut body, "top_p", settings.top_p);
    set(&mut body, "top_k", settings.top_k);
    set_list(&mut body, "stop_sequences", &settings.stop);
    let mut config = Object::new();
    set(&mut config, "format", output.format);
    think(&mut body, &mut config, settings, model, max_tokens)?;
    if !config.is_empty() {
        body.insert("output_config".into(), config.into());
    }
    set(&mut body, "cache_control", settings.prompt_cache.as_ref().map(cache_control));
    set(&mut body, "stream", request.stream.then_some(true));
    overlay(&mut body, &settings.extra);
    Ok(body)
}

fn refuse_what_it_lacks(settings: &Settings) -> Result<()> {
    refuse(&[
        ("seed", settings.seed.is_some()),
        ("presence_penalty", settings.presence_penalty.is_some()),
        ("frequency_penalty", settings.frequency_penalty.is_some()),
        ("a temperature above 1", settings.temperature.is_some_and(|t| t > 1.0)),
    ])
}

/// How structured output is asked for: enforced by the server, or in words.
#[derive(Default)]
struct Output {
    format: Option<Value>,
    instruction: Option<String>,
}

impl Output {
    fn of(settings: &Settings, model: Model) -> Output {
        let Some(format) = &settings.format else { return Output::default() };
        if let Format::Schema { schema, .. } = format
            && model.keeps_to_schemas()
            && let Some(mut schema) = dialect::sealed(schema)
        {
            dialect::drop_bounds(&mut schema);
            let format = json!({ "type": "json_schema", "schema": schema });
            return Output { format: Some(format), instruction: None };
        }
        Output { format: None, instruction: Some(structured::instruction(format)) }
    }
}

/// How far the server goes to make an answer fit.
pub fn rung(format: &Format, model: &str) -> Rung {
    let settings = Settings { format: Some(format.clone()), ..Settings::default() };
    match Output::of(&settings, Model::named(model)).format {
        Some(_) => Rung::Strict,
        None => Rung::Prompted,
    }
}

/// Members that count as input.
pub const COUNTED: &[&str] =
    &["model", "system", "messages", "tools", "tool_choice", "thinking", "output_config"];

/// More effort or a larger budget, whichever the model knows; "none" turns thinking off.
fn think(
    body: &mut Object,
    config: &mut Object,
    settings: &Settings,
    model: Model,
    max_tokens: u32,
) -> Result<()> {
    let Some(effort) = settings.reasoning.as_deref() else { return Ok(()) };
    let thinking = match (model.thinking(), effort) {
        (Thinking::Never, "none") => return Ok(()),
        (Thinking::Never, _) => {
            return Err(Error::unsupported("reasoning: this model does not think"));
        }
        (_, "none") => json!({ "type": "disabled" }),
        (Thinking::Adaptive, effort) => {
            config.insert("effort".into(), effort.into());
            json!({ "type": "adaptive" })
        }
        (Thinking::Budget, effort) => {
            json!({ "type": "enabled", "budget_tokens": budget(effort, max_tokens)? })
        }
    };
    body.insert("thinking".into(), thinking);
    Ok(())
}

/// At most half of what may be said at all, so that an answer remains.
fn budget(effort: &str, max_tokens: u32) -> Result<u32> {
    if max_tokens <= MIN_BUDGET {
        let message = format!("reasoning needs max_tokens above {MIN_BUDGET}, got {max_tokens}");
        return Err(Error::unsupported(message));
    }
    let wanted = match effort {
        "low" => 2048,
        "medium" => 8192,
        _ => 24_576,
    };
    Ok(wanted.min(max_tokens / 2).max(MIN_BUDGET))
}

fn tools(body: &mut Object, request: &Request) {
    let settings = &request.settings;
    if request.tools.is_empty() {
        return;
    }
    body.insert("tools".into(), request.tools.iter().map(tool).collect());
    let single = settings.parallel_tool_calls.map(|parallel| !parallel);
    if settings.tool_choice.is_none() && single.is_none() {
        return;
    }
    let mut choice = Object::new();
    let kind = match &settings.tool_choice {
        None | Some(ToolChoice::Auto) => "auto",
        Some(ToolChoice::None) => "none",
        Some(ToolChoice::Required) => "any",
        Some(ToolChoice::Named(name)) => {
            choice.insert("name".into(), name.as_str().into());
            "tool"
        }
    };
    choice.insert("type".into(), kind.into());
    set(&mut choice, "disable_parallel_tool_use", single.filter(|_| kind != "none"));
    body.insert("tool_choice".into(), choice.into());
}

pub fn tool(tool: &ToolSpec) -> Value {
    let mut out = Object::new();
    out.insert("name".into(), tool.name.as_str().into());
    set(&mut out, "description", Some(tool.description.as_str()).filter(|text| !text.is_empty()));
    out.insert("input_schema".into(), parameters(&tool.parameters));
    out.into()
}

fn cache_control(cache: &Cache) -> Value {
    match &cache.ttl {
        None => json!({ "type": "ephemeral" }),
        Some(ttl) => json!({ "type": "ephemeral", "ttl": ttl }),
    }
}

/// All system messages: there is one place for them, before the conversation.
fn system(messages: &[Message]) -> Result<Vec<Value>> {
    let mut blocks = Vec::new();
    each_message(messages, |message| match message.role {
        Role::System => add_parts(&mut blocks, message),
        _ => Ok(()),
    })?;
    Ok(blocks)
}

/// One plain text stays a text.
fn plain_or_blocks(mut blocks: Vec<Value>) -> Value {
    let plain = |block: &Value| block["text"].is_string() && block.get("cache_control").is_none();
    match blocks.as_mut_slice() {
        [block] if plain(block) => block["text"].take(),
        _ => blocks.into(),
    }
}

/// Neighbours of one role become one message: so results of tools stand together.
fn messages(messages: &[Message]) -> Result<Value> {
    let mut all: Vec<(&str, Vec<Value>)> = Vec::new();
    each_message(messages, |message| {
        let role = match message.role {
            Role::System => return Ok(()),
            Role::Assistant => "assistant",
            Role::User | Role::Tool => "user",
        };
        nameless(message)?;
        if all.last().is_none_or(|(last, _)| *last != role) {
            all.push((role, Vec::new()));
        }
        let Some((_, blocks)) = all.last_mut() else { return Ok(()) };
        match message.role {
            Role::Assistant => assistant(blocks, message),
            Role::Tool => result(blocks, message),
            _ => add_parts(blocks, message),
        }
    })?;
    // The server refuses messages that say nothing.
    all.retain(|(role, blocks)| *role == "user" || !blocks.is_empty());
    let one = |(role, blocks)| json!({ "role": role, "content": plain_or_blocks(blocks) });
    Ok(all.into_iter().map(one).collect())
}

/// An answer goes back as it came, if it still says the same. A program may have changed the
/// message: then only thinking, which is signed, is taken from what was kept.
fn assistant(blocks: &mut Vec<Value>, message: &Message) -> Result<()> {
    let kept = kept(message, NAME).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if !kept.is_empty() && says(kept, message) {
        blocks.extend(kept.iter().filter(|block| block["text"] != "").cloned());
        return Ok(());
    }
    let thought =
        |block: &&Value| matches!(block["type"].as_str(), Some("thinking" | "redacted_thinking"));
    blocks.extend(kept.iter().filter(thought).cloned());
    add_parts(blocks, message)?;
    blocks.extend(message.tool_calls.iter().map(tool_use));
    Ok(())
}

fn says(kept: &[Value], message: &Message) -> bool {
    let texts = kept.iter().filter(|block| block["type"] == "text");
    let text: String = texts.filter_map(|block| block["text"].as_str()).collect();
    let calls = kept.iter().filter(|block| block["type"] == "tool_use");
    let ids = calls.map(|block| block["id"].as_str().unwrap_or_default());
    text == message.content.text() && ids.eq(message.tool_calls.iter().map(|call| call.id.as_str()))
}

fn tool_use(call: &ToolCall) -> Value {
    json!({ "type": "tool_use", "id": id(&call.id), "name": call.name, "input": input(call) })
}

/// The server wants an object, whatever the model wrote.
fn input(call: &ToolCall) -> Value {
    let object = call.arguments().filter(Value::is_object);
    object.unwrap_or_else(|| json!({ "invalid_json": call.arguments_json }))
}

/// Ids of other providers may hold letters that are refused here.
fn id(id: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    id.chars().map(fits).collect()
}

fn result(blocks: &mut Vec<Value>, message: &Message) -> Result<()> {
    let mut content = Vec::new();
    add_parts(&mut content, message)?;
    // A mark belongs to the outermost block.
    let mark = content.last_mut().and_then(Value::as_object_mut);
    let mark = mark.and_then(|block| block.shift_remove("cache_control"));
    let mut block = Object::new();
    block.insert("type".into(), "tool_result".into());
    block.insert("tool_use_id".into(), id(answered(message)?).into());
    if !content.is_empty() {
        block.insert("content".into(), plain_or_blocks(content));
    }
    set(&mut block, "cache_control", mark);
    blocks.push(block.into());
    Ok(())
}

fn add_parts(blocks: &mut Vec<Value>, message: &Message) -> Result<()> {
    for part in parts(&message.content) {
        match part {
            Part::Text(text) if text.is_empty() => {}
            Part::Cache(cache) => mark(blocks, &cache),
            part => blocks.push(block(part, message.role)?),
        }
    }
    Ok(())
}

/// The block that stands last is marked; thinking cannot be.
fn mark(blocks: &mut [Value], cache: &Cache) {
    let last = blocks.last_mut().and_then(Value::as_object_mut);
    if let Some(block) = last.filter(|block| !block.contains_key("signature")) {
        block.insert("cache_control".into(), cache_control(cache));
    }
}

fn block(part: Part, role: Role) -> Result<Value> {
    let file = matches!(part, Part::Image { .. } | Part::Document { .. });
    if file && matches!(role, Role::System | Role::Assistant) {
        return Err(not_in("an image or a document", role));
    }
    Ok(match part {
        Part::Text(text) => json!({ "type": "text", "text": text }),
        Part::Image { source, .. } => json!({ "type": "image", "source": source_of(&source) }),
        Part::Document { source, name } => {
            let mut block = json!({ "type": "document", "source": source_of(&source) });
            name.into_iter().for_each(|name| block["title"] = name.into());
            block
        }
        Part::Other(value) => value,
        Part::Cache(_) => Value::Null,
    })
}

fn source_of(source: &Source) -> Value {
    match source {
        Source::Url(url) => json!({ "type": "url", "url": url }),
        Source::Bytes { data, mime_type } => match std::str::from_utf8(data) {
            Ok(text) if mime_type.starts_with("text/") => {
                json!({ "type": "text", "media_type": "text/plain", "data": text })
            }
            _ => json!({ "type": "base64", "media_type": mime_type, "data": media::encoded(data) }),
        },
    }
}
