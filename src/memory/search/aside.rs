//! Work that would hold Lua's thread for too long, done on another.

use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, Mutex};

use crate::clock::{Busy, Clock};
use crate::error::Result;
use crate::guard::guarded;
use crate::net::workers::{Job, PerProcess, Pool, Submitted};
use crate::net::{Waker, lock};

/// More would only take processors from each other: what they wait for is memory.
const MOST: usize = 2;

static THREADS: PerProcess<Pool<Task>> = PerProcess::empty();

/// A result to come. Dropping it does not end the work.
pub struct Aside<T> {
    answer: Arc<Answer<T>>,
    busy: Cell<Option<Busy>>,
}

struct Answer<T> {
    result: Mutex<Option<Result<T>>>,
    waker: Waker,
}

impl<T: Send + 'static> Aside<T> {
    pub fn start(
        clock: &Clock,
        waker: Waker,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Aside<T> {
        let busy = Cell::new(Some(clock.busy()));
        let answer = Arc::new(Answer { result: Mutex::default(), waker });
        let given = answer.clone();
        let task = Task(Box::new(move || {
            let result = guarded(work);
            *lock(&given.result) = Some(result);
            given.waker.wake();
        }));
        let threads = THREADS.get(|| Pool::new("zigllms-search", MOST));
        if let Submitted::Refused(task, _) = threads.submit(task) {
            task.run();
        }
        Aside { answer, busy }
    }

    /// The result, once; `None`: not yet. The waker's token is posted when it is there.
    pub fn take(&self) -> Option<Result<T>> {
        self.answer.waker.rearm();
        lock(&self.answer.result).take().inspect(|_| drop(self.busy.take()))
    }
}

impl<T> fmt::Debug for Aside<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aside")
    }
}

struct Task(Box<dyn FnOnce() + Send>);

impl Job for Task {
    fn id(&self) -> u64 {
        0 // none is taken back
    }

    fn run(self) {
        (self.0)();
    }
}
