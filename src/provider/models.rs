//! Which models a provider has: asked live, remembered for a while.

use serde_json::{Map, Value};

use super::attempts::{Attempts, Due};
use super::models_of_file;
use super::options;
use super::source::Source;
use super::whom::Whom;
use super::wire::Model;
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step, Token, stopped};
use crate::value::{Data, Record};

/// How long an answer is remembered.
pub const REMEMBERED_MS: u64 = 300_000;

/// The question, as a machine.
pub struct ModelList {
    whom: Whom,
    provider: String,
    answer: Answer,
}

/// Where the list comes from.
enum Answer {
    Known(Vec<Model>),
    Asked(Box<Attempts>),
}

impl ModelList {
    pub fn new(
        runtime: &mut Runtime,
        whom: Whom,
        call: &Map<String, Value>,
        total: Option<Moment>,
    ) -> Result<ModelList> {
        let now = runtime.clock.now();
        let provider = runtime.providers.ask(&whom)?;
        let refresh = call.get("refresh") == Some(&Value::Bool(true));
        let answer = match (provider.models(now), provider.model_path()) {
            (Some(models), _) if !refresh => Answer::Known(models),
            (_, Some(path)) => Answer::Known(models_of_file(&path)?),
            _ => {
                let all = options::lay([&runtime.config.http, &provider.options, call]);
                let network = options::network(&all, total);
                let source = Source::of(provider, &network)?;
                Answer::Asked(Box::new(Attempts::new(source, network.retry)))
            }
        };
        Ok(ModelList { provider: provider.id.clone(), whom, answer })
    }

    pub fn operation(self, deadline: Option<Moment>) -> Operation {
        let subject = self.provider.clone();
        Operation { name: "provider_models", subject, machine: Box::new(self), deadline }
    }

    fn go_on(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let attempts = match &mut self.answer {
            Answer::Known(models) => return Ok(done(models)),
            Answer::Asked(attempts) => attempts,
        };
        attempts.rearm();
        match attempts.due(runtime) {
            Due::Send => attempts.send(runtime, me, None, false),
            Due::Wait(until) => Ok(Step::Wait(Some(until))),
            Due::Look => {
                let end = attempts.inbox.lock().end.take();
                match end {
                    None => Ok(Step::Wait(None)),
                    Some(Ok(())) => {
                        let models = attempts.models()?;
                        Ok(self.arrived(runtime, models))
                    }
                    Some(Err(error)) => attempts.again(runtime, error),
                }
            }
        }
    }

    fn arrived(&self, runtime: &mut Runtime, mut models: Vec<Model>) -> Step {
        models.sort_by(|a, b| a.id.cmp(&b.id));
        let step = done(&models);
        let until = runtime.clock.now().after_ms(REMEMBERED_MS);
        if let Some(provider) = runtime.providers.asked(&self.whom, &self.provider) {
            provider.remember_models(models, until);
        }
        step
    }

    fn complete(&self, error: Error) -> Error {
        match &self.answer {
            Answer::Known(_) => error,
            Answer::Asked(attempts) => attempts.complete(error, &self.provider),
        }
    }
}

fn done(models: &[Model]) -> Step {
    Step::Done(Output::Data(Data::from(models.iter().map(record).collect::<Vec<_>>())))
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

impl Machine for ModelList {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        let result = match outcome {
            Outcome::Start | Outcome::Ready => self.go_on(runtime, me),
            Outcome::Stop(stop) => {
                self.abandon(runtime, me);
                Err(stopped(&stop, "the request"))
            }
            _ => Err(Error::internal("nothing was called")),
        };
        result.map_err(|error| self.complete(error))
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {
        if let Answer::Asked(attempts) = &mut self.answer {
            attempts.hang_up();
        }
    }
}
