//! Texts as vectors, made by a context of their own, which lives no longer than the request.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::{LlamaContextParams, LlamaPoolingType};
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

use super::engine::backend;
use super::gate;
use crate::error::{Code, Error, Result};

/// Texts in the queue, and who is told of their vectors.
pub struct Texts {
    pub texts: Vec<String>,
    pub cancelled: Arc<AtomicBool>,
    pub done: Box<dyn FnOnce(Result<Made>) + Send>,
}

/// A vector of length 1 for each text, and how many tokens they had.
pub struct Made {
    pub vectors: Vec<Vec<f64>>,
    pub tokens: u64,
}

impl Texts {
    pub fn make(&self, model: &LlamaModel, name: &str, threads: u32) -> Result<Made> {
        let texts = self.tokens(model, name)?;
        let longest = texts.iter().map(Vec::len).max().unwrap_or(1);
        let mut context = context(model, longest, threads)?;
        let mut batch = LlamaBatch::new(longest, 1);
        let mut vectors = Vec::with_capacity(texts.len());
        for tokens in &texts {
            if self.cancelled.load(Ordering::Relaxed) || gate::ending() {
                return Err(Error::new(Code::Cancelled, "the embedding was cancelled"));
            }
            vectors.push(vector(&mut context, &mut batch, tokens)?);
        }
        let tokens = texts.iter().map(|tokens| tokens.len() as u64).sum();
        Ok(Made { vectors, tokens })
    }

    fn tokens(&self, model: &LlamaModel, name: &str) -> Result<Vec<Vec<LlamaToken>>> {
        let _open = gate::enter();
        let most = model.n_ctx_train() as usize;
        let one = |(i, text): (usize, &String)| {
            let tokens = model.vocab().tokenize(text.as_bytes(), true, false);
            if (1..=most).contains(&tokens.len()) {
                return Ok(tokens);
            }
            let (place, got) = (i + 1, tokens.len());
            let message = format!("text {place} has {got} tokens, {name} takes 1 to {most}");
            Err(Error::new(Code::ContextLength, message))
        };
        self.texts.iter().enumerate().map(one).collect()
    }
}

/// Models that look in both directions want a whole text at once.
fn context(model: &LlamaModel, tokens: usize, threads: u32) -> Result<LlamaContext<'_>> {
    let size = u32::try_from(tokens).map_err(|_| Error::internal("too many tokens"))?;
    let threads = i32::try_from(threads).unwrap_or(1);
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(size))
        .with_n_batch(size)
        .with_n_ubatch(size)
        .with_n_threads(threads)
        .with_n_threads_batch(threads)
        .with_embeddings(true)
        .with_pooling_type(pooling(model)?)
        .with_no_perf(true);
    let _open = gate::enter();
    let context = model.new_context(backend()?, params);
    gate::guard_exit();
    context.map_err(|_| Error::internal(format!("no memory for a context of {size} tokens")))
}

/// As the model was made for. One that was made for chat gives the mean of its tokens.
fn pooling(model: &LlamaModel) -> Result<LlamaPoolingType> {
    let _open = gate::enter();
    let text = |key: &str| model.meta_val_str(key).ok();
    let architecture = text("general.architecture").unwrap_or_default();
    match text(&format!("{architecture}.pooling_type")).as_deref() {
        None | Some("0") => Ok(LlamaPoolingType::Mean),
        Some("4") => Err(Error::unsupported("this model ranks texts, it makes no embeddings")),
        Some(_) => Ok(LlamaPoolingType::Unspecified),
    }
}

fn vector(
    context: &mut LlamaContext<'_>,
    batch: &mut LlamaBatch<'_>,
    tokens: &[LlamaToken],
) -> Result<Vec<f64>> {
    let failed = |what: String| Error::internal(format!("llama.cpp: {what}"));
    let _open = gate::enter();
    context.clear_kv_cache();
    batch.clear();
    batch.add_sequence(tokens, 0, true).map_err(|e| failed(e.to_string()))?;
    context.decode(batch).map_err(|e| failed(e.to_string()))?;
    let found = context.embeddings_seq_ith(0).map_err(|e| failed(e.to_string()))?;
    let found: Vec<f64> = found.iter().copied().map(f64::from).collect();
    let length = found.iter().map(|x| x * x).sum::<f64>().sqrt();
    Ok(found.into_iter().map(|x| if length > 0.0 { x / length } else { x }).collect())
}
