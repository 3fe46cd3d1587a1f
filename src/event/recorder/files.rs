//! The files that recorders write to, and what group commit did for them.

use std::path::Path;

use super::Recorders;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::net::Waker;
use crate::store::{Alarm, Counters, Place, Shared, lines};

/// One that a recorder writes to.
#[derive(Debug)]
pub struct File {
    pub shared: Shared,
    /// What had been counted when the first recorder of this instance began to use it.
    before: Counters,
    alarm: Alarm,
}

impl File {
    fn counted(&self) -> Counters {
        let now = self.shared.counters();
        // A forked child counts from zero.
        if now.batches < self.before.batches { now } else { now.since(self.before) }
    }
}

impl Recorders {
    fn in_use(&self) -> impl Iterator<Item = (u64, &File)> {
        self.all.iter().filter_map(|(number, recorder)| Some((number, recorder.file.as_ref()?)))
    }

    /// The file is there from now on, so that what is wrong with it is told to whoever named it.
    pub(super) fn open(&self, path: &Path, clock: &Clock) -> Result<File> {
        drop(lines::open(path)?);
        let shared = Shared::of(&Place::lines(path), clock.clone());
        let same = self.in_use().find(|(_, file)| file.shared.place() == shared.place());
        let before = same.map_or_else(|| shared.counters(), |(_, file)| file.before);
        Ok(File { shared, before, alarm: Alarm::default() })
    }

    /// A recorder writes no more, and what it wrote is in its file.
    pub(super) fn close(&mut self, number: u64) {
        let file = self.all.get_mut(number).and_then(|recorder| recorder.file.take());
        let Some(file) = file else { return };
        if !self.in_use().any(|(_, other)| other.shared.place() == file.shared.place()) {
            self.counted = self.counted.plus(file.counted());
        }
    }

    /// To be flushed.
    pub fn files(&self) -> Vec<Shared> {
        self.in_use().map(|(_, file)| file.shared.clone()).collect()
    }

    /// From now on its file says when something goes wrong while nobody waits for it.
    pub(super) fn set_alarm(&mut self, number: u64, waker: impl FnOnce() -> Result<Waker>) {
        if let Some(file) = self.all.get_mut(number).and_then(|recorder| recorder.file.as_mut()) {
            file.alarm.set(&file.shared, waker);
        }
    }

    /// What went wrong while nobody waited for it.
    pub fn failures(&self) -> Vec<Error> {
        self.in_use().flat_map(|(_, file)| file.alarm.failures(&file.shared)).collect()
    }

    /// What group commit did for files; several recorders of one share it.
    pub fn counters(&self) -> Counters {
        let first = |(number, file): &(u64, &File)| {
            let before = self.in_use().take_while(|(other, _)| other != number);
            before.into_iter().all(|(_, other)| other.shared.place() != file.shared.place())
        };
        let files = self.in_use().filter(first);
        files.fold(self.counted, |sum, (_, file)| sum.plus(file.counted()))
    }

    /// Counts anew.
    pub fn reset_counters(&mut self) {
        self.counted = Counters::default();
        let numbers: Vec<u64> = self.in_use().map(|(number, _)| number).collect();
        for number in numbers {
            if let Some(file) = self.all.get_mut(number).and_then(|r| r.file.as_mut()) {
                file.before = file.shared.counters();
            }
        }
    }
}
