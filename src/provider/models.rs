//! Which models a provider has: asked live, remembered for a while.

use std::rc::Rc;

use super::inquiry::Subject;
use super::instance::Provider;
use super::models_of_file;
use super::question::{Found, Model, Question};
use super::whom::Whom;
use crate::error::{Code, Error, Result};
use crate::optimize::functions::GET_MODELS;
use crate::optimize::{Key, Recall};
use crate::runtime::Runtime;
use crate::value::{Data, Record};

/// Pages of a list that are asked for.
const MOST_PAGES: usize = 100;

/// The list, as far as it is known.
#[derive(Default)]
pub struct ModelList {
    models: Vec<Model>,
    known: Known,
    pages: usize,
    /// Where it continues.
    next: Option<String>,
    /// How it is kept once it is known.
    recall: Option<Recall>,
}

#[derive(Default)]
enum Known {
    #[default]
    Nothing,
    /// Asked just now.
    Learned,
    /// From a file, or from the cache.
    Before,
}

impl ModelList {
    /// What is known of the models of a provider; with `refresh` only what a file holds.
    pub fn of(runtime: &mut Runtime, whom: &Whom, refresh: bool) -> Result<ModelList> {
        let provider = runtime.providers.ask(whom)?;
        let recall = question(provider);
        if let Some(path) = provider.model_path() {
            return Ok(ModelList::before(models_of_file(&path)?));
        }
        if !runtime.cache.is_on(GET_MODELS) {
            return Ok(ModelList::default());
        }
        let known = (!refresh).then(|| runtime.cache.find::<Rc<[Model]>>(&recall));
        match known.flatten() {
            Some(models) => Ok(ModelList::before(models.to_vec())),
            None => Ok(ModelList { recall: Some(recall), ..ModelList::default() }),
        }
    }

    fn before(models: Vec<Model>) -> ModelList {
        ModelList { models, known: Known::Before, ..ModelList::default() }
    }

    fn keep(&mut self, runtime: &mut Runtime) {
        let Some(recall) = self.recall.take() else { return };
        let texts = |model: &Model| size_of::<Model>() + model.id.len() + model.name.len();
        let weight = self.models.iter().map(texts).sum();
        runtime.cache.keep(recall, weight, Rc::<[Model]>::from(self.models.as_slice()));
    }
}

impl Subject for ModelList {
    const NAME: &'static str = "provider_models";

    fn question(&self) -> Option<Question<'_>> {
        matches!(self.known, Known::Nothing).then_some(Question::Models(self.next.as_deref()))
    }

    fn learn(&mut self, found: Found) -> Result<()> {
        let Found::Models(listing) = found else {
            return Err(Error::internal("no models were listed"));
        };
        self.models.extend(listing.models);
        self.pages += 1;
        match listing.next {
            Some(next) if self.next.as_ref() == Some(&next) || self.pages == MOST_PAGES => {
                return Err(Error::new(Code::BadResponse, "the list of models has no end"));
            }
            next => self.next = next,
        }
        if self.next.is_none() {
            self.models.sort_by(|a, b| a.id.cmp(&b.id));
            self.known = Known::Learned;
        }
        Ok(())
    }

    fn result(&mut self, runtime: &mut Runtime) -> Data {
        if matches!(self.known, Known::Learned) {
            self.keep(runtime);
        }
        Data::from(self.models.iter().map(record).collect::<Vec<_>>())
    }
}

/// The models of that provider, as it is configured now.
fn question(provider: &Provider) -> Recall {
    let mut key = Key::of(GET_MODELS);
    key.text(&provider.id);
    key.text(provider.base_url());
    key.option(provider.stand(), |key, stand| key.int(stand.number as i64));
    Recall::new(key, [provider.configured, 0, 0, 0])
}

fn record(model: &Model) -> Record {
    Record::new()
        .set("id", model.id.as_str())
        .set("name", model.name.as_str())
        .set("owned_by", model.owned_by.clone())
        .set("created", model.created)
        .set("context_length", model.context_length)
        .set("max_output_tokens", model.max_output_tokens)
}
