//! Keeps llama.cpp still while the process forks or ends.
//!
//! `exit` destroys C++ statics while the engine's thread may be using them, and `fork` copies C++
//! locks in whatever state they are. So every call into llama.cpp holds this gate open, and exit
//! and fork close it first: that takes as long as the call in flight, at most a few tokens.

use std::mem;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::{RwLock, RwLockReadGuard};

static GATE: RwLock<()> = RwLock::new(());
/// Exit has begun: whatever takes long in llama.cpp gives up.
static ENDING: AtomicBool = AtomicBool::new(false);
/// Exit has closed the gate for good.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// How long exit waits for the call in flight before it goes on regardless.
const PATIENCE: Duration = Duration::from_secs(5);

/// Held around calls into llama.cpp. Blocks for ever once the process is ending.
pub fn enter() -> RwLockReadGuard<'static, ()> {
    GATE.read()
}

pub fn ending() -> bool {
    ENDING.load(Ordering::Relaxed)
}

/// Called after each step that may have created C++ statics. Exit handlers and destructors of
/// statics run in the opposite order of their registration, so the handler registered last runs
/// before any static that exists by then is destroyed.
pub fn guard_exit() {
    const ENOUGH: u32 = 16;
    static REGISTERED: AtomicU32 = AtomicU32::new(0);
    if REGISTERED.fetch_add(1, Ordering::Relaxed) < ENOUGH {
        // SAFETY: the handler is an ordinary function, and this library is never unloaded.
        unsafe { libc::atexit(close) };
    }
}

extern "C" fn close() {
    ENDING.store(true, Ordering::Relaxed);
    if CLOSED.load(Ordering::Relaxed) {
        return;
    }
    if let Some(guard) = GATE.try_write_for(PATIENCE) {
        mem::forget(guard);
        CLOSED.store(true, Ordering::Relaxed);
    }
}

pub fn guard_fork() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // SAFETY: the handlers are ordinary functions, and this library is never unloaded.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(after_fork)) };
    });
}

extern "C" fn before_fork() {
    if !CLOSED.load(Ordering::Relaxed) {
        mem::forget(GATE.write());
    }
}

extern "C" fn after_fork() {
    if !CLOSED.load(Ordering::Relaxed) {
        // SAFETY: `before_fork` took this lock on the forking thread, which is this thread or, in
        // the child, its copy, and forgot the guard.
        unsafe { GATE.force_unlock_write() };
    }
}
