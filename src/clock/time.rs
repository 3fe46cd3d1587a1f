//! The time of one instance: real, or virtual for a while.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use super::stall::{Rest, Stalls, Traffic};
use super::{Moment, real, real_unix};

/// Set in `Time::word` while time stands still.
const STILL: u64 = 1 << 63;

/// Set in `Time::flying` while time is virtual.
const VIRTUAL: u64 = 1 << 63;

/// Nobody waits for what lies behind this: in a century and more.
const NEVER: Moment = Moment(1 << 62);

/// Virtual time begins at whole milliseconds, so that spans come out whole in Lua's numbers.
const MS: u64 = 1_000_000;

/// It moves by whole microseconds: what was rounded on its way through Lua's numbers is due then.
const STEP: u64 = 1_000;

#[derive(Debug, Default)]
pub struct Time {
    /// What is added to real time, modulo 2^63; or, with `STILL`, the moment at which it stands. One
    /// word, so that to look at the clock costs one load.
    word: AtomicU64,
    /// In virtual time what makes a moment the wall clock's time, in nanoseconds; else 0.
    wall: AtomicI64,
    /// How many guards there are, and whether time is virtual.
    flying: AtomicU64,
    /// How many guards there were when all was quiet last.
    quiet: AtomicU64,
    state: Mutex<Stalls>,
}

impl Time {
    pub fn now(&self) -> Moment {
        let word = self.word.load(Ordering::Acquire);
        if word & STILL != 0 {
            return Moment(word & !STILL);
        }
        Moment(real().wrapping_add(word) & !STILL)
    }

    /// The moment of real time that shows `at`, if time runs from now on.
    pub fn real(&self, at: Moment) -> Moment {
        let word = self.word.load(Ordering::Acquire);
        if word & STILL != 0 {
            return Moment(real().saturating_add(at.0.saturating_sub(word & !STILL)));
        }
        // Not modulo 2^63: what lies before the clock's start is due, and what is for ever stays so.
        let ahead = (word << 1) as i64 >> 1;
        Moment(if ahead < 0 {
            at.0.saturating_add(ahead.unsigned_abs())
        } else {
            at.0.saturating_sub(ahead as u64)
        })
    }

    /// The wall clock's time, where that is virtual.
    pub fn unix(&self) -> Option<Duration> {
        let wall = self.wall.load(Ordering::Acquire);
        let virtual_now = || self.now().0.wrapping_add_signed(wall);
        (wall != 0).then(|| Duration::from_nanos(virtual_now()))
    }

    pub fn is_virtual(&self) -> bool {
        self.wall.load(Ordering::Relaxed) != 0
    }

    pub fn begin(&self) -> bool {
        let _state = self.state();
        if self.is_virtual() {
            return false;
        }
        let start = self.now().0.next_multiple_of(MS);
        self.stand_at(Moment(start));
        let unix = u64::try_from(real_unix().as_nanos()).unwrap_or(0).next_multiple_of(MS);
        self.wall.store(unix.wrapping_sub(start) as i64, Ordering::Release);
        self.flying.fetch_or(VIRTUAL, Ordering::SeqCst);
        self.follow();
        true
    }

    pub fn end(&self) {
        let mut state = self.state();
        self.flying.fetch_and(!VIRTUAL, Ordering::SeqCst);
        self.run_from(self.now());
        self.wall.store(0, Ordering::Release);
        state.forget_traffic();
    }

    /// A guard begins to live.
    pub fn depart(&self) {
        let before = self.flying.fetch_add(1, Ordering::SeqCst);
        if before == VIRTUAL {
            self.changed();
        }
    }

    /// A guard has ended.
    pub fn arrive(&self) {
        let before = self.flying.fetch_sub(1, Ordering::SeqCst);
        if before == VIRTUAL + 1 {
            self.changed();
        }
    }

    fn changed(&self) {
        let _state = self.state();
        if self.is_virtual() {
            self.follow();
        }
    }

    /// Lets time run while there are guards and stand still while there are none. Only with the lock:
    /// whoever changes their number looks at it again here, and so the last one to come sees it as it
    /// stays.
    fn follow(&self) {
        let (now, guards) = (self.now(), self.guards());
        let stands = self.word.load(Ordering::Relaxed) & STILL != 0;
        if guards == 0 && !stands {
            self.stand_at(now);
        } else if guards > 0 && stands {
            self.run_from(now);
        }
    }

    fn guards(&self) -> u64 {
        self.flying.load(Ordering::SeqCst) & !VIRTUAL
    }

    fn move_to(&self, moment: Moment) {
        self.stand_at(moment);
        if self.guards() > 0 {
            self.run_from(self.now());
        }
    }

    fn stand_at(&self, moment: Moment) {
        let moment = moment.0.min(NEVER.0).next_multiple_of(STEP);
        self.word.store(STILL | moment, Ordering::Release);
    }

    fn run_from(&self, moment: Moment) {
        self.word.store(moment.0.wrapping_sub(real()) & !STILL, Ordering::Release);
    }

    pub fn is_quiet(&self) -> bool {
        if !self.is_virtual() {
            return false;
        }
        let state = self.state();
        let guards = self.guards();
        self.quiet.store(guards, Ordering::Relaxed);
        guards == 0 || state.stalled(self.now()) == guards
    }

    /// Whether something has stirred since all was quiet: a client that was stalled then may have
    /// given up, and announced that behind the back of who looked for it.
    fn has_stirred(&self, state: &Stalls, now: Moment) -> bool {
        let guards = self.guards();
        guards != self.quiet.load(Ordering::Relaxed) || guards > 0 && state.stalled(now) != guards
    }

    /// To the next deadline, where all has been quiet and still is.
    pub fn leap(&self, limit: Option<Moment>) -> bool {
        self.go(limit, false)
    }

    /// As `leap`, by order: also while something real is under way.
    pub fn advance(&self, limit: Moment) -> bool {
        self.go(Some(limit), true)
    }

    fn go(&self, limit: Option<Moment>, by_order: bool) -> bool {
        let state = self.state();
        let now = self.now();
        let nearest = state.nearest(now).into_iter().chain(limit).filter(|at| *at < NEVER).min();
        let (Some(at), true) = (nearest, self.is_virtual()) else { return false };
        // Asked last: a client that has given up has no deadline any more.
        if !by_order && self.has_stirred(&state, now) {
            return false;
        }
        self.move_to(at.max(now));
        let traffic = state.traffic();
        drop(state); // what may end by this tells so, also here
        traffic.iter().for_each(|one| one.moved());
        true
    }

    pub fn watch(&self, traffic: Weak<dyn Traffic>) {
        self.state().watch(traffic);
    }

    pub fn stalls(&self, rest: &Arc<Rest>) {
        self.state().add(rest);
    }

    fn state(&self) -> MutexGuard<'_, Stalls> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
