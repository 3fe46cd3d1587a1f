//! One computation that many calls wait for, each free to leave when it is cancelled.
//!
//! Name lookups and loading root certificates cannot be stopped, so they run on their own few
//! threads and the calls that want the result wait here.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use super::ctl::{Ctl, Ended};
use super::lock;
use super::workers::{Job, Pool, Submitted};

pub(super) struct Flight<T>(Mutex<State<T>>);

struct State<T> {
    result: Option<T>,
    waiting: Vec<Arc<Ctl>>,
}

impl<T: Clone + Send + 'static> Flight<T> {
    pub fn new() -> Arc<Flight<T>> {
        Arc::new(Flight(Mutex::new(State { result: None, waiting: Vec::new() })))
    }

    pub fn result(&self) -> Option<T> {
        lock(&self.0).result.clone()
    }

    pub fn wait(&self, ctl: &Arc<Ctl>) -> Result<T, Ended> {
        lock(&self.0).waiting.push(ctl.clone());
        ctl.wait(|| self.result())
    }

    pub fn land(&self, result: T) {
        let mut state = lock(&self.0);
        state.result = Some(result);
        let waiting = std::mem::take(&mut state.waiting);
        // A waiter looks at the result while it holds its own lock: never both in this order.
        drop(state);
        waiting.iter().for_each(|ctl| ctl.notify());
    }
}

/// The flight under way for `key`; true if it is new and the caller has to start it.
pub(super) fn join<K: Eq + Hash, T: Clone + Send + 'static>(
    flights: &mut HashMap<K, Arc<Flight<T>>>,
    key: K,
) -> (Arc<Flight<T>>, bool) {
    match flights.entry(key) {
        Entry::Occupied(known) => (known.get().clone(), false),
        Entry::Vacant(place) => (place.insert(Flight::new()).clone(), true),
    }
}

/// Work that cannot be stopped.
pub(super) struct Errand(Box<dyn FnOnce() + Send>);

impl Job for Errand {
    fn id(&self) -> u64 {
        0
    }
    fn run(self) {
        (self.0)();
    }
}

pub(super) struct Errands(Pool<Errand>);

impl Errands {
    pub fn new(name: &'static str, threads: usize) -> Errands {
        Errands(Pool::new(name, threads))
    }

    /// Runs `work` soon; without any thread for it, right here.
    pub fn send(&'static self, work: impl FnOnce() + Send + 'static) {
        if let Submitted::Refused(errand, _) = self.0.submit(Errand(Box::new(work))) {
            errand.run();
        }
    }
}
