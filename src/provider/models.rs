//! Which models a provider has: asked live, remembered for a while.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::inbox::Shared;
use super::openai::OpenAi;
use super::options::{self, Network};
use super::retry::Verdict;
use super::source::{Going, Source};
use super::whom::Whom;
use super::wire::{Model, Wire};
use super::{Provider, models_of_file};
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::net::Waker;
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step, Token, stopped};
use crate::value::{Data, Record};

/// How long an answer is remembered.
pub const REMEMBERED_MS: u64 = 300_000;

/// The question, as a machine.
pub struct ModelList {
    whom: Whom,
    provider: String,
    ready: Option<Vec<Model>>,
    source: Option<Source>,
    network: Network,
    inbox: Shared,
    waker: Option<Waker>,
    going: Option<Going>,
    attempts: u32,
    pause: Option<Moment>,
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
        let all = options::lay([&runtime.config.http, &provider.options, call]);
        let network = options::network(&all, total);
        let refresh = call.get("refresh") == Some(&Value::Bool(true));
        let ready = provider.models(now).filter(|_| !refresh);
        let (ready, source) = match (ready, provider.model_path()) {
            (Some(models), _) => (Some(models), None),
            (None, Some(path)) => (Some(models_of_file(&path)?), None),
            (None, None) => (None, Some(server(provider, &network)?)),
        };
        Ok(ModelList {
            provider: provider.id.clone(),
            whom,
            ready,
            source,
            network,
            inbox: Shared::default(),
            waker: None,
            going: None,
            attempts: 0,
            pause: None,
        })
    }

    pub fn operation(self, deadline: Option<Moment>) -> Operation {
        let subject = self.provider.clone();
        Operation { name: "provider_models", subject, machine: Box::new(self), deadline }
    }

    fn send(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        if let Some(models) = self.ready.take() {
            return Ok(done(&models));
        }
        let Some(source) = &self.source else { return Err(Error::internal("no server to ask")) };
        self.attempts += 1;
        self.pause = None;
        self.inbox = Arc::new(Mutex::default());
        let waker = runtime.tasks.waker(me)?;
        self.waker = Some(waker.clone());
        self.going = Some(source.start(runtime, None, self.inbox.clone(), waker)?);
        Ok(Step::Wait(None))
    }

    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        if let Some(until) = self.pause {
            let early = runtime.clock.now() < until;
            return if early { Ok(Step::Wait(Some(until))) } else { self.send(runtime, me) };
        }
        let end = self.inbox.lock().end.take();
        match end {
            None => Ok(Step::Wait(None)),
            Some(Ok(())) => self.arrived(runtime),
            Some(Err(error)) => self.failed(runtime, error),
        }
    }

    fn arrived(&mut self, runtime: &mut Runtime) -> Result<Step> {
        self.going = None;
        let body = std::mem::take(&mut self.inbox.lock().reply.content);
        let mut models = OpenAi.parse_models(body.as_bytes()).map_err(|e| self.named(e))?;
        models.sort_by(|a, b| a.id.cmp(&b.id));
        let now = runtime.clock.now();
        if let Some(provider) = runtime.providers.asked(&self.whom, &self.provider) {
            provider.remember_models(models.clone(), now.after_ms(REMEMBERED_MS));
        }
        Ok(done(&models))
    }

    fn failed(&mut self, runtime: &Runtime, error: Error) -> Result<Step> {
        self.going = None;
        let head = self.inbox.lock().head.clone();
        let verdict = self.network.retry.decide(self.attempts, &error, Some(&head), 0.5);
        let Verdict::After(after_ms) = verdict else { return Err(self.named(error)) };
        let until = runtime.clock.now().after_ms(after_ms);
        self.pause = Some(until);
        Ok(Step::Wait(Some(until)))
    }

    fn named(&self, error: Error) -> Error {
        let clean = self.source.as_ref().map_or(error.clone(), |source| source.clean(error));
        clean.with(|f| {
            f.provider = Some(self.provider.clone());
            f.attempts = Some(self.attempts);
        })
    }
}

fn server(provider: &Provider, network: &Network) -> Result<Source> {
    let (endpoint, key) = provider.endpoint()?;
    Source::new(&provider.options, None, endpoint, key, network)
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
        if let Some(waker) = &self.waker {
            waker.rearm();
        }
        match outcome {
            Outcome::Start => self.send(runtime, me),
            Outcome::Ready => self.look(runtime, me),
            Outcome::Stop(stop) => {
                self.abandon(runtime, me);
                Err(self.named(stopped(&stop, "the request")))
            }
            _ => Err(Error::internal("nothing was called")),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {
        if let Some(going) = self.going.take() {
            going.cancel();
        }
    }
}
