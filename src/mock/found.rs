//! What a service answers besides chats: vectors, models, counts. They follow from the request
//! alone: the same text has the same vector, and texts that share words have vectors that are near.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::Dialect;
use super::asked::{Asked, Subject};

/// How long a vector is where nothing is said about it.
const DIMENSIONS: u64 = 16;
const LONGEST: u64 = 8192;

/// The document that answers, where the vendor has one.
pub fn document(dialect: Dialect, subject: &Subject, asked: &Asked<'_>) -> Option<Value> {
    match subject {
        Subject::Embeddings => embeddings(dialect, asked),
        Subject::Models => Some(models(dialect, asked)),
        Subject::Model(name) => model(dialect, name, asked),
        Subject::Count => Some(count(dialect, asked)),
        Subject::Chat | Subject::Unknown => None,
    }
}

fn embeddings(dialect: Dialect, asked: &Asked<'_>) -> Option<Value> {
    let texts = texts(asked.body);
    let vectors: Vec<_> = texts.iter().map(|text| vector(text, dimensions(asked.body))).collect();
    let tokens = asked.tokens();
    match dialect {
        Dialect::OpenAi | Dialect::Responses => {
            let packed = asked.body["encoding_format"] == "base64";
            let item = |(index, vector): (usize, &Vec<f32>)| {
                let embedding = if packed { base64(vector).into() } else { json!(vector) };
                json!({"object": "embedding", "index": index, "embedding": embedding})
            };
            let data: Vec<_> = vectors.iter().enumerate().map(item).collect();
            let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
            Some(json!({"object": "list", "data": data, "model": asked.model(), "usage": usage}))
        }
        Dialect::Cohere => Some(json!({
            "id": asked.name("embed"), "embeddings": {"float": vectors}, "texts": texts,
            "response_type": "embeddings_by_type",
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens}},
        })),
        Dialect::Ollama => Some(json!({
            "model": asked.model(), "embeddings": vectors, "total_duration": 1_000_000,
            "load_duration": 1_000, "prompt_eval_count": tokens,
        })),
        Dialect::Anthropic => None,
    }
}

/// Each may also be given as the numbers of its tokens.
fn texts(body: &Value) -> Vec<String> {
    let given = if body["input"].is_null() { &body["texts"] } else { &body["input"] };
    match given {
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        Value::Array(items) if items.iter().all(Value::is_array) => {
            items.iter().map(Value::to_string).collect()
        }
        Value::String(text) => vec![text.clone()],
        Value::Null => Vec::new(),
        other => vec![other.to_string()],
    }
}

fn dimensions(body: &Value) -> usize {
    let asked = ["dimensions", "output_dimension"].iter().find_map(|key| body[*key].as_u64());
    asked.unwrap_or(DIMENSIONS).clamp(1, LONGEST) as usize
}

/// A vector of length 1: each word of the text stands for a direction.
fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut sum = vec![0.0_f64; dimensions];
    // The text itself counts a little, so that no vector is empty.
    add(&mut sum, lower.as_bytes(), 0.1);
    words.for_each(|word| add(&mut sum, word.as_bytes(), 1.0));
    let length = sum.iter().map(|n| n * n).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    sum.iter().map(|n| (n / length) as f32).collect()
}

fn add(sum: &mut [f64], word: &[u8], weight: f64) {
    let mut seed = word.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    for n in sum {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *n += weight * ((seed >> 33) as f64 / f64::from(1_u32 << 31) * 2.0 - 1.0);
    }
}

fn base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|n| n.to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}

fn models(dialect: Dialect, asked: &Asked<'_>) -> Value {
    let list = json!([item(dialect, asked.model, asked)]);
    match dialect {
        Dialect::OpenAi | Dialect::Responses => json!({"object": "list", "data": list}),
        Dialect::Anthropic => json!({
            "data": list, "has_more": false, "first_id": asked.model, "last_id": asked.model,
        }),
        Dialect::Cohere | Dialect::Ollama => json!({"models": list}),
    }
}

/// One model of that list; Ollama has no address for it.
fn model(dialect: Dialect, name: &str, asked: &Asked<'_>) -> Option<Value> {
    let known = name == asked.model && dialect != Dialect::Ollama;
    known.then(|| item(dialect, name, asked))
}

fn item(dialect: Dialect, name: &str, asked: &Asked<'_>) -> Value {
    match dialect {
        Dialect::OpenAi | Dialect::Responses => {
            json!({"id": name, "object": "model", "created": asked.created, "owned_by": "mock"})
        }
        Dialect::Anthropic => json!({
            "type": "model", "id": name, "display_name": name, "created_at": asked.timestamp(),
        }),
        Dialect::Cohere => json!({
            "name": name, "endpoints": ["chat", "embed"], "context_length": 128_000,
            "is_deprecated": false, "finetuned": false,
        }),
        Dialect::Ollama => json!({
            "name": name, "model": name, "modified_at": asked.timestamp(), "size": 0,
            "digest": "", "details": {"format": "gguf", "family": "mock"},
        }),
    }
}

fn count(dialect: Dialect, asked: &Asked<'_>) -> Value {
    let tokens = asked.tokens();
    match dialect {
        Dialect::Responses => json!({"object": "response.input_tokens", "input_tokens": tokens}),
        Dialect::OpenAi => json!({"input_tokens": tokens, "count": tokens}),
        Dialect::Anthropic | Dialect::Cohere | Dialect::Ollama => json!({"input_tokens": tokens}),
    }
}
