//! What becomes of children when their parent ends without closing its Lua states.

use std::sync::{Mutex, Once};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::guard::guarded;
use crate::net::lock;
use crate::net::workers::PerProcess;

/// The groups that run. A forked child has none: its parent's are not its own.
fn running() -> &'static Mutex<Vec<Pid>> {
    static RUNNING: PerProcess<Mutex<Vec<Pid>>> = PerProcess::empty();
    RUNNING.get(Mutex::default)
}

pub fn began(pid: Pid) {
    static REGISTERED: Once = Once::new();
    lock(running()).push(pid);
    REGISTERED.call_once(|| {
        // SAFETY: the handler is an ordinary function, and this library is never unloaded.
        unsafe { libc::atexit(before_exit) };
    });
}

/// It was waited for: its number is free.
pub fn is_over(pid: Pid) {
    lock(running()).retain(|other| *other != pid);
}

extern "C" fn before_exit() {
    let _ = guarded(|| {
        let running = lock(running());
        for pid in running.iter() {
            let _ = kill_process_group(*pid, Signal::KILL);
        }
        Ok(())
    });
}
