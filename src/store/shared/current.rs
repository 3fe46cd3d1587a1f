//! The store of one instance.

use std::time::Duration;

use super::{Alarm, Counters, Policy, Shared};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::net::Waker;
use crate::store::{Place, Write};

/// How long another choice of store waits for the one before.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub struct Current {
    place: Place,
    shared: Option<Shared>,
    /// What had been counted when this instance last began to count.
    before: Counters,
    /// What the store rings when a commit fails that nobody waits for.
    alarm: Alarm,
}

impl Current {
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The store, from the first need on.
    pub fn shared(&mut self, clock: &Clock) -> &Shared {
        self.shared.get_or_insert_with(|| {
            let shared = Shared::of(&self.place, clock.clone());
            self.before = shared.counters();
            shared
        })
    }

    /// What group commit did for all who share the store, since this instance uses it.
    pub fn counters(&self) -> Counters {
        let now = self.used().map(Shared::counters).unwrap_or_default();
        // A forked child counts from zero.
        if now.batches < self.before.batches { now } else { now.since(self.before) }
    }

    /// Counts anew.
    pub fn reset_counters(&mut self) {
        self.before = self.used().map(Shared::counters).unwrap_or_default();
    }

    /// The store, if there was a need.
    pub fn used(&self) -> Option<&Shared> {
        self.shared.as_ref()
    }

    /// What went wrong while nobody waited for it. From the first time on the store says when there
    /// is more, by a token that no machine has.
    pub fn failures(&mut self, waker: impl FnOnce() -> Result<Waker>) -> Vec<Error> {
        let Some(shared) = &self.shared else { return Vec::new() };
        self.alarm.set(shared, waker);
        self.alarm.failures(shared)
    }

    /// Chooses another store, once everything queued is in the one before. If that fails nothing
    /// changes; but what is queued for one that cannot be opened at all (its name was mistyped)
    /// is written to the new one.
    pub fn choose(&mut self, place: Place, clock: &Clock, policy: Policy) -> Result<()> {
        if place == self.place {
            return Ok(());
        }
        if let Some(stranded) = self.leave(&place)? {
            let shared = Shared::of(&place, clock.clone());
            shared.queue(stranded, policy)?;
            self.stay(place, Some(shared));
        } else {
            self.stay(place, None);
        }
        Ok(())
    }

    fn stay(&mut self, place: Place, shared: Option<Shared>) {
        (self.place, self.shared, self.alarm) = (place, shared, Alarm::default());
        self.before = self.used().map(Shared::counters).unwrap_or_default();
    }

    /// Writes that were meant for the store before and are to go into the new one.
    fn leave(&self, next: &Place) -> Result<Option<Vec<Write>>> {
        let Some(shared) = self.shared.as_ref().filter(|shared| shared.queued() > 0) else {
            return Ok(None);
        };
        match shared.flush_blocking(PATIENCE) {
            Ok(_) => Ok(None),
            Err(error) if next.is_memory() => Err(error),
            Err(error) => shared.take_stranded().map(Some).ok_or(error),
        }
    }
}
