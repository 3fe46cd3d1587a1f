//! The open stores of a process: shared by all instances that name the same place.
//!
//! What is queued is seen at once by every read of this process, and committed together with what
//! else comes along. What must be known is asked, and answered on the store's own thread.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

mod counters;
mod current;
mod depot;
pub(super) mod depots;
mod question;
mod queue;
#[cfg(test)]
mod tests;
mod work;

pub use counters::Counters;
pub use current::Current;
pub use question::{Answer, Changing, Doing, Pending, Question};
pub use queue::Policy;

use depot::{Ask, Depot};

use super::{Durability, Place, Write};
use crate::clock::Clock;
use crate::error::{Error, Phase, Result};
use crate::net::Waker;

/// One open store. Cheap to clone; the last one of a process flushes and closes the store.
#[derive(Clone)]
pub struct Shared {
    place: Place,
    clock: Clock,
    /// Found anew in a forked child: what its parent opened is not its own.
    user: RefCell<Arc<User>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shared({})", self.place)
    }
}

impl Shared {
    /// Opens nothing yet: no thread, no file before the first question or write.
    pub fn of(place: &Place, clock: Clock) -> Shared {
        Shared::over(depots::join(place), clock)
    }

    /// The same, if somebody in this process uses it.
    pub fn used(place: &Place, clock: &Clock) -> Option<Shared> {
        depots::is_used(place).then(|| Shared::of(place, clock.clone()))
    }

    fn over(depot: Arc<Depot>, clock: Clock) -> Shared {
        let place = depot.place.clone();
        Shared { place, clock, user: RefCell::new(Arc::new(User(depot))) }
    }

    fn depot(&self) -> Arc<Depot> {
        let mut user = self.user.borrow_mut();
        if !user.0.home.is_here() {
            *user = Arc::new(User(depots::join(&self.place)));
        }
        user.0.clone()
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Writes without conditions. Every later read of this process sees them; they are committed
    /// with others: when `policy.max_batch_size` are queued, `policy.timeout_ms` after the oldest
    /// one, or with what is asked for after them. A failure is told by the next [`Question::Flush`]
    /// or durable commit, which try again; until then the writes stay queued, in their order.
    ///
    /// If the store does not keep up, the caller's thread is held until it does. Who must not block
    /// looks at [`has_room`](Shared::has_room) first, and where there is none asks for a
    /// [`Question::Commit`] instead and waits in the way of its host. Where the store cannot be
    /// written at all, nothing more is taken: an `io_error` with the reason `"queue_full"`.
    pub fn queue(&self, writes: Vec<Write>, policy: Policy) -> Result<()> {
        depots::guard_exit();
        self.depot().queue(writes, policy, &self.clock)
    }

    pub fn has_room(&self) -> bool {
        self.depot().has_room()
    }

    /// Answered in the order asked, after what was queued before.
    pub fn ask(&self, question: Question, waker: Waker) -> Pending {
        depots::guard_exit();
        self.depot().ask(Ask::Question(question), &self.clock, Some(waker))
    }

    /// As [`Question::Flush`], counted as called for by the user.
    pub fn flush(&self, waker: Waker) -> Pending {
        self.depot().ask(Ask::FlushNow, &self.clock, Some(waker))
    }

    /// What is queued for a store that cannot be opened, if nobody else uses it: for another one.
    pub fn take_stranded(&self) -> Option<Vec<Write>> {
        self.depot().take_stranded()
    }

    /// Commits writes without conditions and waits for it: behind it nothing is left to be lost with
    /// the process.
    pub fn commit_blocking(&self, writes: Vec<Write>, patience: Duration) -> Result<()> {
        depots::guard_exit();
        let question = Question::Commit { writes, durability: Durability::Batched };
        answered(&self.depot(), Ask::Question(question), patience).map(drop)
    }

    /// Asks for something whose answer nobody waits for.
    pub fn tell(&self, question: Question) {
        depots::guard_exit();
        drop(self.depot().ask(Ask::Question(question), &self.clock, None));
    }

    /// Does work on the store's thread and waits for it.
    pub fn do_blocking(&self, work: Doing, patience: Duration) -> Result<()> {
        depots::guard_exit();
        answered(&self.depot(), Ask::Question(Question::Do(work)), patience).map(drop)
    }

    /// Writes that wait for their commit.
    pub fn queued(&self) -> usize {
        self.depot().state().queue.len()
    }

    pub fn counters(&self) -> Counters {
        let depot = self.depot();
        let state = depot.state();
        Counters { queued: state.queue.len(), ..state.counters }
    }

    /// Wakes at each failure from now on; [`Shared::take_failures`] has it.
    fn alarm(&self, waker: Waker) {
        self.depot().state().alarms.push(waker);
    }

    /// What went wrong since the last time while nobody was waiting for it.
    pub fn take_failures(&self) -> Vec<Error> {
        std::mem::take(&mut self.depot().state().failures)
    }

    /// Commits what is queued, as durable as can be, and waits for it.
    pub fn flush_blocking(&self, patience: Duration) -> Result<u64> {
        settle(&self.depot(), Ask::Question(Question::Flush), patience)
    }
}

/// Asks and waits; the answer says of how many writes.
fn settle(depot: &Arc<Depot>, ask: Ask, patience: Duration) -> Result<u64> {
    answered(depot, ask, patience)?.flushed()
}

fn answered(depot: &Arc<Depot>, ask: Ask, patience: Duration) -> Result<Answer> {
    let clock = depot.state().clock.clone();
    match depot.ask(ask, &clock, None).wait(patience) {
        Some(answer) => answer,
        None => Err(Error::timeout(
            Phase::Total,
            format!("the store \"{}\" did not answer within {patience:?}", depot.place),
        )),
    }
}

/// Tells one who reports failures that there are some.
#[derive(Debug, Default)]
pub struct Alarm(Option<Waker>);

impl Alarm {
    /// From now on the store says when something went wrong while nobody waited for it.
    pub fn set(&mut self, shared: &Shared, waker: impl FnOnce() -> Result<Waker>) {
        if self.0.is_none()
            && let Ok(waker) = waker()
        {
            shared.alarm(waker.clone());
            self.0 = Some(waker);
        }
    }

    /// What went wrong, if it is set.
    pub fn failures(&self, shared: &Shared) -> Vec<Error> {
        let Some(waker) = &self.0 else { return Vec::new() };
        waker.rearm();
        shared.take_failures()
    }
}

/// One who shares a store, for as long as it lives.
struct User(Arc<Depot>);

impl Drop for User {
    fn drop(&mut self) {
        if self.0.home.is_here() {
            depots::leave(&self.0);
        } else {
            // Inherited: one more count, so that nothing of the parent's is touched.
            std::mem::forget(self.0.clone());
        }
    }
}
