//! Whole files.
//!
//! A file is replaced by renaming: whoever reads it sees the old or the new one, whatever happens in
//! between. What is written meanwhile has a name beside it, and a lock that tells a living writer
//! from one that was killed; what such a one left is cleared away by the next.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::store::filing::{failed, said};

/// Names tried for the file that is written: so many writers of one file at once.
const NAMES: u32 = 100;

/// Of a name, so that the one beside it is none too long.
const LONGEST: usize = 200;

/// Lengths in a document have 32 bits.
const MOST_BYTES: u64 = u32::MAX as u64;

/// The path as one that stays the same wherever the process goes.
pub fn absolute(path: &str) -> Result<PathBuf> {
    if path.contains('\0') {
        return Err(Error::invalid("argument #1: path: a path with a zero byte in it"));
    }
    std::path::absolute(path).map_err(|error| failed(Path::new(path), &error))
}

/// All bytes of a regular file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let fail = |error: std::io::Error| failed(path, &error);
    // Not to wait for somebody who opens the other end of a pipe.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = fs::open(path, flags, Mode::empty()).map_err(|e| fail(e.into()))?;
    let about = fs::fstat(&opened).map_err(|e| fail(e.into()))?;
    match FileType::from_raw_mode(about.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(fail(Errno::ISDIR.into())),
        _ => return Err(said(path, "not_a_file", "it is no regular file")),
    }
    let mut bytes = Vec::new();
    File::from(opened).take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(fail)?;
    match bytes.len() as u64 > MOST_BYTES {
        true => Err(said(path, "too_large", "it is larger than 4 GiB")),
        false => Ok(bytes),
    }
}

/// Replaces a file, or makes it: whole, on the disk, and readable for its owner only. A symbolic
/// link is replaced, not followed. If it fails, what was there is as before.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    replaced(path, bytes).map_err(|error| failed(path, &error))
}

fn replaced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let name = path.file_name().ok_or(Errno::ISDIR)?;
    let parent = path.parent().unwrap_or(Path::new("/"));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = fs::open(parent, flags, Mode::empty())?;
    if let Ok(there) = fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)
        && FileType::from_raw_mode(there.st_mode) == FileType::Directory
    {
        return Err(Errno::ISDIR.into());
    }
    let (beside, file) = create(&folder, name.as_bytes())?;
    let put = fill(file, bytes)
        .and_then(|file| Ok(fs::renameat(&folder, &beside, &folder, name).map(|()| file)?));
    match put {
        Ok(_) => settle(&folder),
        Err(error) => {
            let _ = fs::unlinkat(&folder, &beside, AtFlags::empty());
            Err(error)
        }
    }
}

/// The lock goes with the file: it is given back to be closed when the file has its name.
fn fill(mut file: File, bytes: &[u8]) -> std::io::Result<File> {
    fs::fchmod(&file, Mode::RUSR | Mode::WUSR)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(file)
}

/// A name lasts once its folder does; not every file system knows of that.
fn settle(folder: &OwnedFd) -> std::io::Result<()> {
    match fs::fsync(folder) {
        Ok(()) | Err(Errno::INVAL) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A new file of ours beside the one that it will be.
fn create(folder: &OwnedFd, name: &[u8]) -> std::io::Result<(OsString, File)> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    for number in 0..NAMES {
        let beside = beside(name, number);
        let mut made = fs::openat(folder, &beside, flags, Mode::RUSR | Mode::WUSR);
        if matches!(made, Err(Errno::EXIST)) && clear_away(folder, &beside) {
            made = fs::openat(folder, &beside, flags, Mode::RUSR | Mode::WUSR);
        }
        match made {
            Ok(file) if is_ours(&file) => return Ok((beside, file.into())),
            Ok(_) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Errno::EXIST.into())
}

/// `.name.0.tmp`
fn beside(name: &[u8], number: u32) -> OsString {
    let name = name.get(..LONGEST).unwrap_or(name);
    let mut all = vec![b'.'];
    all.extend_from_slice(name);
    all.extend_from_slice(format!(".{number}.tmp").as_bytes());
    OsString::from_vec(all)
}

/// Locked before anybody could take it for a left one and clear it away.
fn is_ours(file: &OwnedFd) -> bool {
    fs::flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
        && fs::fstat(file).is_ok_and(|about| about.st_nlink > 0)
}

/// Removes a file that its writer left when it was killed.
fn clear_away(folder: &OwnedFd, beside: &OsString) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(left) = fs::openat(folder, beside, flags, Mode::empty()) else { return false };
    fs::flock(&left, FlockOperation::NonBlockingLockExclusive).is_ok()
        && fs::unlinkat(folder, beside, AtFlags::empty()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    fn names(folder: &Folder) -> Vec<String> {
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = std::fs::read_dir(folder.here()).unwrap().map(name).collect();
        names.sort();
        names.into_iter().map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new();
        let path = folder.path("a.json");
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap(), b"two");
        assert_eq!(names(&folder), ["a.json"], "the link was not followed");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_a_killed_writer_left_is_cleared_away_and_what_a_living_one_writes_is_not() {
        let folder = Folder::new();
        let path = folder.path("a");
        std::fs::write(folder.path(".a.0.tmp"), b"left").unwrap();
        let living = File::create(folder.path(".a.1.tmp")).unwrap();
        fs::flock(&living, FlockOperation::LockExclusive).unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(names(&folder), [".a.1.tmp", "a"]);
    }

    #[test]
    fn failures_say_why_and_leave_nothing() {
        let folder = Folder::new();
        let why = |error: Error| error.fields().details.clone().unwrap()["reason"].clone();
        assert_eq!(why(replace(folder.here(), b"x").unwrap_err()), "is_directory");
        assert_eq!(why(read(folder.here()).unwrap_err()), "is_directory");
        assert_eq!(why(read(&folder.path("none")).unwrap_err()), "not_found");
        assert_eq!(why(replace(&folder.path("none/a"), b"x").unwrap_err()), "not_found");
        assert_eq!(why(read(Path::new("/dev/null")).unwrap_err()), "not_a_file");
        let long = "x".repeat(300);
        assert_eq!(why(replace(&folder.path(&long), b"x").unwrap_err()), "bad_name");
        assert!(names(&folder).is_empty());
    }
}
