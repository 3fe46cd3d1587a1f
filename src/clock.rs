//! The one clock. Deadlines, retries, rate limits, TTLs and leases ask it and nothing else,
//! so that virtual time can stand in for all of them at once.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use once_cell::sync::Lazy;

/// A point in monotonic time, in nanoseconds since the clock's own start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// When the clock started.
    pub const START: Moment = Moment(0);

    /// As [`Moment::after_ms`], with fractions; negative and undefined spans are none.
    #[must_use]
    pub fn after_float_ms(self, ms: f64) -> Moment {
        self.after(Duration::try_from_secs_f64(ms.max(0.0) / 1e3).unwrap_or(Duration::MAX))
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
        earlier.until(self).as_secs_f64() * 1e3
    }
}

/// Where time comes from. Cheap to clone; every job carries the clock of its instance.
#[derive(Clone, Debug, Default)]
pub struct Clock(());

static START: Lazy<Instant> = Lazy::new(real_now);

#[allow(clippy::disallowed_methods)] // the one place that may read the monotonic clock
fn real_now() -> Instant {
    Instant::now()
}

impl Clock {
    pub fn now(&self) -> Moment {
        let start = *START;
        Moment(u64::try_from((real_now() - start).as_nanos()).unwrap_or(u64::MAX))
    }

    /// Wall-clock time in Unix milliseconds.
    pub fn unix_ms(&self) -> i64 {
        (self.unix() * 1e3).round() as i64
    }

    /// Wall-clock time as Unix seconds with millisecond precision: what `*_at` fields hold.
    #[allow(clippy::disallowed_methods)] // the one place that may read the wall clock
    pub fn unix(&self) -> f64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.as_millis() as f64 / 1e3
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
