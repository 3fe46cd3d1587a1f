//! HTTP without blocking the caller: a request is started here, runs on worker threads, and tells
//! a [`Sink`] what arrived. Cancel and deadlines of one request live in its control block.
//!
//! The core sees plain data only ([`Request`], [`Head`], [`Failure`]); ureq stays behind
//! [`Transport`].

use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::clock::{Clock, Moment};
use crate::error::{Error, Phase};

mod agents;
mod buffers;
mod ctl;
mod dial;
mod flight;
mod guard;
mod http;
mod line;
mod names;
mod notify;
mod poller;
mod process;
mod proxy;
mod race;
mod reader;
mod sock;
mod stream;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod watch;
pub mod workers;

pub use guard::Guard;
pub use http::{Http, check_headers};
pub use line::Door;
pub use notify::{Bell, Notifier, Waker, Woke};

/// One HTTP request, complete.
#[derive(Clone)]
pub struct Request {
    pub method: &'static str,
    pub url: String,
    /// Sent in this order. Values may be secrets: they are never shown.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub limits: Limits,
    /// More bytes of body than this end the request with [`Failure::TooLarge`].
    pub max_response_bytes: u64,
    pub proxy: Proxy,
    pub roots: Roots,
    pub guard: Guard,
    pub clock: Clock,
}

/// Time limits; `None` is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// DNS, TCP, proxy and TLS together, queueing for a thread included.
    pub connect: Option<Duration>,
    /// From the request's first byte sent until the first content.
    pub first_token: Option<Duration>,
    /// Between two contents; comments and pings do not count as content.
    pub idle: Option<Duration>,
    /// End of the whole call.
    pub total: Option<Moment>,
}

#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub enum Proxy {
    /// HTTPS_PROXY or HTTP_PROXY as the URL's scheme says, ALL_PROXY, NO_PROXY, in either case.
    /// Loopback addresses are reached directly.
    #[default]
    Environment,
    None,
    /// `http://host:port`, with `user:password@` if needed.
    Url(String),
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Proxy::Environment => "Environment",
            Proxy::None => "None",
            Proxy::Url(_) => "Url(***)",
        })
    }
}

/// Which certificate authorities are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Roots {
    /// The system's; the built-in list where the system has none.
    #[default]
    Platform,
    /// The built-in list.
    Webpki,
    /// A PEM file.
    File(String),
}

impl Roots {
    /// As options name them.
    pub fn of(word: Option<&str>) -> Roots {
        match word {
            None | Some("platform") => Roots::Platform,
            Some("webpki") => Roots::Webpki,
            Some(path) => Roots::File(path.to_owned()),
        }
    }
}

/// Status line and headers of the answer.
#[derive(Clone, Debug, Default)]
pub struct Head {
    pub status: u16,
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let same = |key: &str| key.eq_ignore_ascii_case(name);
        self.headers.iter().find(|(key, _)| same(key)).map(|(_, value)| value.as_str())
    }
}

/// What a sink says after it got bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Bytes understood, no content in them (a ping, half an event).
    Quiet,
    /// Content arrived: the idle limit starts anew.
    Content,
    /// Content arrived and the consumer's buffer is full: read no more until [`Call::resume`].
    Full,
    /// Nothing more is missing: the peer gets a moment to end the answer, so that the connection can
    /// be used again, and no more than that.
    Over,
    /// Enough: close the connection. [`Sink::end`] is called with `Ok`.
    Stop,
}

/// Receives one answer. Called on threads of this module, one call at a time; must not block.
pub trait Sink: Send {
    fn head(&mut self, head: Head);
    fn data(&mut self, bytes: &[u8]) -> Flow;
    /// Whether somebody takes each piece as it comes.
    fn is_followed(&self) -> bool {
        false
    }
    /// Called exactly once, last. If not one thread can be made it is called within `start`.
    fn end(self: Box<Self>, outcome: Result<(), Failure>);
}

/// Why a request did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    Cancelled,
    Timeout(Phase),
    /// The URL, proxy or certificate file cannot be used.
    Invalid(String),
    Dns(String),
    Connect(String),
    Tls(String),
    /// The connection broke, or ended before the answer was complete.
    Broken(String),
    /// The host has no address that the request's guard admits; this is one of them.
    Forbidden(IpAddr),
    /// The answer is larger than `max_response_bytes`.
    TooLarge(u64),
    /// The answer is not HTTP that can be understood.
    Malformed(String),
    /// A cassette that is replayed has no such request.
    Unrecorded(Box<Unrecorded>),
}

/// A request that a cassette does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrecorded {
    pub message: String,
    /// Where it differs from the one that comes nearest.
    pub details: serde_json::Value,
}

impl Unrecorded {
    pub fn error(&self) -> Error {
        let details = Some(self.details.clone());
        Error::state(self.message.as_str()).with(|f| f.details = details)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Cancelled => f.write_str("cancelled"),
            Failure::Timeout(phase) => write!(f, "timeout ({})", phase.name()),
            Failure::Invalid(why) => f.write_str(why),
            Failure::Dns(why) => write!(f, "name lookup failed: {why}"),
            Failure::Connect(why) => write!(f, "cannot connect: {why}"),
            Failure::Tls(why) => write!(f, "TLS: {why}"),
            Failure::Broken(why) => write!(f, "connection broken: {why}"),
            Failure::Forbidden(address) => write!(f, "the address {address} is forbidden"),
            Failure::TooLarge(most) => write!(f, "the answer is larger than {most} bytes"),
            Failure::Malformed(why) => write!(f, "not an HTTP answer: {why}"),
            Failure::Unrecorded(what) => f.write_str(&what.message),
        }
    }
}

impl std::error::Error for Failure {}

/// Starts requests. The built-in one is `http::Http`; tests and users may bring another.
pub trait Transport: Send + Sync {
    fn start(&self, request: Request, sink: Box<dyn Sink>) -> Box<dyn Call>;
}

/// A running request. Dropping it does not end the request, `cancel` does; but virtual time does not
/// wait for it any more.
pub trait Call: Send + Sync {
    /// Ends the request within 50 ms wherever it is. The sink's `end` gets [`Failure::Cancelled`].
    fn cancel(&self);
    /// Goes on reading after the sink said [`Flow::Full`].
    fn resume(&self);
    /// Whether a follower is to say `resume` after each piece.
    fn is_paced(&self) -> bool {
        false
    }
}

/// Locks a mutex of this module. They are std's, not parking_lot's: those share one process-wide
/// table of queues, which a fork could catch locked. A panic under one leaves plain data behind.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
