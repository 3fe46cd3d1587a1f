//! Who is known to wait for nothing real: clients of a server of the module that stalls by order.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::{Clock, Moment};

/// Something under way that can say whether it is a client which only waits for its server.
pub trait Traffic: Send + Sync {
    /// Whether it waits for the server, nothing of the answer is on its way, and `stalled` is true of
    /// the address that it speaks from.
    fn is_stalled(&self, stalled: &dyn Fn(SocketAddr) -> bool) -> bool;

    /// When it ends its wait by itself.
    fn deadline(&self) -> Option<Moment>;

    /// Time has leapt: its deadline may have passed.
    fn moved(&self);
}

/// While a server's script has it wait, its client is not what keeps virtual time from leaping. The
/// server begins a stall when it has sent what comes before, waits, and drops it before it goes on:
///
/// ```
/// use std::time::Duration;
/// use zigllms::clock::Clock;
///
/// let clock = Clock::of_instance();
/// let peer = "127.0.0.1:5000".parse().unwrap(); // of the accepted connection
/// let stall = clock.stall(peer, Some(clock.now().after_ms(5)));
/// while !stall.wait(Duration::from_millis(100)) {
///     // The time to see whether the server is to end, or the client has gone.
/// }
/// drop(stall);
/// ```
#[must_use]
pub struct Stall {
    clock: Clock,
    rest: Arc<Rest>,
}

#[derive(Debug)]
pub(super) struct Rest {
    peer: SocketAddr,
    until: Option<Moment>,
    over: AtomicBool,
    /// Held by who waits, from a look at the clock until the sleep.
    looking: Mutex<()>,
    moved: Condvar,
}

impl Stall {
    pub(super) fn begin(clock: Clock, peer: SocketAddr, until: Option<Moment>) -> Stall {
        let (over, looking, moved) = Default::default();
        let rest = Arc::new(Rest { peer, until, over, looking, moved });
        if let Some(time) = &clock.0 {
            time.stalls(&rest);
        }
        Stall { clock, rest }
    }

    /// Waits for its end, at most `limit` of real time; whether the end has come.
    pub fn wait(&self, limit: Duration) -> bool {
        let looking = self.rest.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let left = self.left();
        if left.is_some_and(|left| left.is_zero()) {
            self.rest.over.store(true, Ordering::SeqCst);
            return true;
        }
        let limit = left.map_or(limit, |left| left.min(limit));
        drop(self.rest.moved.wait_timeout(looking, limit));
        self.left().is_some_and(|left| left.is_zero())
    }

    fn left(&self) -> Option<Duration> {
        self.rest.until.map(|until| self.clock.now().until(until))
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.rest.over.store(true, Ordering::SeqCst);
    }
}

impl Rest {
    fn lasts(&self, now: Moment) -> bool {
        !self.over.load(Ordering::SeqCst) && self.until.is_none_or(|until| now < until)
    }
}

/// What an instance's clock knows of them.
#[derive(Default)]
pub(super) struct Stalls {
    traffic: Vec<Weak<dyn Traffic>>,
    rests: Vec<Weak<Rest>>,
}

impl Stalls {
    pub fn watch(&mut self, traffic: Weak<dyn Traffic>) {
        self.traffic.retain(|one| one.strong_count() > 0);
        self.traffic.push(traffic);
    }

    pub fn add(&mut self, rest: &Arc<Rest>) {
        self.rests.retain(|one| one.strong_count() > 0);
        self.rests.push(Arc::downgrade(rest));
    }

    pub fn forget(&mut self) {
        self.traffic.clear();
    }

    /// How much of the traffic only waits for a server that stalls.
    pub fn stalled(&self, now: Moment) -> u64 {
        let rests: Vec<Arc<Rest>> = self.rests().filter(|rest| rest.lasts(now)).collect();
        let stalled = |peer| rests.iter().any(|rest| rest.peer == peer);
        self.traffic().filter(|one| one.is_stalled(&stalled)).count() as u64
    }

    /// The next moment at which one of them goes on.
    pub fn nearest(&self, now: Moment) -> Option<Moment> {
        let ends = self.rests().filter(|rest| rest.lasts(now)).filter_map(|rest| rest.until);
        ends.chain(self.traffic().filter_map(|one| one.deadline())).min()
    }

    /// Those to be told that time has leapt.
    pub fn everybody(&self) -> Moved {
        Moved { traffic: self.traffic().collect(), rests: self.rests().collect() }
    }

    fn traffic(&self) -> impl Iterator<Item = Arc<dyn Traffic>> + '_ {
        self.traffic.iter().filter_map(Weak::upgrade)
    }

    fn rests(&self) -> impl Iterator<Item = Arc<Rest>> + '_ {
        self.rests.iter().filter_map(Weak::upgrade)
    }
}

impl fmt::Debug for Stalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stalls({}, {})", self.traffic.len(), self.rests.len())
    }
}

/// Those to be told that time has leapt, which have locks of their own.
pub(super) struct Moved {
    traffic: Vec<Arc<dyn Traffic>>,
    rests: Vec<Arc<Rest>>,
}

impl Moved {
    pub fn tell(self) {
        self.traffic.iter().for_each(|one| one.moved());
        for rest in self.rests {
            let _looking = rest.looking.lock().unwrap_or_else(PoisonError::into_inner);
            rest.moved.notify_all();
        }
    }
}
