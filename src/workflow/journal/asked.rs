//! Several steps asked of the store at once, and what came of them.

use std::sync::{Arc, Mutex};

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::net::{Waker, lock};
use crate::runtime::Runtime;
use crate::step::Token;
use crate::store::{Pending, Question, Shared, Store};

/// An answer to come. Dropping it does not take back what was asked.
#[derive(Debug)]
pub struct Asked<T> {
    pending: Pending,
    found: Arc<Mutex<Option<T>>>,
}

impl<T: Send + 'static> Asked<T> {
    pub fn ask(
        shared: &Shared,
        waker: Waker,
        work: impl FnOnce(&mut dyn Store, &Clock) -> Result<T> + Send + 'static,
    ) -> Asked<T> {
        let found = Arc::new(Mutex::new(None));
        let theirs = found.clone();
        let work = move |store: &mut dyn Store, clock: &Clock| {
            *lock(&theirs) = Some(work(store, clock)?);
            Ok(())
        };
        Asked { pending: shared.ask(Question::Do(Box::new(work)), waker), found }
    }

    /// Of the store that runs lie in.
    pub fn of(
        runtime: &mut Runtime,
        me: Token,
        work: impl FnOnce(&mut dyn Store, &Clock) -> Result<T> + Send + 'static,
    ) -> Result<Asked<T>> {
        let waker = runtime.tasks.waker(me)?;
        let shared = runtime.backing().ok_or_else(no_store)?;
        Ok(Asked::ask(shared, waker, work))
    }

    /// The answer, once; after a `None` the machine's token is posted when it is there.
    pub fn take(&self) -> Option<Result<T>> {
        let answer = self.pending.take()?;
        let gone = || Error::internal("done, and nothing came of it");
        Some(answer.and_then(|_| lock(&self.found).take().ok_or_else(gone)))
    }
}

pub fn no_store() -> Error {
    Error::state("durable runs need a store: configure{store=} first")
}
