//! A new file: there as a whole or not at all, and never in the place of another one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rustix::fs::{CWD, FlockOperation, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::fault::Checked;
use super::sql;

/// Puts an empty store at `path`, unless somebody else has put something there meanwhile.
pub fn create(path: &Path) -> Checked<()> {
    let image = image()?;
    let folder = folder(path)?;
    // Until `folder` is closed, nobody else creates one in it.
    rustix::fs::flock(&folder, FlockOperation::LockExclusive)?;
    if path.exists() {
        return Ok(());
    }
    remove_orphans(path)?;
    let beside = beside(path, ".new");
    let placed = write(&beside, &image).and_then(|()| place(&beside, path));
    if !matches!(placed, Ok(true)) {
        drop(fs::remove_file(&beside));
    }
    placed?;
    folder.sync_all()?;
    Ok(())
}

fn folder(path: &Path) -> io::Result<File> {
    File::open(path.parent().unwrap_or(path)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::new(error.kind(), "its folder does not exist"),
        _ => error,
    })
}

/// What a store of this name left that was removed or never came to be. A log that is found beside
/// a store is taken for its own.
fn remove_orphans(path: &Path) -> io::Result<()> {
    for suffix in ["-wal", "-shm", ".new"] {
        match fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The bytes of an empty store. SQLite would write them itself, in steps that can be seen.
fn image() -> Checked<Vec<u8>> {
    const FORMATS_WAL: [u8; 2] = [2, 2];
    let connection = Connection::open_in_memory()?;
    sql::create(&connection)?;
    let mut image = connection.serialize("main")?.to_vec();
    // A database in memory cannot be told to keep a write-ahead log; the format's own field can.
    if let Some(formats) = image.get_mut(18..20) {
        formats.copy_from_slice(&FORMATS_WAL);
    }
    Ok(image)
}

fn write(path: &Path, image: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(image)?;
    file.sync_all()
}

/// Gives the file its name; false if that name is taken.
fn place(beside: &Path, path: &Path) -> io::Result<bool> {
    let placed = match renameat_with(CWD, beside, CWD, path, RenameFlags::NOREPLACE) {
        // Not every file system can: those have hard links.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            rustix::fs::link(beside, path).and_then(|()| rustix::fs::unlink(beside))
        }
        placed => placed,
    };
    match placed {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
