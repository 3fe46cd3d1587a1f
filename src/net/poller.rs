//! Which of many sockets are readable: epoll on Linux, poll elsewhere.

#[cfg(target_os = "linux")]
pub(super) use epoll::Poller;
#[cfg(not(target_os = "linux"))]
pub(super) use poll::Poller;

#[cfg(target_os = "linux")]
mod epoll {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::sync::Arc;
    use std::time::Duration;

    use rustix::buffer::spare_capacity;
    use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

    use crate::net::notify::Bell;
    use crate::net::sock::Sock;

    /// Calls are numbered from 1.
    const BELL: u64 = 0;

    pub struct Poller {
        epoll: OwnedFd,
        bell: Arc<Bell>,
        events: Vec<Event>,
    }

    impl Poller {
        pub fn new(bell: Bell) -> io::Result<Poller> {
            let epoll = epoll::create(CreateFlags::CLOEXEC)?;
            epoll::add(&epoll, bell.fd(), EventData::new_u64(BELL), EventFlags::IN)?;
            Ok(Poller { epoll, bell: Arc::new(bell), events: Vec::with_capacity(256) })
        }

        pub fn bell(&self) -> &Arc<Bell> {
            &self.bell
        }

        pub fn add(&mut self, sock: &Arc<Sock>, call: u64) -> io::Result<()> {
            Ok(epoll::add(&self.epoll, sock, EventData::new_u64(call), EventFlags::IN)?)
        }

        pub fn remove(&mut self, sock: &Arc<Sock>, _: u64) {
            // Fails only for a socket that is not there.
            let _ = epoll::delete(&self.epoll, sock);
        }

        /// The calls whose sockets are readable, after at most `limit` or a ring of the bell.
        pub fn wait(&mut self, limit: Option<Duration>) -> Vec<u64> {
            let limit = limit.and_then(|left| left.try_into().ok());
            self.events.clear();
            // The only failure left is a signal, and then nothing is ready.
            let _ = epoll::wait(&self.epoll, spare_capacity(&mut self.events), limit.as_ref());
            let mut calls: Vec<u64> = self.events.iter().map(|event| event.data.u64()).collect();
            if let Some(at) = calls.iter().position(|call| *call == BELL) {
                self.bell.clear();
                calls.swap_remove(at);
            }
            calls
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod poll {
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, poll};

    use crate::net::notify::Bell;
    use crate::net::sock::Sock;

    pub struct Poller {
        bell: Arc<Bell>,
        socks: Vec<(u64, Arc<Sock>)>,
    }

    impl Poller {
        pub fn new(bell: Bell) -> io::Result<Poller> {
            Ok(Poller { bell: Arc::new(bell), socks: Vec::new() })
        }

        pub fn bell(&self) -> &Arc<Bell> {
            &self.bell
        }

        pub fn add(&mut self, sock: &Arc<Sock>, call: u64) -> io::Result<()> {
            self.socks.push((call, sock.clone()));
            Ok(())
        }

        pub fn remove(&mut self, _: &Arc<Sock>, call: u64) {
            self.socks.retain(|(of, _)| *of != call);
        }

        /// The calls whose sockets are readable, after at most `limit` or a ring of the bell.
        pub fn wait(&mut self, limit: Option<Duration>) -> Vec<u64> {
            let limit = limit.and_then(|left| left.try_into().ok());
            let mut fds = vec![PollFd::from_borrowed_fd(self.bell.fd(), PollFlags::IN)];
            fds.extend(self.socks.iter().map(|(_, sock)| PollFd::new(&**sock, PollFlags::IN)));
            if poll(&mut fds, limit.as_ref()).is_err() {
                return Vec::new();
            }
            if !fds[0].revents().is_empty() {
                self.bell.clear();
            }
            let ready = self.socks.iter().zip(&fds[1..]);
            ready.filter(|(_, fd)| !fd.revents().is_empty()).map(|((call, _), _)| *call).collect()
        }
    }
}
