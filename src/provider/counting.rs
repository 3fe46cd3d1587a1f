//! How many tokens something holds: asked of who knows, else estimated.

use super::inquiry::Subject;
use super::instance::Provider;
use super::question::{Count, Found, Question};
use crate::chat::estimate;
use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;
use crate::value::Data;

/// What is to be counted, and how many tokens that are.
pub struct Counting {
    what: Count,
    /// By the engine inside the module, which has one model.
    embedded: bool,
    known: Option<Known>,
}

struct Known {
    tokens: u64,
    exact: bool,
}

impl Counting {
    pub fn new(provider: &Provider, mut what: Count) -> Counting {
        if what.request.model.is_empty() {
            what.request.model = provider.model();
        }
        let mut counting =
            Counting { what, embedded: provider.model_path().is_some(), known: None };
        if !provider.abilities().count_tokens {
            counting.estimate();
        }
        counting
    }

    fn estimate(&mut self) {
        let request = &self.what.request;
        let tokens = estimate::of_all(&request.messages, &request.tools);
        self.known = Some(Known { tokens, exact: false });
    }
}

impl Subject for Counting {
    const NAME: &'static str = "provider_count";

    fn question(&self) -> Option<Question<'_>> {
        match (&self.known, self.what.request.model.as_str()) {
            (Some(_), _) => None,
            (None, "") if !self.embedded => Some(Question::Models(None)),
            (None, _) => Some(Question::Count(&self.what)),
        }
    }

    fn learn(&mut self, found: Found) -> Result<()> {
        match found {
            Found::Models(listing) => self.what.request.model = listing.first()?,
            Found::Count(tokens) => self.known = Some(Known { tokens, exact: true }),
            Found::Embeddings(_) => return Err(Error::internal("no count came")),
        }
        Ok(())
    }

    /// Servers that speak a protocol without all of its addresses are taken for those that do not
    /// count.
    fn excuse(&mut self, error: Error) -> Result<()> {
        let unknown = matches!(error.fields().status, Some(404 | 405 | 501));
        if !unknown || error.code() == Code::NotFound {
            return Err(error);
        }
        self.estimate();
        Ok(())
    }

    fn result(&mut self, _: &mut Runtime) -> Data {
        let (tokens, exact) = self.known.as_ref().map_or((0, false), |k| (k.tokens, k.exact));
        Data::Many(vec![tokens.into(), exact.into()])
    }
}
