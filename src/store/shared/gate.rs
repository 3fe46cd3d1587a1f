//! Keeps engines still while the process forks.
//!
//! A forked child has a copy of SQLite's locks and tables of open files, and none of the threads
//! that would put them in order. So whoever works on an engine holds this gate, and `fork` waits
//! until nobody does: then the child finds everything at rest, lets go of what it inherited, and
//! opens its own.

use std::sync::{Condvar, Mutex, Once};

use crate::net::lock;
use crate::net::workers::PerProcess;
use crate::store::Place;

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

/// A child gets a gate of its own: nobody is left of those who stood at this one.
fn gate() -> &'static Gate {
    static GATE: PerProcess<Gate> = PerProcess::empty();
    GATE.get(Gate::default)
}

/// Held by who works on an engine.
pub struct Inside(&'static Gate);

/// Waits while the process forks. A server takes long to answer and minds no fork: no gate there.
pub fn enter(place: &Place) -> Option<Inside> {
    if matches!(place, Place::Redis(_)) {
        return None;
    }
    let gate = gate();
    let open = gate.changed.wait_while(lock(&gate.state), |state| state.closed);
    open.unwrap_or_else(|poisoned| poisoned.into_inner()).inside += 1;
    Some(Inside(gate))
}

impl Drop for Inside {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.inside -= 1;
        if state.closed {
            self.0.changed.notify_all();
        }
    }
}

/// Called before the first engine is opened.
pub fn guard_fork() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // SAFETY: the handlers are ordinary functions, and this library is never unloaded.
        unsafe { libc::pthread_atfork(Some(before), Some(after), None) };
    });
}

extern "C" fn before() {
    let gate = gate();
    let mut state = lock(&gate.state);
    state.closed = true;
    drop(gate.changed.wait_while(state, |state| state.inside > 0));
}

extern "C" fn after() {
    let gate = gate();
    lock(&gate.state).closed = false;
    gate.changed.notify_all();
}
