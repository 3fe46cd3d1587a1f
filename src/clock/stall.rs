//! Who is known to wait for nothing real: clients of a server of the module that stalls by order.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

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
/// server begins a stall once it has sent what comes before, and drops it before it goes on. When
/// time has leapt to its end, it is one no more: until the server goes on, time does not leap again.
///
/// ```
/// use zigllms::clock::Clock;
///
/// let clock = Clock::of_instance();
/// let peer = "127.0.0.1:5000".parse().unwrap(); // of the accepted connection
/// let until = clock.now().after_ms(5);
/// let stall = clock.stall(peer, Some(until));
/// while clock.now() < until {
///     let left = clock.patience(Some(clock.now().until(until)));
///     // A wait of at most that, which ends when the client has gone.
///     # let _ = left;
/// }
/// drop(stall);
/// ```
#[must_use]
pub struct Stall {
    _rest: Arc<Rest>,
}

#[derive(Debug)]
pub(super) struct Rest {
    peer: SocketAddr,
    until: Option<Moment>,
}

impl Stall {
    pub(super) fn begin(clock: &Clock, peer: SocketAddr, until: Option<Moment>) -> Stall {
        let rest = Arc::new(Rest { peer, until });
        if let Some(time) = &clock.0 {
            time.stalls(&rest);
        }
        Stall { _rest: rest }
    }
}

impl Rest {
    fn lasts(&self, now: Moment) -> bool {
        self.until.is_none_or(|until| now < until)
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

    pub fn forget_traffic(&mut self) {
        self.traffic.clear();
    }

    /// How much of the traffic only waits for a server that stalls.
    pub fn stalled(&self, now: Moment) -> u64 {
        let rests: Vec<Arc<Rest>> = self.rests().filter(|rest| rest.lasts(now)).collect();
        let stalled = |peer| rests.iter().any(|rest| rest.peer == peer);
        self.traffic().iter().filter(|one| one.is_stalled(&stalled)).count() as u64
    }

    /// The next moment at which one of them goes on.
    pub fn nearest(&self, now: Moment) -> Option<Moment> {
        let ends = self.rests().filter(|rest| rest.lasts(now)).filter_map(|rest| rest.until);
        let deadlines = self.traffic().into_iter().filter_map(|one| one.deadline());
        ends.chain(deadlines).min()
    }

    /// That which is there still.
    pub fn traffic(&self) -> Vec<Arc<dyn Traffic>> {
        self.traffic.iter().filter_map(Weak::upgrade).collect()
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
