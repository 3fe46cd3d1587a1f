//! A descriptor for event loops of others: readable while tokens are ready, and when a timer is due.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use super::notify::Bell;

#[cfg(target_os = "linux")]
pub(super) use linux::Watch;
#[cfg(not(target_os = "linux"))]
pub(super) use other::Watch;

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::sync::Mutex;

    use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
    use rustix::io::{DupFlags, dup3};
    use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
    use rustix::time::{timerfd_create, timerfd_settime};

    use super::*;
    use crate::net::lock;

    /// One epoll descriptor over the bell and a timer.
    #[derive(Debug)]
    pub struct Watch {
        both: Mutex<OwnedFd>,
        timer: OwnedFd,
    }

    impl Watch {
        pub fn new(bell: &Bell) -> io::Result<Watch> {
            let both = epoll::create(CreateFlags::CLOEXEC)?;
            let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            epoll::add(&both, bell.fd(), EventData::new_u64(0), EventFlags::IN)?;
            epoll::add(&both, &timer, EventData::new_u64(1), EventFlags::IN)?;
            Ok(Watch { both: Mutex::new(both), timer })
        }

        pub fn fd(&self, _: &Bell) -> RawFd {
            lock(&self.both).as_raw_fd()
        }

        /// In a forked child: the number now stands for something else. When a loop that was
        /// inherited as well takes its leave of it, the parent's epoll, which both share, keeps
        /// the parent's entry.
        pub fn forsake(&self) -> io::Result<()> {
            let silent = Bell::new()?;
            Ok(dup3(silent.fd(), &mut lock(&self.both), DupFlags::CLOEXEC)?)
        }

        #[cfg(test)]
        pub fn is_readable(&self, timeout: Duration) -> bool {
            use std::os::fd::AsFd;

            crate::net::notify::wait_readable(lock(&self.both).as_fd(), Some(timeout)).unwrap()
        }

        /// From when on the descriptor is to be readable for a timer; `None`: never.
        pub fn set_timer(&self, left: Option<Duration>) {
            // All zeros disarm a timerfd, so what is due now is due in a nanosecond.
            let left = left.map(|left| left.max(Duration::from_nanos(1)));
            let never = Timespec { tv_sec: 0, tv_nsec: 0 };
            let value = left.map_or(never, |left| left.try_into().unwrap_or(never));
            let timer = Itimerspec { it_interval: never, it_value: value };
            // It fails only for values that are out of range.
            let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &timer);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::os::fd::AsRawFd;

    use super::*;

    /// The bell alone: hosts that need timers ask how long to wait.
    #[derive(Debug)]
    pub struct Watch;

    impl Watch {
        pub fn new(_: &Bell) -> io::Result<Watch> {
            Ok(Watch)
        }

        pub fn fd(&self, bell: &Bell) -> RawFd {
            bell.fd().as_raw_fd()
        }

        pub fn forsake(&self) -> io::Result<()> {
            Ok(())
        }

        pub fn set_timer(&self, _: Option<Duration>) {}
    }
}
