//! Where answers come from: a server that speaks a wire, or a model inside this process.

use serde_json::{Map, Value};

use super::inbox::{Body, Shared};
use super::instance::Provider;
use super::options::Network;
use super::secret::{Redactor, Secret, masked_as_is, of_proxy, of_request};
use super::wire::{Decoder, Endpoint, Model, Outgoing, Wire};
use crate::chat::{Delta, Reply, Request};
use crate::error::{Error, Result};
use crate::net::{self, Call, Waker};
use crate::runtime::Runtime;

pub enum Source {
    Server(Box<Server>),
    #[cfg(feature = "local")]
    Model(std::sync::Arc<super::local::Model>, net::Limits),
}

pub struct Server {
    wire: &'static dyn Wire,
    endpoint: Endpoint,
    /// Kept out of every message.
    secrets: Vec<Secret>,
    network: Network,
}

/// A request that is under way.
pub enum Going {
    Call(Box<dyn Call>),
    #[cfg(feature = "local")]
    Generation(super::local::Generation),
}

impl Going {
    pub fn cancel(&self) {
        match self {
            Going::Call(call) => call.cancel(),
            #[cfg(feature = "local")]
            Going::Generation(generation) => generation.cancel(),
        }
    }

    pub fn resume(&self) {
        match self {
            Going::Call(call) => call.resume(),
            // The engine keeps what it generated, however slowly it is read: max_tokens bounds it.
            #[cfg(feature = "local")]
            Going::Generation(_) => {}
        }
    }
}

impl Source {
    pub fn of(provider: &Provider, network: &Network) -> Result<Source> {
        let (endpoint, key) = provider.endpoint()?;
        let wire = provider.wire()?;
        if let Some(path) = provider.model_path() {
            return Source::model(&path, &provider.options, network);
        }
        let endpoint = with_headers(endpoint, &network.headers);
        let mut secrets = of_request(&endpoint.base_url, &endpoint.headers);
        secrets.extend(key);
        secrets.extend(of_proxy(&network.proxy));
        secrets.extend(network.secrets.iter().cloned());
        let network = network.clone();
        Ok(Source::Server(Box::new(Server { wire, endpoint, secrets, network })))
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
        Ok(Source::Model(super::local::open(path.as_ref(), run)?, network.limits))
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

    /// The models that a server's answer lists.
    pub fn parse_models(&self, body: &[u8]) -> Result<Vec<Model>> {
        match self {
            Source::Server(server) => server.wire.parse_models(body),
            #[cfg(feature = "local")]
            Source::Model(..) => Ok(Vec::new()),
        }
    }

    pub fn is_server(&self) -> bool {
        matches!(self, Source::Server(_))
    }

    /// Sends a chat request, or without one asks for the list of models.
    pub fn start(
        &self,
        runtime: &Runtime,
        request: Option<&Request>,
        inbox: Shared,
        waker: Waker,
    ) -> Result<Going> {
        match self {
            Source::Server(server) => server.start(runtime, request, inbox, waker),
            #[cfg(feature = "local")]
            Source::Model(model, limits) => {
                let request = request.cloned().unwrap_or_default();
                let task =
                    super::local::Task { request, limits: *limits, clock: runtime.clock.clone() };
                let clock = runtime.clock.clone();
                Ok(Going::Generation(model.start(task, Box::new(Heard { inbox, waker, clock }))))
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

/// A header the user sets replaces ours of that name.
fn with_headers(mut endpoint: Endpoint, given: &[(String, String)]) -> Endpoint {
    let replaced = |name: &str| given.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
    endpoint.headers.retain(|(name, _)| !replaced(name));
    endpoint.headers.extend(given.iter().cloned());
    endpoint
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

    fn start(
        &self,
        runtime: &Runtime,
        request: Option<&Request>,
        inbox: Shared,
        waker: Waker,
    ) -> Result<Going> {
        let (outgoing, decoder) = match request {
            Some(request) => (self.wire.chat(&self.endpoint, request)?, self.wire.decoder(request)),
            None => {
                (self.wire.models(&self.endpoint), Box::<Document>::default() as Box<dyn Decoder>)
            }
        };
        let body = Body {
            inbox,
            waker,
            wire: self.wire,
            decoder,
            secrets: self.secrets.clone(),
            clock: runtime.clock.clone(),
            refused: Vec::new(),
        };
        Ok(Going::Call(runtime.transport.start(self.request(runtime, outgoing), Box::new(body))))
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
            clock: runtime.clock.clone(),
        }
    }
}

/// A body that is read as a whole: its text becomes the reply's content.
#[derive(Default)]
struct Document(Vec<u8>);

impl Decoder for Document {
    fn push(&mut self, bytes: &[u8], _: &mut Reply, _: &mut Delta) -> Result<bool> {
        self.0.extend_from_slice(bytes);
        Ok(true)
    }

    fn end(&mut self, reply: &mut Reply, _: &mut Delta) -> Result<()> {
        reply.content = String::from_utf8_lossy(&self.0).into_owned();
        Ok(())
    }
}

/// Hears the engine and gathers what it says.
#[cfg(feature = "local")]
struct Heard {
    inbox: Shared,
    waker: Waker,
    clock: crate::clock::Clock,
}

#[cfg(feature = "local")]
impl super::local::Listener for Heard {
    fn delta(&mut self, delta: &Delta) -> bool {
        let mut inbox = self.inbox.lock();
        inbox.delta.append(delta.clone());
        inbox.reply.content.push_str(&delta.content);
        inbox.first_at.get_or_insert_with(|| self.clock.now());
        drop(inbox);
        self.waker.wake();
        true
    }

    fn end(self: Box<Self>, outcome: Result<Reply>) {
        let mut inbox = self.inbox.lock();
        inbox.end = Some(outcome.map(|reply| inbox.reply = reply));
        drop(inbox);
        self.waker.wake();
    }
}

/// The models of a file that the module runs itself.
#[cfg(feature = "local")]
pub fn models_of_file(path: &str) -> Result<Vec<super::wire::Model>> {
    super::local::list_models(path.as_ref())
}

#[cfg(not(feature = "local"))]
pub fn models_of_file(_: &str) -> Result<Vec<super::wire::Model>> {
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
