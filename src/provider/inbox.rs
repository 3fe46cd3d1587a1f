//! Where an answer gathers while threads of the network or the engine deliver it.

use std::sync::Arc;

use parking_lot::Mutex;

use super::broken::broken;
use super::failure;
use super::question::Found;
use super::secret::{Redactor, Secret};
use super::wire::{Decoder, Wire};
use crate::chat::{Delta, Reply};
use crate::clock::{Clock, Moment};
use crate::error::{Error, Phase, Result};
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
    /// Nobody follows: only the end is told, and that more waits than should. Two threads that
    /// wake each other for every piece are most of what a slow stream costs.
    pub unheard: bool,
}

impl Inbox {
    /// Whether the machine is to be woken for what has arrived.
    fn tells(&self, flow: Flow) -> bool {
        match flow {
            Flow::Quiet => false,
            Flow::Content => !self.unheard,
            _ => true,
        }
    }
}

pub type Shared = Arc<Mutex<Inbox>>;

/// Reads an HTTP answer into the inbox, on the network's threads.
pub struct Body {
    pub inbox: Shared,
    pub waker: Waker,
    pub wire: &'static dyn Wire,
    pub decoder: Box<dyn Decoder>,
    /// Kept out of every message.
    pub secrets: Vec<Secret>,
    pub clock: Clock,
    /// The body of an error, up to a limit.
    pub refused: Vec<u8>,
}

impl Body {
    /// What an error says, as far as anybody will read it.
    fn keep(&mut self, bytes: &[u8]) -> Flow {
        let room = ERROR_BODY.saturating_sub(self.refused.len());
        self.refused.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        if room > bytes.len() { Flow::Quiet } else { Flow::Stop }
    }

    /// A piece of an answer.
    fn read(&mut self, inbox: &mut Inbox, bytes: &[u8]) -> Flow {
        let Inbox { reply, delta, .. } = inbox;
        let pushed = self.decoder.push(bytes, reply, delta);
        if !matches!(pushed, Ok(false)) {
            inbox.first_at.get_or_insert_with(|| self.clock.now());
        }
        match pushed {
            Ok(_) if self.decoder.is_over() => Flow::Over,
            Ok(true) if inbox.delta.bytes() >= FULL => Flow::Full,
            Ok(true) => Flow::Content,
            Ok(false) => Flow::Quiet,
            Err(error) => {
                inbox.end = Some(Err(self.clean(error)));
                Flow::Stop
            }
        }
    }

    fn settle(&mut self, outcome: std::result::Result<(), Failure>) -> Result<()> {
        let shared = self.inbox.clone();
        let mut inbox = shared.lock();
        if let Some(Err(error)) = inbox.end.take() {
            return Err(error);
        }
        // The status counts, whatever became of the body behind it.
        if is_refusal(&inbox.head) && !is_ended_by_us(&outcome) {
            return Err(self.refusal(&inbox.head));
        }
        let Err(why) = outcome else { return self.end_of(&mut inbox) };
        // What broke after the last word has not harmed the answer.
        match is_ended_by_us(&Err(why.clone())) || self.end_of(&mut inbox).is_err() {
            true => Err(broken(why)),
            false => Ok(()),
        }
    }

    fn end_of(&mut self, inbox: &mut Inbox) -> Result<()> {
        let Inbox { reply, delta, .. } = inbox;
        self.decoder.end(reply, delta)?;
        inbox.found = self.decoder.found();
        Ok(())
    }

    fn refusal(&self, head: &Head) -> Error {
        // Masked before anything is cut from it.
        let body = Redactor::new(&self.secrets).text(&String::from_utf8_lossy(&self.refused));
        self.wire.error(head, body.as_bytes())
    }

    fn clean(&self, error: Error) -> Error {
        Redactor::new(&self.secrets).error(error)
    }
}

impl Sink for Body {
    fn head(&mut self, mut head: Head) {
        let mut inbox = self.inbox.lock();
        if head.header("date").is_none() {
            head.headers.push(("date".into(), http_date(self.clock.unix())));
        }
        if let Some(coding) = coding(&head).filter(|_| !is_refusal(&head)) {
            inbox.end = Some(Err(failure::compressed(coding)));
        }
        inbox.head = head;
    }

    fn data(&mut self, bytes: &[u8]) -> Flow {
        let shared = self.inbox.clone();
        let mut inbox = shared.lock();
        if coding(&inbox.head).is_some() {
            return Flow::Stop;
        }
        if is_refusal(&inbox.head) {
            return self.keep(bytes);
        }
        let flow = self.read(&mut inbox, bytes);
        let tells = inbox.tells(flow);
        drop(inbox);
        if tells {
            self.waker.wake();
        }
        flow
    }

    fn is_followed(&self) -> bool {
        !self.inbox.lock().unheard
    }

    fn end(mut self: Box<Self>, outcome: std::result::Result<(), Failure>) {
        let result = self.settle(outcome).map_err(|error| self.clean(error));
        self.inbox.lock().end = Some(result);
        self.waker.wake();
    }
}

/// Whether an answer is none, by its status alone. Without a head there is none.
fn is_refusal(head: &Head) -> bool {
    matches!(head.status, 100..200 | 204 | 205 | 300..)
}

/// How the body is packed. It was not asked for, and a few bytes may stand for gigabytes.
fn coding(head: &Head) -> Option<&str> {
    let coding = head.header("content-encoding")?.trim();
    (!coding.is_empty() && !coding.eq_ignore_ascii_case("identity")).then_some(coding)
}

/// A server without a clock is taken to have ours: it may name a date to come back at.
fn http_date(unix: f64) -> String {
    let since = std::time::Duration::try_from_secs_f64(unix).unwrap_or_default();
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + since)
}

/// The caller's will and the caller's time; anything else is about the connection.
fn is_ended_by_us(outcome: &std::result::Result<(), Failure>) -> bool {
    matches!(outcome, Err(Failure::Cancelled | Failure::Timeout(Phase::Total)))
}
