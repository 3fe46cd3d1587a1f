//! Requests that a function of the Lua state answers: threads of the server put them here and wait,
//! the state takes them at its next turn.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::journal::Entry;
use super::peer::{Peer, Woke};
use super::reply::Reply;
use super::script::Response;
use crate::clock::Clock;
use crate::net::{Waker, lock};

/// So long a request waits for its state to look, which it does whenever it waits for something.
pub const LONGEST: Duration = Duration::from_secs(5);

pub struct Question {
    pub id: u64,
    /// The place of the response in the script.
    pub place: usize,
    pub entry: Arc<Entry>,
}

/// How far it is with a question.
enum Stand {
    Waiting,
    /// The function runs, as long as it takes.
    Taken,
    Answered(Response),
}

#[derive(Default)]
struct Desk {
    last: u64,
    waiting: VecDeque<Question>,
    open: HashMap<u64, (Arc<Peer>, Stand)>,
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
            if let Some(response) = self.answered(id) {
                return Some(response);
            }
            let until = self.is_waiting(id).then_some(limit);
            match peer.wait(&clock, until) {
                Woke::Rung => {}
                Woke::Gone => {
                    self.forget(id);
                    return None;
                }
                Woke::Time if self.forget(id) => {
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
            desk.open.insert(id, (peer.clone(), Stand::Waiting));
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

    fn answered(&self, id: u64) -> Option<Response> {
        let mut desk = lock(&self.desk);
        match desk.open.get(&id) {
            Some((_, Stand::Answered(_))) => {}
            _ => return None,
        }
        match desk.open.remove(&id) {
            Some((_, Stand::Answered(response))) => Some(response),
            _ => None,
        }
    }

    fn is_waiting(&self, id: u64) -> bool {
        matches!(lock(&self.desk).open.get(&id), Some((_, Stand::Waiting)))
    }

    /// Takes a question back. False if it was taken or answered.
    fn forget(&self, id: u64) -> bool {
        let mut desk = lock(&self.desk);
        let before = desk.waiting.len();
        desk.waiting.retain(|question| question.id != id);
        let was_waiting = desk.waiting.len() < before;
        if was_waiting {
            desk.open.remove(&id);
        }
        was_waiting
    }

    /// The next question. Its token is rearmed first, so that none is overlooked.
    pub fn take(&self) -> Option<Question> {
        if let Some(waker) = &*lock(&self.waker) {
            waker.rearm();
        }
        let mut desk = lock(&self.desk);
        let question = desk.waiting.pop_front()?;
        let peer = desk.open.get_mut(&question.id).map(|(peer, stand)| {
            *stand = Stand::Taken;
            peer.clone()
        });
        drop(desk);
        if let Some(peer) = peer {
            peer.ring(); // it waits without a limit from here on
        }
        Some(question)
    }

    /// Says what the function has answered, to whoever still waits for it.
    pub fn answer(&self, id: u64, response: Response) {
        let mut desk = lock(&self.desk);
        let Some((peer, stand)) = desk.open.get_mut(&id) else { return };
        *stand = Stand::Answered(response);
        peer.ring();
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
