//! What is done on a store's thread: answers, and commits of what is queued.

use std::time::Duration;

use super::depot::{Ask, Depot, Job, Open, pace};
use super::question::{Answer, Changing, Question};
use super::queue::{Queued, Reason, Seen, overlap};
use crate::clock::Clock;
use crate::error::{Code, Error, Result};
use crate::guard::guarded;
use crate::net::Waker;
use crate::store::{
    Change, Committed, Durability, Effect, Expected, Range, Record, Space, Store, UnixMs, Write,
};

/// Who was in the way of an update so often is in its way for ever.
const ATTEMPTS: u32 = 10_000;

/// A batch that fails is taken apart to find out which of its writes cannot be made; after so many
/// failures it is the store that cannot.
const FAILURES: u32 = 32;

/// The first and the longest pause before what failed is tried again.
const PAUSE_MS: (u64, u64) = (250, 30_000);

/// Failures kept for whoever reports them.
const KEPT: usize = 16;

pub struct Work<'d> {
    pub depot: &'d Depot,
    pub open: &'d Open,
    pub engine: &'d mut Option<Box<dyn Store>>,
}

impl Work<'_> {
    pub fn answer(&mut self, job: Job) {
        let Job { order, ask, clock, reply } = job;
        reply.give(guarded(|| match ask {
            Ask::Question(question) => self.reply(question, order, &clock),
            Ask::FlushNow => self.flush(order, Reason::Manual),
            Ask::Close => self.close(order),
        }));
    }

    fn engine(&mut self) -> Result<&mut dyn Store> {
        if self.engine.is_none() {
            *self.engine = Some((self.open)()?);
        }
        match self.engine {
            Some(engine) => Ok(engine.as_mut()),
            None => Err(Error::internal("opened, and not there")),
        }
    }

    fn reply(&mut self, question: Question, order: u64, clock: &Clock) -> Result<Answer> {
        let now = clock.unix_ms();
        match question {
            Question::Get { space, keys } => {
                let records = keys.iter().map(|key| self.get(space, key, now));
                records.collect::<Result<_>>().map(Answer::Records)
            }
            Question::Scan(range) => self.scan(&range, now).map(Answer::Page),
            Question::Commit { writes, durability } => {
                self.commit(&writes, durability, order, now).map(Answer::Committed)
            }
            Question::Flush => self.flush(order, Reason::Barrier),
            Question::Update { space, key, change } => {
                self.update(space, key, change, order, clock).map(Answer::Updated)
            }
            Question::Do(work) => work(self.engine()?, clock).map(|()| Answer::Did),
        }
    }

    fn get(&mut self, space: Space, key: &[u8], now: UnixMs) -> Result<Option<Record>> {
        let seen = self.depot.state().queue.seen(space, key, now);
        match seen {
            Seen::Put(record) => Ok(Some(record)),
            Seen::Gone => Ok(None),
            Seen::Unknown => self.engine()?.get(space, key, now),
        }
    }

    fn scan(&mut self, range: &Range, now: UnixMs) -> Result<Vec<(Vec<u8>, Record)>> {
        let (mut rest, mut found) = (range.clone(), Vec::new());
        while rest.limit > 0 {
            let page = self.engine()?.scan(&rest, now)?;
            let until = rest.next(&page);
            found.extend(self.depot.state().queue.over(page, &rest, until.as_deref(), now));
            if until.is_none() {
                break;
            }
            rest.limit = range.limit.saturating_sub(found.len());
            rest.after = until;
        }
        found.truncate(range.limit);
        Ok(found)
    }

    fn commit(
        &mut self,
        writes: &[Write],
        durability: Durability,
        order: u64,
        now: UnixMs,
    ) -> Result<Committed> {
        let before = self.commit_queued(order, Reason::Barrier);
        if durability == Durability::Sync {
            before?;
        } else {
            self.must_not_overtake(writes)?;
        }
        self.write(writes, durability, now)
    }

    fn write(&mut self, writes: &[Write], how: Durability, now: UnixMs) -> Result<Committed> {
        let committed = self.engine()?.commit(writes, how, now)?;
        if matches!(committed, Committed::Done(_)) {
            self.depot.state().unsynced = how == Durability::Batched;
        }
        Ok(committed)
    }

    /// What could not be committed stays in the way of what comes after it, and of nothing else.
    fn must_not_overtake(&self, writes: &[Write]) -> Result<()> {
        let state = self.depot.state();
        match &state.failing {
            Some((_, error)) if writes.iter().any(|write| state.queue.touches(write)) => {
                Err(error.clone())
            }
            _ => Ok(()),
        }
    }

    fn flush(&mut self, order: u64, reason: Reason) -> Result<Answer> {
        let count = self.commit_queued(order, reason)?;
        let unsynced = self.depot.state().unsynced;
        if let Some(engine) = self.engine.as_mut().filter(|_| unsynced) {
            engine.sync()?;
            self.depot.state().unsynced = false;
        }
        Ok(Answer::Flushed(count))
    }

    fn close(&mut self, order: u64) -> Result<Answer> {
        let answer = self.flush(order, Reason::Barrier)?;
        if !self.depot.place.is_memory() {
            *self.engine = None;
        }
        Ok(answer)
    }

    fn update(
        &mut self,
        space: Space,
        key: Vec<u8>,
        mut change: Changing,
        order: u64,
        clock: &Clock,
    ) -> Result<Option<Record>> {
        let mut write = Write { space, key, change: Change::Delete, only_if: None };
        drop(self.commit_queued(order, Reason::Barrier));
        self.must_not_overtake(std::slice::from_ref(&write))?;
        for attempt in 0..ATTEMPTS {
            let now = clock.unix_ms();
            let old = self.engine()?.get(space, &write.key, now)?;
            write.change = change(old.as_ref())?;
            write.only_if =
                Some(old.map_or(Expected::Absent, |old| Expected::Version(old.version)));
            let writes = std::slice::from_ref(&write);
            if let Committed::Done(effects) = self.write(writes, Durability::Batched, now)? {
                return Ok(written(write.change, effects.first()));
            }
            give_way(attempt);
        }
        Err(failure("contention", "others write this record all the time"))
    }

    /// Commits what was queued before `before`; says how many writes that were.
    pub fn commit_queued(&mut self, before: u64, reason: Reason) -> Result<u64> {
        let mut round = Round { left: FAILURES, ..Round::default() };
        let mut after = None;
        loop {
            let (batch, now) = {
                let state = self.depot.state();
                (state.queue.batch(after, before), state.clock.unix_ms())
            };
            let Some(last) = batch.last() else { break };
            after = Some(last.order);
            self.attempt(&batch, now, reason, &mut round);
            if round.left == 0 {
                break;
            }
        }
        self.conclude(round)
    }

    fn attempt(&mut self, batch: &[Queued], now: UnixMs, reason: Reason, round: &mut Round) {
        let free: Vec<_> = batch.iter().filter(|queued| !round.is_blocked(queued)).collect();
        if free.is_empty() || round.left == 0 {
            return;
        }
        let writes: Vec<Write> = free.iter().map(|queued| queued.write.clone()).collect();
        match self.commit_batch(&writes, now) {
            Ok(()) => {
                let orders: Vec<u64> = free.iter().map(|queued| queued.order).collect();
                round.written += orders.len() as u64;
                let mut state = self.depot.state();
                state.queue.committed(&orders);
                if !self.depot.place.is_memory() {
                    state.counters.committed(orders.len(), reason);
                }
            }
            Err(error) => {
                round.failed(error);
                match free.as_slice() {
                    [one] => round.stuck.push(one.write.clone()),
                    _ => {
                        let (first, second) = batch.split_at(batch.len() / 2);
                        self.attempt(first, now, reason, round);
                        self.attempt(second, now, reason, round);
                    }
                }
            }
        }
    }

    fn commit_batch(&mut self, writes: &[Write], now: UnixMs) -> Result<()> {
        guarded(|| match self.write(writes, Durability::Batched, now)? {
            Committed::Done(_) => Ok(()),
            Committed::Conflict(_) => Err(Error::internal("a write without a condition conflicts")),
        })
    }

    fn conclude(&mut self, round: Round) -> Result<u64> {
        let mut state = self.depot.state();
        let Some(error) = round.error else {
            if round.written > 0 || state.queue.is_empty() {
                state.failing = None;
                state.queue.postpone(None);
            }
            return Ok(round.written);
        };
        let error = still_queued(error, state.queue.len());
        let times = state.failing.as_ref().map_or(0, |(times, _)| *times) + 1;
        state.failing = Some((times, error.clone()));
        state.counters.errors += 1;
        if state.failures.len() < KEPT {
            state.failures.push(error.clone());
        }
        state.alarms.iter().for_each(Waker::wake);
        let pause = (PAUSE_MS.0 << times.min(10)).min(PAUSE_MS.1);
        let until = pace().after_ms(pause);
        state.queue.postpone(Some(until));
        Err(error)
    }
}

/// One go at what is queued.
#[derive(Default)]
struct Round {
    written: u64,
    stuck: Vec<Write>,
    error: Option<Error>,
    /// Failures until it is given up.
    left: u32,
}

impl Round {
    fn is_blocked(&self, queued: &Queued) -> bool {
        self.stuck.iter().any(|stuck| overlap(stuck, &queued.write))
    }

    fn failed(&mut self, error: Error) {
        self.left = if is_slow(&error) { 0 } else { self.left - 1 };
        self.error.get_or_insert(error);
    }
}

/// Each of these costs seconds, and they are no fault of one write.
fn is_slow(error: &Error) -> bool {
    let reason = error.fields().details.as_ref().and_then(|details| details["reason"].as_str());
    matches!(reason, Some("busy" | "timeout" | "connect"))
}

fn written(change: Change, effect: Option<&Effect>) -> Option<Record> {
    let Change::Put { bytes, expires_at } = change else { return None };
    let version = effect.map_or(0, |effect| effect.version);
    Some(Record { version, expires_at, bytes })
}

/// After a conflict: not at once again all together.
fn give_way(attempt: u32) {
    if attempt > 1 {
        let chance = pace().ms_since(crate::clock::Moment::START).fract();
        let most = f64::from(attempt.min(16)) * 0.5;
        std::thread::park_timeout(Duration::from_secs_f64(most * chance / 1e3));
    }
}

fn failure(reason: &str, message: &str) -> Error {
    let details = serde_json::json!({ "reason": reason });
    Error::new(Code::IoError, message).with(|f| f.details = Some(details))
}

fn still_queued(error: Error, count: usize) -> Error {
    error.at(&format!("{count} queued writes could not be stored"))
}
