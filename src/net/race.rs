//! Connecting: addresses are tried one after another, and side by side when one is slow.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, sockopt};
use ureq::Error;

use super::Failure;
use super::ctl::Ctl;
use super::sock::Sock;
use crate::clock::Moment;

/// The next address gets its chance after this (RFC 8305), the first keeps its own.
const HEAD_START: Duration = Duration::from_millis(250);

/// Only Linux is known to wake a poll on a connecting socket when it is shut.
const SLICE: Option<Duration> =
    if cfg!(target_os = "linux") { None } else { Some(Duration::from_millis(20)) };

/// Probes on an idle connection, so that a firewall does not forget it while a model thinks.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// The first connection that stands. The call holds it.
pub(super) fn race(addresses: &[SocketAddr], ctl: &Arc<Ctl>) -> Result<Arc<Sock>, Error> {
    let mut race = Race { ctl, under_way: Vec::new(), failed: None, next_at: ctl.now() };
    let mut waiting = addresses.iter();
    loop {
        while race.has_room()
            && let Some(address) = waiting.next()
        {
            race.enter(*address)?;
        }
        if race.under_way.is_empty() {
            return Err(race.lost());
        }
        if let Some(sock) = race.step(!waiting.as_slice().is_empty())? {
            return Ok(sock);
        }
    }
}

struct Race<'a> {
    ctl: &'a Arc<Ctl>,
    under_way: Vec<(SocketAddr, Arc<Sock>)>,
    failed: Option<Failure>,
    next_at: Moment,
}

impl Race<'_> {
    /// Nobody is running, or the last one has had its head start.
    fn has_room(&self) -> bool {
        self.under_way.is_empty() || self.ctl.now() >= self.next_at
    }

    fn enter(&mut self, address: SocketAddr) -> Result<(), Error> {
        self.next_at = self.ctl.now().after(HEAD_START);
        match begin(address) {
            Ok(stream) => {
                // A shutdown before `connect` is lost, so only now can a cancel reach it.
                let sock = Arc::new(Sock::new(stream));
                self.ctl.hold(&sock)?;
                self.under_way.push((address, sock));
            }
            Err(error) => self.fail(address, &error),
        }
        Ok(())
    }

    fn fail(&mut self, address: SocketAddr, error: &io::Error) {
        self.failed = Some(Failure::Connect(format!("{address}: {error}")));
    }

    /// Waits for news; the winner, if there is one.
    fn step(&mut self, more: bool) -> Result<Option<Arc<Sock>>, Error> {
        let head_start = more.then(|| self.ctl.now().until(self.next_at));
        let limits = [self.ctl.left()?, head_start, SLICE];
        let socks: Vec<&Sock> = self.under_way.iter().map(|(_, sock)| &**sock).collect();
        let news = Sock::wait_any(&socks, PollFlags::OUT, limits.into_iter().flatten().min());
        self.ctl.open()?;
        if news { Ok(self.look()) } else { Ok(None) }
    }

    fn look(&mut self) -> Option<Arc<Sock>> {
        for (address, sock) in std::mem::take(&mut self.under_way) {
            match outcome(&sock) {
                Ok(true) => {
                    self.winner(&sock);
                    return Some(sock);
                }
                Ok(false) => self.under_way.push((address, sock)),
                Err(error) => {
                    self.ctl.release(&sock);
                    self.fail(address, &error);
                }
            }
        }
        None
    }

    fn winner(&self, sock: &Arc<Sock>) {
        self.ctl.release_all();
        // Held again by its first read or write; until then nothing waits on it.
        sock.free();
        let _ = sock.stream().set_nodelay(true);
        let _ = sockopt::set_socket_keepalive(sock, true);
        let _ = sockopt::set_tcp_keepidle(sock, KEEP_ALIVE);
    }

    fn lost(self) -> Error {
        self.failed.unwrap_or_else(|| Failure::Connect("no address to connect to".into())).into()
    }
}

/// Connected, not yet, or failed.
fn outcome(sock: &Sock) -> io::Result<bool> {
    if let Some(error) = sock.stream().take_error()? {
        return Err(error);
    }
    match sock.stream().peer_addr() {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(e) => Err(e),
    }
}

fn begin(address: SocketAddr) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = non_blocking_socket(family)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(TcpStream::from(socket)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(target_os = "linux")]
fn non_blocking_socket(family: AddressFamily) -> rustix::io::Result<OwnedFd> {
    use rustix::net::SocketFlags;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(family, SocketType::STREAM, flags, None)
}

#[cfg(not(target_os = "linux"))]
fn non_blocking_socket(family: AddressFamily) -> rustix::io::Result<OwnedFd> {
    let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    // Where `send` has no flag against it, a closed peer would kill the host.
    #[cfg(target_vendor = "apple")]
    sockopt::set_socket_nosigpipe(&socket, true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::net::Limits;
    use crate::net::ctl::Mode;
    use crate::net::testing::{FullBacklog, Server};

    fn call() -> Arc<Ctl> {
        Ctl::new(Clock::default(), Limits::default())
    }

    #[test]
    fn a_slow_address_does_not_hold_up_the_next() {
        let (slow, server) = (FullBacklog::new(), Server::replying(""));
        let (ctl, clock) = (call(), Clock::default());
        let started = clock.now();
        let sock = ctl.run(Mode::Wait, || race(&[slow.address, server.address], &ctl)).unwrap();
        assert_eq!(sock.stream().peer_addr().unwrap(), server.address);
        let took = clock.now().ms_since(started);
        assert!((250.0..2000.0).contains(&took), "{took} ms");
        assert!(ctl.sock().is_none(), "the loser is still held");
    }

    #[test]
    fn the_last_reason_is_told_when_all_fail() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let ctl = call();
        for addresses in [vec![nobody, nobody], vec![]] {
            let error = race(&addresses, &ctl).map(drop).unwrap_err();
            assert!(matches!(Failure::from(error), Failure::Connect(_)));
        }
    }
}
