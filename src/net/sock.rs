//! A socket and the call it serves at the moment.

use std::io::{self, Read};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Mutex;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::lock;

/// A non-blocking socket. Connections are pooled, so a cancel that comes after the end of its call
/// must not hit the next call on the same connection: only the owner may shut it.
pub(super) struct Sock {
    stream: TcpStream,
    /// Id of the call that uses it; 0 while it is in the pool.
    owner: Mutex<u64>,
}

impl Sock {
    /// `stream` must be non-blocking.
    pub fn new(stream: TcpStream) -> Sock {
        Sock { stream, owner: Mutex::new(0) }
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub fn belongs_to(&self, call: u64) -> bool {
        *lock(&self.owner) == call
    }

    pub fn claim(&self, call: u64) {
        *lock(&self.owner) = call;
    }

    pub fn free(&self) {
        *lock(&self.owner) = 0;
    }

    /// Ends all I/O on it, if it still serves `call`. Shut while the lock is held: a pool that
    /// takes the connection back waits for it in `free` and then sees a closed socket.
    pub fn shut(&self, call: u64) {
        let owner = lock(&self.owner);
        if *owner == call {
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }

    /// Nothing to read and not closed: fit for another request.
    pub fn is_quiet(&self) -> bool {
        let probe = (&self.stream).read(&mut [0]);
        matches!(probe, Err(e) if e.kind() == io::ErrorKind::WouldBlock)
    }

    /// Waits until one of `socks` is ready; false when `limit` passed or a signal came.
    pub fn wait_any(socks: &[&Sock], flags: PollFlags, limit: Option<Duration>) -> bool {
        let limit = limit.and_then(|left| left.try_into().ok());
        let mut fds: Vec<_> = socks.iter().map(|sock| PollFd::new(*sock, flags)).collect();
        match poll(&mut fds, limit.as_ref()) {
            Ok(ready) => ready > 0,
            Err(Errno::INTR) => false,
            // Cannot happen with valid descriptors; the I/O that follows reports what is wrong.
            Err(_) => true,
        }
    }
}

impl AsFd for Sock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
