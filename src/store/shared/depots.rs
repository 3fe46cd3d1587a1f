//! All open stores of a process, and what becomes of them when it forks or ends.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use super::depot::{Ask, Depot, Open};
use super::{Pending, Question, settle};
use crate::clock::{Clock, Moment};
use crate::guard::guarded;
use crate::net::lock;
use crate::net::workers::{PerProcess, Registered};
use crate::store::{Place, channel, engine};

/// How long the end of a Lua state waits for what is queued.
const AT_CLOSE: Duration = Duration::from_secs(10);

/// And the end of the process, for all stores together.
const AT_EXIT: Duration = Duration::from_secs(5);

struct Depots {
    open: Mutex<HashMap<Place, Arc<Depot>>>,
    /// What the parent of a forked child had.
    inherited: Option<&'static Depots>,
    inherit: Once,
}

fn depots() -> &'static Depots {
    static DEPOTS: PerProcess<Depots> = PerProcess::empty();
    let depots = DEPOTS.get_after(|inherited| Depots {
        open: Mutex::default(),
        inherited,
        inherit: Once::new(),
    });
    depots.inherit.call_once(|| depots.take_over());
    depots
}

impl Depots {
    /// A forked child goes on with what was in memory. What else its parent had open it leaves
    /// alone, queues and threads included, and opens its own.
    fn take_over(&self) {
        let Some(Ok(theirs)) = self.inherited.map(|parents| parents.open.try_lock()) else {
            return;
        };
        if let Some(engine) = theirs.get(&Place::Memory).and_then(|depot| depot.inherited()) {
            self.depot(&Place::Memory).adopt(engine);
        }
    }

    fn depot(&self, place: &Place) -> Arc<Depot> {
        within(&mut lock(&self.open), place)
    }

    fn join(&self, place: &Place) -> Arc<Depot> {
        let mut open = lock(&self.open);
        let depot = within(&mut open, place);
        depot.state().users += 1;
        depot
    }

    /// Files of lines are many, and each is used for a while only.
    fn forget(&self, depot: &Arc<Depot>) {
        let mut open = lock(&self.open);
        let unused = {
            let state = depot.state();
            state.users == 0 && state.queue.is_empty()
        };
        if unused && open.get(&depot.place).is_some_and(|there| Arc::ptr_eq(there, depot)) {
            open.remove(&depot.place);
        }
    }
}

fn within(open: &mut HashMap<Place, Arc<Depot>>, place: &Place) -> Arc<Depot> {
    let depot = open.entry(place.clone()).or_insert_with(|| {
        let place = place.clone();
        let opened: Open = {
            let place = place.clone();
            Box::new(move || engine::open(&place))
        };
        Depot::new(place, opened)
    });
    depot.clone()
}

/// The open store of that place, with one more user.
pub fn join(place: &Place) -> Arc<Depot> {
    depots().join(place)
}

/// Whether somebody in this process uses that place.
pub fn is_used(place: &Place) -> bool {
    lock(&depots().open).contains_key(place)
}

/// One user less. Nothing may be lost with a Lua state: this waits for what is queued, and with
/// the last user the store is closed. What cannot be written stays queued; the store's thread goes
/// on trying.
pub fn leave(depot: &Arc<Depot>) {
    let last = {
        let mut state = depot.state();
        state.users -= 1;
        state.users == 0
    };
    let ask = if last { Ask::Close } else { Ask::Question(Question::Flush) };
    if has_work(depot, last) {
        let _ = settle(depot, ask, AT_CLOSE);
    }
    if matches!(depot.place, Place::Lines(_)) {
        depots().forget(depot);
    }
}

fn has_work(depot: &Depot, last: bool) -> bool {
    !depot.place.is_memory() && (last && depot.is_open() || !depot.is_settled())
}

/// Called before anything is queued: the process may end without closing its Lua states.
pub fn guard_exit() {
    static REGISTERED: Registered = Registered::no();
    REGISTERED.ensure(|| {
        // SAFETY: the handler is an ordinary function, and this library is never unloaded.
        unsafe { libc::atexit(before_exit) };
    });
}

/// The stores' threads still run: they are told to finish, and waited for.
extern "C" fn before_exit() {
    let _ = guarded(|| {
        let clock = Clock::default();
        let until = clock.now().after(AT_EXIT);
        let open: Vec<_> = lock(&depots().open).values().cloned().collect();
        let closing: Vec<_> =
            open.iter().filter(|depot| has_work(depot, true)).map(close).collect();
        closing.into_iter().for_each(|(depot, pending)| wait(depot, &pending, &clock, until));
        channel::finish(&clock, until);
        Ok(())
    });
}

fn close(depot: &Arc<Depot>) -> (&Arc<Depot>, Pending) {
    (depot, depot.ask(Ask::Close, &Clock::default(), None))
}

fn wait(depot: &Depot, pending: &Pending, clock: &Clock, until: Moment) {
    let outcome = pending.wait(clock.now().until(until));
    let why = match outcome {
        Some(Ok(_)) => return,
        Some(Err(error)) => error.to_string(),
        None => "it does not answer".to_owned(),
    };
    let lost = depot.state().queue.len();
    if lost > 0 {
        // Nobody is left to be told in another way, and data are lost.
        let place = &depot.place;
        let _ = writeln!(
            std::io::stderr(),
            "zigllms: {lost} writes to the store \"{place}\" are lost: {why}"
        );
    }
}
