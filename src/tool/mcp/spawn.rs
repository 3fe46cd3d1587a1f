//! A server's process, started with nothing of the host's but what it is meant to have.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::process::{self, Child, Streams, find, safe_environment, search_path};

/// What to run.
#[derive(Clone, PartialEq, Eq)]
pub struct Program {
    pub words: Vec<String>,
    pub cwd: Option<String>,
    /// Beside what every child may know. May be secrets.
    pub env: BTreeMap<String, String>,
}

/// A server, and our ends of its standard streams.
pub struct Started {
    pub child: Child,
    pub input: OwnedFd,
    pub output: OwnedFd,
    pub errors: OwnedFd,
}

impl Program {
    /// As messages call it.
    pub fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// With the first argument that tells which server it is: `npx … @org/server`.
    pub fn shown(&self) -> String {
        let plain = |word: &&String| {
            let length = word.chars().count();
            (1..=80).contains(&length)
                && !word.starts_with('-')
                && !word.contains(|c: char| c.is_whitespace() || "=:?".contains(c))
        };
        let arguments = self.words.get(1..).unwrap_or_default();
        match arguments.iter().position(|word| plain(&word)) {
            None => format!("{:?}", self.name()),
            Some(at) => {
                let between = if at > 0 { "… " } else { "" };
                let word = arguments.get(at).map_or("", String::as_str);
                format!("{:?}", format!("{} {between}{word}", self.name()))
            }
        }
    }

    pub fn start(&self) -> io::Result<Started> {
        let program = process::Program {
            path: self.path()?,
            words: self.words.iter().map(OsString::from).collect(),
            environment: self.environment(),
            directory: self.cwd.as_deref().map(open_directory).transpose()?,
        };
        let ((their_input, input), (output, their_output)) = (pipe()?, pipe()?);
        let (errors, their_errors) = pipe()?;
        for end in [&input, &output, &errors] {
            rustix::io::ioctl_fionbio(end, true)?;
        }
        let streams = Streams { input: their_input, output: their_output, errors: their_errors };
        let child = Child::start(&program, streams)?;
        child.ask_at_exit();
        Ok(Started { child, input, output, errors })
    }

    fn path(&self) -> io::Result<PathBuf> {
        let name = self.name();
        if name.contains('/') {
            return Ok(name.into());
        }
        let given = self.env.get("PATH").map(OsString::from);
        let path = given.unwrap_or_else(search_path);
        find(name, &path).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn environment(&self) -> Vec<(OsString, OsString)> {
        let is_given = |name: &OsStr| name.to_str().is_some_and(|n| self.env.contains_key(n));
        let safe = safe_environment().into_iter().filter(|(name, _)| !is_given(name));
        let given = self.env.iter().map(|(name, value)| (name.into(), value.into()));
        safe.chain(given).collect()
    }
}

fn open_directory(path: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Its end for reading, and the one for writing.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe_with(PipeFlags::CLOEXEC)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_with_what_tells_it_from_others_and_no_secrets() {
        let shown = |words: &[&str]| {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            Program { words, cwd: None, env: Default::default() }.shown()
        };
        assert_eq!(shown(&["npx", "-y", "@org/server", "/srv"]), "\"npx … @org/server\"");
        assert_eq!(shown(&["python3", "srv.py", "--key", "sk-1"]), "\"python3 srv.py\"");
        assert_eq!(shown(&["env", "KEY=sk-1", "-u", "server"]), "\"env … server\"");
        assert_eq!(shown(&["sh", "-c", "KEY=sk-1 server"]), "\"sh\"");
        assert_eq!(shown(&["server"]), "\"server\"");
    }
}
