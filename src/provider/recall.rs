//! Answers that are kept: which question an answer belongs to.
//!
//! Everything that a server is told is part of the question, and who it is: so a tool or a schema that
//! has changed, another key or another address, make another question. What only says how to wait for
//! the answer (time limits, retries, streams) is not.
//!
//! Answers lie in the cache of the instance, and in the store, if one is configured: there other
//! processes find them. A function that makes requests is known in its own process only, so what it
//! answers stays there.

use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::exchange::Ask;
use super::instance::Provider;
use super::options;
use super::question::Embed;
use super::secret::fingerprint;
use super::stored;
use super::target::Target;
use super::whom::Whom;
use crate::chat::{
    Answer, Cache as Kept, Content, Finish, Format, Message, Part, Settings, Source, ToolCall,
    ToolChoice, ToolSpec, kept,
};
use crate::error::Result;
use crate::optimize::functions::{CHAT, EMBED};
use crate::optimize::{Key, Recall, Wish};
use crate::runtime::Runtime;
use crate::value::{Data, Record};

/// The question of a chat, if its answer may be kept. `target` is the one that is asked first.
pub fn chat(runtime: &mut Runtime, ask: &Ask, target: &Target) -> Result<Option<Recall>> {
    let Some(wish) = wish(runtime, ask, target) else { return Ok(None) };
    let mut key = Key::of(CHAT);
    let (configured, shared) = whom(runtime, &ask.whom, &ask.options, &mut key)?;
    let mocked = runtime.providers.ask(&ask.whom)?.stand().is_some();
    if ask.reach.transport().is_some() && !mocked {
        key.refuse();
    }
    key.text(&ask.request.model);
    key.bool(ask.options.get("raw") == Some(&Value::Bool(true)));
    messages(&mut key, &ask.request.messages);
    tools(&mut key, &ask.request.tools);
    settings(&mut key, &ask.request.settings);
    Ok(Some(Recall::new(key, [configured, 0, 0, 0]).wished(wish).shareable(shared)))
}

/// A call of its own may also be kept because the function was switched on: where chance has no part.
fn wish(runtime: &Runtime, ask: &Ask, target: &Target) -> Option<Wish> {
    let cache = &runtime.cache;
    let said = Wish::of(ask.options.get("cache")).or_else(|| {
        let certain = ask.request.settings.temperature == Some(0.0);
        let on = cache.is_on(CHAT) && certain && ask.iteration.is_none();
        on.then_some(Wish::Yes)
    });
    let first = target.whom.is_same(&ask.whom);
    said.filter(|wish| cache.is_enabled() && first && *wish != Wish::No)
}

/// The kept answer to a chat, as if it had come now.
pub fn find(runtime: &mut Runtime, recall: &Recall) -> Option<Box<Answer>> {
    let answer = runtime.cache.find::<Rc<Answer>>(recall)?;
    Some(given_again(&answer))
}

fn given_again(answer: &Answer) -> Box<Answer> {
    Box::new(Answer { cached: true, attempts: 0, ttft_ms: None, ..answer.clone() })
}

/// An answer from the store, which this process has from now on.
pub fn adopt(runtime: &mut Runtime, recall: Recall, answer: &Answer) -> Box<Answer> {
    keep_here(runtime, recall, answer);
    given_again(answer)
}

/// Keeps an answer that is complete.
pub fn keep(runtime: &mut Runtime, recall: Recall, answer: &Answer) {
    let ends = [Finish::Stop, Finish::Length, Finish::ToolCalls].map(Finish::name);
    if answer.flaw.is_none() && ends.contains(&answer.finish_reason) {
        stored::put(runtime, &recall, || kept::write(answer));
        keep_here(runtime, recall, answer);
    }
}

fn keep_here(runtime: &mut Runtime, recall: Recall, answer: &Answer) {
    let weight = answer.to_data().weight().unwrap_or_default() + size_of::<Answer>();
    runtime.cache.keep(recall, weight, Rc::new(answer.clone()));
}

/// The question of embeddings, if their vectors may be kept.
pub fn embed(
    runtime: &mut Runtime,
    of: &Whom,
    call: &Map<String, Value>,
    asked: &Embed,
) -> Result<Option<Recall>> {
    let on = runtime.cache.is_on(EMBED).then_some(Wish::Yes);
    let wish = Wish::of(call.get("cache")).or(on);
    let Some(wish) = wish.filter(|w| runtime.cache.is_enabled() && *w != Wish::No) else {
        return Ok(None);
    };
    let mut key = Key::of(EMBED);
    let (configured, shared) = whom(runtime, of, call, &mut key)?;
    let Embed { model, texts, dimensions, input_type, extra } = asked;
    key.text(model);
    key.list(texts.len());
    texts.iter().for_each(|text| key.text(text));
    key.option(*dimensions, |key, n| key.int(n.into()));
    key.option(input_type.as_ref(), Key::text);
    members(&mut key, extra);
    Ok(Some(Recall::new(key, [configured, 0, 0, 0]).wished(wish).shareable(shared)))
}

/// The kept vectors.
pub fn vectors(runtime: &mut Runtime, recall: &Recall) -> Option<Data> {
    let found = runtime.cache.find::<Arc<Data>>(recall)?;
    let Data::Record(record) = &*found else { return None };
    Some(record.clone().set("cached", true).into())
}

/// A result of embeddings as the store has it: member by member.
fn write_vectors(result: &Record) -> Value {
    let members = result.fields.iter();
    members
        .map(|(name, value)| (name.to_string(), write_member(value)))
        .collect::<Map<_, _>>()
        .into()
}

fn write_member(value: &Data) -> Value {
    match value {
        Data::Bool(value) => (*value).into(),
        Data::Int(n) => (*n).into(),
        Data::Num(n) => (*n).into(),
        Data::Text(text) => text.as_str().into(),
        Data::Json(value) => value.clone(),
        Data::List(items) => items.iter().map(write_member).collect(),
        Data::Numbers(numbers) => numbers.iter().copied().collect(),
        Data::Record(record) => write_vectors(record),
        Data::Shared(data) => write_member(data),
        _ => Value::Null,
    }
}

/// `None` for anything else than what was written.
pub fn read_vectors(result: &Value) -> Option<Record> {
    let numbers = |vector: &Value| {
        let numbers = vector.as_array()?.iter().map(Value::as_f64).collect::<Option<_>>()?;
        Some(Data::Numbers(numbers))
    };
    let vectors = result.get("embeddings")?.as_array()?.iter().map(numbers);
    let vectors = Data::List(vectors.collect::<Option<_>>()?);
    let rest = result.as_object()?.iter().filter(|(name, _)| *name != "embeddings");
    let record = Record::new().set("embeddings", vectors);
    Some(rest.fold(record, |record, (name, value)| record.set(name.clone(), read_member(value))))
}

fn read_member(value: &Value) -> Data {
    match value {
        Value::Null => Data::Nil,
        Value::Bool(value) => (*value).into(),
        Value::Number(n) => n.as_i64().map_or(Data::Num(n.as_f64().unwrap_or_default()), Data::Int),
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => Data::List(items.iter().map(read_member).collect()),
        Value::Object(members) => {
            let set = |record: Record, (name, value): (&String, &Value)| {
                record.set(name.clone(), read_member(value))
            };
            members.iter().fold(Record::new(), set).into()
        }
    }
}

/// Vectors from the store, which this process has from now on.
pub fn adopt_vectors(runtime: &mut Runtime, recall: Recall, result: Record) -> Data {
    match keep_vectors_here(runtime, recall, result) {
        Data::Record(record) => record.set("cached", true).into(),
        other => other,
    }
}

/// Keeps a result of embeddings; gives it back in a form that shares its vectors with what is kept.
pub fn keep_vectors(runtime: &mut Runtime, recall: Recall, result: Record) -> Data {
    stored::put(runtime, &recall, || write_vectors(&result));
    keep_vectors_here(runtime, recall, result)
}

fn keep_vectors_here(runtime: &mut Runtime, recall: Recall, mut result: Record) -> Data {
    for (name, value) in &mut result.fields {
        if name == "embeddings" {
            *value = Data::Shared(Arc::new(std::mem::take(value)));
        }
    }
    let data = Data::Record(result.clone());
    if let Some(weight) = data.weight() {
        runtime.cache.keep(recall, weight, Arc::new(data));
    }
    result.into()
}

/// Who is asked, and with which headers; gives the count of its configuration, and whether others may
/// have its answers. A function that makes its requests is known by that count alone.
fn whom(
    runtime: &mut Runtime,
    whom: &Whom,
    call: &Map<String, Value>,
    key: &mut Key,
) -> Result<(u64, bool)> {
    let provider = runtime.providers.ask(whom)?;
    let known = matches!(whom, Whom::Known(_));
    let stand = provider.stand();
    let speaks = provider.reach.transport().is_some() || stand.is_some();
    if !known && speaks && stand.is_none() {
        key.refuse();
    }
    identity(provider, key);
    let configured = if known { provider.configured } else { 0 };
    let all = options::lay([&runtime.config.http, &provider.options, call]);
    let headers = options::headers(all.get("headers"));
    key.list(headers.len());
    let mut headers: Vec<_> = headers.iter().collect();
    headers.sort();
    for (name, value) in headers {
        key.text(name);
        key.option(value.as_ref(), secret);
    }
    Ok((configured, !speaks))
}

/// A provider as servers see it.
fn identity(provider: &Provider, key: &mut Key) {
    key.text(&provider.id);
    key.text(provider.row.name);
    // What another one answered is not what this one would.
    key.option(provider.stand(), |key, stand| key.int(stand.number as i64));
    // It may name a user.
    secret(key, provider.base_url());
    for option in ["api", "api_version", "organization", "project", "model_path", "prices"] {
        key.option(provider.options.get(option), Key::json);
    }
    key.option(provider.key(), |key, shown| secret(key, shown.expose()));
}

/// A text that may be a secret is known by its hash.
fn secret(key: &mut Key, text: impl AsRef<[u8]>) {
    fingerprint(text).into_iter().for_each(|half| key.int(half));
}

fn messages(key: &mut Key, all: &[Message]) {
    key.list(all.len());
    for Message { role, content, name, tool_call_id, tool_calls, blocks } in all {
        key.text(role.name());
        match content {
            Content::Text(text) => key.text(text),
            Content::Parts(parts) => {
                key.list(parts.len());
                parts.iter().for_each(|one| part(key, one));
            }
        }
        key.option(name.as_ref(), Key::text);
        key.option(tool_call_id.as_ref(), Key::text);
        key.list(tool_calls.len());
        for ToolCall { id, name, arguments_json, whole } in tool_calls {
            [id, name, arguments_json].into_iter().for_each(|text| key.text(text));
            key.bool(*whole);
        }
        key.option(blocks.as_ref(), Key::json);
    }
}

fn part(key: &mut Key, part: &Part) {
    match part {
        Part::Text(text) => {
            key.int(0);
            key.text(text);
        }
        Part::Image { source: from, detail } => {
            key.int(1);
            source(key, from);
            key.option(detail.as_ref(), Key::text);
        }
        Part::Document { source: from, name } => {
            key.int(2);
            source(key, from);
            key.option(name.as_ref(), Key::text);
        }
        Part::Cache(kept) => {
            key.int(3);
            prompt_cache(key, kept);
        }
        Part::Other(value) => {
            key.int(4);
            key.json(value);
        }
    }
}

fn source(key: &mut Key, source: &Source) {
    match source {
        Source::Bytes { data, mime_type } => {
            key.text(data);
            key.text(mime_type);
        }
        Source::Url(url) => key.text(url),
    }
}

fn prompt_cache(key: &mut Key, Kept { ttl }: &Kept) {
    key.bool(true);
    key.option(ttl.as_ref(), Key::text);
}

fn tools(key: &mut Key, all: &[ToolSpec]) {
    key.list(all.len());
    for ToolSpec { name, description, parameters } in all {
        key.text(name);
        key.text(description);
        key.json(parameters);
    }
}

fn settings(key: &mut Key, settings: &Settings) {
    let Settings {
        temperature,
        top_p,
        top_k,
        max_tokens,
        stop,
        seed,
        presence_penalty,
        frequency_penalty,
        reasoning,
        tool_choice,
        parallel_tool_calls,
        printed_tool_calls,
        prompt_cache: kept,
        format,
        extra,
    } = settings;
    for number in [temperature, top_p, presence_penalty, frequency_penalty] {
        key.option(*number, Key::float);
    }
    for count in [top_k, max_tokens] {
        key.option(*count, |key, n| key.int(n.into()));
    }
    key.option(*seed, Key::int);
    key.list(stop.len());
    stop.iter().for_each(|text| key.text(text));
    key.option(reasoning.as_ref(), Key::text);
    key.option(tool_choice.as_ref(), choice);
    [parallel_tool_calls, printed_tool_calls].into_iter().for_each(|it| key.option(*it, Key::bool));
    key.option(kept.as_ref(), prompt_cache);
    key.option(format.as_ref(), form);
    members(key, extra);
}

fn choice(key: &mut Key, choice: &ToolChoice) {
    match choice {
        ToolChoice::Auto => key.int(0),
        ToolChoice::None => key.int(1),
        ToolChoice::Required => key.int(2),
        ToolChoice::Named(name) => key.text(name),
    }
}

fn form(key: &mut Key, format: &Format) {
    match format {
        Format::Json => key.bool(true),
        Format::Schema { name, schema } => {
            key.text(name);
            key.json(schema);
        }
    }
}

/// What is merged into requests as it is: there may be secrets in it.
fn members(key: &mut Key, members: &Map<String, Value>) {
    let mut all = Key::of(key.function().into());
    plain_members(&mut all, members);
    match all.bytes() {
        Some(bytes) => secret(key, bytes),
        None => key.refuse(),
    }
}

fn plain_members(key: &mut Key, members: &Map<String, Value>) {
    key.list(members.len());
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by_key(|(name, _)| name.as_str());
    for (name, value) in members {
        key.text(name);
        key.json(value);
    }
}
