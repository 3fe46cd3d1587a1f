//! Child processes: started with nothing of the host but what they are given, and ended as a group.
//!
//! A child gets its three standard streams and no other descriptor, every signal at its default,
//! and a process group of its own. Nobody but its [`Child`] waits for it, by its own number: the
//! children of the host are never touched.

mod info;
mod last;
mod run;
mod spawn;
#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, getpgid, kill_process, kill_process_group,
    waitid,
};

use crate::net::workers::Home;

pub use run::{Finished, Order, Running};

/// What is started.
#[derive(Debug)]
pub struct Program {
    pub path: PathBuf,
    /// Its own name first.
    pub words: Vec<OsString>,
    /// All that it finds in its environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it starts; where the host stands without.
    pub directory: Option<OwnedFd>,
}

/// The ends of its standard streams that a child gets.
pub struct Streams {
    pub input: OwnedFd,
    pub output: OwnedFd,
    pub errors: OwnedFd,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Exited(i32),
    Killed(i32),
    /// Somebody else has waited for it: a host that waits for whatever child ends, as nginx, or one
    /// that ignores SIGCHLD. Before Linux 6.15 it is then known to nobody else.
    Unknown,
}

/// A running process and its group. Dropping it ends the group, and the process is waited for: no
/// zombie stays.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    /// Readable once it has ended; `None` where the system has no such thing.
    watch: Option<OwnedFd>,
    ended: Option<Ended>,
    /// A forked child of the host inherits what it must not touch.
    home: Home,
}

/// SIGKILL needs no more.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// A process that cannot be watched is looked at so often.
const LOOK: Duration = Duration::from_millis(5);

impl Child {
    pub fn start(program: &Program, streams: Streams) -> io::Result<Child> {
        let pid = spawn::spawn(program, &streams)?;
        last::began(pid);
        Ok(Child { pid, watch: watch_of(pid), ended: None, home: Home::here() })
    }

    /// Should the host end before it, it is asked to end, and not killed.
    pub fn ask_at_exit(&self) {
        last::is_asked(self.pid);
    }

    /// Its number, which is that of its group as well.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// To be polled for: readable once the process has ended.
    pub fn watch(&self) -> io::Result<Option<OwnedFd>> {
        self.watch.as_ref().map(OwnedFd::try_clone).transpose()
    }

    /// Signals the process, and all that it has started as far as they stayed in its group. Not
    /// after [`Child::reap`] has told its end: then its number may be somebody else's.
    pub fn signal(&self, signal: Signal) {
        if self.ended.is_none() && self.home.is_here() {
            send(self.pid, signal);
        }
    }

    /// Whether it has ended. It is not waited for, so what else is in its group can be signalled.
    pub fn has_ended(&mut self) -> bool {
        if self.ended.is_some() {
            return true;
        }
        match peek(self.pid) {
            Ok(None) | Err(Errno::INTR) => false,
            Ok(Some(_)) => true,
            // Somebody else has waited for it: its number is free.
            Err(_) => {
                self.reap();
                true
            }
        }
    }

    /// Waits for it if it has ended, and tells how; `None` while it runs.
    pub fn reap(&mut self) -> Option<Ended> {
        if self.ended.is_none() {
            self.ended = waited(self.pid, self.watch.as_ref());
            if self.ended.is_some() {
                last::forget(self.pid);
            }
        }
        self.ended
    }

    /// Ends the whole group at once, and waits for the process.
    pub fn kill(&mut self) -> Ended {
        self.signal(Signal::KILL);
        self.wait(LAST_WAIT).unwrap_or(Ended::Unknown)
    }

    /// Waits for the end of the process; `None` if it takes longer.
    pub fn wait(&mut self, patience: Duration) -> Option<Ended> {
        let mut left = patience;
        loop {
            if let Some(ended) = self.reap() {
                return Some(ended);
            }
            if left.is_zero() {
                return None;
            }
            let step = if self.watch.is_some() { left } else { left.min(LOOK) };
            rest(self.watch.as_ref(), step);
            left = left.saturating_sub(step);
        }
    }
}

/// Until what is watched has ended, or for so long.
fn rest(watch: Option<&OwnedFd>, most: Duration) {
    let time = Timespec::try_from(most).ok();
    let watched = watch.map(|fd| PollFd::new(fd, PollFlags::IN));
    let _ = poll(&mut watched.into_iter().collect::<Vec<_>>(), time.as_ref());
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended.is_none() && self.home.is_here() {
            self.kill();
        }
    }
}

/// To its group, and to itself if it has joined another one.
fn send(pid: Pid, signal: Signal) {
    let _ = kill_process_group(pid, signal);
    if getpgid(Some(pid)).is_ok_and(|group| group != pid) {
        let _ = kill_process(pid, signal);
    }
}

#[cfg(target_os = "linux")]
fn watch_of(pid: Pid) -> Option<OwnedFd> {
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn watch_of(_: Pid) -> Option<OwnedFd> {
    None
}

fn waited(pid: Pid, watch: Option<&OwnedFd>) -> Option<Ended> {
    match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
        Ok(None) | Err(Errno::INTR) => None,
        Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Some(Ended::Exited(code)),
            (None, Some(signal)) => Some(Ended::Killed(signal)),
            (None, None) => Some(Ended::Unknown),
        },
        Err(_) => Some(watch.map_or(Ended::Unknown, info::ended)),
    }
}

/// Looks without waiting for it.
fn peek(pid: Pid) -> rustix::io::Result<Option<WaitIdStatus>> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(pid), options)
}

/// What a child may know of the environment: nothing that could be a secret.
const SAFE: [&str; 12] = [
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LOGNAME",
    "SHELL",
    "TEMP",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_RUNTIME_DIR",
];

/// Those of them that are set, and where programs are looked for.
pub fn safe_environment() -> Vec<(OsString, OsString)> {
    let set = SAFE.iter().filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
    set.chain([("PATH".into(), search_path())]).collect()
}

/// Where programs are: hosts such as nginx have no environment of their own.
pub fn search_path() -> OsString {
    let usual = || "/usr/local/bin:/usr/bin:/bin".into();
    std::env::var_os("PATH").filter(|path| !path.is_empty()).unwrap_or_else(usual)
}

/// The file that a name without a slash stands for on `PATH`. Entries that are no absolute paths
/// are passed over: what a name means must not hang on where the host stands.
pub fn find(name: &str, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|file| is_executable(file))
}

pub fn is_executable(file: &Path) -> bool {
    use rustix::fs::{Access, access};
    file.is_file() && access(file, Access::EXEC_OK).is_ok()
}
