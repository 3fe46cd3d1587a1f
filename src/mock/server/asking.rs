//! Requests that a function of the Lua state answers: threads of the server put them here and wait,
//! the state takes them at its next turn.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::journal::Entry;
use super::peer::{Peer, Woke};
use super::reply::Reply;
use super::script::Response;
use crate::clock::{Clock, Stall};
use crate::net::{Waker, lock};

/// So long a request waits for its state to look, which it does whenever it waits for something.
pub const LONGEST: Duration = Duration::from_secs(5);

pub struct Question {
    pub id: u64,
    /// The place of the response in the script.
    pub place: usize,
    pub entry: Arc<Entry>,
}

/// Who waits for an answer.
struct Open {
    peer: Arc<Peer>,
    stand: Stand,
}

/// How far it is with a question.
enum Stand {
    Waiting,
    /// The function runs, as long as it takes. Virtual time may pass meanwhile.
    Taken(#[allow(dead_code, reason = "lasts as long as it is there")] Stall),
    Answered(Response),
}

#[derive(Default)]
struct Desk {
    last: u64,
    waiting: VecDeque<Question>,
    open: HashMap<u64, Open>,
}

#[derive(Default)]
pub struct Asking {
    desk: Mutex<Desk>,
    waker: Mutex<Option<Waker>>,
}

impl Asking {
    /// Who is told that there is a question.
    pub fn tell(&self, waker: Waker) {
        *lock(&self.waker) = Some(waker);
    }

    /// The answer of the function; `None` if the client has gone meanwhile. Called on the thread
    /// that serves it.
    pub fn ask(&self, peer: &Arc<Peer>, place: usize, entry: Arc<Entry>) -> Option<Response> {
        let id = self.put(peer, place, entry);
        // Real time: a state that does not run moves no clock, either.
        let clock = Clock::default();
        let limit = clock.now().after(LONGEST);
        loop {
            let until = match self.answered(id) {
                Ok(response) => return Some(response),
                Err(is_waiting) => is_waiting.then_some(limit),
            };
            match peer.wait(&clock, until) {
                Woke::Rung => {}
                Woke::Gone => {
                    self.forget(id);
                    return None;
                }
                Woke::Time if self.give_up(id) => {
                    return Some(Response::Scripted(Arc::new(nobody_looked())));
                }
                Woke::Time => {} // taken in the last moment
            }
        }
    }

    fn put(&self, peer: &Arc<Peer>, place: usize, entry: Arc<Entry>) -> u64 {
        let id = {
            let mut desk = lock(&self.desk);
            desk.last += 1;
            let id = desk.last;
            desk.open.insert(id, Open { peer: peer.clone(), stand: Stand::Waiting });
            desk.waiting.push_back(Question { id, place, entry });
            id
        };
        self.wake();
        id
    }

    /// Who is told looks again.
    pub fn wake(&self) {
        if let Some(waker) = &*lock(&self.waker) {
            waker.wake();
        }
    }

    /// Without an answer: whether the question still waits to be taken.
    fn answered(&self, id: u64) -> Result<Response, bool> {
        let mut desk = lock(&self.desk);
        match desk.open.remove(&id) {
            Some(Open { stand: Stand::Answered(response), .. }) => Ok(response),
            Some(open) => {
                let is_waiting = matches!(open.stand, Stand::Waiting);
                desk.open.insert(id, open);
                Err(is_waiting)
            }
            None => Err(false),
        }
    }

    /// Takes a question back that nobody has taken so far; false if somebody has.
    fn give_up(&self, id: u64) -> bool {
        let mut desk = lock(&self.desk);
        let before = desk.waiting.len();
        desk.waiting.retain(|question| question.id != id);
        let waited = desk.waiting.len() < before;
        if waited {
            desk.open.remove(&id);
        }
        waited
    }

    /// Nobody waits for the answer.
    fn forget(&self, id: u64) {
        if !self.give_up(id) {
            lock(&self.desk).open.remove(&id);
        }
    }

    /// The next question. Its token is rearmed first, so that none is overlooked.
    pub fn take(&self, clock: &Clock) -> Option<Question> {
        if let Some(waker) = &*lock(&self.waker) {
            waker.rearm();
        }
        let mut desk = lock(&self.desk);
        let question = desk.waiting.pop_front()?;
        if let Some(open) = desk.open.get_mut(&question.id) {
            open.stand = Stand::Taken(clock.stall(open.peer.address(), None));
            open.peer.ring(); // it waits without a limit from here on
        }
        Some(question)
    }

    /// Says what the function has answered, to whoever still waits for it.
    pub fn answer(&self, id: u64, response: Response) {
        let mut desk = lock(&self.desk);
        let Some(open) = desk.open.get_mut(&id) else { return };
        open.stand = Stand::Answered(response);
        open.peer.ring();
    }
}

fn nobody_looked() -> Reply {
    let seconds = LONGEST.as_secs();
    Reply::failure(
        503,
        &format!(
            "the function that answers this request did not run within {seconds} s: its Lua state \
             must wait for something meanwhile (zigllms.sleep, poll, run, or a call of its own)"
        ),
    )
}
