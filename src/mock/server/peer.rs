//! A client's connection, and the waits of the thread that serves it.
//!
//! Every wait is a poll of the connection and of a bell: so it ends when its time has come, when the
//! client has gone, and at once when the server ends.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::sockopt::set_socket_linger;

use crate::clock::{Clock, Moment, Stall};
use crate::net::Bell;

/// The client sends no more. Elsewhere only a connection that is gone altogether is seen.
#[cfg(target_os = "linux")]
const GONE: PollFlags = PollFlags::RDHUP;
#[cfg(not(target_os = "linux"))]
const GONE: PollFlags = PollFlags::empty();

/// A client that is told "no" may send so much more, so long, before it is hung up on.
const MOST_UNREAD: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(1);

pub struct Peer {
    stream: TcpStream,
    /// Of the client.
    address: SocketAddr,
    bell: Bell,
    ended: AtomicBool,
}

/// Why a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woke {
    Time,
    Rung,
    /// The client has hung up, or the server has ended.
    Gone,
}

impl Peer {
    pub fn new(stream: TcpStream) -> io::Result<Peer> {
        stream.set_nodelay(true)?; // pieces arrive as they were cut
        let address = stream.peer_addr()?;
        Ok(Peer { stream, address, bell: Bell::new()?, ended: AtomicBool::new(false) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until a moment (`None`: as long as it takes), a ring, or the end.
    pub fn wait(&self, clock: &Clock, until: Option<Moment>) -> Woke {
        loop {
            if self.is_ended() {
                return Woke::Gone;
            }
            let left = until.map(|until| clock.now().until(until));
            if left.is_some_and(|left| left.is_zero()) {
                return Woke::Time;
            }
            match self.poll(clock.patience(left)) {
                (_, true) => return Woke::Gone,
                (true, _) => {
                    self.bell.clear();
                    return Woke::Rung;
                }
                _ => {}
            }
        }
    }

    /// Whether the bell rang, and whether the client has gone.
    fn poll(&self, left: Option<Duration>) -> (bool, bool) {
        let limit = left.and_then(|left| left.try_into().ok());
        let bell = PollFd::from_borrowed_fd(self.bell.fd(), PollFlags::IN);
        let mut fds = [bell, PollFd::from_borrowed_fd(self.stream.as_fd(), GONE)];
        match poll(&mut fds, limit.as_ref()) {
            Ok(_) => (!fds[0].revents().is_empty(), !fds[1].revents().is_empty()),
            Err(_) => (false, false),
        }
    }

    /// What it waits for until a moment happens by order: its client waits for nothing real.
    pub fn stalls(&self, clock: &Clock, until: Moment) -> Option<Stall> {
        let address = self.stream.peer_addr().ok()?;
        Some(clock.stall(address, Some(until)))
    }

    /// Ends a wait of the thread that serves it.
    pub fn ring(&self) {
        self.bell.ring();
    }

    /// Ends everything on it, at once, from any thread.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
        let _ = self.stream.shutdown(Shutdown::Both);
        self.bell.ring();
    }

    /// By the server.
    pub fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        (&self.stream).read(into)
    }

    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.stream).write_all(bytes)
    }

    /// The client sees an end behind the last byte.
    pub fn close(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// The client sees a reset once the last one to hold this connection lets it go.
    pub fn reset_when_dropped(&self) {
        let _ = set_socket_linger(&self.stream, Some(Duration::ZERO));
    }

    /// As `close`, for a client that is still sending: with unread bytes in our hands the system
    /// would reset the connection, and the answer would be lost.
    pub fn close_politely(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        let _ = self.stream.set_read_timeout(Some(PATIENCE));
        let (mut piece, mut read) = (vec![0; 16 << 10], 0);
        while let Ok(count @ 1..) = self.read(&mut piece) {
            read += count;
            if read > MOST_UNREAD {
                break;
            }
        }
        self.close();
    }
}
