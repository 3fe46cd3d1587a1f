//! A connection within this process that carries wake-ups into an event loop which takes sockets
//! only: nginx's cosockets can connect to a unix socket, but not watch a descriptor.
//!
//! [`Door::open`] listens, the loop connects to [`Door::path`], [`Door::let_in`] makes the
//! connection a [`Line`]. No thread accepts: a unix socket connects as soon as it is queued.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with,
    bind, listen, recv, send, socket_with,
};
use rustix::process::{geteuid, getpid};

use crate::chance;

/// A listening socket that lets one connection in.
#[derive(Debug)]
pub struct Door {
    socket: OwnedFd,
    path: PathBuf,
}

/// Our end of the connection.
#[derive(Debug)]
pub struct Line(OwnedFd);

const QUIET: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

impl Door {
    /// Listens in the directory for temporary files, under a name nobody can guess.
    pub fn open() -> io::Result<Door> {
        let path =
            std::env::temp_dir().join(format!("zigllms-{}-{:016x}", getpid(), chance::random()));
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, QUIET, None)?;
        bind(&socket, &SocketAddrUnix::new(&path)?)?;
        let door = Door { socket, path };
        listen(&door.socket, 4)?;
        Ok(door)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The connection that waits, if this process made it.
    pub fn let_in(self) -> io::Result<Line> {
        loop {
            let line = Line(accept_with(&self.socket, QUIET)?);
            if line.is_from_here()? {
                return Ok(line);
            }
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Line {
    #[cfg(target_os = "linux")]
    fn is_from_here(&self) -> io::Result<bool> {
        let peer = rustix::net::sockopt::socket_peercred(&self.0)?;
        Ok(peer.pid == getpid() && peer.uid == geteuid())
    }

    #[cfg(not(target_os = "linux"))]
    fn is_from_here(&self) -> io::Result<bool> {
        Ok(true)
    }

    /// Wakes the other end; false once it is gone.
    pub fn ring(&self) -> bool {
        match send(&self.0, b"!", SendFlags::NOSIGNAL) {
            // Full of wake-ups that were not looked at: one more adds nothing.
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => true,
            Err(_) => false,
        }
    }

    /// Whether the other end still listens.
    pub fn is_open(&self) -> bool {
        let mut byte = [0u8];
        recv(&self.0, &mut byte, RecvFlags::PEEK) == Err(Errno::AGAIN)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_connection_of_this_process_becomes_a_line_and_the_name_goes() {
        let door = Door::open().unwrap();
        let path = door.path().to_owned();
        let mut stream = UnixStream::connect(&path).unwrap();
        let line = door.let_in().unwrap();
        assert!(!path.exists());
        assert!(line.ring());
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), 1);
        assert!(line.is_open());
        drop(stream);
        assert!(!line.is_open() && !line.ring());
    }

    #[test]
    fn nobody_at_the_door_is_an_error() {
        assert!(Door::open().unwrap().let_in().is_err());
    }
}
