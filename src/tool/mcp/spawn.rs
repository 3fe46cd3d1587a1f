//! A server's process: started so that it gets nothing of the host's but what it is meant to have.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use crate::process::safe_environment;

/// What to run.
#[derive(Clone, PartialEq, Eq)]
pub struct Program {
    pub words: Vec<String>,
    pub cwd: Option<String>,
    /// Beside the safe ones. May be secrets.
    pub env: BTreeMap<String, String>,
}

impl Program {
    /// As messages call it.
    pub fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// Starts it in a process group of its own, so that Ctrl-C at a terminal means the host alone.
    pub fn start(&self) -> io::Result<Child> {
        let mut command = Command::new(self.name());
        command.args(self.words.iter().skip(1));
        command.env_clear().envs(safe_environment()).envs(&self.env);
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0);
        let host = std::process::id();
        let most = most_descriptors();
        // SAFETY: `prepare` only makes system calls that may be made between fork and exec.
        unsafe { command.pre_exec(move || prepare(host, most)) };
        command.spawn()
    }
}

/// In the child, before it becomes the server. The thread it was forked from blocks all signals,
/// hosts ignore some, and descriptors of hosts (nginx's connections) are not all closed by exec.
fn prepare(host: u32, most: i32) -> io::Result<()> {
    usual_signals();
    end_with_host(host);
    leave_descriptors(most);
    Ok(())
}

fn usual_signals() {
    let usual = [libc::SIGHUP, libc::SIGINT, libc::SIGTERM, libc::SIGCHLD, libc::SIGPIPE];
    // SAFETY: the set is initialised by `sigemptyset`; the signals exist.
    unsafe {
        for signal in usual {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}

/// The thread that forks lives until the server has ended: when it dies before, the host has died.
#[cfg(target_os = "linux")]
fn end_with_host(host: u32) {
    // SAFETY: plain system calls.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM as libc::c_ulong, 0, 0, 0);
        if libc::getppid() as u32 != host {
            libc::_exit(0);
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn end_with_host(_: u32) {}

/// All but the three standard ones are closed when the server takes the place of this child.
fn leave_descriptors(most: i32) {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: a plain system call; kernels that do not know it say so.
        let done = unsafe {
            libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC)
        };
        if done == 0 {
            return;
        }
    }
    for descriptor in 3..most {
        // SAFETY: touches only descriptors of this child; those that are not open are refused.
        unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Above the highest descriptor that is open now, with room for some that come until the fork.
fn most_descriptors() -> i32 {
    let open = std::fs::read_dir("/proc/self/fd").or_else(|_| std::fs::read_dir("/dev/fd"));
    let numbers = open.into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.max().unwrap_or(1024).saturating_add(64)
}
