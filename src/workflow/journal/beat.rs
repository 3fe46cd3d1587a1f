//! The signs of life of this process: a thread that renews the leases of all runs that it has, and
//! hears what other processes wish of them.
//!
//! It is a thread, and no machine, because a Lua function that blocks for minutes must not lose the
//! run that it works for.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::Duration;

use super::held::Held;
use super::{Wish, layout};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::guard::guarded;
use crate::net::workers::{self, PerProcess};
use crate::net::{Waker, lock};
use crate::store::{Place, Question, Range, Shared, Space, Store};

/// How often wishes are looked for.
const EACH: Duration = Duration::from_secs(1);

/// How often leases are renewed: a third of what they last.
const RENEWAL: Duration = Duration::from_secs(3);

/// How long one store may keep the others waiting.
const PATIENCE: Duration = Duration::from_secs(5);

/// Virtual memory only.
const STACK: usize = 2 << 20;

/// Wishes that one look finds.
const MOST_WISHES: usize = 1000;

/// A run that this process has, for as long as somebody wants it.
pub struct Keeping {
    pub held: Arc<Held>,
    store: Mutex<Shared>,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    wishes: VecDeque<Wish>,
    waker: Option<Waker>,
}

impl std::fmt::Debug for Keeping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keeping({})", self.held.run())
    }
}

#[derive(Default)]
struct Beat {
    all: Mutex<Registry>,
    over: Condvar,
}

#[derive(Default)]
struct Registry {
    runs: Vec<Weak<Keeping>>,
    thread: bool,
}

fn beat() -> &'static Beat {
    static BEAT: PerProcess<Beat> = PerProcess::empty();
    BEAT.get(Beat::default)
}

impl Keeping {
    /// From now on the lease is renewed, until nobody has this any more.
    pub fn begin(held: Arc<Held>, store: Shared) -> Result<Arc<Keeping>> {
        let keeping = Arc::new(Keeping { held, store: Mutex::new(store), heard: Mutex::default() });
        let mut all = lock(&beat().all);
        all.runs.push(Arc::downgrade(&keeping));
        if !all.thread {
            let spawned = workers::spawn("zigllms-lease", STACK, || beat().serve());
            spawned
                .map_err(|error| Error::internal(format!("no thread could be made: {error}")))?;
            all.thread = true;
        }
        Ok(keeping)
    }

    pub fn store(&self) -> Shared {
        lock(&self.store).clone()
    }

    /// Who is woken when there is a wish, or when the run is ours no more.
    pub fn listen(&self, waker: Waker) {
        lock(&self.heard).waker = Some(waker);
    }

    pub fn wishes(&self) -> Vec<Wish> {
        let mut heard = lock(&self.heard);
        if let Some(waker) = &heard.waker {
            waker.rearm();
        }
        heard.wishes.drain(..).collect()
    }

    pub fn wake(&self) {
        if let Some(waker) = &lock(&self.heard).waker {
            waker.wake();
        }
    }

    fn wished(&self, wish: Wish) {
        lock(&self.heard).wishes.push_back(wish);
        self.wake();
    }
}

impl Drop for Keeping {
    /// Others may go on with it at once.
    fn drop(&mut self) {
        if !self.held.is_here() {
            return;
        }
        self.wake();
        if !self.held.is_over() {
            let held = self.held.clone();
            let release = move |store: &mut dyn Store, clock: &Clock| held.release(store, clock);
            self.store().tell(Question::Do(Box::new(release)));
        }
    }
}

impl Beat {
    fn serve(&self) {
        let clock = Clock::default();
        let mut renewed = clock.now();
        while let Some(runs) = self.wait() {
            let due = clock.now() >= renewed.after(RENEWAL);
            if due {
                renewed = clock.now();
            }
            // A defect here must not end the signs of life of others.
            let _ = guarded(|| {
                by_store(runs).into_iter().for_each(|(store, runs)| visit(&store, &runs, due));
                Ok(())
            });
        }
    }

    /// The runs that are to be looked after; `None`: there are none any more.
    fn wait(&self) -> Option<Vec<Arc<Keeping>>> {
        let all = self.over.wait_timeout(lock(&self.all), EACH);
        let mut all = all.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        all.runs.retain(|run| run.strong_count() > 0);
        if all.runs.is_empty() {
            all.thread = false;
            return None;
        }
        Some(all.runs.iter().filter_map(Weak::upgrade).collect())
    }
}

fn by_store(runs: Vec<Arc<Keeping>>) -> Vec<(Shared, Vec<Arc<Keeping>>)> {
    let mut stores: Vec<(Place, Shared, Vec<Arc<Keeping>>)> = Vec::new();
    for run in runs.into_iter().filter(|run| !run.held.is_over()) {
        let store = run.store();
        match stores.iter_mut().find(|(place, ..)| place == store.place()) {
            Some((_, _, runs)) => runs.push(run),
            None => stores.push((store.place().clone(), store, vec![run])),
        }
    }
    stores.into_iter().map(|(_, store, runs)| (store, runs)).collect()
}

/// What fails is tried again the next time; a lease that runs out meanwhile is found out by the next
/// commit.
fn visit(store: &Shared, runs: &[Arc<Keeping>], due: bool) {
    let held: Vec<Arc<Held>> = runs.iter().map(|run| run.held.clone()).collect();
    let found: Arc<Mutex<Vec<(usize, Wish)>>> = Arc::default();
    let theirs = found.clone();
    let work = move |store: &mut dyn Store, clock: &Clock| {
        let wishes = look(store, &held, due, clock)?;
        lock(&theirs).extend(wishes);
        Ok(())
    };
    let _ = store.do_blocking(Box::new(work), PATIENCE);
    for (number, wish) in std::mem::take(&mut *lock(&found)) {
        if let Some(run) = runs.get(number) {
            run.wished(wish);
        }
    }
    runs.iter().filter(|run| run.held.is_over()).for_each(|run| run.wake());
}

fn look(
    store: &mut dyn Store,
    held: &[Arc<Held>],
    due: bool,
    clock: &Clock,
) -> Result<Vec<(usize, Wish)>> {
    if due {
        // One that fails keeps none of the others from it.
        held.iter().for_each(|held| drop(held.renew(store, clock)));
    }
    let prefix = layout::WISHES.to_vec();
    let range = Range { space: Space::Journal, prefix, after: None, limit: MOST_WISHES };
    let now = clock.unix_ms();
    let mut found = Vec::new();
    for (key, _) in store.scan(&range, now)? {
        let run = layout::run_of(&key);
        let ours = held.iter().enumerate().find(|(_, held)| run == Some(held.run()));
        if let Some((number, held)) = ours
            && let Some(wish) = held.hear(store, now)?
        {
            found.push((number, wish));
        }
    }
    Ok(found)
}
