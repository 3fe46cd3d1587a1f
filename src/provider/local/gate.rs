//! Keeps llama.cpp still while the process forks or ends.
//!
//! `exit` destroys C++ statics while the engine's thread may be using them, and `fork` copies C++
//! locks in whatever state they are. So every call into llama.cpp holds this gate open, and exit
//! and fork close it first: that takes as long as the call in flight, at most a few tokens.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::net::workers::{PerProcess, Registered};

/// How long exit waits for the calls in flight before it goes on regardless.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    inside: u32,
    closed: bool,
}

/// Exit has begun: whatever takes long in llama.cpp gives up.
static ENDING: AtomicBool = AtomicBool::new(false);

/// A forked child gets a gate of its own: it has none of the threads that may wait at this one.
fn gate() -> &'static Gate {
    static GATE: PerProcess<Gate> = PerProcess::empty();
    GATE.get(Gate::default)
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets nobody in any more and waits until everybody is out.
    fn close(&self, patience: Duration) {
        let mut state = self.lock();
        state.closed = true;
        let inside = |state: &mut State| state.inside > 0;
        drop(self.changed.wait_timeout_while(state, patience, inside));
    }

    fn open(&self) {
        self.lock().closed = false;
        self.changed.notify_all();
    }
}

/// Held around calls into llama.cpp.
pub struct Inside(&'static Gate);

/// Blocks for ever once the process is ending.
pub fn enter() -> Inside {
    let gate = gate();
    let state = gate.changed.wait_while(gate.lock(), |state| state.closed);
    state.unwrap_or_else(PoisonError::into_inner).inside += 1;
    Inside(gate)
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.lock().inside -= 1;
        self.0.changed.notify_all();
    }
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
        unsafe { libc::atexit(before_exit) };
    }
}

extern "C" fn before_exit() {
    if !ENDING.swap(true, Ordering::Relaxed) {
        gate().close(PATIENCE);
    }
}

pub fn guard_fork() {
    static REGISTERED: Registered = Registered::no();
    REGISTERED.ensure(|| {
        // SAFETY: the handlers are ordinary functions, and this library is never unloaded.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), None) };
    });
}

extern "C" fn before_fork() {
    if !ending() {
        gate().close(Duration::MAX);
    }
}

extern "C" fn after_fork() {
    if !ending() {
        gate().open();
    }
}
