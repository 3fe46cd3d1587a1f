//! Entries of the scope GLOBAL: one space for all Lua states of the process.
//!
//! A forked child goes on with what its parent had by then: nginx's workers see what the master
//! stored in `init_by_lua`. So the lock is held over the fork, and nothing else is locked under it.

use std::sync::Once;

use once_cell::sync::Lazy;
use parking_lot::{Mutex, MutexGuard};

use super::{Entry, Kind, Space, Value};
use crate::clock::Clock;
use crate::store::UnixMs;

static GLOBAL: Lazy<Mutex<Space>> = Lazy::new(Mutex::default);

/// The space, locked: no Lua may run and nothing may wait while it is held.
pub fn global() -> MutexGuard<'static, Space> {
    static FORKS: Once = Once::new();
    FORKS.call_once(|| {
        // SAFETY: the handlers are ordinary functions, and this library is never unloaded.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(after_fork)) };
    });
    GLOBAL.lock()
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

extern "C" fn before_fork() {
    std::mem::forget(GLOBAL.lock());
}

extern "C" fn after_fork() {
    // SAFETY: `before_fork` locked it on this very thread, which is the child's only one, and
    // forgot the guard.
    unsafe { GLOBAL.force_unlock() };
}
