//! Threads that exist only while there is work, and process-wide state that survives a fork.
//!
//! After `fork` the child has none of its parent's threads, and any lock one of them held stays
//! locked for ever. So nothing process-wide is shared with a parent: [`PerProcess`] gives each
//! process its own value and never touches, not even to drop it, an inherited one.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, getpid};

use super::lock;

/// Virtual memory only. A TLS handshake overflows (and aborts the host) at 32 KiB in release and
/// at 96 KiB in debug builds, in which reading a document of 128 levels takes 230 KiB.
pub const STACK: usize = if cfg!(debug_assertions) { 1024 } else { 256 } * 1024;

/// An idle thread waits this long for more work before it exits and gives its memory back.
const LINGER: Duration = Duration::from_secs(10);

/// The process something was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home(Pid);

impl Home {
    pub fn here() -> Home {
        Home(getpid())
    }

    /// False in a forked child: the value was inherited, its threads and locks are dead.
    pub fn is_here(self) -> bool {
        self == Home::here()
    }
}

/// A static that is made anew in each process that uses it.
pub struct PerProcess<T: 'static>(AtomicPtr<(Home, T)>);

impl<T: Send + Sync> PerProcess<T> {
    pub const fn empty() -> PerProcess<T> {
        PerProcess(AtomicPtr::new(ptr::null_mut()))
    }

    /// This process's value. Takes no lock, so a fork at any moment cannot leave one behind.
    pub fn get(&self, make: impl FnOnce() -> T) -> &'static T {
        self.get_after(|_| make())
    }

    /// As [`get`](PerProcess::get); a value is made knowing the one that was inherited, whose locks
    /// may be held by nobody for ever.
    pub fn get_after(&self, make: impl FnOnce(Option<&'static T>) -> T) -> &'static T {
        let home = Home::here();
        let seen = self.0.load(Ordering::Acquire);
        // SAFETY: the slot is null or came from `Box::into_raw` below, and published boxes are
        // never freed or written again.
        let found: Option<&'static (Home, T)> = unsafe { seen.as_ref() };
        match found {
            Some((owner, value)) if *owner == home => value,
            inherited => {
                let inherited = inherited.map(|(_, value)| value);
                self.publish(seen, Box::new((home, make(inherited))))
            }
        }
    }

    fn publish(&self, seen: *mut (Home, T), made: Box<(Home, T)>) -> &'static T {
        let made = Box::into_raw(made);
        match self.0.compare_exchange(seen, made, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: published just now, so never freed.
            Ok(_) => unsafe { &(*made).1 },
            Err(theirs) => {
                // SAFETY: the exchange failed, so `made` is still ours alone.
                drop(unsafe { Box::from_raw(made) });
                // SAFETY: another thread of this process published it (a child cannot write
                // here), so it is not null, it is this process's, and it is never freed.
                unsafe { &(*theirs).1 }
            }
        }
    }
}

/// Whether handlers of a fork or of the end of the process have been registered.
///
/// `std::sync::Once` would let threads wait for the one that registers them, and in a child that was
/// forked meanwhile they would wait for ever. Here nobody waits; so two threads may both register
/// them, and handlers must not mind being called twice.
pub struct Registered(AtomicBool);

impl Registered {
    pub const fn no() -> Registered {
        Registered(AtomicBool::new(false))
    }

    /// When it returns, they are registered.
    pub fn ensure(&self, register: impl FnOnce()) {
        if !self.0.load(Ordering::Acquire) {
            register();
            self.0.store(true, Ordering::Release);
        }
    }
}

/// Starts a thread that gets no signals: they belong to the host's threads.
pub fn spawn(name: &str, stack: usize, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let _blocked = SignalsBlocked::new();
    thread::Builder::new().name(name.into()).stack_size(stack).spawn(work).map(drop)
}

/// Blocks all signals of this thread until dropped. A new thread inherits the mask, so it is
/// never open to a signal, not even in its first instruction.
struct SignalsBlocked(libc::sigset_t);

impl SignalsBlocked {
    fn new() -> SignalsBlocked {
        // SAFETY: both sets are plain data that outlive the calls; `sigfillset` initialises `all`
        // and `pthread_sigmask` initialises `before`, which is valid when zeroed as well.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
            SignalsBlocked(before)
        }
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: the set was filled in by `pthread_sigmask`; no old mask is asked for.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
}

/// What a pool runs.
pub trait Job: Send + 'static {
    fn id(&self) -> u64;
    fn run(self);
}

/// What became of a submitted job.
pub enum Submitted<J> {
    /// A thread is free or was started for it.
    Started,
    /// It waits until a thread is free.
    Queued,
    /// There is no thread and none can be made.
    Refused(J, io::Error),
}

/// Up to `most` threads, each started when a job finds no idle one.
pub struct Pool<J> {
    name: &'static str,
    most: usize,
    state: Mutex<State<J>>,
    work: Condvar,
}

struct State<J> {
    queue: VecDeque<J>,
    idle: usize,
    live: usize,
}

impl<J: Job> Pool<J> {
    pub fn new(name: &'static str, most: usize) -> Pool<J> {
        let state = State { queue: VecDeque::new(), idle: 0, live: 0 };
        Pool { name, most, state: Mutex::new(state), work: Condvar::new() }
    }

    pub fn submit(&'static self, job: J) -> Submitted<J> {
        let mut state = lock(&self.state);
        state.queue.push_back(job);
        if state.queue.len() <= state.idle {
            self.work.notify_one();
            return Submitted::Started;
        }
        if state.live == self.most {
            return Submitted::Queued;
        }
        match spawn(self.name, STACK, || self.serve()) {
            Ok(()) => {
                state.live += 1;
                Submitted::Started
            }
            // The threads there are will come to it; containers limit how many there may be.
            Err(_) if state.live > 0 => Submitted::Queued,
            Err(error) => match state.queue.pop_back() {
                Some(job) => Submitted::Refused(job, error),
                None => Submitted::Queued,
            },
        }
    }

    /// Takes a job that no thread has begun back out of the queue.
    pub fn withdraw(&self, id: u64) -> Option<J> {
        let mut state = lock(&self.state);
        let at = state.queue.iter().position(|job| job.id() == id)?;
        state.queue.remove(at)
    }

    fn serve(&self) {
        while let Some(job) = self.next() {
            // Jobs report their own panics; this only keeps the thread and the counts right.
            let _ = catch_unwind(AssertUnwindSafe(|| job.run()));
        }
    }

    fn next(&self) -> Option<J> {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.queue.pop_front() {
                return Some(job);
            }
            state.idle += 1;
            let (woken, waited) =
                self.work.wait_timeout(state, LINGER).unwrap_or_else(|e| e.into_inner());
            state = woken;
            state.idle -= 1;
            if waited.timed_out() && state.queue.is_empty() {
                state.live -= 1;
                return None;
            }
        }
    }

    #[cfg(test)]
    pub fn live(&self) -> usize {
        lock(&self.state).live
    }
}

/// Forks, for tests of what a child does: the child in the parent, `None` in the child.
#[cfg(test)]
pub fn fork() -> Option<Pid> {
    // SAFETY: the child only does what a host that forks would do, and then `_exit`s.
    Pid::from_raw(unsafe { libc::fork() })
}

/// Ends a forked child at once, without the parent's exit handlers.
#[cfg(test)]
pub fn exit_child(code: i32) -> ! {
    // SAFETY: `_exit` takes any code and does not return.
    unsafe { libc::_exit(code) }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::net::testing::sleep_ms;

    struct Send(u64, mpsc::Sender<u64>, mpsc::Receiver<()>);

    impl Job for Send {
        fn id(&self) -> u64 {
            self.0
        }
        fn run(self) {
            self.1.send(self.0).unwrap();
            self.2.recv().ok();
        }
    }

    fn pool(most: usize) -> &'static Pool<Send> {
        Box::leak(Box::new(Pool::new("test", most)))
    }

    #[test]
    fn jobs_beyond_the_cap_wait_and_can_be_withdrawn() {
        let (pool, (done, ran)) = (pool(1), mpsc::channel());
        let (go, hold) = mpsc::channel();
        let (_, free) = mpsc::channel();
        assert!(matches!(pool.submit(Send(1, done.clone(), hold)), Submitted::Started));
        assert_eq!(ran.recv(), Ok(1));
        assert!(matches!(pool.submit(Send(2, done.clone(), free)), Submitted::Queued));
        assert_eq!(pool.withdraw(2).map(|job| job.id()), Some(2));
        assert!(pool.withdraw(2).is_none());
        let (_, free) = mpsc::channel();
        assert!(matches!(pool.submit(Send(3, done, free)), Submitted::Queued));
        drop(go);
        assert_eq!(ran.recv(), Ok(3));
        assert_eq!(pool.live(), 1);
    }

    #[test]
    fn new_threads_block_every_signal() {
        let (tell, hear) = mpsc::channel();
        spawn("signals", STACK, move || {
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
            tell.send(status).unwrap();
        })
        .unwrap();
        let status = hear.recv().unwrap();
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
        // SIGINT is 2, SIGCHLD 17, SIGWINCH 28.
        let mask = blocked.map(|hex| u64::from_str_radix(hex.trim(), 16).unwrap());
        assert!(mask.is_none_or(|mask| mask & 0x0801_0002 == 0x0801_0002));
    }

    #[test]
    fn a_signal_interrupts_a_wait_for_the_notifier() {
        extern "C" fn nothing(_: libc::c_int) {}
        let handler = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
        // SAFETY: the handler does nothing, and no other test uses this signal.
        unsafe { libc::signal(libc::SIGUSR2, handler) };
        // SAFETY: names the calling thread, which lives until the other one is joined.
        let waiting = unsafe { libc::pthread_self() } as usize;
        let notifier = crate::net::Notifier::new().unwrap();
        let thread = thread::spawn(move || {
            sleep_ms(30);
            // SAFETY: see above.
            unsafe { libc::pthread_kill(waiting as libc::pthread_t, libc::SIGUSR2) }
        });
        let woke = notifier.wait(Some(Duration::from_secs(10)));
        assert_eq!((thread.join().unwrap(), woke), (0, crate::net::Woke::Interrupted));
    }
}
