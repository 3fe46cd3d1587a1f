//! The threads that sandboxed code runs on. Each keeps a room: a Lua state lives and dies on one
//! thread. They are there while there is work, and a forked child starts its own.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Answer, Engine, Failure, Job, Room};
use crate::error::{Error, Result};
use crate::guard::guarded;
use crate::net::workers::{PerProcess, spawn};

/// Lua recurses in C: in its parser, in sorting, from coroutine into coroutine. Virtual memory only.
const STACK: usize = 8 << 20;

/// Jobs that run at the same time; more of them queue.
const MOST: usize = 16;

/// Threads in all: one whose job is over and yet cannot be stopped is none of those that run jobs.
const LIMIT: usize = 3 * MOST;

/// An idle thread waits this long for more work before it gives its room back.
const LINGER: Duration = Duration::from_secs(10);

pub struct Pool {
    engine: &'static dyn Engine,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<Job>>,
    running: Vec<Arc<Job>>,
    idle: usize,
    live: usize,
}

impl State {
    /// Whether one more thread may be started.
    fn has_room(&self) -> bool {
        if self.live < MOST {
            return true;
        }
        let stuck = self.running.iter().filter(|job| job.over().is_some()).count();
        self.live < LIMIT && self.live - stuck.min(self.live) < MOST
    }
}

/// This process's own.
pub fn pool(engine: &'static dyn Engine) -> &'static Pool {
    static POOL: PerProcess<Pool> = PerProcess::empty();
    POOL.get(|| Pool::new(engine))
}

impl Pool {
    pub fn new(engine: &'static dyn Engine) -> Pool {
        Pool { engine, state: Mutex::default(), work: Condvar::new() }
    }

    pub fn submit(&'static self, job: Arc<Job>) -> Result<()> {
        let mut state = self.lock();
        state.queue.push_back(job);
        self.attend(&mut state)
    }

    /// The caller of a job does not wait for it any more: whoever is behind it need not, either.
    pub fn given_up(&'static self) {
        let mut state = self.lock();
        if !state.queue.is_empty() {
            // Without another thread those there are will come to it.
            let _ = self.attend(&mut state);
        }
    }

    /// Sees to it that somebody takes the next job, if there may be one more.
    fn attend(&'static self, state: &mut State) -> Result<()> {
        if state.queue.len() <= state.idle {
            self.work.notify_one();
            return Ok(());
        } else if !state.has_room() {
            return Ok(());
        }
        match spawn("zigllms sandbox", STACK, || self.serve()) {
            Ok(()) => state.live += 1,
            // The threads there are will come to it; containers limit how many there may be.
            Err(_) if state.live > 0 => {}
            Err(error) => {
                state.queue.pop_back();
                return Err(Error::internal(format!("no thread for sandboxed code: {error}")));
            }
        }
        Ok(())
    }

    fn serve(&self) {
        let mut room = None;
        while let Some(job) = self.next() {
            // Whatever panics, the thread goes on: it is one of a few, and counted as live.
            let kept = guarded(|| Ok(self.work_on(&job, &mut room)));
            self.lock().running.retain(|other| !Arc::ptr_eq(other, &job));
            drop(job);
            if !kept.unwrap_or(false) {
                let _ = guarded(|| {
                    drop(room.take());
                    Ok(())
                });
            }
        }
    }

    /// False if nothing is known of the room, or it is not clean.
    fn work_on(&self, job: &Job, room: &mut Option<Box<dyn Room>>) -> bool {
        let (answer, kept) = match guarded(|| self.answer(room, job)) {
            Ok(answer) => (answer, true),
            Err(error) => (Err(Failure::NoRoom(error)), false),
        };
        job.end(answer);
        // What takes time is done when the answer is out.
        kept && room.as_mut().is_none_or(|room| room.tidy())
    }

    fn answer(&self, room: &mut Option<Box<dyn Room>>, job: &Job) -> Result<Answer> {
        if let Some(over) = job.over() {
            return Ok(Err(over));
        }
        let room = match room {
            Some(room) => room,
            None => room.insert(self.engine.room()?),
        };
        Ok(room.run(job))
    }

    fn next(&self) -> Option<Arc<Job>> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                state.running.push(job.clone());
                return Some(job);
            }
            state.idle += 1;
            let woken = self.work.wait_timeout(state, LINGER);
            let (woken, waited) = woken.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if waited.timed_out() && state.queue.is_empty() {
                state.live -= 1;
                return None;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
