//! One file descriptor per Lua state that is readable while something is ready for it.
//!
//! A consumer loops over `while let Some(token) = notifier.take()`, calls [`Waker::rearm`] of that
//! token FIRST and looks at what arrived afterwards: then nothing is lost between the two.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use once_cell::sync::OnceCell;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::line::Line;
use super::lock;
use super::watch::Watch;
use super::workers::Home;

/// Why [`Notifier::wait`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woke {
    Ready,
    Timeout,
    /// A signal: let the host handle it, then wait again.
    Interrupted,
}

/// Tokens that are ready, and a descriptor that is readable while there are any.
#[derive(Debug)]
pub struct Notifier {
    home: Home,
    bell: Bell,
    ready: Mutex<VecDeque<u64>>,
    /// The bell was rung since it was cleared.
    rung: AtomicBool,
    /// Made when a loop of others first wants to watch.
    watch: OnceCell<Watch>,
    line: Mutex<Option<Line>>,
}

impl Notifier {
    pub fn new() -> io::Result<Arc<Notifier>> {
        Ok(Arc::new(Notifier {
            home: Home::here(),
            bell: Bell::new()?,
            ready: Mutex::default(),
            rung: AtomicBool::new(false),
            watch: OnceCell::new(),
            line: Mutex::default(),
        }))
    }

    /// Made before a fork, by the parent: the descriptor is shared with it and nothing will ever
    /// arrive here. Make a new one.
    pub fn is_inherited(&self) -> bool {
        !self.home.is_here()
    }

    /// Announces a token, from any thread.
    pub fn post(&self, token: u64) {
        if self.is_inherited() {
            return;
        }
        let first = {
            let mut ready = lock(&self.ready);
            ready.push_back(token);
            ready.len() == 1
        };
        if first {
            self.ring();
        }
    }

    /// Rings outside of the lock: who is woken takes it at once. So the token may be gone by then,
    /// and who finds none clears the bell.
    fn ring(&self) {
        self.bell.ring();
        self.rung.store(true, Ordering::Release);
        let mut line = lock(&self.line);
        if line.as_ref().is_some_and(|line| !line.ring()) {
            *line = None;
        }
    }

    /// From now on each post also rings `line`.
    pub fn connect(&self, line: Line) {
        line.ring(); // what is ready already was announced to nobody
        *lock(&self.line) = Some(line);
    }

    /// The descriptor for a loop of others. From now on it also tells timers, see `set_timer`.
    pub fn watch(&self) -> io::Result<RawFd> {
        Ok(self.watch.get_or_try_init(|| Watch::new(&self.bell))?.fd(&self.bell))
    }

    /// Said to an inherited one, of which nobody is to hear any more.
    pub fn forsake(&self) {
        if let (true, Some(watch)) = (self.is_inherited(), self.watch.get()) {
            let _ = watch.forsake(); // without a spare descriptor things stay as they are
        }
    }

    pub fn is_watched(&self) -> bool {
        self.watch.get().is_some()
    }

    /// When the watched descriptor is to become readable for a timer; `None`: never.
    pub fn set_timer(&self, left: Option<Duration>) {
        if let Some(watch) = self.watch.get() {
            watch.set_timer(left);
        }
    }

    /// The next ready token; never blocks.
    pub fn take(&self) -> Option<u64> {
        if self.is_inherited() {
            return None;
        }
        let mut ready = lock(&self.ready);
        let token = ready.pop_front();
        // Under the lock: whoever adds a token after this rings after it.
        let over = ready.is_empty() && (token.is_some() || self.rung.load(Ordering::Acquire));
        if over {
            self.rung.store(false, Ordering::Release);
            self.bell.clear();
        }
        token
    }

    /// Whether [`take`](Notifier::take) has something.
    pub fn has_ready(&self) -> bool {
        !self.is_inherited() && !lock(&self.ready).is_empty()
    }

    /// Blocks until a token is ready; `None` waits without limit.
    pub fn wait(&self, timeout: Option<Duration>) -> Woke {
        if self.is_inherited() {
            return Woke::Timeout;
        }
        match wait_readable(self.fd(), timeout) {
            Ok(true) => Woke::Ready,
            Ok(false) => Woke::Timeout,
            Err(_) => Woke::Interrupted,
        }
    }

    /// Readable while [`take`](Notifier::take) has something; now and then once for nothing.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.bell.fd()
    }
}

pub(super) fn wait_readable(fd: BorrowedFd<'_>, timeout: Option<Duration>) -> Result<bool, Errno> {
    // What does not fit in a timespec is for ever.
    let limit = timeout.and_then(|left| left.try_into().ok());
    poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], limit.as_ref()).map(|ready| ready > 0)
}

/// Posts one token, at most once until the consumer rearms it: a fast stream cannot flood the
/// queue.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Wake>);

#[derive(Debug)]
struct Wake {
    notifier: Arc<Notifier>,
    token: u64,
    posted: AtomicBool,
}

impl Waker {
    pub fn new(notifier: &Arc<Notifier>, token: u64) -> Waker {
        let posted = AtomicBool::new(false);
        Waker(Arc::new(Wake { notifier: notifier.clone(), token, posted }))
    }

    pub fn token(&self) -> u64 {
        self.0.token
    }

    pub fn wake(&self) {
        if !self.0.posted.swap(true, Ordering::AcqRel) {
            self.0.notifier.post(self.0.token);
        }
    }

    /// Said by the consumer when it took the token, before it looks at what arrived.
    pub fn rearm(&self) {
        self.0.posted.store(false, Ordering::Release);
    }
}

/// A descriptor that can be made readable and quiet again: an eventfd, or a pipe.
#[derive(Debug)]
pub struct Bell {
    read: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    write: OwnedFd,
}

impl Bell {
    #[cfg(target_os = "linux")]
    pub fn new() -> io::Result<Bell> {
        use rustix::event::{EventfdFlags, eventfd};
        Ok(Bell { read: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    #[cfg(not(target_os = "linux"))]
    pub fn new() -> io::Result<Bell> {
        let (read, write) = rustix::pipe::pipe()?;
        for end in [&read, &write] {
            rustix::io::ioctl_fionbio(end, true)?;
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
        }
        Ok(Bell { read, write })
    }

    #[cfg(target_os = "linux")]
    fn write_end(&self) -> &OwnedFd {
        &self.read
    }

    #[cfg(not(target_os = "linux"))]
    fn write_end(&self) -> &OwnedFd {
        &self.write
    }

    pub fn ring(&self) {
        // The only failure is "already full", and then it is readable as it should be.
        let _ = rustix::io::write(self.write_end(), &1u64.to_ne_bytes());
    }

    pub fn clear(&self) {
        let _ = rustix::io::read(&self.read, &mut [0u8; 64]);
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::sleep_ms;

    fn readable(notifier: &Notifier) -> bool {
        wait_readable(notifier.fd(), Some(Duration::ZERO)).unwrap()
    }

    #[test]
    fn the_descriptor_is_readable_exactly_while_tokens_wait() {
        let notifier = Notifier::new().unwrap();
        assert!(!readable(&notifier));
        assert_eq!(notifier.wait(Some(Duration::from_millis(1))), Woke::Timeout);
        notifier.post(7);
        notifier.post(8);
        assert!(readable(&notifier));
        assert_eq!(notifier.wait(None), Woke::Ready);
        assert_eq!(notifier.take(), Some(7));
        assert!(readable(&notifier));
        assert_eq!(notifier.take(), Some(8));
        assert!(!readable(&notifier));
        assert_eq!(notifier.take(), None);
        notifier.post(9);
        assert_eq!(notifier.take(), Some(9));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_watched_descriptor_tells_tokens_and_timers() {
        let notifier = Notifier::new().unwrap();
        assert!(!notifier.is_watched());
        notifier.watch().unwrap();
        let ready = |notifier: &Notifier, ms| {
            notifier.watch.get().unwrap().is_readable(Duration::from_millis(ms))
        };
        assert!(!ready(&notifier, 0));
        notifier.post(1);
        assert!(ready(&notifier, 0));
        assert_eq!(notifier.take(), Some(1));
        assert!(!ready(&notifier, 0));
        notifier.set_timer(Some(Duration::from_millis(5)));
        assert!(ready(&notifier, 5_000));
        notifier.set_timer(None);
        assert!(!ready(&notifier, 0));
        notifier.set_timer(Some(Duration::ZERO));
        assert!(ready(&notifier, 5_000));
    }

    #[test]
    fn a_waker_posts_once_until_rearmed() {
        let notifier = Notifier::new().unwrap();
        let waker = Waker::new(&notifier, 3);
        for _ in 0..1000 {
            waker.clone().wake();
        }
        assert_eq!(notifier.take(), Some(3));
        assert_eq!(notifier.take(), None);
        waker.rearm();
        waker.wake();
        assert_eq!(notifier.take(), Some(3));
    }

    #[test]
    fn a_post_from_another_thread_ends_a_wait() {
        let notifier = Notifier::new().unwrap();
        let waker = Waker::new(&notifier, 1);
        let thread = std::thread::spawn(move || {
            sleep_ms(20);
            waker.wake();
        });
        assert_eq!(notifier.wait(Some(Duration::from_secs(10))), Woke::Ready);
        thread.join().unwrap();
    }
}
