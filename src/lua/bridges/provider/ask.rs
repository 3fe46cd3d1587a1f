//! What else a provider can be asked: embeddings, numbers of tokens, its models.

use crate::chat::Request;
use crate::error::{Error, Result};
use crate::lua::args::Args;
use crate::lua::faces::{ASYNC, DETACH, face};
use crate::optimize::cache::WISH;
use crate::provider::options::{CACHED, HEADERS, LIMITS};
use crate::provider::question::{Count, Embed};
use crate::provider::reach::TRANSPORT;
use crate::provider::{Counting, Embedding, Inquiry, ModelList, Reach, Whom, question_of};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Shape};
use crate::step::Start;
use crate::value::Ref;

use super::chat::{PROVIDER, TOOL, beside_messages, messages_of, tools, whom};

pub static MODELS: Shape = Shape::new(
    "ModelsOptions",
    &[
        Field::new("refresh", Kind::Bool, "false", "ask again instead of answering from memory"),
        TRANSPORT,
        ASYNC,
        DETACH,
    ],
    &[&LIMITS],
);

pub static EMBED: Shape = Shape::new(
    "EmbedOptions",
    &[
        PROVIDER,
        Field::new("model", Kind::Name, "the provider's `embed_model`", "the model asked"),
        Field::new(
            "dimensions",
            Kind::Int(1, 1 << 20),
            "the model's",
            "length of the vectors, for models that can make them shorter",
        ),
        Field::new(
            "input_type",
            Kind::Name,
            "cohere: \"search_document\"",
            "what the vectors are for, in the provider's word: cohere, openrouter",
        ),
        Field::new(
            "batch_size",
            Kind::Int(1, 1 << 20),
            "what the provider takes",
            "fewer texts in a request",
        ),
        Field::new("extra", Kind::Map, "", "merged verbatim into the request bodies"),
        Field::new("cache", WISH, "false", CACHED),
        Field::new("headers", HEADERS, "", "added to the requests"),
        TRANSPORT,
        ASYNC,
        DETACH,
    ],
    &[&LIMITS],
);

pub static COUNT: Shape = Shape::new(
    "CountOptions",
    &[
        Field::new("messages", Kind::Any, "", "with one table as the only argument: the messages"),
        PROVIDER,
        Field::new("model", Kind::Text, "the provider's", "whose tokens are counted"),
        Field::new("system", Kind::Text, "", "a system message put first"),
        Field::new(
            "tools",
            Kind::List(&TOOL),
            "none",
            "as for `chat`: they are part of the prompt",
        ),
        Field::new("headers", HEADERS, "", "added to the request"),
        TRANSPORT,
        ASYNC,
        DETACH,
    ],
    &[&LIMITS],
);

pub fn embed(runtime: &mut Runtime, args: &Args<'_>) -> Result<Start> {
    let options = args.options(1, &EMBED);
    let texts = texts(args.get(0))?;
    let whom = whom(runtime, &options)?;
    let count = |key: &str| options.get(key).and_then(Ref::as_f64);
    let (map, reach) = Reach::split(&options, &runtime.providers, "options")?;
    let extra = map.get("extra").and_then(|extra| extra.as_object()).cloned();
    let ask = Embed {
        model: options.text("model").unwrap_or_default(),
        texts,
        dimensions: count("dimensions").map(|n| n as u32),
        input_type: options.text("input_type"),
        extra: extra.unwrap_or_default(),
    };
    let most = count("batch_size").map(|n| n as usize);
    let recall = question_of(runtime, &whom, &map, &ask)?;
    let embedding = Embedding::new(runtime.providers.ask(&whom)?, ask, most)?;
    let embedding = embedding.recalled(runtime, recall.filter(|_| reach.transport().is_none()));
    let total = whom.end(runtime, &map);
    let inquiry = Inquiry::new(runtime, whom, embedding, &map, &reach, total)?;
    Ok(Start { operation: inquiry.operation(total), face: face(&options), sink: None })
}

/// One text, or a list of them.
fn texts(input: Option<Ref<'_>>) -> Result<Vec<String>> {
    let Some(input) = input else { return Ok(Vec::new()) };
    let texts: Vec<String> = match input.as_str() {
        Some(text) => vec![text.to_owned()],
        None => input.items().filter_map(Ref::as_str).map(str::to_owned).collect(),
    };
    match texts.as_slice() {
        [] => Err(Error::invalid("input: expected at least one text, got none")),
        [only] if only.is_empty() => {
            Err(Error::invalid("input: expected a text, got an empty one"))
        }
        _ => Ok(texts),
    }
}

pub fn count_tokens(runtime: &mut Runtime, args: &Args<'_>) -> Result<Start> {
    let options = beside_messages(args, 1, &COUNT);
    let whom = whom(runtime, &options)?;
    let request = Request {
        model: options.text("model").unwrap_or_default(),
        messages: messages_of(args, &options)?,
        tools: tools(runtime, &options)?,
        ..Request::default()
    };
    let text = args.get(0).is_some_and(|given| given.as_str().is_some())
        && request.tools.is_empty()
        && request.messages.len() == 1;
    let counting = Counting::new(runtime.providers.ask(&whom)?, Count { request, text });
    let (map, reach) = Reach::split(&options, &runtime.providers, "options")?;
    let total = whom.end(runtime, &map);
    let inquiry = Inquiry::new(runtime, whom, counting, &map, &reach, total)?;
    Ok(Start { operation: inquiry.operation(total), face: face(&options), sink: None })
}

pub fn get_models(runtime: &mut Runtime, args: &Args<'_>) -> Result<Start> {
    let options = args.options(1, &MODELS);
    let whom = match args.get(0) {
        Some(_) => Whom::Known(args.id(0).into()),
        None => Whom::usual(runtime)?,
    };
    let (map, reach) = Reach::split(&options, &runtime.providers, "options")?;
    let total = whom.end(runtime, &map);
    let list = ModelList::of(runtime, &whom, options.bool("refresh") == Some(true))?;
    let list = Inquiry::new(runtime, whom, list, &map, &reach, total)?;
    Ok(Start { operation: list.operation(total), face: face(&options), sink: None })
}
