//! What is run, with what, and within which limits.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Failure;
use crate::clock::{Clock, Moment};
use crate::net::Waker;
use crate::value::Document;

/// What the text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A chunk that returns the function to call.
    Function,
    /// A chunk that is called itself, with the arguments as `...`.
    Body,
}

/// A Lua text. Rooms know those they have compiled by the id.
pub struct Script {
    pub id: u64,
    /// How it is called in messages: `name:3: …`
    pub name: String,
    pub text: Box<[u8]>,
    pub form: Form,
}

impl Script {
    pub fn new(name: &str, text: &[u8], form: Form) -> Arc<Script> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let id = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        Arc::new(Script { id, name: name.to_owned(), text: text.into(), form })
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Script({:?}, {} bytes)", self.name, self.text.len())
    }
}

/// In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub memory: usize,
    pub result: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { memory: 64 << 20, result: 1 << 20 }
    }
}

/// The result; `None` for nil.
pub type Answer = Result<Option<Document>, Failure>;

/// One call of a script.
pub struct Job {
    pub script: Arc<Script>,
    pub limits: Limits,
    pub deadline: Option<Moment>,
    pub clock: Clock,
    /// Taken by who runs it.
    pub arguments: Mutex<Vec<Document>>,
    pub cancelled: AtomicBool,
    answer: Mutex<Option<Answer>>,
    waker: Waker,
}

impl Job {
    pub fn new(
        script: Arc<Script>,
        limits: Limits,
        deadline: Option<Moment>,
        arguments: Vec<Document>,
        clock: Clock,
        waker: Waker,
    ) -> Job {
        let (arguments, cancelled) = (Mutex::new(arguments), AtomicBool::new(false));
        let answer = Mutex::new(None);
        Job { script, limits, deadline, clock, arguments, cancelled, answer, waker }
    }

    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Why it must not go on, if so.
    pub fn over(&self) -> Option<Failure> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Some(Failure::Cancelled);
        }
        self.deadline.filter(|at| self.clock.now() >= *at).map(|_| Failure::Late)
    }

    pub fn end(&self, answer: Answer) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        self.waker.wake();
    }

    pub fn take_answer(&self) -> Option<Answer> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
