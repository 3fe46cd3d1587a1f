//! Entries of the scope GLOBAL: one space for all Lua states of the process.
//!
//! A forked child goes on with what its parent had by then: nginx's workers see what the master
//! stored in `init_by_lua`. So the lock is held over the fork, and nothing else is locked under it.

use std::sync::Once;

use once_cell::sync::Lazy;
use parking_lot::{Mutex, MutexGuard};

use super::Space;

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

extern "C" fn before_fork() {
    std::mem::forget(GLOBAL.lock());
}

extern "C" fn after_fork() {
    // SAFETY: `before_fork` locked it on this very thread, which is the child's only one, and
    // forgot the guard.
    unsafe { GLOBAL.force_unlock() };
}
