//! The built-in transport: ureq up to the head of the answer, the reader from there on.
//!
//! A request runs on a worker thread until the head is there, because that part of ureq cannot be
//! left and taken up again. Its body can, so one thread reads all bodies.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use ureq::Body;
use ureq::http::{self, HeaderMap, HeaderName, HeaderValue, Response, Uri};

use super::ctl::{Ctl, Mode};
use super::process::process;
use super::stream::Stream;
use super::workers::{Job, Submitted};
use super::{Call, Failure, Head, Request, Sink, Transport, proxy};
use crate::clock::Traffic;

/// HTTP/1.1 over TCP and TLS. All instances of a process share threads and connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct Http;

impl Transport for Http {
    fn start(&self, request: Request, sink: Box<dyn Sink>) -> Box<dyn Call> {
        let ctl = Ctl::new(request.clock.clone(), request.limits);
        ctl.guard_with(request.guard.clone());
        let traffic: Arc<dyn Traffic> = ctl.clone();
        request.clock.watch(Arc::downgrade(&traffic));
        let route = Route::plan(&request);
        let exchange = Exchange { ctl: ctl.clone(), request, route, sink };
        match process().calls.submit(exchange) {
            Submitted::Started => {}
            Submitted::Queued => process().reader.watch(ctl.clone()),
            Submitted::Refused(exchange, error) => exchange.refuse(&error),
        }
        Box::new(Running(ctl))
    }
}

/// Whoever lets go of it waits for the request no more. It does that once it has seen the end, which
/// may be before the thread that told the end goes on: time must not run for that thread.
struct Running(Arc<Ctl>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.forget();
    }
}

impl Call for Running {
    fn cancel(&self) {
        if self.0.cancel() {
            process().reader.nudge(self.0.id);
        }
    }

    fn resume(&self) {
        if self.0.is_open() {
            self.0.set_resumed();
            process().reader.nudge(self.0.id);
        }
    }
}

/// Where a request goes, and its headers, checked before anything is sent.
struct Route {
    uri: Uri,
    proxy: Option<ureq::Proxy>,
    headers: HeaderMap,
}

impl Route {
    fn plan(request: &Request) -> Result<Route, Failure> {
        // The URL may hold a key, so no message shows it.
        let invalid = |why: &str| Failure::Invalid(format!("URL: {why}"));
        let uri: Uri = request.url.parse().map_err(|_| invalid("cannot be understood"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(invalid("must begin with http:// or https://"));
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err(invalid("has no host"));
        }
        let proxy = proxy::choose(&request.proxy, &uri)?;
        Ok(Route { uri, proxy, headers: headers(&request.headers)? })
    }

    fn needs_tls(&self) -> bool {
        let https = |uri: &Uri| uri.scheme_str() == Some("https");
        https(&self.uri) || self.proxy.as_ref().is_some_and(|proxy| https(proxy.uri()))
    }
}

/// Whether those headers can be sent: a line break in one of them would begin another one.
pub fn check_headers(given: &[(String, String)]) -> Result<(), Failure> {
    headers(given).map(drop)
}

fn headers(given: &[(String, String)]) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::with_capacity(given.len());
    for (name, value) in given {
        // The value may be a secret, so no message shows it.
        let invalid = || Failure::Invalid(format!("header {name:?}: cannot be sent"));
        let name = HeaderName::try_from(name).map_err(|_| invalid())?;
        let mut value = HeaderValue::try_from(value).map_err(|_| invalid())?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// One request on its way to the head of its answer.
pub(super) struct Exchange {
    ctl: Arc<Ctl>,
    request: Request,
    route: Result<Route, Failure>,
    sink: Box<dyn Sink>,
}

impl Job for Exchange {
    fn id(&self) -> u64 {
        self.ctl.id
    }

    fn run(self) {
        let answer = catch_unwind(AssertUnwindSafe(|| self.answer()));
        let answer = answer.unwrap_or_else(|_| Err(Failure::Broken("panic in a request".into())));
        let Exchange { ctl, request, sink, .. } = self;
        match answer {
            Ok(response) => {
                let (head, body) = split(response);
                Stream::begin(ctl, sink, head, body, request.max_response_bytes);
            }
            Err(failure) => end(&ctl, sink, Err(failure)),
        }
    }
}

impl Exchange {
    fn refuse(self, error: &io::Error) {
        end(&self.ctl, self.sink, Err(Failure::Connect(format!("no thread: {error}"))));
    }

    fn answer(&self) -> Result<Response<Body>, Failure> {
        // The caller asks for the verdict first: what stands here then does not matter.
        let ended = |_| Failure::Cancelled;
        self.ctl.left().map_err(ended)?;
        let route = self.route.as_ref().map_err(Failure::clone)?;
        let roots = route.needs_tls().then_some(&self.request.roots);
        let agent = process().agents.get(roots, &self.ctl).map_err(ended)??;
        let answer = match self.send(&agent, route, self.request.guard.is_set()) {
            Err(ureq::Error::Io(_) | ureq::Error::Other(_)) if self.ctl.was_stale() => {
                self.send(&agent, route, true)
            }
            answer => answer,
        };
        answer.map_err(Failure::from)
    }

    /// Sends the request, over a new connection if `afresh`.
    fn send(
        &self,
        agent: &ureq::Agent,
        route: &Route,
        afresh: bool,
    ) -> Result<Response<Body>, ureq::Error> {
        let mut parts = http::Request::builder().method(self.request.method).uri(route.uri.clone());
        if let Some(headers) = parts.headers_mut() {
            *headers = route.headers.clone();
        }
        self.ctl.run(Mode::Wait, || {
            if self.request.body.is_empty() && !has_body(self.request.method) {
                agent.run(configured(agent, parts.body(())?, route, afresh))
            } else {
                let body = self.request.body.as_slice();
                agent.run(configured(agent, parts.body(body)?, route, afresh))
            }
        })
    }
}

/// Methods whose empty body is announced as such.
fn has_body(method: &str) -> bool {
    matches!(method, "POST" | "PUT" | "PATCH")
}

fn configured<B: ureq::AsSendBody>(
    agent: &ureq::Agent,
    request: http::Request<B>,
    route: &Route,
    afresh: bool,
) -> http::Request<B> {
    if route.proxy.is_none() && !afresh {
        return request;
    }
    let config = agent.configure_request(request).proxy(route.proxy.clone());
    // No pooled connection is that young.
    if afresh { config.max_idle_age(Duration::ZERO).build() } else { config.build() }
}

fn split(response: Response<Body>) -> (Head, Body) {
    let (parts, body) = response.into_parts();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = parts.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_string(), text(value.as_bytes())));
    (Head { status: parts.status.as_u16(), headers: headers.collect() }, body)
}

/// Tells the sink how it ended: as its verdict says, if there was one before.
pub(super) fn end(ctl: &Ctl, sink: Box<dyn Sink>, outcome: Result<(), Failure>) {
    let outcome = ctl.finish().map_or(outcome, Err);
    ctl.release_all();
    let _ = catch_unwind(AssertUnwindSafe(|| sink.end(outcome)));
    ctl.forget();
}

impl From<Failure> for ureq::Error {
    /// Carried through ureq unchanged.
    fn from(failure: Failure) -> ureq::Error {
        ureq::Error::Other(Box::new(failure))
    }
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Failure {
        use ureq::Error as E;
        match error {
            E::Other(other) => match other.downcast::<Failure>() {
                Ok(failure) => *failure,
                Err(other) => Failure::Broken(other.to_string()),
            },
            E::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Failure::Broken("the connection closed before the answer was complete".into())
            }
            E::Io(error) => Failure::Broken(error.to_string()),
            E::HostNotFound => Failure::Dns("host not found".into()),
            E::BadUri(_) => Failure::Invalid("URL: cannot be understood".into()),
            E::InvalidProxyUrl => Failure::Invalid("proxy: cannot be understood".into()),
            E::Http(error) => Failure::Invalid(error.to_string()),
            E::ConnectProxyFailed(why) => Failure::Connect(why),
            E::ConnectionFailed => Failure::Connect("no connection".into()),
            E::Tls(_) | E::Pem(_) | E::Rustls(_) | E::TlsRequired => {
                Failure::Tls(error.to_string())
            }
            E::Protocol(_) | E::LargeResponseHeader(..) => Failure::Malformed(error.to_string()),
            other => Failure::Broken(other.to_string()),
        }
    }
}
