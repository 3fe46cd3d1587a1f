//! A call that a cassette takes down, or knows the result of.

use serde_json::{Value, json};

use super::{ToolRun, in_words, recall, unspeakable};
use crate::cassette::{Outcome, failing};
use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;
use crate::step::{Output, Returned, Step};
use crate::value::{Data, Document, Ref, json as text};

impl ToolRun {
    /// The input as data, for a cassette, where it is a Lua value.
    #[must_use]
    pub fn copied(mut self, runtime: &Runtime, input: Option<Ref<'_>>) -> ToolRun {
        self.copy = input.filter(|_| runtime.cassette.takes_tools()).map(Ref::to_json);
        self
    }

    /// What is known to come of it; then nothing is called.
    pub(super) fn played(&mut self, runtime: &Runtime) -> Option<Result<Step>> {
        let heard = self.worker().is_some_and(|worker| worker.is_heard(runtime));
        self.tapes = runtime.cassette.takes_tools() && !heard && self.resumed.is_none();
        let input = self.said().filter(|_| self.tapes)?;
        let outcome = match runtime.cassette.call(&self.tool.name, &input)? {
            Ok(Outcome::Runs) => return None,
            Ok(outcome) => outcome,
            Err(missing) => return Some(Err(missing)),
        };
        self.started = Some(runtime.clock.now());
        Some(self.play(outcome))
    }

    fn play(&self, outcome: Outcome) -> Result<Step> {
        let (value, words, ms) = match outcome {
            Outcome::Returned { value, words, ms } => (value, words, ms),
            Outcome::Failed(error) => return Err(failing::read(&error)),
            Outcome::Runs => return Err(Error::internal("the call is to be made")),
        };
        let mut document = Document::default();
        document.root = text::put(&value, &mut document.tape);
        let text = words.map_or_else(|| self.read(document.value()), Ok)?;
        let result = if value.is_null() { Data::Nil } else { Data::Json(value) };
        Ok(Step::Done(Output::Tool { result, text, ms }))
    }

    /// The input, as far as it is data.
    fn said(&self) -> Option<Value> {
        match &self.input {
            Data::Json(value) => Some(value.clone()),
            Data::Document(document) => document.value().map(Ref::to_json),
            Data::Nil => Some(json!({})),
            _ => self.copy.clone(),
        }
    }

    pub(super) fn note_result(&mut self, returned: &Returned) {
        let null = || {
            let mut document = Document::default();
            document.root = text::put(&Value::Null, &mut document.tape);
            document
        };
        self.noted = match (&returned.value, &returned.document) {
            _ if !self.tapes => None,
            (None, _) => Some(null()),
            (Some(_), document) => document.as_deref().cloned(),
        };
    }

    /// The call has ended.
    pub(super) fn tell_cassette(&mut self, runtime: &Runtime, result: &Result<Step>) {
        if !self.tapes || self.paused || self.started.is_none() {
            return;
        }
        let outcome = match result {
            Ok(Step::Done(Output::Tool { text, ms, .. })) => self.outcome(text, *ms),
            Err(error) if error.code() == Code::Cancelled => Outcome::Runs,
            Err(error) => Outcome::Failed(failing::written(error, self.raised.as_deref())),
            Ok(_) => return,
        };
        if let Some(input) = self.said() {
            runtime.cassette.called(&self.tool.name, input, outcome);
        }
    }

    fn outcome(&self, text: &str, ms: f64) -> Outcome {
        let value = self.noted.as_ref().and_then(Document::value);
        let exact = value.filter(|value| unspeakable(*value).is_none() && recall::is_exact(*value));
        let Some(value) = exact else { return Outcome::Runs };
        let words = Some(text.to_owned()).filter(|text| self.for_model && *text != in_words(value));
        Outcome::Returned { value: value.to_json(), words, ms }
    }
}
