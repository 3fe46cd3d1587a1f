//! Embeddings and counts, as OpenAI and its imitators are asked for them.

use serde_json::{Value, json};

use super::payload;
use super::server::{Counts, Embeds, Server};
use crate::error::{Error, Result};
use crate::provider::documents;
use crate::provider::fields::{Object, overlay, post, refuse, set, without};
use crate::provider::question::{Count, Embed};
use crate::provider::reading::number;
use crate::provider::wire::{Endpoint, Outgoing};
use crate::value::Ref;

pub fn embeddings(endpoint: &Endpoint, embed: &Embed, how: Option<Embeds>) -> Result<Outgoing> {
    let how = how.ok_or_else(|| Error::unsupported("this provider makes no embeddings"))?;
    refuse(&[("input_type", embed.input_type.is_some() && !how.input_type)])?;
    let mut body = Object::new();
    body.insert("model".into(), embed.model.as_str().into());
    body.insert("input".into(), embed.texts.as_slice().into());
    set(&mut body, how.dimensions, embed.dimensions);
    set(&mut body, "input_type", embed.input_type.as_deref());
    set(&mut body, "encoding_format", how.base64.then_some("base64"));
    overlay(&mut body, &embed.extra);
    Ok(post(endpoint, "/embeddings", body, ""))
}

pub fn count(endpoint: &Endpoint, count: &Count, server: &Server) -> Result<Outgoing> {
    let root = without(endpoint, &["/v1"]);
    match server.counts {
        Some(Counts::LlamaCpp) if count.text => {
            Ok(post(&root, "/tokenize", Object::from_iter([("content".into(), text(count))]), ""))
        }
        Some(Counts::LlamaCpp) => {
            let body = payload::of(&count.request, server)?;
            Ok(post(endpoint, "/chat/completions/input_tokens", body, ""))
        }
        Some(Counts::Vllm) => Ok(post(&root, "/tokenize", tokenize(count, server)?, "")),
        None => Err(Error::unsupported("this provider does not count tokens")),
    }
}

fn text(count: &Count) -> Value {
    count.request.messages.first().map(|message| message.content.text()).into()
}

/// vLLM knows few of the members that a chat has.
fn tokenize(count: &Count, server: &Server) -> Result<Object> {
    let mut body = payload::of(&count.request, server)?;
    body.retain(|key, _| matches!(key.as_str(), "model" | "messages" | "tools"));
    if count.text {
        body.shift_remove("messages");
        body.insert("prompt".into(), text(count));
        body.insert("add_special_tokens".into(), json!(false));
    }
    Ok(body)
}

/// The number, or the tokens themselves.
pub fn read_count(body: &[u8]) -> Result<u64> {
    documents::read(body, "the number of tokens", |document| {
        let named = ["input_tokens", "count", "n_tokens"];
        let number = named.iter().find_map(|key| number(Some(document), key));
        let tokens = || document.get("tokens").filter(|t| t.is_array()).map(Ref::len);
        number.or_else(|| tokens().map(|n| n as u64))
    })
}
