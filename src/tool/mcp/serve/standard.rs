//! Standard input and output, kept for the protocol alone while a server serves.
//!
//! A `print` of a tool, of a library below it, or of a program that it runs, would end up in the
//! middle of a message. So the protocol moves to descriptors of its own: meanwhile what is printed
//! goes to standard error, and what is read comes from nowhere.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::stdio::{dup2_stdin, dup2_stdout, stderr, stdin, stdout};

use crate::error::{Code, Error, Result};

static TAKEN: AtomicBool = AtomicBool::new(false);

/// The real ones. They stand where they stood again when this is dropped.
pub struct Standard {
    pub input: OwnedFd,
    pub output: OwnedFd,
}

impl Standard {
    pub fn take() -> Result<Standard> {
        if TAKEN.swap(true, Ordering::AcqRel) {
            return Err(Error::state("standard input and output serve another call of serve_mcp"));
        }
        Standard::move_away().map_err(|error| {
            TAKEN.store(false, Ordering::Release);
            Error::new(Code::IoError, format!("cannot use standard input and output: {error}"))
        })
    }

    fn move_away() -> io::Result<Standard> {
        must_be_given(stdin(), "input")?;
        must_be_given(stdout(), "output")?;
        let standard = Standard {
            input: fcntl_dupfd_cloexec(stdin(), 3)?,
            output: fcntl_dupfd_cloexec(stdout(), 3)?,
        };
        let nothing = File::open("/dev/null")?;
        dup2_stdin(nothing.as_fd())?;
        // Where there is no standard error, what is printed is lost.
        if dup2_stdout(stderr()).is_err() {
            dup2_stdout(File::options().write(true).open("/dev/null")?.as_fd())?;
        }
        flush_buffers(); // what was printed before is none of the protocol's, either
        Ok(standard)
    }
}

/// Where a host closes the stream, its number goes to the next descriptor that is opened: to one of
/// this module's own, which has no type.
fn must_be_given(stream: impl AsFd, name: &str) -> io::Result<()> {
    let found = fstat(stream).map(|found| FileType::from_raw_mode(found.st_mode));
    match found {
        Ok(FileType::Unknown) | Err(Errno::BADF) => {
            Err(io::Error::other(format!("the standard {name} is closed")))
        }
        other => Ok(other.map(drop)?),
    }
}

impl Drop for Standard {
    fn drop(&mut self) {
        flush_buffers();
        let _ = dup2_stdin(&self.input);
        let _ = dup2_stdout(&self.output);
        TAKEN.store(false, Ordering::Release);
    }
}

/// What C's streams hold back goes to where they lead now.
pub fn flush_buffers() {
    // SAFETY: null means all streams, each of which is locked by the call.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}
