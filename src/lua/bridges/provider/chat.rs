//! `provider.chat`, `provider.stream`: a conversation is answered.

use std::rc::Rc;

use crate::chat::{Message, Request, Role, ToolSpec, messages};
use crate::error::{Error, Result};
use crate::lua::args::Args;
use crate::lua::faces::{ASYNC, DETACH, STREAM, follows, streamed};
use crate::provider::options::{CONFIG, GENERATION, LIMITS};
use crate::provider::reach::REACH;
use crate::provider::{Ask, Exchange, Reach, Whom};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape, id_of};
use crate::step::{Face, Start};
use crate::tool::{DEFINITION, Tool};
use crate::value::{Ref, Slot};

pub static CHAT: Shape = Shape::new(
    "ChatOptions",
    &[
        Field::new("messages", Kind::Any, "", "with one table as the only argument: the messages"),
        PROVIDER,
        Field::new("model", Kind::Text, "the provider's", "the model asked"),
        Field::new("system", Kind::Text, "", "a system message put first"),
        Field::new(
            "tools",
            Kind::List(&TOOL),
            "none",
            "ids, names, definitions or JSON Schemas; they are not executed here",
        ),
        Field::new(
            "raw",
            Kind::Bool,
            "false",
            "keep what the provider sent in `raw`: its document, or the array of a stream's events",
        ),
        Field::new("metadata", Kind::Map, "", "kept as it is"),
        STREAM,
        ASYNC,
        DETACH,
    ],
    &[&GENERATION, &LIMITS, &REACH],
);

static WHOM: [Kind; 2] = [Kind::Id("a provider"), Kind::Table(&CONFIG)];

/// Whom a call asks.
pub const PROVIDER: Field = Field::new(
    "provider",
    Kind::OneOf(&WHOM),
    "`default_provider`",
    "id, name or type; or a configuration, for this call only",
);

pub const TOOL: Kind = Kind::OneOf(&[Kind::Text, Kind::Open]);

pub fn chat(runtime: &mut Runtime, args: &Args<'_>) -> Result<Start> {
    let options = options_of(args, 1);
    let (face, sink) = streamed(&options, None)?;
    ask(runtime, args, &options, face, sink)
}

pub fn stream(runtime: &mut Runtime, args: &Args<'_>) -> Result<Start> {
    let callback = args.get(1).and_then(Ref::as_slot).cloned();
    let at = if callback.is_some() || args.get(1).is_none() { 2 } else { 1 };
    let options = options_of(args, at);
    let (face, sink) = match streamed(&options, callback)? {
        (Face::Detached, _) => return Err(Error::invalid(DETACHED_STREAM)),
        (_, None) => (Face::Stream, None),
        followed => followed,
    };
    ask(runtime, args, &options, face, sink)
}

const DETACHED_STREAM: &str = "options.detach: a stream cannot be detached; use chat";

/// The options argument, or the table that holds `messages` beside them.
fn options_of<'t>(args: &Args<'t>, at: usize) -> Options<'t> {
    beside_messages(args, at, &CHAT)
}

/// The same, for options of any shape.
pub fn beside_messages<'t>(args: &Args<'t>, at: usize, shape: &'static Shape) -> Options<'t> {
    let only = args.get(0).filter(|first| first.get("messages").is_some());
    args.options(if only.is_some() { 0 } else { at }, shape)
}

fn ask(
    runtime: &mut Runtime,
    args: &Args<'_>,
    options: &Options<'_>,
    face: Face,
    sink: Option<Slot>,
) -> Result<Start> {
    let whom = whom(runtime, options)?;
    let request = Request {
        model: options.text("model").unwrap_or_default(),
        messages: messages_of(args, options)?,
        tools: tools(runtime, options)?,
        ..Request::default()
    };
    let (mut map, reach) = Reach::split(options, &runtime.providers, "options")?;
    map.retain(|key, _| key != "messages" && key != "provider");
    if let Some(format) = map.get_mut("response_format") {
        let place = |e: Error| e.at("options.response_format");
        runtime.schemas.resolve_format(format).map_err(place)?;
    }
    let total = whom.end(runtime, &map);
    let ask = Ask {
        whom,
        request,
        options: map,
        reach,
        follow: follows(face, sink.as_ref()),
        iteration: None,
        strict: true,
    };
    let exchange = Exchange::new(runtime, ask, total)?;
    Ok(Start { operation: exchange.operation(total), face, sink })
}

/// The provider a call names, or the default one.
pub fn whom(runtime: &Runtime, options: &Options<'_>) -> Result<Whom> {
    Whom::given(options, &runtime.providers, "options")?.map_or_else(|| Whom::usual(runtime), Ok)
}

pub fn messages_of(args: &Args<'_>, options: &Options<'_>) -> Result<Vec<Message>> {
    let given = options.get("messages").or_else(|| args.get(0));
    let mut all =
        given.map_or_else(|| Ok(Vec::new()), |given| messages::read(given, "messages"))?;
    if let Some(system) = options.text("system") {
        all.insert(0, Message::new(Role::System, system));
    }
    if all.is_empty() {
        return Err(Error::invalid("messages: expected at least one message, got none"));
    }
    Ok(all)
}

pub fn tools(runtime: &Runtime, options: &Options<'_>) -> Result<Vec<ToolSpec>> {
    let Some(list) = options.get("tools") else { return Ok(Vec::new()) };
    list.items().enumerate().map(|(i, item)| tool(runtime, item, i)).collect()
}

/// By id or name; a definition; or a schema as the wire has it (`{type="function", …}`).
fn tool(runtime: &Runtime, item: Ref<'_>, i: usize) -> Result<ToolSpec> {
    let path = format!("options.tools[{}]", i + 1);
    if let Some(key) = id_of(item) {
        let found =
            runtime.tools.usable(&key)?.ok_or_else(|| Error::not_found("tool", &key).at(&path))?;
        return Ok(found.tool.spec());
    }
    let inner = item.get("function").filter(|f| f.is_object()).unwrap_or(item);
    let check = crate::shape::Check { strict: false };
    static KIND: Kind = Kind::Table(&DEFINITION);
    check.value(inner, &KIND, &path)?;
    let tool = Tool::define(
        &Options::new(Some(inner), &DEFINITION),
        &runtime.schemas,
        &runtime.config.tools,
        runtime.clock.unix(),
    );
    Ok(Rc::new(tool.map_err(|e| e.at(&path))?).spec())
}
