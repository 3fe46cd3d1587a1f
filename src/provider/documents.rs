//! What the documents that are no chats have in common: how they are read, and embeddings in them.

use super::failure;
use super::question::Embeddings;
use super::reading::{count, has_error, is_cut};
use super::sse::without_bom;
use crate::chat::media::decoded;
use crate::error::{Error, Result};
use crate::value::{Ref, Tape, json};

/// Reads a document. `what` names it in errors; an answer may report an error with status 200.
pub fn read<T>(body: &[u8], what: &str, find: impl FnOnce(Ref<'_>) -> Option<T>) -> Result<T> {
    let body = without_bom(body).trim_ascii();
    let mut tape = Tape::default();
    let at = match json::parse(body, &mut tape) {
        Ok(at) => at,
        Err(_) if body.is_empty() || is_cut(body) => return Err(failure::ended_early()),
        Err(_) => return Err(no(what, "is no JSON", body)),
    };
    let document = tape.at(at).ok_or_else(|| no(what, "is empty", body))?;
    if has_error(document) {
        return Err(failure::from_document(&document.to_json()));
    }
    find(document).ok_or_else(|| no(what, "has none", body))
}

fn no(what: &str, why: &str, body: &[u8]) -> Error {
    failure::not_understood(&format!("{what}: the answer {why}"), body)
}

/// A list of vectors.
pub fn vectors(list: Ref<'_>) -> Option<Vec<Vec<f64>>> {
    list.is_array().then(|| list.items().map(vector).collect())?
}

/// A vector: a list of numbers, or their bytes (32 bits each, the lowest byte first) in base64.
pub fn vector(value: Ref<'_>) -> Option<Vec<f64>> {
    if let Some(text) = value.as_str() {
        let bytes = decoded(text)?;
        let (floats, rest) = bytes.as_chunks::<4>();
        let floats = floats.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes)));
        return rest.is_empty().then(|| floats.collect());
    }
    value.is_array().then(|| value.items().map(Ref::as_f64).collect())?
}

/// Vectors that say where they belong are put there. All of them must, or none.
pub fn in_order(items: Vec<(Option<u64>, Vec<f64>)>) -> Option<Vec<Vec<f64>>> {
    if items.iter().all(|(index, _)| index.is_none()) {
        return Some(items.into_iter().map(|(_, vector)| vector).collect());
    }
    let mut placed: Vec<Option<Vec<f64>>> = vec![None; items.len()];
    for (index, vector) in items {
        let place = placed.get_mut(usize::try_from(index?).ok()?)?;
        if place.replace(vector).is_some() {
            return None;
        }
    }
    placed.into_iter().collect()
}

/// What an OpenAI server answers to a request for embeddings.
pub fn embeddings(document: Ref<'_>) -> Option<Embeddings> {
    let data = document.get("data").filter(|data| data.is_array())?;
    let item = |item: Ref<'_>| {
        let index = item.get("index").filter(|index| !index.is_null());
        let place = match index {
            None => None,
            index => Some(count(index)?),
        };
        Some((place, vector(item.get("embedding")?)?))
    };
    let vectors = in_order(data.items().map(item).collect::<Option<_>>()?)?;
    let model = document.get("model").and_then(Ref::as_str).map(str::to_owned);
    let usage = document.get("usage");
    let tokens = ["prompt_tokens", "total_tokens"];
    let tokens = tokens.iter().find_map(|key| count(usage?.get(key)));
    Some(Embeddings { vectors, model, tokens })
}
