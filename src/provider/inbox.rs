//! Where an answer gathers while threads of the network or the engine deliver it.

use std::sync::Arc;

use parking_lot::Mutex;

use super::question::Found;
use super::secret::{redact, redact_error};
use super::wire::{Decoder, Wire};
use crate::chat::{Delta, Reply};
use crate::clock::{Clock, Moment};
use crate::error::{Code, Error, Result};
use crate::net::{Failure, Flow, Head, Sink, Waker};

/// Text that waits for the owner before no more is read.
pub const FULL: usize = 1 << 20;
/// Bytes of an error body that are kept.
const ERROR_BODY: usize = 64 << 10;

/// Shared between the machine that asked and the thread that delivers.
#[derive(Debug, Default)]
pub struct Inbox {
    /// Everything so far.
    pub reply: Reply,
    /// What arrived since the machine last looked.
    pub delta: Delta,
    pub head: Head,
    /// When the first content arrived.
    pub first_at: Option<Moment>,
    /// What an answer that is no reply has said.
    pub found: Option<Found>,
    pub end: Option<Result<()>>,
}

pub type Shared = Arc<Mutex<Inbox>>;

/// Reads an HTTP answer into the inbox, on the network's threads.
pub struct Body {
    pub inbox: Shared,
    pub waker: Waker,
    pub wire: &'static dyn Wire,
    pub decoder: Box<dyn Decoder>,
    /// Kept out of every message.
    pub secrets: Vec<super::secret::Secret>,
    pub clock: Clock,
    /// The body of an error, up to a limit.
    pub refused: Vec<u8>,
}

impl Body {
    fn is_error(&self) -> bool {
        self.inbox.lock().head.status >= 300
    }

    fn keep(&mut self, bytes: &[u8]) -> Flow {
        let room = ERROR_BODY.saturating_sub(self.refused.len());
        self.refused.extend_from_slice(&bytes[..bytes.len().min(room)]);
        Flow::Quiet
    }

    fn settle(&mut self, outcome: std::result::Result<(), Failure>) -> Result<()> {
        let mut inbox = self.inbox.lock();
        if let Some(Err(error)) = inbox.end.take() {
            return Err(error);
        }
        outcome.map_err(failure)?;
        if inbox.head.status >= 300 {
            // Masked before anything is cut from it.
            let body = redact(&String::from_utf8_lossy(&self.refused), &self.exposed());
            return Err(self.wire.error(&inbox.head, body.as_bytes()));
        }
        let Inbox { reply, delta, .. } = &mut *inbox;
        self.decoder.end(reply, delta)?;
        inbox.found = self.decoder.found();
        Ok(())
    }

    fn exposed(&self) -> Vec<&str> {
        self.secrets.iter().map(|secret| secret.expose()).collect()
    }

    fn clean(&self, error: Error) -> Error {
        redact_error(error, &self.exposed())
    }
}

impl Sink for Body {
    fn head(&mut self, head: Head) {
        self.inbox.lock().head = head;
    }

    fn data(&mut self, bytes: &[u8]) -> Flow {
        if self.is_error() {
            return self.keep(bytes);
        }
        let mut inbox = self.inbox.lock();
        let Inbox { reply, delta, .. } = &mut *inbox;
        let flow = match self.decoder.push(bytes, reply, delta) {
            Ok(true) if delta.bytes() >= FULL => Flow::Full,
            Ok(true) => Flow::Content,
            Ok(false) => Flow::Quiet,
            Err(error) => {
                inbox.end = Some(Err(self.clean(error)));
                Flow::Stop
            }
        };
        if flow != Flow::Quiet {
            inbox.first_at.get_or_insert_with(|| self.clock.now());
        }
        drop(inbox);
        if flow != Flow::Quiet {
            self.waker.wake();
        }
        flow
    }

    fn end(mut self: Box<Self>, outcome: std::result::Result<(), Failure>) {
        let result = self.settle(outcome).map_err(|error| self.clean(error));
        self.inbox.lock().end = Some(result);
        self.waker.wake();
    }
}

/// A failed request as an error.
pub fn failure(failure: Failure) -> Error {
    match failure {
        Failure::Cancelled => Error::new(Code::Cancelled, "the request was cancelled"),
        Failure::Timeout(phase) => {
            Error::timeout(phase, format!("no answer within the {} time limit", phase.name()))
        }
        Failure::Invalid(why) => Error::invalid(why),
        Failure::Dns(why) => Error::new(Code::Network, format!("name lookup failed: {why}")),
        Failure::Connect(why) => Error::new(Code::Network, format!("cannot connect: {why}")),
        Failure::Tls(why) => Error::new(Code::Network, format!("TLS failed: {why}"))
            .with(|f| f.retryable = Some(false)),
        Failure::Broken(why) => Error::new(Code::Network, format!("the connection broke: {why}")),
        Failure::TooLarge(limit) => Error::new(
            Code::BadResponse,
            format!("the answer is larger than max_response_bytes ({limit})"),
        ),
        Failure::Malformed(why) => {
            Error::new(Code::BadResponse, format!("the answer is not HTTP: {why}"))
        }
    }
}
