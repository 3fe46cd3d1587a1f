//! OpenAI's responses: a list of items, announced, filled in and closed one after the other.

use serde_json::{Value, json};

use super::asked::Asked;
use super::openai::OpenAi;
use super::refusal::Refusal;
use super::stream::{Stream, pieces};
use super::talk::{Called, Talk};
use super::vendor::Vendor;

#[derive(Debug)]
pub struct Responses;

impl Vendor for Responses {
    fn chat_path(&self) -> &'static str {
        "/responses"
    }

    /// As `incomplete_details` say it; empty where the response is complete.
    fn finish(&self, neutral: &str) -> &'static str {
        match neutral {
            "length" => "max_output_tokens",
            "content_filter" => "content_filter",
            _ => "",
        }
    }

    fn document(&self, talk: &Talk<'_>) -> Value {
        let items: Vec<_> = items(talk).iter().map(Item::whole).collect();
        let status = if talk.finish.is_empty() { "completed" } else { "incomplete" };
        let mut response = frame(talk, status, items.into());
        if status == "incomplete" {
            response["incomplete_details"] = json!({"reason": talk.finish});
        }
        response["completed_at"] = talk.asked.created.into();
        response["usage"] = usage(talk);
        response
    }

    fn say(&self, talk: &Talk<'_>, stream: &mut Stream) {
        let begun = frame(talk, "in_progress", json!([]));
        put(stream, json!({"type": "response.created", "response": begun}));
        put(stream, json!({"type": "response.in_progress", "response": begun}));
        for (at, item) in items(talk).iter().enumerate() {
            put(stream, event("response.output_item.added", at, "item", item.empty()));
            item.fill(at, stream);
            put(stream, event("response.output_item.done", at, "item", item.whole()));
        }
    }

    fn end(&self, talk: &Talk<'_>, stream: &mut Stream) {
        let response = self.document(talk);
        let kind = if talk.finish.is_empty() { "completed" } else { "incomplete" };
        put(stream, json!({"type": format!("response.{kind}"), "response": response}));
    }

    fn fail(&self, talk: &Talk<'_>, refusal: &Refusal, stream: &mut Stream) {
        let mut response = frame(talk, "failed", json!([]));
        let error = self.refusal(talk.asked, refusal)["error"].take();
        let code = if error["code"].is_null() { &error["type"] } else { &error["code"] };
        response["error"] = json!({"code": code, "message": refusal.message});
        put(stream, json!({"type": "response.failed", "response": response}));
    }

    fn refusal(&self, asked: &Asked<'_>, refusal: &Refusal) -> Value {
        OpenAi.refusal(asked, refusal)
    }
}

/// What the output consists of.
enum Item<'a> {
    Reasoning { id: String, text: &'a str },
    Message { id: String, text: &'a str, pieces: Vec<&'a str> },
    Call { id: String, call: &'a Called<'a> },
}

fn items<'a>(talk: &'a Talk<'_>) -> Vec<Item<'a>> {
    let (thinking, text) = (talk.thinking(), talk.content());
    let reasoning = Item::Reasoning { id: talk.asked.name("rs"), text: thinking };
    let message = Item::Message { id: talk.asked.name("msg"), text, pieces: talk.pieces() };
    // Of nothing but calls there is no message.
    let speaks = !text.is_empty() || (talk.calls.is_empty() && thinking.is_empty());
    let id = |i: usize| format!("{}_{}", talk.asked.name("fc"), i + 1);
    let calls = talk.calls.iter().enumerate().map(|(i, call)| Item::Call { id: id(i), call });
    let reasoning = Some(reasoning).filter(|_| !thinking.is_empty());
    let message = Some(message).filter(|_| speaks);
    reasoning.into_iter().chain(message).chain(calls).collect()
}

impl Item<'_> {
    fn whole(&self) -> Value {
        match self {
            Item::Reasoning { id, text } => {
                json!({"type": "reasoning", "id": id, "summary": [summary(text)]})
            }
            Item::Message { id, text, .. } => json!({
                "type": "message", "id": id, "role": "assistant", "status": "completed",
                "content": [output(text)],
            }),
            Item::Call { id, call } => wire_call(id, call, call.arguments, "completed"),
        }
    }

    /// As it is announced.
    fn empty(&self) -> Value {
        match self {
            Item::Reasoning { id, .. } => json!({"type": "reasoning", "id": id, "summary": []}),
            Item::Message { id, .. } => json!({
                "type": "message", "id": id, "role": "assistant", "status": "in_progress",
                "content": [],
            }),
            Item::Call { id, call } => wire_call(id, call, "", "in_progress"),
        }
    }

    /// The events between.
    fn fill(&self, at: usize, stream: &mut Stream) {
        match self {
            Item::Reasoning { id, text } => {
                let part = Part { id, at, kind: "reasoning_summary", index: "summary_index" };
                part.fill(stream, text, &pieces(text).collect::<Vec<_>>(), summary);
            }
            Item::Message { id, text, pieces } => {
                let part = Part { id, at, kind: "output", index: "content_index" };
                part.fill(stream, text, pieces, output);
            }
            Item::Call { id, call } => fill_call(id, at, call, stream),
        }
    }
}

/// A part of an item that holds text.
struct Part<'a> {
    id: &'a str,
    at: usize,
    kind: &'a str,
    index: &'a str,
}

impl Part<'_> {
    fn event(&self, kind: &str, key: &str, value: Value) -> Value {
        let mut event = event(kind, self.at, key, value);
        event["item_id"] = self.id.into();
        event[self.index] = 0.into();
        event
    }

    fn fill(&self, stream: &mut Stream, text: &str, pieces: &[&str], part: fn(&str) -> Value) {
        let around = if self.kind == "output" { "content" } else { self.kind };
        let begun = format!("response.{around}_part.added");
        put(stream, self.event(&begun, "part", part("")));
        for piece in pieces {
            let kind = format!("response.{}_text.delta", self.kind);
            put(stream, self.text_event(&kind, "delta", piece));
        }
        let done = format!("response.{}_text.done", self.kind);
        put(stream, self.text_event(&done, "text", text));
        let ended = format!("response.{around}_part.done");
        put(stream, self.event(&ended, "part", part(text)));
    }

    fn text_event(&self, kind: &str, key: &str, text: &str) -> Value {
        let mut event = self.event(kind, key, text.into());
        if self.kind == "output" {
            event["logprobs"] = json!([]);
        }
        event
    }
}

fn fill_call(id: &str, at: usize, call: &Called<'_>, stream: &mut Stream) {
    let arguments = |kind: &str, key: &str, text: &str| {
        let kind = format!("response.function_call_arguments.{kind}");
        let mut event = event(&kind, at, key, text.into());
        event["item_id"] = id.into();
        event
    };
    for piece in pieces(call.arguments) {
        put(stream, arguments("delta", "delta", piece));
    }
    let mut done = arguments("done", "arguments", call.arguments);
    done["name"] = call.name.into();
    put(stream, done);
}

fn summary(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

fn output(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn wire_call(id: &str, call: &Called<'_>, arguments: &str, status: &str) -> Value {
    json!({
        "type": "function_call", "id": id, "call_id": call.id, "name": call.name,
        "arguments": arguments, "status": status,
    })
}

fn event(kind: &str, at: usize, key: &str, value: Value) -> Value {
    json!({"type": kind, "output_index": at, key: value})
}

/// Events are numbered.
fn put(stream: &mut Stream, mut event: Value) {
    event["sequence_number"] = stream.chunks.len().into();
    stream.named(&event);
}

fn frame(talk: &Talk<'_>, status: &str, output: Value) -> Value {
    let body = &talk.asked.body;
    let or = |key: &str, default: Value| match &body[key] {
        Value::Null => default,
        value => value.clone(),
    };
    json!({
        "id": talk.asked.name("resp"), "object": "response", "created_at": talk.asked.created,
        "status": status, "background": false, "error": null, "incomplete_details": null,
        "instructions": body["instructions"], "max_output_tokens": body["max_output_tokens"],
        "model": talk.model(), "output": output,
        "parallel_tool_calls": or("parallel_tool_calls", true.into()),
        "previous_response_id": body["previous_response_id"],
        "reasoning": or("reasoning", json!({"effort": null, "summary": null})),
        "store": or("store", true.into()), "temperature": or("temperature", 1.0.into()),
        "text": or("text", json!({"format": {"type": "text"}})),
        "tool_choice": or("tool_choice", "auto".into()), "tools": or("tools", json!([])),
        "top_p": or("top_p", 1.0.into()), "truncation": or("truncation", "disabled".into()),
        "usage": null, "user": null, "metadata": or("metadata", json!({})),
    })
}

fn usage(talk: &Talk<'_>) -> Value {
    let usage = &talk.usage;
    let tokens = |n: Option<u64>| n.unwrap_or(0);
    let asked = json!({
        "cached_tokens": tokens(usage.cached_tokens),
        "cache_write_tokens": tokens(usage.cache_write_tokens),
    });
    json!({
        "input_tokens": usage.prompt_tokens, "input_tokens_details": asked,
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": tokens(usage.reasoning_tokens)},
        "total_tokens": usage.total_tokens(),
    })
}
