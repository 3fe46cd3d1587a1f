//! No connection is open while the process forks.
//!
//! SQLite knows by process memory which of its files are open, and the system which process has
//! locked them. A child inherits the one and not the other: what it opens itself then counts as
//! locked and is not, and when the parent closes its store, it deletes the log that the child
//! writes to. So a fork waits for the calls in flight and closes every store of the process; the
//! next call on one opens it again, in the parent as in the child.
//!
//! No call in flight waits for anything that a fork holds, so it makes no difference in which order
//! this and other handlers of a fork run.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::net::lock;
use crate::net::workers::{PerProcess, Registered};

/// What is closed before a fork.
pub trait Closes: Send + Sync {
    fn close(&self);
}

/// A child makes a new one: threads that it has not may stand at the inherited one.
fn gate() -> &'static RwLock<()> {
    static GATE: PerProcess<RwLock<()>> = PerProcess::empty();
    GATE.get(RwLock::default)
}

/// Locked inside the gate only; so never while the process forks.
static OPEN: Mutex<Vec<Arc<dyn Closes>>> = Mutex::new(Vec::new());

/// Held around every use of SQLite: the process does not fork meanwhile.
pub type Inside = RwLockReadGuard<'static, ()>;

pub fn enter() -> Inside {
    guard_forks();
    gate().read().unwrap_or_else(PoisonError::into_inner)
}

/// Called when the module is loaded: a fork that is under way by then knows nothing of it.
pub fn guard_forks() {
    static HANDLERS: Registered = Registered::no();
    HANDLERS.ensure(|| {
        // SAFETY: the handlers are ordinary functions, and this library is never unloaded.
        unsafe {
            libc::pthread_atfork(Some(before_fork), Some(after_in_parent), Some(after_in_child))
        };
    });
}

pub fn register(_inside: &Inside, one: Arc<dyn Closes>) {
    lock(&OPEN).push(one);
}

pub fn forget(_inside: &Inside, one: &Arc<dyn Closes>) {
    lock(&OPEN).retain(|other| !Arc::ptr_eq(other, one));
}

thread_local! {
    static CLOSED: Cell<Option<RwLockWriteGuard<'static, ()>>> = const { Cell::new(None) };
}

extern "C" fn before_fork() {
    CLOSED.with(|held| held.set(held.take().or_else(|| Some(close_all()))));
}

fn close_all() -> RwLockWriteGuard<'static, ()> {
    let closed = gate().write().unwrap_or_else(PoisonError::into_inner);
    for one in lock(&OPEN).iter() {
        one.close();
    }
    closed
}

extern "C" fn after_in_parent() {
    drop(CLOSED.with(Cell::take));
}

extern "C" fn after_in_child() {
    // The gate is the parent's.
    std::mem::forget(CLOSED.with(Cell::take));
}
