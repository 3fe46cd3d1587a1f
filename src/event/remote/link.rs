//! One link: patterns, and the channel that carries events which match.

use std::time::Duration;

use crate::clock::Clock;
use crate::error::{Code, Error, Result, quoted};
use crate::event::Pattern;
use crate::net::Waker;
use crate::step::Token;
use crate::store::{Channel, Terms, Trouble, Url};
use crate::value::Document;

use super::message;

/// What a link is to do.
pub struct Plan {
    pub patterns: Vec<Pattern>,
    pub server: Url,
    pub terms: Terms,
}

/// An event that came, who published it, and where in the stream it stands.
pub struct Arrival {
    pub event: Document,
    pub origin: String,
    pub position: String,
}

/// Up to which event a link is to have sent, and how often that had failed before.
pub struct Barrier {
    pub link: u64,
    pub events: u64,
    pub failures: u64,
}

pub struct Link {
    number: u64,
    plan: Plan,
    token: Token,
    waker: Waker,
    channel: Option<Channel>,
    /// Its first connection stood.
    open: bool,
    /// Somebody takes the events that arrive.
    pub served: bool,
    /// Where the event stands that is being dispatched.
    current: Option<String>,
    /// Where the last one stood.
    position: Option<String>,
    trouble: Option<Trouble>,
}

impl Link {
    pub fn new(number: u64, plan: Plan, token: Token, waker: Waker) -> Link {
        Link {
            number,
            plan,
            token,
            waker,
            channel: None,
            open: false,
            served: false,
            current: None,
            position: None,
            trouble: None,
        }
    }

    pub fn token(&self) -> Token {
        self.token
    }

    pub fn open(&mut self, origin: &str, clock: &Clock) -> Result<()> {
        self.plan.terms.origin = origin.to_owned();
        self.plan.terms.member = format!("{origin}-{}", self.number);
        let terms = self.plan.terms.clone();
        let channel = Channel::open(&self.plan.server, terms, clock, self.waker.clone())?;
        self.channel = Some(channel);
        Ok(())
    }

    /// In a forked child: goes on where its parent was when it forked.
    pub fn open_again(&mut self, origin: &str, waker: Waker, clock: &Clock) -> Result<()> {
        self.waker = waker;
        self.current = None;
        let terms = &mut self.plan.terms;
        terms.again = true;
        terms.since = self.position.clone().or_else(|| terms.since.take());
        self.open(origin, clock)
    }

    /// False after a fork. A link that was being opened is the parent's alone.
    pub fn is_here(&self) -> bool {
        !self.open || self.channel.as_ref().is_none_or(Channel::is_here)
    }

    /// Whether the first connection stands; `None`: not known yet, and the waker tells.
    pub fn opened(&mut self, waker: &Waker) -> Option<Result<()>> {
        let opened = self.channel.as_ref()?.opened(waker);
        self.open = matches!(opened, Some(Ok(())));
        opened
    }

    /// The stream, by server and name.
    pub fn stream(&self) -> String {
        format!("{} {}", self.plan.server.secret(), self.plan.terms.stream)
    }

    fn means(&self, name: &str) -> bool {
        self.plan.patterns.iter().any(|pattern| pattern.matches(name))
    }

    pub fn publishes(&self, name: &str) -> bool {
        self.open && self.plan.terms.direction.sends() && self.means(name)
    }

    pub fn send(&self, bytes: Vec<u8>) {
        if let Some(channel) = &self.channel {
            channel.send(bytes);
        }
    }

    /// The next event that is meant. Asking for it says that the one before has been dispatched.
    pub fn receive(&mut self) -> Option<Arrival> {
        loop {
            self.handled();
            let message = self.channel.as_ref().filter(|_| self.open)?.next()?;
            let position = message.position;
            self.position = Some(position.clone());
            self.current = Some(position.clone());
            match message::decode(&message.bytes) {
                Some(event) if message::name(&event).is_some_and(|name| self.means(name)) => {
                    return Some(Arrival { event, origin: message.origin, position });
                }
                Some(_) => {}
                None => self.trouble = Some(self.misread()),
            }
        }
    }

    fn handled(&mut self) {
        if let (Some(channel), Some(position)) = (&self.channel, self.current.take()) {
            channel.handled(&position);
        }
    }

    fn misread(&self) -> Trouble {
        let stream = quoted(&self.plan.terms.stream);
        let text = format!("a message of the stream {stream} is no event that this version reads");
        Trouble { error: Error::new(Code::IoError, text), lost: 1 }
    }

    /// What went wrong since the last time.
    pub fn trouble(&mut self) -> Option<Trouble> {
        let own = self.trouble.take();
        own.or_else(|| self.channel.as_ref().and_then(Channel::trouble))
    }

    /// Everything published so far; what could not be sent is tried again now.
    pub fn barrier(&self) -> Option<Barrier> {
        let channel = self.channel.as_ref().filter(|channel| channel.is_here())?;
        let events = channel.queued();
        (events > 0).then(|| Barrier { link: self.number, events, failures: channel.hurry() })
    }

    /// Whether that has left; `None`: not all so far, and the waker tells.
    pub fn passed(&self, barrier: &Barrier, waker: &Waker) -> Option<Result<()>> {
        let Barrier { events, failures, .. } = *barrier;
        let channel = self.channel.as_ref();
        channel.map_or(Some(Ok(())), |channel| channel.sent(events, failures, waker))
    }

    pub fn close(&mut self) {
        if let Some(channel) = self.channel.as_ref().filter(|channel| channel.is_here()) {
            channel.close();
        }
    }

    /// Its user wants no more of it, maybe while it hears of an event: that one was delivered.
    pub fn end(&mut self) {
        if self.is_here() {
            self.handled();
        }
        self.close();
        self.waker.wake();
    }

    /// Waits until everything published has left.
    pub fn settle(&self, patience: Duration) {
        if let Some(channel) = self.channel.as_ref().filter(|channel| channel.is_here()) {
            channel.settle(patience);
        }
    }
}
