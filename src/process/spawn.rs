//! Starting a process by `posix_spawn`. A `fork` would run the handlers that this library, and
//! others, have set for it: stores would be closed and models stopped, for a child that wants none.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use libc::{c_char, c_int, c_short};
use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;

use super::{Program, Streams};

/// Actions are taken in their order: the streams stand above those that they become, so that none
/// of them is overwritten before it was put in its place.
const FIRST_FREE: RawFd = 3;

pub fn spawn(program: &Program, streams: &Streams) -> io::Result<Pid> {
    let path = text(program.path.as_os_str())?;
    let words: Vec<CString> = program.words.iter().map(|w| text(w)).collect::<io::Result<_>>()?;
    let environment: Vec<CString> =
        program.environment.iter().map(pair).collect::<io::Result<_>>()?;
    let given = [&streams.input, &streams.output, &streams.errors];
    let given: Vec<OwnedFd> =
        given.into_iter().map(|fd| raised(fd.as_fd())).collect::<io::Result<_>>()?;
    let directory = program.directory.as_ref().map(|fd| raised(fd.as_fd())).transpose()?;
    let mut actions = Actions::new()?;
    if let Some(directory) = &directory {
        actions.enter(directory)?;
    }
    for (fd, target) in given.iter().zip(0..) {
        actions.put(fd, target)?;
    }
    actions.close_from(FIRST_FREE)?;
    let attributes = Attributes::new()?;
    let mut pid: libc::pid_t = 0;
    let (words, environment) = (pointers(&words), pointers(&environment));
    // SAFETY: the texts end with a zero byte, the lists with a null pointer, and all of them, like
    // the initialised actions and attributes, outlive the call.
    let failed = unsafe {
        libc::posix_spawn(
            &mut pid,
            path.as_ptr(),
            actions.0.as_ptr(),
            attributes.0.as_ptr(),
            words.as_ptr(),
            environment.as_ptr(),
        )
    };
    told(failed)?;
    Pid::from_raw(pid).ok_or_else(|| io::Error::other("a process without a number"))
}

fn text(word: &OsStr) -> io::Result<CString> {
    CString::new(word.as_bytes()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

fn pair((name, value): &(OsString, OsString)) -> io::Result<CString> {
    text(&[name.as_os_str(), value.as_os_str()].join(OsStr::new("=")))
}

/// Lists of texts end with a null pointer.
fn pointers(texts: &[CString]) -> Vec<*mut c_char> {
    texts.iter().map(|text| text.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
}

fn raised(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, FIRST_FREE)?)
}

/// These functions return their error.
fn told(failed: c_int) -> io::Result<()> {
    if failed == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(failed)) }
}

/// What the child does with its descriptors before it becomes the program.
struct Actions(MaybeUninit<libc::posix_spawn_file_actions_t>);

impl Actions {
    fn new() -> io::Result<Actions> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: initialises what it points to; if it cannot, nothing is made of it.
        told(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        Ok(Actions(actions))
    }

    fn put(&mut self, fd: &OwnedFd, target: RawFd) -> io::Result<()> {
        // SAFETY: initialised by `new`.
        told(unsafe {
            libc::posix_spawn_file_actions_adddup2(self.0.as_mut_ptr(), fd.as_raw_fd(), target)
        })
    }

    fn enter(&mut self, directory: &OwnedFd) -> io::Result<()> {
        // SAFETY: initialised by `new`.
        told(unsafe {
            libc::posix_spawn_file_actions_addfchdir_np(self.0.as_mut_ptr(), directory.as_raw_fd())
        })
    }

    /// What the host has open without close-on-exec, as each file of plain Lua, is not for others.
    fn close_from(&mut self, first: RawFd) -> io::Result<()> {
        if let Some(close_from) = system_close_from() {
            // SAFETY: initialised by `new`; the function is the system's own of that name.
            return told(unsafe { close_from(self.0.as_mut_ptr(), first) });
        }
        for fd in open_ones()?.into_iter().filter(|fd| *fd >= first) {
            // SAFETY: initialised by `new`. A descriptor that is gone by then is no failure.
            told(unsafe { libc::posix_spawn_file_actions_addclose(self.0.as_mut_ptr(), fd) })?;
        }
        Ok(())
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: initialised by `new`, and used no more.
        unsafe { libc::posix_spawn_file_actions_destroy(self.0.as_mut_ptr()) };
    }
}

type CloseFrom = unsafe extern "C" fn(*mut libc::posix_spawn_file_actions_t, c_int) -> c_int;

/// Younger than the oldest systems that the module is built for, so it is asked for by name.
fn system_close_from() -> Option<CloseFrom> {
    let name = c"posix_spawn_file_actions_addclosefrom_np";
    // SAFETY: the name ends with a zero byte.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: a function of that name has that type, and is null where there is none.
    unsafe { std::mem::transmute::<*mut libc::c_void, Option<CloseFrom>>(found) }
}

/// Descriptors of this process, as far as they do not close by themselves.
fn open_ones() -> io::Result<Vec<RawFd>> {
    let directory = rustix::fs::open(
        "/dev/fd",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let mut open = Vec::new();
    for found in rustix::fs::Dir::read_from(&directory)? {
        let fd: Option<RawFd> = found?.file_name().to_str().ok().and_then(|name| name.parse().ok());
        open.extend(fd.filter(|fd| *fd != directory.as_raw_fd()));
    }
    Ok(open)
}

/// A group of its own, no signal blocked, and each at its default: hosts ignore some, and what is
/// ignored stays so in a child.
struct Attributes(MaybeUninit<libc::posix_spawnattr_t>);

impl Attributes {
    fn new() -> io::Result<Attributes> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: initialises what it points to; if it cannot, nothing is made of it.
        told(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        let mut made = Attributes(attributes);
        made.set()?;
        Ok(made)
    }

    fn set(&mut self) -> io::Result<()> {
        let at = self.0.as_mut_ptr();
        let flags = libc::POSIX_SPAWN_SETPGROUP
            | libc::POSIX_SPAWN_SETSIGDEF
            | libc::POSIX_SPAWN_SETSIGMASK;
        // SAFETY: initialised by `new`; the sets are plain data, filled in before they are read.
        unsafe {
            let (mut all, mut none) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigfillset(&mut all);
            libc::sigemptyset(&mut none);
            told(libc::posix_spawnattr_setsigdefault(at, &all))?;
            told(libc::posix_spawnattr_setsigmask(at, &none))?;
            told(libc::posix_spawnattr_setpgroup(at, 0))?;
            told(libc::posix_spawnattr_setflags(at, flags as c_short))
        }
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised by `new`, and used no more.
        unsafe { libc::posix_spawnattr_destroy(self.0.as_mut_ptr()) };
    }
}
