//! The thread that sends: messages, and that entries were handled.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::commands::{Answer, Wire};
use super::post::{Post, State};

/// An idle writer waits so long for more before it ends, and its connection with it.
const LINGER: Duration = Duration::from_secs(10);

/// So many messages are sent at once, of so many bytes.
const MOST: usize = 1000;
const MOST_BYTES: usize = 1 << 20;

/// What is sent at once.
struct Load {
    messages: Vec<Vec<u8>>,
    acks: Vec<String>,
}

impl Post {
    pub fn send(post: &Arc<Post>, bytes: Vec<u8>) {
        let mut state = post.roomy();
        state.push(bytes);
        if state.has_lost() {
            post.waker.wake();
        }
        Post::rouse(post, state);
    }

    /// Makes sure that somebody sends.
    pub fn rouse(post: &Arc<Post>, mut state: MutexGuard<'_, State>) {
        if state.writing {
            return post.work.notify_one();
        }
        let writer = post.clone();
        let started = Post::start("zigllms-stream", move || writer.write());
        state.writing = started.is_ok();
        drop(state);
        if let Err(error) = started {
            post.fails(error, post.failures());
        }
    }

    fn write(&self) {
        let (mut wire, mut since, mut attempt) = (None, 0, 0);
        while let Some(load) = self.load() {
            let failures = self.failures();
            if wire.is_none() {
                since = failures;
            }
            match self.carry(&mut wire, &load) {
                Ok(()) => {
                    attempt = 0;
                    self.works(failures);
                    self.carried(load.messages.len());
                }
                Err(failure) => {
                    wire = None;
                    self.refused(load);
                    self.fails(failure.error(self.address.shown()), since);
                    self.pause(attempt);
                    attempt += 1;
                }
            }
        }
    }

    /// Waits for something to send; `None` when there is nothing for long, or never again.
    fn load(&self) -> Option<Load> {
        let idle =
            |state: &mut State| state.outbox.is_empty() && state.acks.is_empty() && !state.closing;
        let waited = self.work.wait_timeout_while(self.state(), LINGER, idle);
        let mut state = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        let load = Load { messages: state.batch(MOST, MOST_BYTES), acks: state.take_acks() };
        if load.messages.is_empty() && load.acks.is_empty() {
            state.writing = false;
            return None;
        }
        Some(load)
    }

    fn carry(&self, wire: &mut Option<Wire>, load: &Load) -> Answer<()> {
        let mut connected = match wire.take() {
            Some(wire) => wire,
            None => Wire::connect(&self.address, &self.terms.stream)?,
        };
        if !load.messages.is_empty() {
            let messages = load.messages.iter().map(Vec::as_slice);
            connected.add(&self.terms.origin, self.terms.max_len, messages)?;
        }
        if let Some(group) = &self.terms.group {
            connected.acknowledge(group, &load.acks)?;
        }
        *wire = Some(connected);
        Ok(())
    }

    fn carried(&self, count: usize) {
        self.state().was_sent(count);
        self.room.notify_all();
    }

    /// It is sent again, all of it: the server may have heard it and may not. At the end of the
    /// channel it is given up.
    fn refused(&self, load: Load) {
        let mut state = self.state();
        state.put_back(load.messages);
        state.acks.extend(load.acks);
        if state.closing {
            state.give_up();
            state.acks.clear();
        }
    }
}

impl State {
    pub fn take_acks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.acks)
    }
}
