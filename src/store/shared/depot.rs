//! One open store: what is queued for it, what is asked of it, and the thread that does both.
//!
//! The thread alone touches the engine, so calls that block block nobody's Lua. It is started when
//! there is something to do and ends after a while without; the engine stays open until nobody
//! uses the store any more. In memory nothing blocks: there the caller does the work.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::counters::Counters;
use super::question::{Answer, Pending, Question, Reply};
use super::queue::{Policy, Queue, Reason, Seen};
use super::work::Work;
use crate::clock::{Clock, Moment};
use crate::error::{Code, Error, Result};
use crate::guard::guarded;
use crate::net::workers::{self, Home};
use crate::net::{Waker, lock};
use crate::store::{Place, Space, Store, Write};

/// Virtual memory only; a change to a record may be decided by code that recurses.
const STACK: usize = 2 << 20;

/// An idle thread waits this long for more work before it ends.
const LINGER: Duration = Duration::from_secs(10);

/// More than this is not queued: whoever wants to queue more waits until there is room.
const MOST_BYTES: usize = 64 << 20;

/// How long a caller waits for room.
const PATIENCE: Duration = Duration::from_secs(10);

/// How engines are opened.
pub type Open = Box<dyn Fn() -> Result<Box<dyn Store>> + Send + Sync>;

pub struct Depot {
    pub place: Place,
    pub home: Home,
    open: Open,
    engine: Mutex<Option<Box<dyn Store>>>,
    state: Mutex<State>,
    /// There is something for the thread.
    work: Condvar,
    /// The queue got shorter.
    room: Condvar,
}

/// Something asked, in the order of all that was.
pub struct Job {
    pub order: u64,
    pub ask: Ask,
    pub clock: Clock,
    pub reply: Arc<Reply>,
}

pub enum Ask {
    Question(Question),
    /// A `Flush` that somebody called for.
    FlushNow,
    /// Nobody uses the store any more: flush, and close it.
    Close,
}

#[derive(Default)]
pub struct State {
    pub queue: Queue,
    jobs: VecDeque<Job>,
    last: u64,
    pub clock: Clock,
    pub counters: Counters,
    /// Something was committed that may not survive a crash of the machine.
    pub unsynced: bool,
    /// Since the last success, with how often it failed.
    pub failing: Option<(u32, Error)>,
    /// For whoever reports them.
    pub failures: Vec<Error>,
    /// Woken at each failure.
    pub alarms: Vec<Waker>,
    /// Those who share the store.
    pub users: usize,
    /// Something is being answered or committed.
    busy: bool,
    thread: bool,
}

/// What there is to do.
enum Next {
    Answer(Job),
    Commit(u64, Reason),
    Nothing,
}

impl State {
    pub fn order(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Asked and queued in turn, so that neither can hold up the other.
    fn next(&mut self, now: Moment) -> Next {
        // Not what comes while it is committed: that waits for a batch of its own.
        let before = self.jobs.front().map_or(self.last + 1, |job| job.order);
        if let Some(reason) = self.queue.ripe(now, before) {
            return Next::Commit(before, reason);
        }
        match self.jobs.pop_front() {
            Some(job) => Next::Answer(job),
            None => Next::Nothing,
        }
    }

    fn is_idle(&self) -> bool {
        self.jobs.is_empty() && !self.busy
    }

    /// The answer, where it takes no engine.
    fn at_once(&self, ask: &Ask, clock: &Clock) -> Option<Answer> {
        match ask {
            _ if !self.is_idle() => None,
            Ask::Question(Question::Get { space, keys }) => self.queued(*space, keys, clock),
            Ask::Question(Question::Flush) | Ask::FlushNow => {
                (self.queue.is_empty() && !self.unsynced).then_some(Answer::Flushed(0))
            }
            _ => None,
        }
    }

    /// All of these records, where the queue alone knows them.
    fn queued(&self, space: Space, keys: &[Vec<u8>], clock: &Clock) -> Option<Answer> {
        let now = clock.unix_ms();
        let records = keys.iter().map(|key| match self.queue.seen(space, key, now) {
            Seen::Unknown => None,
            Seen::Gone => Some(None),
            Seen::Put(record) => Some(Some(record)),
        });
        records.collect::<Option<_>>().map(Answer::Records)
    }
}

impl Depot {
    pub fn new(place: Place, open: Open) -> Arc<Depot> {
        Arc::new(Depot {
            place,
            home: Home::here(),
            open,
            engine: Mutex::default(),
            state: Mutex::default(),
            work: Condvar::new(),
            room: Condvar::new(),
        })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Blocks while there is no room; refuses what the store cannot take for now.
    pub fn queue(
        self: &Arc<Depot>,
        writes: Vec<Write>,
        policy: Policy,
        clock: &Clock,
    ) -> Result<()> {
        if writes.is_empty() {
            return Ok(());
        }
        // Nothing is won by waiting where a commit costs nothing.
        let at_once = Policy { enabled: true, max_batch_size: 1, timeout_ms: 0 };
        let policy = if self.place.is_memory() { at_once } else { policy };
        let mut state = self.with_room()?;
        let (now, was_empty) = (pace(), state.queue.is_empty());
        for write in writes {
            let order = state.order();
            state.queue.push(order, write, policy, now);
        }
        state.clock = clock.clone();
        if was_empty || state.queue.ripe(now, u64::MAX).is_some() {
            self.rouse(state);
        }
        Ok(())
    }

    pub fn has_room(&self) -> bool {
        self.state().queue.bytes() < MOST_BYTES
    }

    fn with_room(&self) -> Result<MutexGuard<'_, State>> {
        let crowded =
            |state: &mut State| state.queue.bytes() >= MOST_BYTES && state.failing.is_none();
        let waited = self.room.wait_timeout_while(self.state(), PATIENCE, crowded);
        let state = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        if state.queue.bytes() < MOST_BYTES {
            return Ok(state);
        }
        Err(self.overfull(&state))
    }

    fn overfull(&self, state: &State) -> Error {
        let (count, mib) = (state.queue.len(), state.queue.bytes() >> 20);
        let text = format!(
            "the store \"{}\" does not keep up: {count} writes of {mib} MiB wait",
            self.place
        );
        let details = serde_json::json!({ "reason": "queue_full" });
        let error = Error::new(Code::IoError, text).with(|f| f.details = Some(details));
        match &state.failing {
            Some((_, cause)) => error.caused_by(cause.clone()),
            None => error,
        }
    }

    pub fn ask(self: &Arc<Depot>, ask: Ask, clock: &Clock, waker: Option<Waker>) -> Pending {
        let mut state = self.state();
        if let Some(answer) = state.at_once(&ask, clock) {
            return Pending::on(Reply::known(answer), None);
        }
        let busy = waker.is_some().then(|| clock.busy());
        let reply = Reply::new(waker);
        let order = state.order();
        state.jobs.push_back(Job { order, ask, clock: clock.clone(), reply: reply.clone() });
        self.rouse(state);
        Pending::on(reply, busy)
    }

    /// Nothing is queued or under way, so that closing is nothing but closing.
    pub fn is_settled(&self) -> bool {
        let state = self.state();
        state.is_idle() && state.queue.is_empty()
    }

    /// What is queued for a store that cannot be opened, if nobody else uses it.
    pub fn take_stranded(&self) -> Option<Vec<Write>> {
        let engine = lock(&self.engine);
        let mut state = self.state();
        let stranded = engine.is_none() && state.users == 1 && state.jobs.is_empty();
        stranded.then(|| {
            state.failing = None;
            state.queue.take()
        })
    }

    pub fn is_open(&self) -> bool {
        self.engine.try_lock().map_or(true, |engine| engine.is_some())
    }

    /// Makes sure that somebody does what there is to do.
    fn rouse(self: &Arc<Depot>, mut state: MutexGuard<'_, State>) {
        if self.place.is_memory() {
            drop(state);
            return self.work_here();
        }
        if state.thread {
            self.work.notify_one();
            return;
        }
        let depot = self.clone();
        state.thread = workers::spawn("zigllms-store", STACK, move || depot.serve()).is_ok();
        if !state.thread {
            // Without a thread nothing would happen later: it happens now.
            state.queue.hurry();
            drop(state);
            self.work_here();
        }
    }

    fn serve(&self) {
        loop {
            self.work_here();
            let state = self.state();
            let now = pace();
            let left = state.queue.due().map(|due| now.until(due));
            // What came since the look above has woken nobody, so it is looked for once more.
            let ripe = state.queue.ripe(now, u64::MAX).is_some();
            if !state.jobs.is_empty() || ripe || left.is_some_and(|left| left.is_zero()) {
                continue;
            }
            // Nobody is there who could bring more.
            let linger = if state.users == 0 { Duration::ZERO } else { LINGER };
            let waited = self.work.wait_timeout(state, left.unwrap_or(linger));
            let (mut state, waited) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
            let idle = state.jobs.is_empty() && state.queue.is_empty();
            if idle && left.is_none() && waited.timed_out() {
                state.thread = false;
                return;
            }
        }
    }

    /// Does what there is to do until there is nothing more.
    fn work_here(&self) {
        // A panic is a defect of ours, but a thread that is gone would be waited for for ever.
        while guarded(|| Ok(self.work_once())).unwrap_or(true) {}
    }

    fn work_once(&self) -> bool {
        let mut engine = lock(&self.engine);
        let mut state = self.state();
        let now = pace();
        let next = state.next(now);
        state.busy = !matches!(next, Next::Nothing);
        drop(state);
        let mut work = Work { depot: self, open: &self.open, engine: &mut engine };
        match next {
            Next::Nothing => return false,
            Next::Answer(job) => work.answer(job),
            Next::Commit(before, reason) => drop(work.commit_queued(before, reason)),
        }
        self.state().busy = false;
        self.room.notify_all();
        true
    }

    /// In a forked child: what its parent had in memory, unless a thread was just using it.
    pub fn inherited(&self) -> Option<Box<dyn Store>> {
        self.engine.try_lock().ok().and_then(|mut engine| engine.take())
    }

    pub fn adopt(&self, engine: Box<dyn Store>) {
        *lock(&self.engine) = Some(engine);
    }
}

/// When batches are due. In real time: instances with clocks of their own share a store.
pub(super) fn pace() -> Moment {
    Clock::default().now()
}
