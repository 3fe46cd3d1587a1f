//! The store of one instance.

use std::time::Duration;

use super::{Counters, Shared};
use crate::clock::Clock;
use crate::error::Result;
use crate::store::Place;

/// How long another choice of store waits for the one before.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub struct Current {
    place: Place,
    shared: Option<Shared>,
    /// What had been counted when this instance last began to count.
    before: Counters,
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

    /// Chooses another store, once everything queued is in the one before. If that fails nothing
    /// changes.
    pub fn choose(&mut self, place: Place) -> Result<()> {
        if place == self.place {
            return Ok(());
        }
        if let Some(shared) = self.shared.as_ref().filter(|shared| shared.queued() > 0) {
            shared.flush_blocking(PATIENCE)?;
        }
        self.shared = None;
        self.before = Counters::default();
        self.place = place;
        Ok(())
    }
}
