//! The control block of one call: how it ended, which deadline runs, which sockets it uses.
//!
//! Cancel and deadlines live here and nowhere else. The transport under ureq finds its call
//! through a thread-local ([`Ctl::run`]), because ureq hands no user data down to it.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use rustix::event::PollFlags;

use super::process::process;
use super::sock::Sock;
use super::workers::Home;
use super::{Failure, Guard, Limits, lock};
use crate::clock::{Busy, Clock, Moment, Traffic};
use crate::error::Phase;

/// A complete answer whose end has not come by then is taken as it is.
const LAST_WORD: Duration = Duration::from_millis(500);

/// A refusal has been said with its status: its words are waited for no longer than that.
const WORDS: Duration = Duration::from_secs(5);

/// How a call ended. Set once, from `Open`; whoever comes second finds it taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Verdict {
    Open,
    /// Its transport ended it, well or not.
    Done,
    Cancelled,
    Connect,
    FirstToken,
    Idle,
    Total,
}

impl Verdict {
    const ALL: [Verdict; 7] = [
        Verdict::Open,
        Verdict::Done,
        Verdict::Cancelled,
        Verdict::Connect,
        Verdict::FirstToken,
        Verdict::Idle,
        Verdict::Total,
    ];

    fn timeout(phase: Phase) -> Verdict {
        match phase {
            Phase::Connect => Verdict::Connect,
            Phase::FirstToken => Verdict::FirstToken,
            Phase::Idle => Verdict::Idle,
            Phase::Total | Phase::Tool => Verdict::Total,
        }
    }

    fn failure(self) -> Option<Failure> {
        match self {
            Verdict::Open | Verdict::Done => None,
            Verdict::Cancelled => Some(Failure::Cancelled),
            Verdict::Connect => Some(Failure::Timeout(Phase::Connect)),
            Verdict::FirstToken => Some(Failure::Timeout(Phase::FirstToken)),
            Verdict::Idle => Some(Failure::Timeout(Phase::Idle)),
            Verdict::Total => Some(Failure::Timeout(Phase::Total)),
        }
    }
}

/// The call has a verdict: stop, whatever the socket says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended;

impl From<Ended> for ureq::Error {
    /// Kind `Other`, because ureq takes EOF, reset and abort in a body for its end, and half an
    /// answer would look complete.
    fn from(_: Ended) -> ureq::Error {
        ureq::Error::Io(io::Error::other("the call has ended"))
    }
}

/// What the transport does when the socket has nothing for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Waits: the thread belongs to this call.
    Wait,
    /// Says so and returns: the thread serves many.
    Poll,
}

pub(super) struct Ctl {
    /// Never reused, so it can stand for the call where a pointer could not.
    pub id: u64,
    home: Home,
    clock: Clock,
    limits: Limits,
    verdict: AtomicU8,
    /// A connection was made for this call; without, it runs on a pooled one.
    dialed: AtomicBool,
    /// Bytes of the answer arrived.
    answered: AtomicBool,
    /// `resume` was said since the last delivery.
    resumed: AtomicBool,
    /// The reader has the body; it ends the call itself when it is nudged.
    adopted: AtomicBool,
    /// The answer is complete but for its end.
    over: AtomicBool,
    /// Whoever reads the answer has taken what there was, and waits for more.
    waiting: AtomicBool,
    /// The sink is full: the consumer is waited for.
    paused: AtomicBool,
    busy: Mutex<Option<Busy>>,
    /// How many connects are under way inside each other: to a proxy, within one through it.
    connects: AtomicU8,
    state: Mutex<State>,
    changed: Condvar,
    guard: OnceLock<Guard>,
}

struct State {
    phase: Phase,
    /// End of the phase.
    deadline: Option<Moment>,
    /// Several while racing for a connection, then one.
    socks: Vec<Arc<Sock>>,
}

thread_local! {
    static CURRENT: RefCell<Option<(Arc<Ctl>, Mode)>> = const { RefCell::new(None) };
}

impl Ctl {
    /// A call whose connect phase begins now.
    pub fn new(clock: Clock, limits: Limits) -> Arc<Ctl> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let deadline = limits.connect.map(|limit| clock.now().after(limit));
        let busy = Mutex::new(Some(clock.busy()));
        Arc::new(Ctl {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            home: Home::here(),
            clock,
            limits,
            verdict: AtomicU8::new(Verdict::Open as u8),
            dialed: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            resumed: AtomicBool::new(false),
            adopted: AtomicBool::new(false),
            over: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            busy,
            connects: AtomicU8::new(0),
            state: Mutex::new(State { phase: Phase::Connect, deadline, socks: Vec::new() }),
            changed: Condvar::new(),
            guard: OnceLock::new(),
        })
    }

    /// To be said before the call begins.
    pub fn guard_with(&self, guard: Guard) {
        let _ = self.guard.set(guard);
    }

    /// The addresses of `host` that the call may connect to.
    pub fn admitted(&self, host: &str, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, Failure> {
        match self.guard.get() {
            Some(guard) => guard.admitted(host, found),
            None => Ok(found),
        }
    }

    // The call of this thread.

    /// Runs `work` as part of this call: transports below it find the call by `current`.
    pub fn run<R>(self: &Arc<Ctl>, mode: Mode, work: impl FnOnce() -> R) -> R {
        struct Restore(Option<(Arc<Ctl>, Mode)>);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.replace(self.0.take());
            }
        }
        let _restore = Restore(CURRENT.replace(Some((self.clone(), mode))));
        work()
    }

    pub fn current() -> Result<(Arc<Ctl>, Mode), Ended> {
        CURRENT.with_borrow(|current| current.clone()).ok_or(Ended)
    }

    // The end of the call.

    /// Ends the call wherever it is; a body in the reader's care once the reader is nudged.
    /// False if it had ended.
    pub fn cancel(&self) -> bool {
        // A call inherited through a fork is the parent's: its socket must not be shut here, and
        // its locks may be held by threads that do not exist.
        if !self.home.is_here() || !self.settle(Verdict::Cancelled) {
            return false;
        }
        // The reader is woken once for all that end together, and closes them.
        if !self.adopted.load(Ordering::Acquire) {
            self.shut();
        }
        true
    }

    /// Wakes whoever waits on a socket, each for itself. The verdict first, the sockets after it:
    /// `hold` checks it under the same lock, so a socket is either found here or not taken into use.
    fn shut(&self) {
        let state = lock(&self.state);
        state.socks.iter().for_each(|sock| sock.shut(self.id));
        self.changed.notify_all();
    }

    /// The transport is through with the call; says why it ended if that was decided before.
    pub fn finish(&self) -> Option<Failure> {
        self.settle(Verdict::Done);
        self.verdict().failure()
    }

    /// Nobody waits for it any more: the sink has been told the end, or who asked has let go.
    pub fn forget(&self) {
        // As `cancel`: in a forked child the lock may be held by a thread that does not exist.
        if self.home.is_here() {
            drop(lock(&self.busy).take());
        }
    }

    pub fn is_open(&self) -> bool {
        self.verdict() == Verdict::Open
    }

    pub fn open(&self) -> Result<(), Ended> {
        if self.is_open() { Ok(()) } else { Err(Ended) }
    }

    fn verdict(&self) -> Verdict {
        Verdict::ALL[usize::from(self.verdict.load(Ordering::Acquire))]
    }

    fn settle(&self, verdict: Verdict) -> bool {
        let (open, verdict) = (Verdict::Open as u8, verdict as u8);
        self.verdict.compare_exchange(open, verdict, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    // Deadlines.

    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Time until the nearest deadline. Ends the call if that has passed.
    pub fn left(&self) -> Result<Option<Duration>, Ended> {
        self.left_in(&lock(&self.state))
    }

    fn left_in(&self, state: &State) -> Result<Option<Duration>, Ended> {
        self.open()?;
        let Some((at, phase)) = self.nearest(state) else { return Ok(None) };
        let left = self.now().until(at);
        if left.is_zero() {
            self.settle(Verdict::timeout(phase));
            return Err(Ended);
        }
        Ok(Some(left))
    }

    pub fn deadline(&self) -> Option<Moment> {
        self.nearest(&lock(&self.state)).map(|(at, _)| at)
    }

    /// The same in real time, in which the deadlines of all instances compare.
    pub fn real_deadline(&self) -> Option<Moment> {
        self.deadline().map(|at| self.clock.real(at))
    }

    fn nearest(&self, state: &State) -> Option<(Moment, Phase)> {
        let phase = state.deadline.map(|at| (at, state.phase));
        let total = self.limits.total.map(|at| (at, Phase::Total));
        phase.into_iter().chain(total).min_by_key(|(at, _)| *at)
    }

    fn enter(&self, state: &mut State, phase: Phase, limit: Option<Duration>) {
        state.phase = phase;
        state.deadline = limit.map(|limit| self.now().after(limit));
    }

    /// The first byte of the request goes out, TLS and proxies not counted.
    pub fn sending(&self) {
        let mut state = lock(&self.state);
        if state.phase == Phase::Connect {
            self.enter(&mut state, Phase::FirstToken, self.limits.first_token);
        }
    }

    /// As [`Clock::patience`].
    pub fn patience(&self, left: Option<Duration>) -> Option<Duration> {
        self.clock.patience(left)
    }

    /// Said around each wait for more of the answer, and with false before it is read.
    pub fn waits(&self, waiting: bool) {
        self.waiting.store(waiting, Ordering::SeqCst);
    }

    /// Content arrived.
    pub fn content(&self) {
        self.paused.store(false, Ordering::SeqCst);
        self.enter(&mut lock(&self.state), Phase::Idle, self.limits.idle);
    }

    /// The consumer is full: only the total limit runs on, the peer is not to blame.
    pub fn pause(&self) {
        self.paused.store(true, Ordering::SeqCst);
        self.enter(&mut lock(&self.state), Phase::Idle, None);
    }

    /// The answer is complete but for its end. Said again, it changes nothing: a peer that goes on
    /// gets no more time.
    pub fn over(&self) {
        let mut state = lock(&self.state);
        if !self.over.swap(true, Ordering::Relaxed) {
            self.enter(&mut state, Phase::Idle, Some(LAST_WORD));
        }
    }

    /// The head of the answer says that there will be none.
    pub fn refused(&self) {
        let mut state = lock(&self.state);
        let soon = self.now().after(WORDS);
        state.deadline = Some(state.deadline.map_or(soon, |at| at.min(soon)));
    }

    // What happened so far.

    pub fn dialed(&self) {
        self.dialed.store(true, Ordering::Relaxed);
    }

    pub fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Begins a connect; true if it is the outermost.
    pub fn connect_begins(&self) -> bool {
        self.connects.fetch_add(1, Ordering::Relaxed) == 0
    }

    pub fn connect_ended(&self) {
        self.connects.fetch_sub(1, Ordering::Relaxed);
    }

    /// The connection came from the pool and died before it answered: the server closed it while
    /// the request was on its way. Begins the connect phase again if so.
    pub fn was_stale(&self) -> bool {
        let stale = !self.dialed.load(Ordering::Relaxed)
            && !self.answered.load(Ordering::Relaxed)
            && self.is_open();
        if stale {
            self.enter(&mut lock(&self.state), Phase::Connect, self.limits.connect);
        }
        stale
    }

    /// Forgets an earlier `resume`, before a delivery that may answer "full".
    pub fn clear_resumed(&self) {
        self.resumed.store(false, Ordering::Release);
    }

    pub fn set_resumed(&self) {
        self.resumed.store(true, Ordering::Release);
    }

    pub fn resumed(&self) -> bool {
        self.resumed.load(Ordering::Acquire)
    }

    /// The reader takes the body over: what is cancelled from here on, it looks at by itself.
    pub fn set_adopted(&self) {
        self.adopted.store(true, Ordering::Release);
    }

    // Sockets.

    /// Takes a socket into use. Called before each I/O; costs two uncontended locks.
    pub fn hold(&self, sock: &Arc<Sock>) -> Result<(), Ended> {
        let mut state = lock(&self.state);
        self.open()?;
        if !sock.belongs_to(self.id) {
            sock.claim(self.id);
            state.socks.push(sock.clone());
        }
        Ok(())
    }

    pub fn release(&self, sock: &Arc<Sock>) {
        sock.free();
        lock(&self.state).socks.retain(|held| !Arc::ptr_eq(held, sock));
    }

    pub fn release_all(&self) {
        lock(&self.state).socks.clear();
    }

    /// The socket the answer comes from.
    pub fn sock(&self) -> Option<Arc<Sock>> {
        lock(&self.state).socks.last().cloned()
    }

    // Waits before there is a socket.

    /// Waits until `ready` has something. Whoever makes it ready calls `notify` afterwards.
    pub fn wait<T>(&self, ready: impl Fn() -> Option<T>) -> Result<T, Ended> {
        let mut state = lock(&self.state);
        loop {
            let left = self.left_in(&state)?;
            if let Some(value) = ready() {
                return Ok(value);
            }
            state = self.sleep(state, self.patience(left));
        }
    }

    fn sleep<'a>(
        &self,
        state: MutexGuard<'a, State>,
        left: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        match left {
            None => self.changed.wait(state).unwrap_or_else(|e| e.into_inner()),
            Some(left) => {
                self.changed.wait_timeout(state, left).unwrap_or_else(|e| e.into_inner()).0
            }
        }
    }

    pub fn notify(&self) {
        // With the lock, or the notice could fall between a waiter's look and its sleep.
        let _state = lock(&self.state);
        self.changed.notify_all();
    }
}

impl Traffic for Ctl {
    /// First whether something lies in the socket, then whether somebody is at work on what did: who
    /// waits again has delivered all that was read before.
    fn is_stalled(&self, stalled: &dyn Fn(SocketAddr) -> bool) -> bool {
        if !self.is_open() {
            return false;
        }
        if self.paused.load(Ordering::SeqCst) {
            return !self.resumed();
        }
        let Some(sock) = self.sock() else { return false };
        let address = sock.stream().local_addr();
        let quiet = !Sock::wait_any(&[&sock], PollFlags::IN, Some(Duration::ZERO));
        quiet && self.waiting.load(Ordering::SeqCst) && address.is_ok_and(stalled)
    }

    fn deadline(&self) -> Option<Moment> {
        Ctl::deadline(self).filter(|_| self.is_open())
    }

    fn moved(&self) {
        if !self.home.is_here() || !self.is_open() {
            return;
        }
        if self.adopted.load(Ordering::Acquire) {
            process().reader.nudge(self.id);
        } else if self.left().is_err() {
            self.shut();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::sleep_ms;

    fn limits(connect: u64, total: Option<Moment>) -> Limits {
        Limits { connect: Some(Duration::from_millis(connect)), total, ..Limits::default() }
    }

    #[test]
    fn the_first_verdict_stays() {
        let ctl = Ctl::new(Clock::default(), Limits::default());
        assert!(ctl.cancel());
        assert!(!ctl.cancel());
        assert_eq!(ctl.finish(), Some(Failure::Cancelled));

        let ctl = Ctl::new(Clock::default(), Limits::default());
        assert_eq!(ctl.finish(), None);
        assert!(!ctl.cancel());
        assert_eq!(ctl.finish(), None);
    }

    #[test]
    fn the_nearer_deadline_names_the_phase() {
        let clock = Clock::default();
        let ctl = Ctl::new(clock.clone(), limits(0, Some(clock.now().after_ms(1000))));
        assert_eq!(ctl.left(), Err(Ended));
        assert_eq!(ctl.finish(), Some(Failure::Timeout(Phase::Connect)));

        let ctl = Ctl::new(clock.clone(), limits(1000, Some(clock.now())));
        assert_eq!(ctl.left(), Err(Ended));
        assert_eq!(ctl.finish(), Some(Failure::Timeout(Phase::Total)));
    }

    #[test]
    fn a_wait_ends_at_a_cancel_and_at_a_deadline() {
        let ctl = Ctl::new(Clock::default(), limits(20, None));
        assert_eq!(ctl.wait(|| None::<()>), Err(Ended));
        assert_eq!(ctl.finish(), Some(Failure::Timeout(Phase::Connect)));

        let ctl = Ctl::new(Clock::default(), Limits::default());
        let other = ctl.clone();
        let thread = std::thread::spawn(move || {
            sleep_ms(20);
            other.cancel()
        });
        assert_eq!(ctl.wait(|| None::<()>), Err(Ended));
        assert!(thread.join().unwrap());
    }
}
