//! Which models a provider has: asked live, remembered for a while.

use super::inquiry::Subject;
use super::instance::Provider;
use super::models_of_file;
use super::question::{Found, Model, Question};
use super::whom::Whom;
use crate::clock::Moment;
use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;
use crate::value::{Data, Record};

/// How long an answer is remembered.
pub const REMEMBERED_MS: u64 = 300_000;

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
}

#[derive(Default)]
enum Known {
    #[default]
    Nothing,
    /// Asked just now.
    Learned,
    /// From a file, or from memory.
    Before,
}

impl ModelList {
    /// What is known of the models of a provider; with `refresh` only what a file holds.
    pub fn of(runtime: &mut Runtime, whom: &Whom, refresh: bool) -> Result<ModelList> {
        let now = runtime.clock.now();
        let provider = runtime.providers.ask(whom)?;
        let models = match (provider.models(now), provider.model_path()) {
            (Some(models), _) if !refresh => models,
            (_, Some(path)) => models_of_file(&path)?,
            _ => return Ok(ModelList::default()),
        };
        Ok(ModelList { models, known: Known::Before, ..ModelList::default() })
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

    fn result(&mut self, now: Moment, provider: Option<&mut Provider>) -> Data {
        if let (Known::Learned, Some(provider)) = (&self.known, provider) {
            provider.remember_models(self.models.clone(), now.after_ms(REMEMBERED_MS));
        }
        Data::from(self.models.iter().map(record).collect::<Vec<_>>())
    }
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
