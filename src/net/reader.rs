//! The one thread that reads the bodies of all answers.
//!
//! It also keeps the time of requests that wait for a worker, since nobody else looks at them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Failure;
use super::ctl::Ctl;
use super::lock;
use super::notify::Bell;
use super::poller::Poller;
use super::process::process;
use super::sock::Sock;
use super::stream::{PIECE, Stream, Turn};
use super::workers::{Job, STACK, spawn};
use crate::clock::{Clock, Moment};

/// What other threads ask of the reader.
enum Order {
    /// Read this body.
    Adopt(Box<Stream>),
    /// End this call at its deadline if no worker has begun it.
    Watch(Arc<Ctl>),
    /// The call was cancelled or resumed.
    Nudge(u64),
}

/// The way to the reader thread, which starts with the first order that needs it.
#[derive(Default)]
pub(super) struct Reader(Mutex<Desk>);

#[derive(Default)]
struct Desk {
    orders: Vec<Order>,
    started: bool,
    bell: Option<Arc<Bell>>,
}

impl Reader {
    /// Takes over a body. Without a thread to be had, the calling worker becomes the reader.
    pub fn adopt(&'static self, stream: Stream) {
        stream.ctl.set_adopted();
        if self.order(Order::Adopt(Box::new(stream))) && self.start().is_err() {
            self.read();
        }
    }

    /// Without a thread, the deadline counts when a worker comes to the call.
    pub fn watch(&'static self, ctl: Arc<Ctl>) {
        if self.order(Order::Watch(ctl)) && self.start().is_err() {
            lock(&self.0).started = false;
        }
    }

    /// Looks at a call again, if it is in the reader's care.
    pub fn nudge(&self, call: u64) {
        let mut desk = lock(&self.0);
        if desk.started {
            desk.place(Order::Nudge(call));
        }
    }

    /// True if the caller has to start the thread.
    fn order(&self, order: Order) -> bool {
        let mut desk = lock(&self.0);
        desk.place(order);
        !std::mem::replace(&mut desk.started, true)
    }

    fn start(&'static self) -> io::Result<()> {
        spawn("zigllms-reader", STACK, || self.read())
    }

    fn read(&self) {
        match Round::new() {
            Ok(round) => {
                lock(&self.0).bell = Some(round.poller.bell().clone());
                round.go(self);
            }
            Err(error) => self.give_up(&error),
        }
    }

    fn take(&self) -> Vec<Order> {
        std::mem::take(&mut lock(&self.0).orders)
    }

    /// No descriptors: what waits fails, and the next order tries again.
    fn give_up(&self, error: &io::Error) {
        lock(&self.0).started = false;
        for order in self.take() {
            if let Order::Adopt(stream) = order {
                stream.end(Err(Failure::Broken(format!("cannot watch the connection: {error}"))));
            }
        }
    }
}

impl Desk {
    /// The reader takes all orders at once, so the first one rings for those behind it.
    fn place(&mut self, order: Order) {
        self.orders.push(order);
        if let Some(bell) = self.bell.as_ref().filter(|_| self.orders.len() == 1) {
            bell.ring();
        }
    }
}

/// A body in the reader's care.
struct Entry {
    stream: Stream,
    /// The socket the poller watches.
    watched: Option<Arc<Sock>>,
    /// In `Round::hungry`.
    hungry: bool,
}

/// The state of the thread.
struct Round {
    poller: Poller,
    entries: HashMap<u64, Entry>,
    /// Calls that wait for a worker.
    queued: HashMap<u64, Arc<Ctl>>,
    /// When, in real time, to look at which call. A deadline that moved away is found when its old time comes.
    deadlines: BinaryHeap<Reverse<(Moment, u64)>>,
    /// The one entry of `deadlines` that counts for a call.
    armed: HashMap<u64, Moment>,
    /// Bodies that may have bytes now.
    hungry: Vec<u64>,
    piece: Vec<u8>,
}

impl Round {
    fn new() -> io::Result<Round> {
        Ok(Round {
            poller: Poller::new(Bell::new()?)?,
            entries: HashMap::new(),
            queued: HashMap::new(),
            deadlines: BinaryHeap::new(),
            armed: HashMap::new(),
            hungry: Vec::new(),
            piece: vec![0; PIECE],
        })
    }

    fn go(mut self, reader: &Reader) {
        loop {
            for order in reader.take() {
                self.obey(order);
            }
            for call in std::mem::take(&mut self.hungry) {
                self.turn(call);
            }
            // After the turns: content may have brought a deadline nearer.
            let next = self.expire();
            let limit = if self.hungry.is_empty() { next } else { Some(Duration::ZERO) };
            for call in self.poller.wait(limit) {
                self.feed(call);
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Adopt(stream) => self.adopt(*stream),
            Order::Watch(ctl) => {
                self.queued.insert(ctl.id, ctl.clone());
                // Nobody says when a worker took one; now and then is often enough to look.
                if self.queued.len().is_power_of_two() {
                    self.queued.retain(|_, ctl| ctl.is_open());
                }
                self.arm(&ctl);
                self.look_at(ctl.id);
            }
            Order::Nudge(call) => {
                self.look_at(call);
                // Its time may have leapt.
                if let Some(ctl) = self.ctl(call) {
                    self.arm(&ctl);
                }
            }
        }
    }

    fn adopt(&mut self, stream: Stream) {
        let ctl = stream.ctl.clone();
        self.queued.remove(&ctl.id);
        self.entries.insert(ctl.id, Entry { stream, watched: None, hungry: false });
        self.arm(&ctl);
        self.look_at(ctl.id);
        self.feed(ctl.id);
    }

    /// After a cancel, a resume or a leap of time, or when it is new here and either may have come before.
    fn look_at(&mut self, call: u64) {
        if let Some(ctl) = self.queued.get(&call)
            && !ctl.is_open()
        {
            self.end_queued(call);
        }
        let Some(entry) = self.entries.get_mut(&call) else { return };
        if !entry.stream.ctl.is_open() {
            self.end(call, Ok(()));
        } else if entry.stream.paused && entry.stream.ctl.resumed() {
            entry.stream.unpause();
            let ctl = entry.stream.ctl.clone();
            self.arm(&ctl);
            self.feed(call);
        }
    }

    fn feed(&mut self, call: u64) {
        if let Some(entry) = self.entries.get_mut(&call)
            && !entry.stream.paused
            && !std::mem::replace(&mut entry.hungry, true)
        {
            self.hungry.push(call);
        }
    }

    fn turn(&mut self, call: u64) {
        let Some(entry) = self.entries.get_mut(&call) else { return };
        entry.hungry = false;
        let turn = entry.stream.turn(&mut self.piece);
        let ctl = entry.stream.ctl.clone();
        match turn {
            Turn::More => self.feed(call),
            Turn::Blocked => self.watch(call),
            Turn::Paused => {
                self.unwatch(call);
                // A resume may have come while the sink was being told.
                self.look_at(call);
            }
            Turn::Ended(outcome) => return self.end(call, outcome),
        }
        self.arm(&ctl);
    }

    fn watch(&mut self, call: u64) {
        let Some(entry) = self.entries.get_mut(&call) else { return };
        if entry.watched.is_some() {
            return;
        }
        let Some(sock) = entry.stream.ctl.sock() else { return };
        match self.poller.add(&sock, call) {
            Ok(()) => entry.watched = Some(sock),
            Err(error) => self.end(call, Err(Failure::Broken(error.to_string()))),
        }
    }

    fn unwatch(&mut self, call: u64) {
        let Some(entry) = self.entries.get_mut(&call) else { return };
        if let Some(sock) = entry.watched.take() {
            self.poller.remove(&sock, call);
        }
    }

    /// Deregister, detach, drop: in this order, so that the descriptor's number is not used again
    /// before the poller has forgotten it.
    fn end(&mut self, call: u64, outcome: Result<(), Failure>) {
        self.unwatch(call);
        self.armed.remove(&call);
        if let Some(entry) = self.entries.remove(&call) {
            entry.stream.end(outcome);
        }
    }

    fn end_queued(&mut self, call: u64) {
        self.queued.remove(&call);
        self.armed.remove(&call);
        // It has its verdict, so running it only tells its sink.
        if let Some(exchange) = process().calls.withdraw(call) {
            exchange.run();
        }
    }

    // Deadlines.

    fn arm(&mut self, ctl: &Ctl) {
        let Some(at) = ctl.real_deadline() else { return };
        if self.armed.get(&ctl.id).is_none_or(|armed| at < *armed) {
            self.armed.insert(ctl.id, at);
            self.deadlines.push(Reverse((at, ctl.id)));
        }
    }

    /// Ends what is out of time; says how long until the next look.
    fn expire(&mut self) -> Option<Duration> {
        let real = Clock::default();
        loop {
            let Reverse((at, call)) = *self.deadlines.peek()?;
            let ctl = self.ctl(call).filter(|_| self.armed.get(&call) == Some(&at));
            let Some(ctl) = ctl else {
                self.deadlines.pop();
                continue;
            };
            let left = real.now().until(at);
            if !left.is_zero() {
                return Some(left);
            }
            self.deadlines.pop();
            self.armed.remove(&call);
            match ctl.left() {
                Ok(_) => self.arm(&ctl),
                Err(_) => self.look_at(call),
            }
        }
    }

    fn ctl(&self, call: u64) -> Option<Arc<Ctl>> {
        let reading = self.entries.get(&call).map(|entry| &entry.stream.ctl);
        reading.or_else(|| self.queued.get(&call)).cloned()
    }
}
