//! Embeddings: texts in as many requests as the provider wants, their vectors in one answer.

use std::collections::VecDeque;
use std::task::Poll;

use super::inquiry::Subject;
use super::instance::Provider;
use super::prices::Prices;
use super::question::{Embed, Embeddings, Found, Question};
use super::recall;
use super::stored::Lookup;
use crate::chat::{Usage, estimate};
use crate::clock::Moment;
use crate::error::{Code, Error, Result};
use crate::optimize::Recall;
use crate::runtime::Runtime;
use crate::step::Token;
use crate::value::{Data, Record};

/// Bytes of text in one request: OpenAI takes 300,000 tokens.
const MOST_BYTES: usize = 600_000;

/// What is to be embedded, and what is known of it.
pub struct Embedding {
    /// The request that is under way: the first of those that are left.
    now: Embed,
    left: VecDeque<Vec<String>>,
    vectors: Vec<Vec<f64>>,
    usage: Usage,
    model: Option<String>,
    provider: String,
    prices: Prices,
    /// As what the result is kept.
    recall: Option<Recall>,
    /// The result of the same question, asked before.
    kept: Option<Data>,
    /// What the store has.
    lookup: Lookup,
}

impl Embedding {
    /// `most`: texts at once, where that is to be fewer than the provider takes.
    pub fn new(provider: &Provider, mut ask: Embed, most: Option<usize>) -> Result<Embedding> {
        let batch = most.unwrap_or(usize::MAX).min(provider.embeds()?);
        if ask.model.is_empty() {
            ask.model = provider.embed_model();
        }
        let mut left = batches(std::mem::take(&mut ask.texts), batch.max(1));
        ask.texts = left.pop_front().unwrap_or_default();
        let prices = provider.prices();
        let provider = provider.id.clone();
        let (vectors, usage) = (Vec::new(), Usage::default());
        let (model, recall, kept, lookup) = (None, None, None, Lookup::Not);
        Ok(Embedding {
            now: ask,
            left,
            vectors,
            usage,
            model,
            provider,
            prices,
            recall,
            kept,
            lookup,
        })
    }

    /// The same, where the vectors may have been kept.
    #[must_use]
    pub fn recalled(mut self, runtime: &mut Runtime, recall: Option<Recall>) -> Embedding {
        self.kept = recall.as_ref().and_then(|recall| recall::vectors(runtime, recall));
        self.recall = recall;
        self
    }

    fn add(&mut self, embeddings: Embeddings) -> Result<()> {
        self.check(&embeddings.vectors)?;
        self.usage.add(&self.cost(embeddings.tokens));
        self.model = embeddings.model.or(self.model.take());
        self.vectors.extend(embeddings.vectors);
        self.now.texts = self.left.pop_front().unwrap_or_default();
        Ok(())
    }

    /// One vector for each text, all of one length.
    fn check(&self, vectors: &[Vec<f64>]) -> Result<()> {
        let (texts, got) = (self.now.texts.len(), vectors.len());
        if texts != got {
            let message = format!("embeddings: {texts} texts were sent and {got} vectors came");
            return Err(Error::new(Code::BadResponse, message));
        }
        let mut all = self.vectors.first().into_iter().chain(vectors);
        let length = all.next().map_or(0, Vec::len);
        if length > 0 && all.all(|vector| vector.len() == length) {
            return Ok(());
        }
        Err(Error::new(Code::BadResponse, "embeddings: the vectors are not of one length"))
    }

    /// The result, as far as it has come.
    fn known(&mut self) -> Record {
        let vectors = std::mem::take(&mut self.vectors);
        let dimensions = vectors.first().map_or(0, Vec::len);
        let vectors = vectors.into_iter().map(Data::Numbers).collect();
        let model = self.model.take().unwrap_or_else(|| self.now.model.clone());
        Record::new()
            .set("embeddings", Data::List(vectors))
            .set("dimensions", dimensions)
            .set("model", model)
            .set("provider", self.provider.as_str())
            .set("usage", self.usage.to_record())
            .set("cost", self.usage.cost)
    }

    fn cost(&self, tokens: Option<u64>) -> Usage {
        let texts = self.now.texts.iter();
        let guess = || texts.map(|text| estimate::of_bytes(text.len())).sum();
        let mut usage = Usage {
            prompt_tokens: tokens.unwrap_or_else(guess),
            estimated: tokens.is_none(),
            ..Usage::default()
        };
        usage.cost = self.prices.cost(&usage, &[&self.now.model]);
        usage
    }
}

/// Texts in the order given, no more at once than a request may hold.
fn batches(texts: Vec<String>, most: usize) -> VecDeque<Vec<String>> {
    let (mut all, mut bytes) = (VecDeque::<Vec<String>>::new(), 0);
    for text in texts {
        bytes += text.len();
        match all.back_mut() {
            Some(batch) if batch.len() < most && bytes <= MOST_BYTES => batch.push(text),
            _ => {
                bytes = text.len();
                all.push_back(vec![text]);
            }
        }
    }
    all
}

impl Subject for Embedding {
    const NAME: &'static str = "provider_embed";

    fn metered(&self) -> Option<(&'static str, &str)> {
        Some(("embeddings", &self.now.model))
    }

    fn question(&self) -> Option<Question<'_>> {
        match (self.now.texts.is_empty() || self.kept.is_some(), self.now.model.is_empty()) {
            (true, _) => None,
            (false, true) => Some(Question::Models(None)),
            (false, false) => Some(Question::Embed(&self.now)),
        }
    }

    fn look_in_store(&mut self, runtime: &mut Runtime, me: Token) -> Result<Option<Moment>> {
        let read = recall::read_vectors;
        match self.lookup.look(runtime, me, self.recall.as_mut(), read)? {
            Poll::Pending => return Ok(self.lookup.end()),
            Poll::Ready(None) => {}
            Poll::Ready(Some(result)) => {
                let recall = self.recall.take();
                self.kept = recall.map(|recall| recall::adopt_vectors(runtime, recall, result));
            }
        }
        Ok(None)
    }

    fn learn(&mut self, found: Found) -> Result<()> {
        match found {
            Found::Models(listing) => self.now.model = listing.first()?,
            Found::Embeddings(embeddings) => self.add(embeddings)?,
            Found::Count(_) => return Err(Error::internal("no embeddings came")),
        }
        Ok(())
    }

    fn result(&mut self, runtime: &mut Runtime) -> Data {
        match (self.kept.take(), self.recall.take()) {
            (Some(kept), _) => kept,
            (None, Some(recall)) => recall::keep_vectors(runtime, recall, self.known()),
            (None, None) => self.known().into(),
        }
    }

    fn partial(&mut self) -> Option<Data> {
        (!self.vectors.is_empty()).then(|| self.known().into())
    }

    fn used(&self) -> Usage {
        self.usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_split_by_number_and_by_size() {
        let texts = |n: usize, size: usize| (0..n).map(|_| "x".repeat(size)).collect::<Vec<_>>();
        let sizes = |all: VecDeque<Vec<String>>| all.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(batches(texts(5, 1), 2)), [2, 2, 1]);
        assert_eq!(sizes(batches(texts(4, 1), 4)), [4]);
        assert_eq!(sizes(batches(texts(3, 250_000), 9)), [2, 1]);
        assert_eq!(sizes(batches(texts(2, 700_000), 9)), [1, 1]);
        assert!(batches(Vec::new(), 9).is_empty());
    }
}
