//! What becomes of children when their parent ends without closing its Lua states.

use std::sync::Mutex;

use rustix::process::{Pid, Signal};

use crate::guard::guarded;
use crate::net::lock;
use crate::net::workers::{PerProcess, Registered};

/// The groups that run, and how they are ended. A forked child has none: its parent's are not its
/// own.
fn running() -> &'static Mutex<Vec<(Pid, Signal)>> {
    static RUNNING: PerProcess<Mutex<Vec<(Pid, Signal)>>> = PerProcess::empty();
    RUNNING.get(Mutex::default)
}

pub fn began(pid: Pid) {
    static REGISTERED: Registered = Registered::no();
    lock(running()).push((pid, Signal::KILL));
    REGISTERED.ensure(|| {
        // SAFETY: the handler is an ordinary function, and this library is never unloaded.
        unsafe { libc::atexit(before_exit) };
    });
}

/// It was waited for: its number is free.
pub fn forget(pid: Pid) {
    lock(running()).retain(|(other, _)| *other != pid);
}

/// It ends by itself when its streams close, and is to have the time for that.
pub fn is_asked(pid: Pid) {
    lock(running()).iter_mut().filter(|(one, _)| *one == pid).for_each(|one| one.1 = Signal::TERM);
}

/// That they end now is news to nobody: nginx would log it as an alert. What goes on in this thread
/// is the end of the process.
fn block_sigchld() {
    // SAFETY: the set is plain data, initialised before it is used; no old mask is asked for.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGCHLD);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
    }
}

extern "C" fn before_exit() {
    let _ = guarded(|| {
        let running = lock(running());
        if !running.is_empty() {
            block_sigchld();
        }
        for (pid, signal) in running.iter() {
            super::send(*pid, *signal);
        }
        Ok(())
    });
}
