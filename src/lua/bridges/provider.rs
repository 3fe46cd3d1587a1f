//! `zigllms.provider`: language models, whoever serves them.

use std::rc::Rc;

use crate::agent::find_tool;
use crate::chat::{Message, Request, Role, ToolSpec, messages};
use crate::error::{Code, Error, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Bridge, Constants, Effect, Function, Param, Run};
use crate::provider::options::{CONFIG, GENERATION, LIMITS};
use crate::provider::reach::{REACH, TRANSPORT};
use crate::provider::{Ask, Exchange, Inquiry, ModelList, Reach, Whom};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape, id_of};
use crate::step::{Face, Start};
use crate::tool::{DEFINITION, Tool};
use crate::value::{Data, Ref, Slot};

use super::super::faces::{ASYNC, DETACH, STREAM, face, follows, streamed};

static CHAT: Shape = Shape::new(
    "ChatOptions",
    &[
        Field::new("messages", Kind::Any, "", "with one table as the only argument: the messages"),
        Field::new(
            "provider",
            Kind::OneOf(&[Kind::Id("a provider"), Kind::Table(&CONFIG)]),
            "`default_provider`",
            "id, name or type; or a configuration, for this call only",
        ),
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

const TOOL: Kind = Kind::OneOf(&[Kind::Text, Kind::Open]);

static MODELS: Shape = Shape::new(
    "ModelsOptions",
    &[
        Field::new("refresh", Kind::Bool, "false", "ask again instead of answering from memory"),
        TRANSPORT,
        ASYNC,
        DETACH,
    ],
    &[&LIMITS],
);

const PROVIDER: Param = Param::new("provider_id", Kind::Id("a provider"));
const MESSAGES: Param =
    Param::new("messages", Kind::OneOf(&[Kind::Text, Kind::List(&Kind::Any), Kind::Map]));
const ANSWERS: &[Code] = &[
    Code::NotFound,
    Code::Auth,
    Code::RateLimited,
    Code::Overloaded,
    Code::ContextLength,
    Code::ContentFilter,
    Code::BadRequest,
    Code::ServerError,
    Code::Network,
    Code::Timeout,
    Code::BadResponse,
    Code::ValidationFailed,
    Code::Unsupported,
    Code::Cancelled,
    Code::CallbackError,
];

pub static BRIDGE: Bridge = Bridge {
    name: "provider",
    doc: "Language models: OpenAI (chat and Responses), Anthropic, Cohere, Ollama, every server that speaks OpenAI's protocol, \
          and GGUF files that the module runs itself.",
    constants: &[
        Constants {
            name: "Type",
            members: &[
                ("OPENAI", "openai"),
                ("ANTHROPIC", "anthropic"),
                ("COHERE", "cohere"),
                ("LOCAL", "local"),
            ],
        },
        Constants {
            name: "Status",
            members: &[
                ("ACTIVE", "active"),
                ("INACTIVE", "inactive"),
                ("ERROR", "error"),
                ("INITIALIZING", "initializing"),
            ],
        },
    ],
    functions: &[
        Function {
            name: "chat",
            params: &[MESSAGES, Param::new("options", Kind::Table(&CHAT)).optional()],
            returns: &[("response", "zigllms.Response")],
            doc: "Asks a model. `messages` is a string, a message, or an array of `{role, content}`, where `content` is a text or \
                  parts: `{type=\"text\", text=}`, `{type=\"image\"|\"document\", data=bytes | path= | url=}`; `cache=true` on a \
                  part or message lets the provider keep the prompt up to there. The options may also \
                  stand beside `messages` in one table. The response has `content`, `tool_calls`, `finish_reason`, `usage`, \
                  `message` (to be appended as it is), `parsed` for structured output; `tostring` gives the content. \
                  Transient failures are retried before anything was delivered. Waits.",
            errors: ANSWERS,
            effect: Effect::Outside,
            example: "local ok, err = pcall(zigllms.provider.chat, \"hello\", { provider = \"openai\", base_url = nil })",
            run: Run::Waits(chat),
        },
        Function {
            name: "stream",
            params: &[
                MESSAGES,
                Param::new("callback", Kind::OneOf(&[Kind::Function, Kind::Table(&CHAT)]))
                    .optional(),
                Param::new("options", Kind::Table(&CHAT)).optional(),
            ],
            returns: &[("response", "zigllms.Response")],
            doc: "As `chat`, with `callback(chunk)` called as the answer arrives; returning false stops it. Without a \
                  callback it returns a handle at once: `for chunk in zigllms.provider.stream(messages, options) do`. \
                  A chunk has `content`, `index`, `done`; the last one has `done=true`, `finish_reason` and `usage`. Waits.",
            errors: ANSWERS,
            effect: Effect::Outside,
            example: "local ok, err = pcall(zigllms.provider.stream, \"hello\", function(chunk) io.write(chunk.content) end, { provider = \"openai\" })",
            run: Run::Waits(stream),
        },
        Function {
            name: "create",
            params: &[Param::new("config", Kind::Table(&CONFIG))],
            returns: &[("provider_id", "string")],
            doc: "Makes a provider of its own. No network is used, and no key is needed yet.",
            errors: &[Code::AlreadyExists, Code::Unsupported],
            effect: Effect::Writes("providers"),
            example: "local id = zigllms.provider.create{ type = \"openai\", name = \"box\", base_url = \"http://127.0.0.1:8080/v1\", api_key = \"none\" }",
            run: Run::Now(create),
        },
        Function {
            name: "configure",
            params: &[PROVIDER, Param::new("config", Kind::Table(&CONFIG))],
            returns: &[("ok", "true")],
            doc: "Merges options into a provider; `zigllms.null` restores a default. A type name stands for the default \
                  provider of that type. The type itself stays.",
            errors: &[Code::NotFound, Code::AlreadyExists, Code::Unsupported],
            effect: Effect::Writes("providers"),
            example: "zigllms.provider.configure(\"openai\", { timeout_ms = 30000 })",
            run: Run::Now(configure),
        },
        Function {
            name: "list",
            params: &[],
            returns: &[("providers", "table[]")],
            doc: "The four default types and everything created: `{id, name, type, status, model, base_url, is_default}`.",
            errors: &[],
            effect: Effect::Reads("providers"),
            example: "for _, p in ipairs(zigllms.provider.list()) do print(p.id, p.status) end",
            run: Run::Now(list),
        },
        Function {
            name: "get",
            params: &[PROVIDER],
            returns: &[("info", "table?")],
            doc: "What `list` tells, with capabilities, options, request counts, usage and `has_key`; nil if there is none.",
            errors: &[],
            effect: Effect::Reads("providers"),
            example: "print(zigllms.provider.get(\"openai\").has_key)",
            run: Run::Now(get),
        },
        Function {
            name: "destroy",
            params: &[PROVIDER],
            returns: &[("existed", "boolean")],
            doc: "Forgets a provider; a default one loses its configuration. Agents that use it fail at their next run.",
            errors: &[],
            effect: Effect::Writes("providers"),
            example: "local id = zigllms.provider.create{ type = \"local\" }\nassert(zigllms.provider.destroy(id))",
            run: Run::Now(destroy),
        },
        Function {
            name: "get_models",
            params: &[
                Param::new("provider_id", Kind::Id("a provider")).optional(),
                Param::new("options", Kind::Table(&MODELS)).optional(),
            ],
            returns: &[("models", "table[]")],
            doc: "Which models there are, asked live and remembered for five minutes: `{id, name, owned_by, created, \
                  context_length, max_output_tokens}`, sorted by id. Waits.",
            errors: ANSWERS,
            effect: Effect::Outside,
            example: "local ok, err = pcall(zigllms.provider.get_models, \"openai\")",
            run: Run::Waits(get_models),
        },
    ],
};

fn chat(runtime: &mut Runtime, args: &Args<'_>) -> Result<Start> {
    let options = options_of(args, 1);
    let (face, sink) = streamed(&options, None)?;
    ask(runtime, args, &options, face, sink)
}

fn stream(runtime: &mut Runtime, args: &Args<'_>) -> Result<Start> {
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
    let only = args.get(0).filter(|first| first.get("messages").is_some());
    match only {
        Some(_) => args.options(0, &CHAT),
        None => args.options(at, &CHAT),
    }
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
    let mut map = options.to_map();
    map.retain(|key, _| key != "messages" && key != "provider");
    let reach = Reach::take(options, &mut map, &runtime.providers, "options")?;
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
fn whom(runtime: &Runtime, options: &Options<'_>) -> Result<Whom> {
    Whom::given(options, &runtime.providers, "options")?.map_or_else(|| Whom::usual(runtime), Ok)
}

fn messages_of(args: &Args<'_>, options: &Options<'_>) -> Result<Vec<Message>> {
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

fn tools(runtime: &Runtime, options: &Options<'_>) -> Result<Vec<ToolSpec>> {
    let Some(list) = options.get("tools") else { return Ok(Vec::new()) };
    list.items().enumerate().map(|(i, item)| tool(runtime, item, i)).collect()
}

/// By id or name; a definition; or a schema as the wire has it (`{type="function", …}`).
fn tool(runtime: &Runtime, item: Ref<'_>, i: usize) -> Result<ToolSpec> {
    let path = format!("options.tools[{}]", i + 1);
    if let Some(key) = id_of(item) {
        let found = find_tool(&runtime.tools, &key)?
            .ok_or_else(|| Error::not_found("tool", &key).at(&path))?;
        return Ok(found.tool.spec());
    }
    let inner = item.get("function").filter(|f| f.is_object()).unwrap_or(item);
    let check = crate::shape::Check { strict: false };
    static KIND: Kind = Kind::Table(&DEFINITION);
    check.value(inner, &KIND, &path)?;
    let tool = Tool::define(
        &Options::new(Some(inner), &DEFINITION),
        &runtime.schemas,
        runtime.clock.unix(),
    );
    Ok(Rc::new(tool.map_err(|e| e.at(&path))?).spec())
}

fn create(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    Ok(Data::from(runtime.providers.create(&args.options(0, &CONFIG))?))
}

fn configure(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let options = args.options(1, &CONFIG);
    let mut map = options.to_map();
    let reach = Reach::take(&options, &mut map, &runtime.providers, "config")?;
    runtime.providers.configure(&args.id(0), map, &reach)?;
    Ok(Data::Bool(true))
}

fn list(runtime: &mut Runtime, _: &Args<'_>) -> Result<Data> {
    let default = runtime.providers.default_id(runtime.config.default_provider.as_deref());
    Ok(Data::from(runtime.providers.list(default.as_deref())))
}

fn get(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let default = runtime.providers.default_id(runtime.config.default_provider.as_deref());
    Ok(runtime.providers.info(&args.id(0), default.as_deref()).into())
}

fn destroy(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    Ok(Data::Bool(runtime.providers.destroy(&args.id(0))))
}

fn get_models(runtime: &mut Runtime, args: &Args<'_>) -> Result<Start> {
    let options = args.options(1, &MODELS);
    let whom = match args.get(0) {
        Some(_) => Whom::Known(args.id(0).into()),
        None => Whom::usual(runtime)?,
    };
    let mut map = options.to_map();
    let reach = Reach::take(&options, &mut map, &runtime.providers, "options")?;
    let total = whom.end(runtime, &map);
    let list = ModelList::of(runtime, &whom, options.bool("refresh") == Some(true))?;
    let list = Inquiry::new(runtime, whom, list, &map, &reach, total)?;
    Ok(Start { operation: list.operation(total), face: face(&options), sink: None })
}
