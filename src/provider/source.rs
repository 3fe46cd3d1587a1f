//! Where answers come from: a server that speaks a wire, or a model inside this process.

use serde_json::{Map, Value};

#[cfg(feature = "local")]
use super::embedded;
use super::inbox::{Body, Shared};
use super::instance::Provider;
use super::options::Network;
use super::prices::Prices;
use super::question::Question;
use super::secret::{Redactor, Secret, masked_as_is, of_proxy, of_request};
use super::stand::Scene;
use super::transport::{self, Hearing};
use super::wire::{Endpoint, Outgoing, Wire};
#[cfg(feature = "local")]
use crate::chat::Rung;
use crate::chat::{Answer, Format, Reply, Request};
use crate::error::{Error, Result};
use crate::net::{self, Call, Waker};
use crate::runtime::Runtime;
use crate::step::Step;
use crate::value::Slot;

pub enum Source {
    Server(Box<Server>),
    #[cfg(feature = "local")]
    Model(std::sync::Arc<super::local::Model>, net::Limits, Prices),
}

pub struct Server {
    wire: &'static dyn Wire,
    endpoint: Endpoint,
    /// Kept out of every message.
    secrets: Vec<Secret>,
    network: Network,
    prices: Prices,
    /// A mock answers for it.
    scene: Option<Scene>,
}

/// A request that is under way.
pub enum Going {
    Call(Box<dyn Call>),
    /// A transport of the user's.
    Heard(Box<Hearing>),
    #[cfg(feature = "local")]
    Generation(super::local::Generation),
    /// Soon done, and not to be stopped.
    #[cfg(feature = "local")]
    Count,
}

impl Going {
    pub fn cancel(&self) {
        match self {
            Going::Call(call) => call.cancel(),
            // It is told when it speaks again.
            Going::Heard(_) => {}
            #[cfg(feature = "local")]
            Going::Generation(generation) => generation.cancel(),
            #[cfg(feature = "local")]
            Going::Count => {}
        }
    }

    pub fn is_paced(&self) -> bool {
        matches!(self, Going::Call(call) if call.is_paced())
    }

    pub fn resume(&self) {
        match self {
            Going::Call(call) => call.resume(),
            Going::Heard(_) => {}
            // The engine keeps what it generated, however slowly it is read: max_tokens bounds it.
            #[cfg(feature = "local")]
            Going::Generation(_) | Going::Count => {}
        }
    }
}

impl Source {
    pub fn of(provider: &Provider, network: &Network) -> Result<Source> {
        let (mut endpoint, key) = provider.endpoint(&network.headers)?;
        let wire = provider.wire()?;
        if let Some(path) = provider.model_path() {
            return Source::model(&path, &provider.options, network);
        }
        set_headers(&mut endpoint.headers, &network.headers);
        let mut secrets = of_request(&endpoint.base_url, &endpoint.headers);
        secrets.extend(key);
        secrets.extend(of_proxy(&network.proxy));
        secrets.extend(network.secrets.iter().cloned());
        let (network, prices) = (network.clone(), provider.prices());
        let plays = provider.stand().is_some_and(|stand| stand.function().is_some());
        let scene = plays.then(|| Scene::of(provider, wire.dialect()));
        Ok(Source::Server(Box::new(Server { wire, endpoint, secrets, network, prices, scene })))
    }

    #[cfg(feature = "local")]
    fn model(path: &str, options: &Map<String, Value>, network: &Network) -> Result<Source> {
        let count = |key: &str| {
            options.get(key).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok())
        };
        let run = super::local::Options {
            context: count("context_length"),
            threads: count("threads").unwrap_or(1),
        };
        let model = super::local::open(path.as_ref(), run)?;
        Ok(Source::Model(model, network.limits, Prices::of(options)))
    }

    #[cfg(not(feature = "local"))]
    fn model(_: &str, _: &Map<String, Value>, _: &Network) -> Result<Source> {
        Err(no_engine())
    }

    /// The error without what must not be seen, whoever echoed it.
    pub fn clean(&self, error: Error) -> Error {
        match self {
            Source::Server(server) => server.clean(error),
            #[cfg(feature = "local")]
            Source::Model(..) => error,
        }
    }

    /// A text of a server without it.
    pub fn clean_text(&self, text: &str) -> String {
        match self {
            Source::Server(server) => masked_as_is(text, &server.secrets),
            #[cfg(feature = "local")]
            Source::Model(..) => text.to_owned(),
        }
    }

    /// What a server says besides the model's own words, without it.
    pub fn clean_reply(&self, reply: Reply) -> Reply {
        match self {
            Source::Server(server) => server.clean_reply(reply),
            #[cfg(feature = "local")]
            Source::Model(..) => reply,
        }
    }

    /// Adds what this source knows of an answer: its cost, and how it was made to fit a format.
    pub fn assess(&self, request: &Request, answer: &mut Answer) {
        let format = request.settings.format.as_ref();
        let rung = |format: &Format| match (self, format) {
            (Source::Server(server), _) => {
                server.wire.rung(&server.endpoint, &request.model, format)
            }
            #[cfg(feature = "local")]
            (Source::Model(..), Format::Json) => Rung::Json,
            #[cfg(feature = "local")]
            (Source::Model(..), Format::Schema { .. }) => Rung::Strict,
        };
        answer.structured = format.map(rung);
        let exact = answer.reply.model.clone().unwrap_or_default();
        answer.usage.cost = self.prices().cost(&answer.usage, &[&request.model, &exact]);
    }

    pub fn prices(&self) -> &Prices {
        match self {
            Source::Server(server) => &server.prices,
            #[cfg(feature = "local")]
            Source::Model(_, _, prices) => prices,
        }
    }

    pub fn is_server(&self) -> bool {
        matches!(self, Source::Server(_))
    }

    /// Puts the question; through `transport`, if the user has one. Gives what to wait for.
    pub fn start(
        &self,
        runtime: &Runtime,
        question: Question<'_>,
        inbox: Shared,
        waker: Waker,
        transport: Option<Slot>,
    ) -> Result<(Going, Step)> {
        match self {
            Source::Server(server) => {
                let (request, body) = server.ask(runtime, question, inbox.clone(), waker)?;
                let cassette = &runtime.cassette;
                // A mock is a part of the test.
                let speaks = server.scene.is_some() || !cassette.is_replaying();
                let Some(function) = transport.filter(|_| speaks) else {
                    let call = runtime.transport.start(request, Box::new(body));
                    return Ok((Going::Call(call), Step::Wait(None)));
                };
                net::check_headers(&request.headers)
                    .map_err(|failure| Error::invalid(failure.to_string()))?;
                let (hearing, call) = match &server.scene {
                    None => {
                        let argument = transport::argument(&request);
                        let body = cassette.tapped(&request, Box::new(body));
                        Hearing::of(function, argument, request, (body, inbox))
                    }
                    Some(scene) => {
                        let argument = scene.argument(question, &request, &server.secrets);
                        Hearing::of_mock(function, argument, request, (Box::new(body), inbox))
                    }
                };
                Ok((Going::Heard(Box::new(hearing)), Step::Call(call)))
            }
            #[cfg(feature = "local")]
            Source::Model(model, limits, _) => {
                let clock = runtime.clock.clone();
                let going = embedded::start(model, question, *limits, clock, inbox, waker)?;
                Ok((going, Step::Wait(None)))
            }
        }
    }
}

/// The error for `model_path` in a module without an engine.
#[cfg(not(feature = "local"))]
pub fn no_engine() -> Error {
    Error::unsupported(
        "model_path: this zigllms was built without the cargo feature \"local\" (the embedded engine)",
    )
}

/// A header the user sets replaces ours of that name, or takes it out.
fn set_headers(headers: &mut Vec<(String, String)>, given: &[(String, Option<String>)]) {
    let replaced = |name: &str| given.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
    headers.retain(|(name, _)| !replaced(name));
    let set = given.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
    headers.extend(set);
}

impl Server {
    fn clean(&self, error: Error) -> Error {
        Redactor::new(&self.secrets).error(error)
    }

    fn clean_reply(&self, mut reply: Reply) -> Reply {
        for text in [&mut reply.id, &mut reply.model, &mut reply.native_finish] {
            *text = text.take().map(|text| masked_as_is(&text, &self.secrets));
        }
        if reply.keep_raw {
            let redactor = Redactor::new(&self.secrets);
            reply.raw = reply.raw.take().map(|raw| redactor.value(raw));
        }
        reply
    }

    /// The request, and what reads the answer.
    fn ask(
        &self,
        runtime: &Runtime,
        question: Question<'_>,
        inbox: Shared,
        waker: Waker,
    ) -> Result<(net::Request, Body)> {
        let mut outgoing = question.outgoing(self.wire, &self.endpoint)?;
        // What the protocol adds gives way as well.
        set_headers(&mut outgoing.headers, &self.network.headers);
        let body = Body {
            inbox,
            waker,
            wire: self.wire,
            decoder: question.decoder(self.wire, self.endpoint.kind),
            secrets: self.secrets.clone(),
            clock: runtime.clock.clone(),
            refused: Vec::new(),
        };
        Ok((self.request(runtime, outgoing), body))
    }

    fn request(&self, runtime: &Runtime, outgoing: Outgoing) -> net::Request {
        net::Request {
            method: outgoing.method,
            url: outgoing.url,
            headers: outgoing.headers,
            body: outgoing.body,
            limits: self.network.limits,
            max_response_bytes: self.network.max_response_bytes,
            proxy: self.network.proxy.clone(),
            roots: self.network.roots.clone(),
            guard: net::Guard::default(),
            clock: runtime.clock.clone(),
        }
    }
}

/// The models of a file that the module runs itself.
#[cfg(feature = "local")]
pub fn models_of_file(path: &str) -> Result<Vec<super::question::Model>> {
    super::local::list_models(path.as_ref())
}

#[cfg(not(feature = "local"))]
pub fn models_of_file(_: &str) -> Result<Vec<super::question::Model>> {
    Err(no_engine())
}

/// Whether a model file can be used as it is configured; it is opened at the first question.
pub fn check_model_path(row: &super::catalog::Row, path: &str) -> Result<()> {
    if row.name != "local" {
        let got = row.name;
        return Err(Error::invalid(format!(
            "{path}.model_path: expected type \"local\", got {got:?}"
        )));
    }
    #[cfg(not(feature = "local"))]
    return Err(no_engine());
    #[cfg(feature = "local")]
    Ok(())
}
