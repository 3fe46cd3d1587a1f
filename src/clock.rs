//! The one clock. Deadlines, retries, rate limits, TTLs and leases ask it and nothing else,
//! so that virtual time can stand in for all of them at once.
//!
//! Each instance of the module has a clock of its own, whose clones all show the same time. In
//! virtual time it stands still and moves by leaps ([`Clock::leap`]), except while something real is
//! under way ([`Clock::busy`]): then it runs as ever.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use once_cell::sync::Lazy;

mod stall;
mod time;

pub use stall::{Stall, Traffic};
use time::Time;

const NANOS_PER_MS: f64 = 1e6;

/// A point in monotonic time, in nanoseconds since the clock's own start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// When the clock started.
    pub const START: Moment = Moment(0);

    /// As [`Moment::after_ms`], with fractions; negative and undefined spans are none.
    #[must_use]
    pub fn after_float_ms(self, ms: f64) -> Moment {
        let nanos = (ms.max(0.0) * NANOS_PER_MS).round();
        Moment(self.0.saturating_add(nanos as u64)) // the cast saturates
    }

    /// The first moment of which [`Moment::ms`] is not less than `ms`.
    pub fn of_ms(ms: f64) -> Moment {
        let mut moment = Moment::START.after_float_ms(ms);
        while moment.ms() < ms && moment.0 < u64::MAX {
            moment.0 += 1;
        }
        moment
    }

    /// Milliseconds since the clock started. Whole ones come out whole.
    pub fn ms(self) -> f64 {
        self.ms_since(Moment::START)
    }

    #[must_use]
    pub fn after(self, duration: Duration) -> Moment {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Moment(self.0.saturating_add(nanos))
    }

    #[must_use]
    pub fn after_ms(self, ms: u64) -> Moment {
        self.after(Duration::from_millis(ms))
    }

    /// How long from `self` until `later`; zero if that has passed.
    pub fn until(self, later: Moment) -> Duration {
        Duration::from_nanos(later.0.saturating_sub(self.0))
    }

    /// Milliseconds from `earlier` to `self`, with fractions.
    pub fn ms_since(self, earlier: Moment) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / NANOS_PER_MS
    }
}

/// Where time comes from. Cheap to clone; every job carries the clock of its instance. The default
/// one shows real time for ever: what all instances of a process share keeps to that.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<Time>>);

/// See [`Clock::patience`].
pub const LOOK: Duration = Duration::from_millis(1);

static START: Lazy<Instant> = Lazy::new(real_now);

#[allow(clippy::disallowed_methods)] // the one place that may read the monotonic clock
fn real_now() -> Instant {
    Instant::now()
}

/// Real time since the clock started, in nanoseconds.
fn real() -> u64 {
    let start = *START;
    u64::try_from((real_now() - start).as_nanos()).unwrap_or(u64::MAX)
}

/// Real wall-clock time.
#[allow(clippy::disallowed_methods)] // the one place that may read the wall clock
fn real_unix() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl Clock {
    /// The clock of an instance: its time may be virtual.
    pub fn of_instance() -> Clock {
        Clock(Some(Arc::default()))
    }

    pub fn now(&self) -> Moment {
        match &self.0 {
            Some(time) => time.now(),
            None => Moment(real()),
        }
    }

    /// The moment of the default clock at which this one will show `at`, if its time runs from now on:
    /// deadlines of several instances compare by that.
    pub fn real(&self, at: Moment) -> Moment {
        self.0.as_ref().map_or(at, |time| time.real(at))
    }

    /// Wall-clock time in Unix milliseconds.
    pub fn unix_ms(&self) -> i64 {
        (self.unix() * 1e3).round() as i64
    }

    /// Wall-clock time as Unix seconds with millisecond precision: what `*_at` fields hold.
    pub fn unix(&self) -> f64 {
        let unix = self.0.as_ref().and_then(|time| time.unix()).unwrap_or_else(real_unix);
        unix.as_millis() as f64 / 1e3
    }

    // Virtual time.

    pub fn is_virtual(&self) -> bool {
        self.0.as_ref().is_some_and(|time| time.is_virtual())
    }

    /// Virtual time begins; false if it has begun already.
    pub fn begin(&self) -> bool {
        self.0.as_ref().is_some_and(|time| time.begin())
    }

    /// Time runs on from where it stands; what the wall clock shows is real again.
    pub fn end(&self) {
        if let Some(time) = &self.0 {
            time.end();
        }
    }

    /// While the guard lives, somebody waits for something real: virtual time runs, and does not
    /// leap. It belongs to what waits, not to what does the work: the guard must live until what the
    /// work ended with has been seen, or announced by a posted token.
    pub fn busy(&self) -> Busy {
        if let Some(time) = &self.0 {
            time.depart();
        }
        Busy(self.0.clone())
    }

    /// Whether nothing real is under way, but for requests to servers of the module itself that
    /// stall by order. To be asked BEFORE looking at what is ready: what was announced by then is
    /// seen then.
    pub fn is_quiet(&self) -> bool {
        self.0.as_ref().is_some_and(|time| time.is_quiet())
    }

    /// Moves virtual time to `limit`, or to what threads wait for if that comes earlier. False if
    /// there is neither.
    pub fn leap(&self, limit: Option<Moment>) -> bool {
        self.0.as_ref().is_some_and(|time| time.leap(limit))
    }

    /// As [`Clock::leap`], by order: also while something real is under way.
    pub fn advance(&self, limit: Moment) -> bool {
        self.0.as_ref().is_some_and(|time| time.advance(limit))
    }

    /// From now on `traffic`, which holds a guard ([`Clock::busy`]), may say that it only waits for a
    /// server that stalls. For as long as it is there.
    pub fn watch(&self, traffic: Weak<dyn Traffic>) {
        if let Some(time) = self.0.as_ref().filter(|time| time.is_virtual()) {
            time.watch(traffic);
        }
    }

    /// How long a thread may wait, of `left`, that nobody wakes when virtual time leaps.
    pub fn patience(&self, left: Option<Duration>) -> Option<Duration> {
        let look = self.is_virtual().then_some(LOOK);
        left.into_iter().chain(look).min()
    }

    /// A server of the module makes the client at `peer` wait until a moment of this clock, or for
    /// ever, because a script says so: see [`Stall`].
    pub fn stall(&self, peer: SocketAddr, until: Option<Moment>) -> Stall {
        Stall::begin(self, peer, until)
    }
}

/// Something real is under way: see [`Clock::busy`].
#[derive(Debug)]
#[must_use]
pub struct Busy(Option<Arc<Time>>);

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(time) = &self.0 {
            time.arrive();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_add_and_subtract_without_overflow() {
        let now = Clock::default().now();
        assert_eq!(now.until(now.after_ms(5)), Duration::from_millis(5));
        assert_eq!(now.after_ms(5).until(now), Duration::ZERO);
        assert!(now.after(Duration::MAX) >= now);
    }
}

#[cfg(test)]
#[path = "clock/tests.rs"]
mod virtual_time;
