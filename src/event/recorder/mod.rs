//! Events that are kept: in a ring of each recorder, at the end of a file, or in the store.

mod clear;
mod criteria;
mod files;
mod gather;
mod query;
mod reading;
mod recorded;
mod recording;
mod replay;
mod stamp;
mod start;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use crate::clock::{Clock, Moment};
use crate::event::Pattern;
use crate::net::workers::Home;
use crate::registry::{Named, Registry};
use crate::store::{Counters, Place};
use crate::value::Slot;

pub use clear::{Clear, Widened};
pub use criteria::Criteria;
use files::File;
pub use query::query;
pub use recorded::Recorded;
pub use replay::{Replay, Replaying};
pub use stamp::Stamp;
pub use start::{Plan, absolute, start};

/// What waits for a commit that nothing may put off.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

#[derive(Debug)]
pub struct Recorder {
    /// Empty if it has none.
    name: String,
    pattern: Pattern,
    /// The pattern as it was said.
    said: String,
    /// It hears of events. What it has stays when that ends.
    running: bool,
    /// When it ends by itself.
    until: Option<Moment>,
    max_events: usize,
    ring: VecDeque<(Stamp, Recorded)>,
    file: Option<File>,
    log: Option<Log>,
}

/// Where a recorder keeps events in the store.
#[derive(Debug, Default)]
struct Log {
    name: String,
    /// The store that the rest is true of.
    place: Option<Place>,
    /// What lies there, the oldest first.
    stamps: VecDeque<Stamp>,
}

impl Named for Recorder {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Recorder {
    fn push(&mut self, stamp: Stamp, event: Recorded) {
        while self.ring.len() >= self.max_events {
            self.ring.pop_front();
        }
        self.ring.push_back((stamp, event));
    }
}

/// All recorders of an instance.
#[derive(Debug)]
pub struct Recorders {
    all: Registry<Recorder>,
    last: Stamp,
    /// What group commit did for files that are written to no more.
    counted: Counters,
    home: Option<Home>,
    /// The function that tells an event which is there already.
    pub emitter: Option<Slot>,
}

impl Default for Recorders {
    fn default() -> Recorders {
        Recorders {
            all: Registry::called("rec", "recorder"),
            last: Stamp::default(),
            counted: Counters::default(),
            home: None,
            emitter: None,
        }
    }
}

impl Recorders {
    /// Whether any recorder hears of events of that name.
    pub fn hears(&self, name: &str) -> bool {
        self.takers(name).next().is_some()
    }

    fn takers(&self, name: &str) -> impl Iterator<Item = u64> {
        let takes = move |recorder: &Recorder| recorder.running && recorder.pattern.matches(name);
        self.all.iter().filter(move |(_, recorder)| takes(recorder)).map(|(number, _)| number)
    }

    /// Stops the recorder with that id; false if there is none, or it has stopped. What it recorded
    /// stays. Waits for what is still to be written into its file.
    pub fn stop(&mut self, id: &str) -> bool {
        let Some(number) = self.all.find(id).ok().flatten() else { return false };
        self.close(number);
        let recorder = self.all.get_mut(number);
        recorder.is_some_and(|recorder| std::mem::take(&mut recorder.running))
    }

    fn remove(&mut self, number: u64) {
        self.close(number);
        self.all.remove(number);
    }

    /// All of them go, with what they hold in the process; counters of ids go on.
    pub fn clear(&mut self) {
        self.all.clear();
    }

    /// Stops those whose time is over; true if there were any.
    fn end_overdue(&mut self, now: Moment) -> bool {
        let over = |recorder: &Recorder| {
            recorder.running && recorder.until.is_some_and(|until| until <= now)
        };
        let over: Vec<u64> =
            self.all.iter().filter(|(_, r)| over(r)).map(|(number, _)| number).collect();
        for number in &over {
            if let Some(recorder) = self.all.get_mut(*number) {
                recorder.running = false;
            }
        }
        !over.is_empty()
    }

    /// The next one: after all there were.
    fn stamp(&mut self, clock: &Clock) -> Stamp {
        if !self.home.is_some_and(Home::is_here) {
            // A forked child is somebody else.
            self.home = Some(Home::here());
            self.last.origin = RandomState::new().hash_one(std::process::id());
        }
        self.last.number += 1;
        self.last.ms = self.last.ms.max(u64::try_from(clock.unix_ms()).unwrap_or_default());
        self.last
    }

    /// Logs of these recorders, each once.
    fn logs(&self, numbers: &[u64]) -> Vec<String> {
        let all = numbers.iter().filter_map(|number| self.all.get(*number));
        let mut logs: Vec<String> =
            all.filter_map(|recorder| Some(recorder.log.as_ref()?.name.clone())).collect();
        logs.sort();
        logs.dedup();
        logs
    }
}
