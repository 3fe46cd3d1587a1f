//! An event is taken down by those who record it.

use super::{PATIENCE, Recorded, Recorder, Stamp, stamp};
use crate::error::{Error, Result};
use crate::event::Builtin;
use crate::runtime::Runtime;
use crate::store::{Policy, Shared, Write};
use crate::tasks::ATTENTION;
use crate::value::Ref;

impl Runtime {
    /// Records an event, unless it was replayed. What fails with one recorder keeps none of the
    /// others from having it; the first failure is told.
    pub fn record_event(&mut self, event: Ref<'_>) -> Result<()> {
        if event.get("replayed").and_then(Ref::as_bool) == Some(true) {
            return Ok(());
        }
        if self.events.recorders.end_overdue(self.clock.now()) {
            self.events.changed();
        }
        let recorded =
            Recorded::of(event).ok_or_else(|| Error::internal("an event without a name"))?;
        let takers: Vec<u64> = self.events.recorders.takers(recorded.name()).collect();
        if takers.is_empty() {
            return Ok(());
        }
        let stamp = self.events.recorders.stamp(&self.clock);
        let taken = takers.into_iter().map(|number| self.take_down(number, stamp, &recorded));
        taken.fold(Ok(()), Result::and)
    }

    fn take_down(&mut self, number: u64, stamp: Stamp, event: &Recorded) -> Result<()> {
        let policy = self.config.batch.policy;
        let backed = !self.store.place().is_memory();
        if self.events.wants(Builtin::BatchError) {
            let tasks = &mut self.tasks;
            self.events.recorders.set_alarm(number, || tasks.waker(ATTENTION));
        }
        let Some(recorder) = self.events.recorders.all.get_mut(number) else { return Ok(()) };
        let logged = if backed && recorder.log.is_some() {
            let store = self.store.shared(&self.clock);
            put(store, recorder.log(store, stamp, event), policy)
        } else {
            recorder.push(stamp, event.clone());
            Ok(())
        };
        logged.and(recorder.write(event, policy))
    }
}

/// Queued; where nothing is to be put off it is waited for.
fn put(store: &Shared, writes: Vec<Write>, policy: Policy) -> Result<()> {
    match policy.enabled {
        true => store.queue(writes, policy),
        false => store.commit_blocking(writes, PATIENCE),
    }
}

impl Recorder {
    /// Puts an event at the end of the file, if there is one.
    fn write(&self, event: &Recorded, policy: Policy) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        put(&file.shared, vec![stamp::line(event.to_line()?)], policy)
    }

    /// What adds an event to the log, in the store there is now, and takes out the oldest.
    fn log(&mut self, store: &Shared, stamp: Stamp, event: &Recorded) -> Vec<Write> {
        let (Some(log), mut writes) = (&mut self.log, Vec::new()) else { return Vec::new() };
        if log.place.as_ref() != Some(store.place()) {
            log.place = Some(store.place().clone());
            log.stamps.clear();
            writes.push(stamp::found(&log.name));
        }
        log.stamps.push_back(stamp);
        writes.push(stamp::add(&log.name, stamp, event));
        while log.stamps.len() > self.max_events {
            let oldest = log.stamps.pop_front();
            writes.extend(oldest.map(|oldest| stamp::remove(&log.name, oldest)));
        }
        writes
    }
}
