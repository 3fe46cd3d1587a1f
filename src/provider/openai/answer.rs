//! Reads an answer: events or one document, whichever the server sends, in the same way.
//!
//! Compatible servers differ in how they send tool calls, thinking and usage; all of that is
//! evened out here, and what must come back in the next request is kept in `blocks`.

use serde_json::{Map, Value, json};

use crate::chat::{Delta, Finish, Reply, ToolCall, ToolCallDelta, Usage};
use crate::error::Result;
use crate::provider::failure;
use crate::provider::sse::{Event, Sse};
use crate::provider::wire::Decoder;
use crate::value::{Kind, Ref, Tape, json as text};

/// What a body turned out to be.
enum Body {
    /// Nothing but blanks so far.
    Unknown(Vec<u8>),
    Events(Sse),
    Document(Vec<u8>),
}

/// Decodes one answer.
pub struct Answer {
    body: Body,
    state: State,
}

impl Default for Answer {
    fn default() -> Answer {
        Answer { body: Body::Unknown(Vec::new()), state: State::default() }
    }
}

impl Decoder for Answer {
    fn push(&mut self, bytes: &[u8], reply: &mut Reply, delta: &mut Delta) -> Result<bool> {
        let state = &mut self.state;
        match &mut self.body {
            Body::Document(document) => document.extend_from_slice(bytes),
            Body::Events(sse) => return events(sse, bytes, state, reply, delta),
            Body::Unknown(start) => {
                start.extend_from_slice(bytes);
                let start = std::mem::take(start);
                self.body = begun(&start);
                match &self.body {
                    Body::Events(_) => return self.push(&start, reply, delta),
                    Body::Unknown(_) => self.body = Body::Unknown(start),
                    Body::Document(_) => self.body = Body::Document(start),
                }
            }
        }
        Ok(false)
    }

    fn end(&mut self, reply: &mut Reply, delta: &mut Delta) -> Result<()> {
        let state = &mut self.state;
        match &mut self.body {
            Body::Unknown(_) => return Err(failure::ended_early()),
            Body::Document(document) => state.document(document, reply, delta)?,
            Body::Events(sse) => {
                sse.end(|event| state.event(event, reply, delta).map(|_| ()))?;
                if !state.complete {
                    return Err(failure::ended_early());
                }
            }
        }
        state.finish(reply);
        Ok(())
    }
}

/// The events of a stream as they came, for those who want to see them.
fn keep(event: Ref<'_>, reply: &mut Reply) {
    if !reply.keep_raw {
        return;
    }
    match &mut reply.raw {
        Some(Value::Array(events)) => events.push(event.to_json()),
        raw => *raw = Some(Value::Array(vec![event.to_json()])),
    }
}

fn events(
    sse: &mut Sse,
    bytes: &[u8],
    state: &mut State,
    reply: &mut Reply,
    delta: &mut Delta,
) -> Result<bool> {
    let mut content = false;
    sse.push(bytes, |event| {
        content |= state.event(event, reply, delta)?;
        Ok(())
    })?;
    Ok(content)
}

/// Tells events from a document by the first byte: servers ignore `stream` in both directions.
fn begun(start: &[u8]) -> Body {
    const BOM: &[u8] = b"\xEF\xBB\xBF";
    let inside = start.strip_prefix(BOM).unwrap_or(start).trim_ascii_start();
    match inside.first() {
        None => Body::Unknown(Vec::new()),
        Some(_) if BOM.starts_with(start) => Body::Unknown(Vec::new()),
        Some(b'd' | b'e' | b'i' | b'r' | b':') => Body::Events(Sse::default()),
        Some(_) => Body::Document(Vec::new()),
    }
}

#[derive(Default)]
struct State {
    tape: Tape,
    calls: Vec<Call>,
    /// The provider has said that nothing follows.
    complete: bool,
    refused: bool,
    /// The key under which thinking came, if it is one that wants its text back.
    thinking_key: Option<&'static str>,
    /// Pieces that must come back verbatim.
    details: Vec<Value>,
    extras: Map<String, Value>,
}

/// How the fragments of a tool call are told from those of others; parallel to the reply's calls.
#[derive(Default)]
struct Call {
    index: Option<i64>,
    extra: Option<Value>,
}

impl State {
    fn event(&mut self, event: Event<'_>, reply: &mut Reply, delta: &mut Delta) -> Result<bool> {
        let data = event.data.trim_ascii();
        if data == b"[DONE]" {
            self.complete = true;
        }
        if data.is_empty() || data == b"[DONE]" {
            return Ok(false);
        }
        let mut tape = std::mem::take(&mut self.tape);
        tape.clear();
        let read = match text::parse(data, &mut tape) {
            Ok(at) => {
                keep(tape.view(at), reply);
                self.read(tape.view(at), event.name == "error", reply, delta)
            }
            Err(_) if event.name == "error" => {
                let said = String::from_utf8_lossy(data);
                Err(failure::from_document(&json!({ "error": said })))
            }
            Err(_) => Err(failure::not_understood("an event of the stream is no JSON", data)),
        };
        self.tape = tape;
        read
    }

    fn document(&mut self, body: &[u8], reply: &mut Reply, delta: &mut Delta) -> Result<()> {
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii();
        let mut tape = Tape::default();
        let root = match text::parse(body, &mut tape) {
            Ok(at) => tape.view(at),
            Err(error) if text::ends_early(&error) => return Err(failure::ended_early()),
            Err(_) => return Err(failure::not_understood("the answer is no JSON", body)),
        };
        self.read(root, false, reply, delta)?;
        if root.get("choices").is_none_or(|choices| choices.is_empty()) {
            return Err(failure::not_understood("the answer has no choices", body));
        }
        reply.raw = Some(root.to_json());
        Ok(())
    }

    /// One chunk, or the whole document.
    fn read(
        &mut self,
        root: Ref<'_>,
        is_error: bool,
        reply: &mut Reply,
        delta: &mut Delta,
    ) -> Result<bool> {
        let choice = root.get("choices").and_then(first_choice);
        let error = [Some(root), choice].into_iter().flatten().find(|part| has_error(*part));
        if let Some(part) = error.or(is_error.then_some(root)) {
            return Err(failure::from_document(&part.to_json()));
        }
        self.facts(root, choice, reply);
        let Some(choice) = choice else { return Ok(false) };
        let before = delta.bytes();
        let message = ["delta", "message"].iter().find_map(|key| choice.get(key));
        if let Some(message) = message.filter(|message| message.is_object()) {
            self.message(message, reply, delta);
        }
        if let Some(native) = text_of(choice, "finish_reason") {
            self.complete = true;
            reply.finish = Some(finish_of(native));
            reply.native_finish = Some(native.to_owned());
        }
        Ok(delta.bytes() > before)
    }

    fn facts(&mut self, root: Ref<'_>, choice: Option<Ref<'_>>, reply: &mut Reply) {
        let text = |key: &str| text_of(root, key).map(str::to_owned);
        reply.id = reply.id.take().or_else(|| text("id"));
        reply.model = reply.model.take().or_else(|| text("model"));
        let created = root.get("created").and_then(Ref::as_f64);
        reply.created = reply.created.or(created);
        // Groq and Moonshot have their own places for it.
        let places = [Some(root), choice, root.get("x_groq")];
        let found = places.into_iter().flatten().find_map(|part| part.get("usage"));
        if let Some(usage) = found.filter(|usage| usage.kind() == Kind::Object) {
            reply.usage = Some(usage_of(usage));
        }
    }

    fn message(&mut self, message: Ref<'_>, reply: &mut Reply, delta: &mut Delta) {
        if let Some(content) = message.get("content") {
            add_content(content, reply, delta);
        }
        if let Some(refusal) = text_of(message, "refusal") {
            self.refused = true;
            add_text(refusal, reply, delta);
        }
        self.thinking(message, reply, delta);
        let alone = listed(message.get("tool_calls")).count() == 1;
        for (at, call) in listed(message.get("tool_calls")).enumerate() {
            let last = reply.tool_calls.len().saturating_sub(1);
            self.call(call, if alone { last } else { at }, reply, delta);
        }
        if let Some(function) = message.get("function_call").filter(|f| f.is_object()) {
            self.fragment(function, 0, None, None, reply, delta);
        }
    }

    fn thinking(&mut self, message: Ref<'_>, reply: &mut Reply, delta: &mut Delta) {
        let keys = ["reasoning_content", "reasoning"];
        let found = keys.into_iter().find_map(|key| Some((key, text_of(message, key)?)));
        if let Some((key, text)) = found {
            self.thinking_key = Some(key);
            add_thinking(text, reply, delta);
        }
        self.details.extend(listed(message.get("reasoning_details")).map(Ref::to_json));
    }

    fn call(&mut self, call: Ref<'_>, at: usize, reply: &mut Reply, delta: &mut Delta) {
        let index = call.get("index").and_then(Ref::as_i64);
        let id = text_of(call, "id");
        // Some servers leave out the wrapper around name and arguments.
        let function = call.get("function").filter(|f| f.is_object()).unwrap_or(call);
        let slot = self.slot(index, id, function, at, reply);
        self.fragment(function, slot, index, id, reply, delta);
        if let (Some(extra), Some(kept)) = (call.get("extra_content"), self.calls.get_mut(slot)) {
            kept.extra = Some(extra.to_json());
        }
    }

    /// Which call a fragment belongs to: by index, else by id, else by its position in the list;
    /// a fragment alone in its list belongs to the last call.
    fn slot(
        &self,
        index: Option<i64>,
        id: Option<&str>,
        function: Ref<'_>,
        at: usize,
        reply: &Reply,
    ) -> usize {
        let by_id = || reply.tool_calls.iter().position(|call| Some(call.id.as_str()) == id);
        let next = reply.tool_calls.len();
        let found = match (index, id) {
            (Some(_), _) => self.calls.iter().rposition(|call| call.index == index),
            (None, Some(_)) => by_id(),
            (None, None) => Some(at).filter(|at| *at < next),
        };
        match found {
            // Some servers number every call 0: a whole call at a place that is taken is new.
            Some(slot) => match reply.tool_calls.get(slot) {
                Some(call) if !is_another(call, id, function) => slot,
                _ => next,
            },
            None => next,
        }
    }

    fn fragment(
        &mut self,
        function: Ref<'_>,
        slot: usize,
        index: Option<i64>,
        id: Option<&str>,
        reply: &mut Reply,
        delta: &mut Delta,
    ) {
        if slot >= reply.tool_calls.len() {
            reply.tool_calls.push(ToolCall::default());
            self.calls.resize_with(reply.tool_calls.len(), || Call { index, extra: None });
        }
        let Some(call) = reply.tool_calls.get_mut(slot) else { return };
        let mut piece = ToolCallDelta { index: slot, ..ToolCallDelta::default() };
        if let Some(id) = id.filter(|_| call.id.is_empty()) {
            call.id = id.to_owned();
            piece.id = Some(id.to_owned());
        }
        if let Some(name) = text_of(function, "name").filter(|name| *name != call.name) {
            call.name.push_str(name);
            piece.name = Some(name.to_owned());
        }
        if let Some(arguments) = function.get("arguments") {
            piece.arguments = added_arguments(arguments, &call.arguments_json);
            call.arguments_json.push_str(&piece.arguments);
        }
        merge(delta, piece);
    }

    fn finish(&mut self, reply: &mut Reply) {
        for (i, call) in reply.tool_calls.iter_mut().enumerate() {
            if call.id.is_empty() {
                call.id = format!("call_{}", i + 1);
            }
        }
        let called = !reply.tool_calls.is_empty();
        reply.finish = Some(match reply.finish.unwrap_or_default() {
            _ if self.refused => Finish::ContentFilter,
            Finish::Stop | Finish::Unknown if called => Finish::ToolCalls,
            finish => finish,
        });
        self.keep_blocks(reply);
    }

    /// DeepSeek and Kimi want the thinking of a tool round back, OpenRouter its details, Gemini
    /// what it attached to a call. Plain answers take nothing back.
    fn keep_blocks(&mut self, reply: &mut Reply) {
        let mut blocks = Map::new();
        if let Some(key) = self.thinking_key.filter(|_| !reply.tool_calls.is_empty()) {
            blocks.insert(key.into(), Value::from(reply.thinking.as_str()));
        }
        if !self.details.is_empty() {
            blocks.insert("reasoning_details".into(), std::mem::take(&mut self.details).into());
        }
        for (call, kept) in reply.tool_calls.iter().zip(&mut self.calls) {
            if let Some(extra) = kept.extra.take() {
                self.extras.insert(call.id.clone(), json!({ "extra_content": extra }));
            }
        }
        if !self.extras.is_empty() {
            blocks.insert("tool_calls".into(), std::mem::take(&mut self.extras).into());
        }
        if !blocks.is_empty() {
            reply.blocks = Some(blocks.into());
        }
    }
}

/// Only the first answer is read where several were asked for.
fn first_choice(choices: Ref<'_>) -> Option<Ref<'_>> {
    choices
        .items()
        .find(|choice| choice.get("index").and_then(Ref::as_i64).is_none_or(|index| index == 0))
}

fn has_error(part: Ref<'_>) -> bool {
    part.get("error").is_some_and(|error| match error.kind() {
        Kind::Null => false,
        Kind::Bool => error.as_bool() == Some(true),
        Kind::Str => error.as_bytes() != Some(b""),
        _ => true,
    })
}

/// A member that is a text and not empty.
fn text_of<'t>(value: Ref<'t>, key: &str) -> Option<&'t str> {
    value.get(key)?.as_str().filter(|text| !text.is_empty())
}

/// The items of an array; anything else but null stands for itself.
fn listed(value: Option<Ref<'_>>) -> impl Iterator<Item = Ref<'_>> {
    let single = value.filter(|value| value.kind() == Kind::Object);
    value.into_iter().flat_map(Ref::items).chain(single)
}

/// Text, or parts of which some may be thinking (Mistral).
fn add_content(content: Ref<'_>, reply: &mut Reply, delta: &mut Delta) {
    if let Some(text) = content.as_str() {
        return add_text(text, reply, delta);
    }
    for part in content.items() {
        if let Some(thinking) = part.get("thinking") {
            let inner = thinking.items().filter_map(|part| text_of(part, "text"));
            for text in thinking.as_str().into_iter().chain(inner) {
                add_thinking(text, reply, delta);
            }
        } else if let Some(text) = text_of(part, "text").or_else(|| part.as_str()) {
            add_text(text, reply, delta);
        }
    }
}

fn add_text(text: &str, reply: &mut Reply, delta: &mut Delta) {
    reply.content.push_str(text);
    delta.content.push_str(text);
}

fn add_thinking(text: &str, reply: &mut Reply, delta: &mut Delta) {
    reply.thinking.push_str(text);
    delta.thinking.push_str(text);
}

/// Whether a fragment begins another call although it is addressed like one that is complete.
fn is_another(call: &ToolCall, id: Option<&str>, function: Ref<'_>) -> bool {
    let other_id = id.is_some_and(|id| !call.id.is_empty() && id != call.id);
    let unnamed = id.is_none() && call.id.is_empty();
    let has_name = text_of(function, "name").is_some();
    has_name && (other_id || unnamed) && is_complete(&call.arguments_json)
}

fn is_complete(arguments: &str) -> bool {
    arguments.ends_with('}') && serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_ok()
}

/// What a fragment adds: text as it is, a document as its text, a repeated whole nothing.
fn added_arguments(arguments: Ref<'_>, so_far: &str) -> String {
    match arguments.kind() {
        Kind::Null => String::new(),
        Kind::Str => match arguments.as_str() {
            Some(text) if text == so_far && is_complete(text) => String::new(),
            text => text.unwrap_or_default().to_owned(),
        },
        _ if so_far.is_empty() => text::to_string(arguments),
        _ => String::new(),
    }
}

fn merge(delta: &mut Delta, piece: ToolCallDelta) {
    let Some(same) = delta.tool_calls.iter_mut().find(|call| call.index == piece.index) else {
        return delta.tool_calls.push(piece);
    };
    same.id = same.id.take().or(piece.id);
    same.name = match (same.name.take(), piece.name) {
        (Some(start), Some(rest)) => Some(start + &rest),
        (start, rest) => start.or(rest),
    };
    same.arguments.push_str(&piece.arguments);
}

fn finish_of(native: &str) -> Finish {
    match native {
        "stop" => Finish::Stop,
        "length" | "model_length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        "content_filter" => Finish::ContentFilter,
        _ => Finish::Unknown,
    }
}

fn usage_of(usage: Ref<'_>) -> Usage {
    let prompt = usage.get("prompt_tokens_details");
    let completion = usage.get("completion_tokens_details");
    let tokens = |key: &str| number(Some(usage), key).unwrap_or(0);
    let (prompt_tokens, completion_tokens) = (tokens("prompt_tokens"), tokens("completion_tokens"));
    Usage {
        prompt_tokens,
        completion_tokens,
        cached_tokens: number(prompt, "cached_tokens")
            .or_else(|| number(Some(usage), "prompt_cache_hit_tokens")),
        cache_write_tokens: number(prompt, "cache_write_tokens"),
        reasoning_tokens: number(completion, "reasoning_tokens"),
        other_tokens: tokens("total_tokens").saturating_sub(prompt_tokens + completion_tokens),
        estimated: false,
    }
}

fn number(value: Option<Ref<'_>>, key: &str) -> Option<u64> {
    let number = value?.get(key)?.as_f64()?;
    (number >= 0.0).then_some(number as u64)
}
