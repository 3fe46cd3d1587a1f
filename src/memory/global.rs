//! Entries of the scope GLOBAL: one space for all Lua states of the process.
//!
//! A forked child goes on with what its parent had by then: nginx's workers see what the master
//! stored in `init_by_lua`. So the lock is held over the fork. Nothing else is locked under it, so
//! it makes no difference in which order this and other handlers of a fork run.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard};

use super::{Entry, Kind, Space, Value};
use crate::clock::Clock;
use crate::net::lock;
use crate::net::workers::Registered;
use crate::store::UnixMs;

/// Not parking_lot's: that would hand the lock on to a thread that waits, and a child has none. Made
/// under its lock, not by a `Lazy`: a child might have to wait for a thread that makes it.
static GLOBAL: Mutex<Option<Space>> = Mutex::new(None);

thread_local! {
    static HELD: Cell<Option<MutexGuard<'static, Option<Space>>>> = const { Cell::new(None) };
}

/// From now on no fork begins while another thread has the space. Called when the module is loaded: a
/// fork that is under way by then does not know it, and its child might have a lock without a holder.
pub fn guard_forks() {
    static FORKS: Registered = Registered::no();
    FORKS.ensure(|| {
        // SAFETY: the handlers are ordinary functions, and this library is never unloaded.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(after_fork)) };
    });
}

/// The space, locked: no Lua may run and nothing may wait while it is held.
pub fn global() -> Global {
    guard_forks();
    let mut held = lock(&GLOBAL);
    held.get_or_insert_default();
    Global(held)
}

pub struct Global(MutexGuard<'static, Option<Space>>);

impl Deref for Global {
    type Target = Space;

    fn deref(&self) -> &Space {
        self.0.as_ref().expect("made before it was locked for anybody")
    }
}

impl DerefMut for Global {
    fn deref_mut(&mut self) -> &mut Space {
        self.0.get_or_insert_default()
    }
}

/// A value that needs no tape; of a text, that it is one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text,
}

/// Keeps a SHORT_TERM entry. `key` is whole, as an address makes it.
pub fn put_scalar(clock: &Clock, key: &[u8], value: Value, limit: usize) {
    let mut space = global();
    let now = now(&space, clock);
    space.put(key, Entry::new(value, Kind::Short), limit, now);
}

/// The value of an entry that has nothing but a scalar; a text is written over `text`.
pub fn scalar(clock: &Clock, key: &[u8], text: &mut Vec<u8>) -> Option<Scalar> {
    let mut space = global();
    let now = now(&space, clock);
    let plain = |entry: &Entry| entry.extra.is_none() && !matches!(entry.value, Value::Bytes(_));
    if !space.peek(key, now).is_some_and(plain) {
        return None;
    }
    Some(match &space.get(key, now)?.value {
        Value::Bool(value) => Scalar::Bool(*value),
        Value::Int(n) => Scalar::Int(*n),
        Value::Float(n) => Scalar::Float(*n),
        Value::Text(bytes) | Value::Bytes(bytes) => {
            text.clear();
            text.extend_from_slice(bytes);
            Scalar::Text
        }
    })
}

/// To look at the clock takes as long as to find an entry.
fn now(space: &Space, clock: &Clock) -> UnixMs {
    if space.has_expiring() { clock.unix_ms() } else { 0 }
}

/// It may be registered more than once.
extern "C" fn before_fork() {
    HELD.with(|held| held.set(held.take().or_else(|| Some(lock(&GLOBAL)))));
}

/// In the parent and in the child, which has no other thread than this one.
extern "C" fn after_fork() {
    drop(HELD.with(Cell::take));
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use rustix::process::{WaitOptions, kill_process, waitpid};

    use super::*;
    use crate::net::testing::sleep_ms;
    use crate::net::workers::{exit_child, fork};

    /// Ends by itself only if the child can lock the space.
    fn child_ends() -> bool {
        let Some(child) = fork() else {
            drop(global());
            exit_child(0);
        };
        for _ in 0..2000 {
            if let Some((_, status)) = waitpid(Some(child), WaitOptions::NOHANG).unwrap() {
                return status.exit_status() == Some(0);
            }
            sleep_ms(5);
        }
        kill_process(child, rustix::process::Signal::KILL).unwrap();
        waitpid(Some(child), WaitOptions::empty()).unwrap();
        false
    }

    #[test]
    fn a_child_has_the_space_to_itself_whoever_waited_for_it_in_the_parent() {
        guard_forks();
        let over = AtomicBool::new(false);
        let busy = || {
            while !over.load(Ordering::Relaxed) {
                let held = global();
                std::thread::park_timeout(Duration::from_micros(50));
                drop(held);
            }
        };
        let fine = std::thread::scope(|scope| {
            (0..3).for_each(|_| drop(scope.spawn(busy)));
            let fine = (0..50).all(|_| child_ends());
            over.store(true, Ordering::Relaxed);
            fine
        });
        assert!(fine, "a child waits for ever");
    }
}
