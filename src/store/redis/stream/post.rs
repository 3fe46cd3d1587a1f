//! One channel: what is on its way out and in, shared by its threads and its user.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::super::Address;
use crate::clock::Clock;
use crate::error::{Code, Error, Result};
use crate::net::workers::{self, Home};
use crate::net::{Waker, lock};
use crate::store::channel::{Message, Terms, Trouble};

/// Virtual memory only; TLS needs some.
const STACK: usize = 2 << 20;

/// So much waits to be sent. More makes the caller wait, or the oldest give way.
const MOST_QUEUED: usize = 100_000;
const MOST_QUEUED_BYTES: usize = 64 << 20;

/// How long a caller waits for a server that is there, but does not keep up.
const PATIENCE: Duration = Duration::from_secs(2);

/// So much is held for a reader in Lua that is slow.
const MOST_HELD: usize = 1024;
const MOST_HELD_BYTES: usize = 8 << 20;

/// The first and the longest pause before a connection is tried again.
const PAUSE_MS: (u64, u64) = (50, 5_000);

pub struct Post {
    pub home: Home,
    pub address: Address,
    pub terms: Terms,
    pub clock: Clock,
    pub waker: Waker,
    state: Mutex<State>,
    /// There is something to send.
    pub work: Condvar,
    /// Something was sent, or taken by the user, or it is over.
    pub room: Condvar,
}

#[derive(Default)]
pub struct State {
    /// How the first connection went.
    pub opened: Option<Result<()>>,
    pub closing: bool,
    /// Queued and not yet under way.
    pub outbox: VecDeque<Vec<u8>>,
    outbox_bytes: usize,
    /// Messages queued ever, and those that were sent or given up.
    queued: u64,
    gone: u64,
    /// Positions of what was handled, for the server.
    pub acks: Vec<String>,
    inbox: VecDeque<Message>,
    inbox_bytes: usize,
    /// So many of them at most.
    most_held: usize,
    /// Positions of what this member of a group has and has not handled.
    pub held: BTreeSet<String>,
    /// Why the server cannot be asked at the moment.
    failing: Option<Error>,
    /// How often it could not, and how often somebody asked to try again at once.
    failures: u64,
    hurries: u64,
    /// What the user has not been told yet.
    trouble: Option<Error>,
    lost: u64,
    /// Whether the writer's thread runs.
    pub writing: bool,
    /// Those who wait for `gone`, or for `opened`.
    waiting: Vec<Waker>,
}

impl Post {
    pub fn new(address: Address, terms: Terms, clock: Clock, waker: Waker) -> Arc<Post> {
        let most_held = terms.group.as_ref().map_or(MOST_HELD, |_| terms.prefetch);
        Arc::new(Post {
            home: Home::here(),
            address,
            terms,
            clock,
            waker,
            state: Mutex::new(State { most_held, ..State::default() }),
            work: Condvar::new(),
            room: Condvar::new(),
        })
    }

    pub fn begin(post: &Arc<Post>) -> Result<()> {
        let reader = post.clone();
        Post::start("zigllms-stream", move || reader.read())
    }

    pub fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
        workers::spawn(name, STACK, work).map_err(|error| {
            let text = format!("cannot start a thread for a stream: {error}");
            Error::new(Code::IoError, text)
        })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// With room for one more message, if the server keeps up.
    pub fn roomy(&self) -> MutexGuard<'_, State> {
        let crowded =
            |state: &mut State| state.is_full() && !state.closing && state.failing.is_none();
        let waited = self.room.wait_timeout_while(self.state(), PATIENCE, crowded);
        waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0
    }

    pub fn handled(post: &Arc<Post>, position: &str) {
        if post.terms.group.is_none() {
            return;
        }
        let mut state = post.state();
        if state.held.remove(position) {
            state.acks.push(position.to_owned());
            post.room.notify_all();
            Post::rouse(post, state);
        }
    }

    /// The first connection stands, or cannot be made.
    pub fn began(&self, how: Result<()>) {
        let mut state = self.state();
        state.opened.get_or_insert(how);
        state.tell_waiting();
    }

    pub fn opened(&self, waker: &Waker) -> Option<Result<()>> {
        waker.rearm();
        let mut state = self.state();
        if state.opened.is_none() {
            state.waiting.push(waker.clone());
        }
        state.opened.clone()
    }

    /// What failed is tried again now. Answers how often it has failed so far.
    pub fn hurry(&self) -> u64 {
        let mut state = self.state();
        state.hurries += 1;
        self.room.notify_all();
        state.failures
    }

    pub fn sent(&self, number: u64, failures: u64, waker: &Waker) -> Option<Result<()>> {
        waker.rearm();
        let mut state = self.state();
        if state.gone >= number {
            return Some(Ok(()));
        }
        if let Some(error) = state.failing.as_ref().filter(|_| state.failures > failures) {
            let left = number - state.gone;
            return Some(Err(error.clone().at(&format!("{left} messages could not be sent"))));
        }
        state.waiting.push(waker.clone());
        None
    }

    pub fn close(&self) {
        self.state().closing = true;
        self.work.notify_all();
        self.room.notify_all();
    }

    pub fn settle(&self, patience: Duration) -> bool {
        let busy = |state: &mut State| !state.is_settled() && state.failing.is_none();
        let waited = self.room.wait_timeout_while(self.state(), patience, busy);
        waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0.is_settled()
    }

    /// How often the server could not be asked so far: by this a thread says later whether what it
    /// has seen is news.
    pub fn failures(&self) -> u64 {
        self.state().failures
    }

    /// The server has answered what was asked after so many failures. After more since then that is
    /// old: the other thread may have been told of its end already.
    pub fn works(&self, failures: u64) {
        let mut state = self.state();
        if state.failures == failures {
            state.failing = None;
        }
        drop(state);
        self.room.notify_all();
    }

    /// The server does not answer: the user is told once, until it works again. A connection made so
    /// many failures ago, which only now is seen to be broken, says nothing of how it is now.
    pub fn fails(&self, error: Error, failures: u64) {
        let mut state = self.state();
        let is_news = state.failing.is_some() || state.failures == failures;
        if state.failing.is_none() && is_news && !state.closing {
            state.trouble = Some(error.clone());
            self.waker.wake();
        }
        if is_news {
            state.failing = Some(error);
        }
        state.failures += 1;
        state.tell_waiting();
        self.room.notify_all();
    }

    /// Waits before the next attempt, longer each time, unless the other thread has got through;
    /// the end of the channel ends it, and so does whoever is in a hurry.
    pub fn pause(&self, attempt: u32) {
        let ms = (PAUSE_MS.0 << attempt.min(10)).min(PAUSE_MS.1);
        let state = self.state();
        let hurries = state.hurries;
        let away = |state: &mut State| {
            state.failing.is_some() && !state.closing && state.hurries == hurries
        };
        drop(self.room.wait_timeout_while(state, Duration::from_millis(ms), away));
    }
}

impl State {
    pub fn is_full(&self) -> bool {
        self.outbox.len() >= MOST_QUEUED || self.outbox_bytes >= MOST_QUEUED_BYTES
    }

    fn is_settled(&self) -> bool {
        self.gone >= self.queued
    }

    pub fn queued(&self) -> u64 {
        self.queued
    }

    pub fn push(&mut self, bytes: Vec<u8>) {
        while self.is_full() {
            self.drop_oldest();
        }
        self.queued += 1;
        self.outbox_bytes += bytes.len();
        self.outbox.push_back(bytes);
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.outbox.pop_front() else { return };
        self.outbox_bytes -= oldest.len();
        self.lost += 1;
        self.gone += 1;
    }

    /// What is sent at once: so many messages, of so many bytes together unless one has more.
    pub fn batch(&mut self, most: usize, most_bytes: usize) -> Vec<Vec<u8>> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < most && (bytes < most_bytes || batch.is_empty()) {
            let Some(next) = self.outbox.pop_front() else { break };
            bytes += next.len();
            batch.push(next);
        }
        self.outbox_bytes -= bytes;
        batch
    }

    pub fn was_sent(&mut self, count: usize) {
        self.gone += count as u64;
        self.tell_waiting();
    }

    /// A batch that could not be sent goes back to where it was.
    pub fn put_back(&mut self, batch: Vec<Vec<u8>>) {
        for bytes in batch.into_iter().rev() {
            self.outbox_bytes += bytes.len();
            self.outbox.push_front(bytes);
        }
    }

    /// Nothing more is sent.
    pub fn give_up(&mut self) {
        while !self.outbox.is_empty() {
            self.drop_oldest();
        }
        self.tell_waiting();
    }

    fn tell_waiting(&mut self) {
        self.waiting.drain(..).for_each(|waker| waker.wake());
    }

    /// How many more entries may come.
    pub fn free(&self) -> usize {
        let count = self.most_held.saturating_sub(self.held.len().max(self.inbox.len()));
        if self.inbox_bytes < MOST_HELD_BYTES { count } else { 0 }
    }

    pub fn put(&mut self, message: Message) {
        self.inbox_bytes += message.bytes.len();
        self.inbox.push_back(message);
    }

    pub fn next(&mut self) -> Option<Message> {
        let message = self.inbox.pop_front()?;
        self.inbox_bytes -= message.bytes.len();
        Some(message)
    }

    pub fn has_lost(&self) -> bool {
        self.lost > 0
    }

    pub fn take_trouble(&mut self) -> Option<Trouble> {
        let lost = std::mem::take(&mut self.lost);
        let error = self.trouble.take().or_else(|| self.failing.clone().filter(|_| lost > 0));
        let unknown = || Error::new(Code::IoError, "the server does not keep up");
        (error.is_some() || lost > 0)
            .then(|| Trouble { error: error.unwrap_or_else(unknown), lost })
    }
}
