//! Opens what lies below a directory, and nothing else, whatever links and renames say meanwhile.

use std::ffi::OsStr;
use std::path::{Component, Path};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::{Code, Error, Result, quoted};
use crate::store::filing::{failed, said};

/// Of a path, as the system has it.
const LONGEST: usize = 4096;

/// An open file or directory, and what it is.
pub struct Opened {
    pub file: OwnedFd,
    pub about: Stat,
    pub kind: FileType,
}

/// Why a path is not even tried.
pub fn check(path: &str) -> Result<()> {
    let refuse = |why: &str| {
        let details = serde_json::json!({ "reason": "forbidden_path" });
        let error = Error::new(Code::IoError, format!("path {}: {why}", quoted(path)));
        Err(error.with(|f| f.details = Some(details)))
    };
    let parts = || Path::new(path).components();
    match path {
        "" => refuse("is empty; \".\" is the top directory"),
        _ if path.len() > LONGEST => refuse("is too long"),
        _ if path.contains('\0') => refuse("has a zero byte in it"),
        _ if path.contains('\\') => refuse("has a backslash in it; \"/\" separates names"),
        _ if parts().any(|part| part == Component::ParentDir) => refuse("must not contain \"..\""),
        _ if Path::new(path).is_absolute() || path.starts_with('~') => {
            refuse("must be relative to a directory that configure{tools=} opens")
        }
        _ => Ok(()),
    }
}

/// The file or directory of that path in the first root that has it.
pub fn open(roots: &[impl AsRef<Path>], path: &str) -> Result<Opened> {
    check(path)?;
    let mut missing = said(Path::new(path), "not_found", "no such file below the roots");
    for root in roots {
        match open_below(root.as_ref(), path) {
            Ok(opened) => return Ok(opened),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => missing = refusal(path, error),
        }
    }
    Err(missing)
}

pub fn refusal(path: &str, error: Errno) -> Error {
    match error {
        Errno::XDEV => said(Path::new(path), "forbidden_path", "a link leads out of the root"),
        Errno::LOOP => said(Path::new(path), "forbidden_path", "there is a link on the way"),
        Errno::NODEV => said(Path::new(path), "not_a_file", "it is no regular file"),
        error => failed(Path::new(path), &error.into()),
    }
}

fn open_below(root: &Path, path: &str) -> rustix::io::Result<Opened> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = fs::open(root, flags, Mode::empty())?;
    let about = kept_below(root.as_fd(), path)?;
    // A pipe is never opened: whoever waits at its other end would be told.
    match FileType::from_raw_mode(about.st_mode) {
        FileType::RegularFile | FileType::Directory => {}
        _ => return Err(Errno::NODEV),
    }
    let reading = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = step_below(root.as_fd(), path, reading)?;
    let about = fs::fstat(&file)?;
    match FileType::from_raw_mode(about.st_mode) {
        kind @ (FileType::RegularFile | FileType::Directory) => Ok(Opened { file, about, kind }),
        _ => Err(Errno::NODEV),
    }
}

/// What a path is, without opening it to be read.
#[cfg(target_os = "linux")]
fn kept_below(root: BorrowedFd<'_>, path: &str) -> rustix::io::Result<Stat> {
    fs::fstat(step_below(root, path, OFlags::PATH)?)
}

#[cfg(not(target_os = "linux"))]
fn kept_below(root: BorrowedFd<'_>, path: &str) -> rustix::io::Result<Stat> {
    fs::fstat(step_below(root, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?)
}

/// By the system's own rule where it has one, else name by name.
#[cfg(target_os = "linux")]
pub fn step_below(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    use fs::ResolveFlags;
    let rule = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut tries = 0;
    loop {
        match fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), rule) {
            // Something was renamed on the way.
            Err(Errno::AGAIN) if tries < 8 => tries += 1,
            Err(Errno::NOSYS | Errno::PERM) => return walk(root, path, flags),
            opened => return opened,
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub fn step_below(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    walk(root, path, flags)
}

/// Name by name, following no link at all.
fn walk(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let names: Vec<&OsStr> = Path::new(path)
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect();
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let through = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Some((last, before)) = names.split_last() else {
        return fs::openat(root, ".", flags, Mode::empty());
    };
    let mut at: Option<OwnedFd> = None;
    for name in before {
        let here = at.as_ref().map_or(root, |fd| fd.as_fd());
        at = Some(fs::openat(here, *name, through, Mode::empty())?);
    }
    let here = at.as_ref().map_or(root, |fd| fd.as_fd());
    let found = fs::openat(here, *last, flags, Mode::empty())?;
    match FileType::from_raw_mode(fs::fstat(&found)?.st_mode) {
        FileType::Symlink => Err(Errno::LOOP),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_systems_help_no_link_is_followed() {
        let folder = std::env::temp_dir().join(format!("zigllms-beneath-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("inner")).unwrap();
        std::fs::write(folder.join("inner/a"), b"a").unwrap();
        let link = |to: &str, name: &str| {
            let _ = std::os::unix::fs::symlink(to, folder.join(name));
        };
        link("inner", "directory");
        link("inner/a", "file");
        link("/etc", "out");
        let root = fs::open(&folder, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let walk = |path: &str| walk(root.as_fd(), path, OFlags::RDONLY).map(drop);
        assert_eq!(walk("inner/a"), Ok(()));
        assert_eq!(walk("./inner/./a"), Ok(()));
        assert_eq!(walk("."), Ok(()));
        for path in ["directory/a", "file", "out/passwd", "out", "directory"] {
            assert!(matches!(walk(path), Err(Errno::LOOP | Errno::NOTDIR)), "{path}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
