//! One request with its repetitions: sent, waited for, and sent again where that may help.
//!
//! It is the only retry loop. A machine that owns it asks what is [`Attempts::due`], sends, looks
//! into the inbox, and hands every failure to [`Attempts::again`].

use std::sync::Arc;

use parking_lot::Mutex;

use super::inbox::{FULL, Inbox, Shared};
use super::instance::Provider;
use super::limiter::shared::Shares;
use super::limiter::{Gate, Pass, Rate};
use super::options::Network;
use super::question::{Found, Question};
use super::reach::Reach;
use super::retried::Retried;
use super::retry::{Retry, Verdict};
use super::source::{Going, Source};
use super::stand::Stand;
use crate::chance;
use crate::chat::{Answer, Reply, Request, Usage};
use crate::clock::{Clock, Moment};
use crate::error::{Error, Result};
use crate::net::{Head, Waker};
use crate::runtime::Runtime;
use crate::step::{Raised, Returned, Step, Token};
use crate::value::Slot;

pub struct Attempts {
    source: Source,
    retry: Retry,
    gate: Option<Gate>,
    transport: Option<Slot>,
    phase: Phase,
    waker: Option<Waker>,
    /// Of the latest request.
    pub inbox: Shared,
    /// Requests sent.
    pub count: u32,
}

enum Phase {
    /// Nothing was sent yet.
    Before,
    UnderWay(Going),
    Pausing(Moment),
    Over,
}

/// What whoever asks wants of the answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reader {
    /// Each piece as it comes, not only the end.
    pub follows: bool,
    /// The documents as they came.
    pub keeps_raw: bool,
}

impl Reader {
    fn inbox(self) -> Inbox {
        let mut inbox = Inbox { unheard: !self.follows, ..Inbox::default() };
        inbox.reply.keep_raw = self.keeps_raw;
        inbox
    }
}

/// What a machine that was woken has to do.
pub enum Due {
    Send,
    Wait(Moment),
    Look,
}

impl Attempts {
    pub fn of(
        provider: &Provider,
        network: &Network,
        reach: &Reach,
        clock: &Clock,
    ) -> Result<Attempts> {
        let now = clock.now();
        Ok(Attempts {
            source: Source::of(provider, network)?,
            retry: network.retry,
            gate: network
                .rate
                .as_ref()
                .map(|rate| provider.limiters.gate(rate, now, shares(provider, rate, clock))),
            transport: match provider.stand().as_ref().and_then(Stand::function) {
                Some(function) => Some(function.clone()),
                None => provider.reach.under(reach).transport(),
            },
            phase: Phase::Before,
            waker: None,
            inbox: Shared::default(),
            count: 0,
        })
    }

    /// Whether there is a server, which can be asked for its models.
    pub fn has_server(&self) -> bool {
        self.source.is_server()
    }

    /// Adds to an answer what the one who gave it knows of it.
    pub fn assess(&self, request: &Request, answer: &mut Answer) {
        self.source.assess(request, answer);
    }

    /// Whether it is known what that model costs.
    pub fn is_priced(&self, model: &str) -> bool {
        self.source.prices().know(model)
    }

    /// What an answer that is no reply has said.
    pub fn found(&self) -> Result<Found> {
        let found = self.inbox.lock().found.take();
        found.ok_or_else(|| Error::internal("an answer without anything in it"))
    }

    /// To be called at each step, before anything is looked at: what arrives later wakes again.
    pub fn rearm(&self) {
        if let Some(waker) = &self.waker {
            waker.rearm();
        }
    }

    pub fn due(&self, runtime: &Runtime) -> Due {
        match self.phase {
            Phase::Before => Due::Send,
            Phase::Pausing(until) if runtime.clock.now() < until => Due::Wait(until),
            Phase::Pausing(_) => Due::Send,
            Phase::UnderWay(_) | Phase::Over => Due::Look,
        }
    }

    /// Sends the question, once the provider's rate limit lets it through.
    pub fn send(
        &mut self,
        runtime: &mut Runtime,
        me: Token,
        question: Question<'_>,
        reader: Reader,
    ) -> Result<Step> {
        let waker = self.waker(runtime, me)?;
        if let Some(gate) = &mut self.gate {
            let (now, clock) = (runtime.clock.now(), &runtime.clock);
            let store = || runtime.store.shared(clock).clone();
            if let Pass::Wait(until) = gate.pass(now, &waker, question.tokens(), store)? {
                self.phase = Phase::Before;
                return Ok(Step::Wait(until));
            }
        }
        self.inbox = Arc::new(Mutex::new(reader.inbox()));
        let (inbox, transport) = (self.inbox.clone(), self.transport.clone());
        let (going, step) = self.source.start(runtime, question, inbox, waker, transport)?;
        self.phase = Phase::UnderWay(going);
        runtime.meter.retries += u64::from(self.count > 0);
        self.count += 1;
        Ok(step)
    }

    /// Whether a transport of the user's is making the request.
    pub fn is_listening(&self) -> bool {
        matches!(self.phase, Phase::UnderWay(Going::Heard(_)))
    }

    /// What the transport hands over while it runs.
    pub fn hear(&mut self, runtime: &Runtime, bytes: &[u8]) {
        if let Phase::UnderWay(Going::Heard(hearing)) = &mut self.phase {
            hearing.hear(runtime.clock.now(), bytes);
        }
    }

    /// What to tell it.
    pub fn listen(&self) -> Step {
        match &self.phase {
            Phase::UnderWay(Going::Heard(hearing)) => {
                Step::Listen { more: hearing.goes_on(), until: hearing.until() }
            }
            _ => Step::Listen { more: false, until: None },
        }
    }

    /// The transport has come back: then the inbox has an end.
    pub fn heard_all(&mut self, runtime: &Runtime, said: std::result::Result<Returned, Raised>) {
        let phase = std::mem::replace(&mut self.phase, Phase::Over);
        let Phase::UnderWay(Going::Heard(hearing)) = phase else { return };
        let now = runtime.clock.now();
        match said {
            Ok(returned) => hearing.returned(now, returned),
            Err(raised) => hearing.raised(now, raised),
        }
    }

    /// One for all requests: only what is rearmed wakes again.
    fn waker(&mut self, runtime: &mut Runtime, me: Token) -> Result<Waker> {
        if self.waker.is_none() {
            self.waker = Some(runtime.tasks.waker(me)?);
        }
        self.waker.clone().ok_or_else(|| Error::internal("nothing to be woken by"))
    }

    /// So many bytes were taken: lets more arrive, where the reader was behind.
    pub fn took(&self, bytes: usize) {
        if let Phase::UnderWay(going) = &self.phase
            && (bytes >= FULL || going.is_paced())
        {
            going.resume();
        }
    }

    /// Nothing more will come of the request.
    pub fn over(&mut self) {
        self.phase = Phase::Over;
        if let (Some(gate), Some(tokens)) = (&mut self.gate, taken(&self.inbox.lock())) {
            gate.settle(tokens);
        }
    }

    /// After a failure: the pause before the next request, or the error if there is to be none.
    /// `who` is asked for what.
    pub fn again(
        &mut self,
        runtime: &mut Runtime,
        (provider, model): (&str, &str),
        error: Error,
    ) -> Result<Step> {
        self.over();
        let head = self.head();
        match self.retry.decide(self.count, &error, Some(&head), chance::fraction()) {
            Verdict::GiveUp => Err(error),
            Verdict::After(ms) => {
                let retried = Retried { provider, model, attempt: self.count, ms };
                retried.tell(runtime, None, || self.complete(error, provider));
                let until = runtime.clock.now().after_ms(runtime.cassette.pause(ms));
                self.phase = Phase::Pausing(until);
                Ok(Step::Wait(Some(until)))
            }
        }
    }

    pub fn hang_up(&mut self) {
        if let Phase::UnderWay(going) = std::mem::replace(&mut self.phase, Phase::Over) {
            going.cancel();
        }
    }

    pub fn request_id(&self) -> Option<String> {
        let head = self.head();
        let id = head.header("x-request-id").or_else(|| head.header("request-id"));
        id.map(|id| self.source.clean_text(id))
    }

    /// All that has come of the answer, fit to be shown.
    pub fn reply(&self) -> Reply {
        self.source.clean_reply(self.inbox.lock().reply.clone())
    }

    fn head(&self) -> Head {
        self.inbox.lock().head.clone()
    }

    /// Adds what is known of the requests to an error, and takes out what must not be seen.
    pub fn complete(&self, error: Error, provider: &str) -> Error {
        let request_id = self.request_id();
        self.source.clean(error).with(|f| {
            f.provider = Some(provider.to_owned());
            f.attempts = Some(self.count).filter(|n| *n > 0);
            f.request_id = f.request_id.take().or(request_id);
        })
    }
}

/// The part of a limit that lies in the store. Who shares it goes by the provider's name.
fn shares(provider: &Provider, rate: &Rate, clock: &Clock) -> Option<Shares> {
    rate.shared.then(|| {
        Shares::new(provider.name.as_deref().unwrap_or(&provider.id), &rate.key, clock.clone())
    })
}

/// The tokens that a request has taken for certain: those that were reported, and none where
/// nothing came.
fn taken(inbox: &Inbox) -> Option<u64> {
    let reported = match &inbox.found {
        Some(Found::Embeddings(embeddings)) => embeddings.tokens,
        _ => inbox.reply.usage.as_ref().map(Usage::total_tokens),
    };
    reported.or_else(|| inbox.first_at.is_none().then_some(0))
}
