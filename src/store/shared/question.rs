//! What can be asked of an open store, and how the answer comes back.

use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::clock::{Busy, Clock};
use crate::error::{Error, Result};
use crate::net::{Waker, lock};
use crate::store::{Change, Committed, Durability, Range, Record, Space, Store, Write};

/// Several steps that belong together, on the store's thread.
pub type Doing = Box<dyn FnOnce(&mut dyn Store, &Clock) -> Result<()> + Send>;

/// What becomes of a record, given what it is now.
pub type Changing = Box<dyn FnMut(Option<&Record>) -> Result<Change> + Send>;

pub enum Question {
    /// The records of these keys, in their order. What is queued has version 0.
    Get {
        space: Space,
        keys: Vec<Vec<u8>>,
    },
    Scan(Range),
    /// Writes of which one must know what became of them: conditional ones, or durable ones. What
    /// was queued before is committed before.
    Commit {
        writes: Vec<Write>,
        durability: Durability,
    },
    /// Everything queued before, as durable as [`Durability::Sync`].
    Flush,
    /// One record, read and written as if nobody else was there: `change` is called again when
    /// somebody was. Durable as [`Durability::Batched`]; a `Flush` after it makes it more.
    Update {
        space: Space,
        key: Vec<u8>,
        change: Changing,
    },
    /// Work with the store itself. What is queued it does not see.
    Do(Doing),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Records(Vec<Option<Record>>),
    Page(Vec<(Vec<u8>, Record)>),
    Committed(Committed),
    /// Of so many writes that were queued.
    Flushed(u64),
    /// The record as it is now; none after a deletion.
    Updated(Option<Record>),
    /// What was to be done is done.
    Did,
}

impl Answer {
    /// What [`Question::Get`] is answered.
    pub fn records(self) -> Result<Vec<Option<Record>>> {
        match self {
            Answer::Records(records) => Ok(records),
            _ => Err(something_else()),
        }
    }

    /// What [`Question::Scan`] is answered.
    pub fn page(self) -> Result<Vec<(Vec<u8>, Record)>> {
        match self {
            Answer::Page(page) => Ok(page),
            _ => Err(something_else()),
        }
    }

    /// What [`Question::Commit`] is answered.
    pub fn committed(self) -> Result<Committed> {
        match self {
            Answer::Committed(committed) => Ok(committed),
            _ => Err(something_else()),
        }
    }

    /// What a flush is answered.
    pub fn flushed(self) -> Result<u64> {
        match self {
            Answer::Flushed(count) => Ok(count),
            _ => Err(something_else()),
        }
    }
}

fn something_else() -> Error {
    Error::internal("the store answered something else")
}

/// An answer to come. Dropping it does not take the question back.
pub struct Pending {
    reply: Arc<Reply>,
    /// A machine waits for it.
    busy: Cell<Option<Busy>>,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pending")
    }
}

impl Pending {
    pub(super) fn on(reply: Arc<Reply>, busy: Option<Busy>) -> Pending {
        Pending { reply, busy: Cell::new(busy) }
    }

    /// The answer, once. It may be there at once; after a `None` the waker's token is posted.
    pub fn take(&self) -> Option<Result<Answer>> {
        if let Some(waker) = &self.reply.waker {
            waker.rearm();
        }
        lock(&self.reply.answer).take().inspect(|_| drop(self.busy.take()))
    }

    /// Blocks until it is there; `None`: not in that time.
    pub fn wait(&self, patience: Duration) -> Option<Result<Answer>> {
        let none = |answer: &mut Option<_>| answer.is_none();
        let waited = self.reply.given.wait_timeout_while(lock(&self.reply.answer), patience, none);
        waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0.take()
    }
}

#[derive(Debug, Default)]
pub(super) struct Reply {
    answer: Mutex<Option<Result<Answer>>>,
    given: Condvar,
    waker: Option<Waker>,
}

impl Reply {
    pub fn new(waker: Option<Waker>) -> Arc<Reply> {
        Arc::new(Reply { waker, ..Reply::default() })
    }

    /// The answer is there before anybody waits for it: nobody has to be woken.
    pub fn known(answer: Answer) -> Arc<Reply> {
        Arc::new(Reply { answer: Mutex::new(Some(Ok(answer))), ..Reply::default() })
    }

    pub fn give(&self, answer: Result<Answer>) {
        *lock(&self.answer) = Some(answer);
        self.given.notify_all();
        if let Some(waker) = &self.waker {
            waker.wake();
        }
    }
}
