//! A file that lines are put at the end of: group commit for what is no map of keys.
//!
//! A commit is one `write` at the end of the file, so lines stay whole whoever else appends. A lock
//! is held meanwhile, so that what a killed process left half written can be told from what another
//! one is just writing: such a piece is no line, and is cut off before anything is put behind it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, FileType, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::filing::{failed, said};
use super::{Change, Committed, Durability, Effect, Range, Record, Space, Store, UnixMs, Write};
use crate::error::Result;
use crate::value::Tape;
use crate::value::json;

/// Bytes looked at at once when the end of a file is inspected.
const BLOCK: usize = 64 << 10;

/// Levels that a line may have: more than those of any value.
pub const DEPTH: usize = 3 * crate::value::MAX_DEPTH + 20;

pub struct Lines {
    path: PathBuf,
    file: File,
    /// Device and inode: the file may be moved away, and another one be wanted in its place.
    is: (u64, u64),
    /// Behind the last line of ours.
    end: Option<u64>,
    written: u64,
}

/// Opens a regular file for appending, readable for its owner only if it is made.
pub fn open(path: &Path) -> Result<File> {
    let fail = |error: Errno| failed(path, &error.into());
    // Not to wait for somebody who opens the other end of a pipe.
    let flags = OFlags::RDWR
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::CLOEXEC
        | OFlags::NONBLOCK
        | OFlags::NOCTTY;
    let opened = fs::open(path, flags, Mode::RUSR | Mode::WUSR).map_err(fail)?;
    regular(path, opened)
}

fn regular(path: &Path, opened: OwnedFd) -> Result<File> {
    let about = fs::fstat(&opened).map_err(|error| failed(path, &error.into()))?;
    match FileType::from_raw_mode(about.st_mode) {
        FileType::RegularFile => Ok(opened.into()),
        FileType::Directory => Err(failed(path, &Errno::ISDIR.into())),
        _ => Err(said(path, "not_a_file", "it is no regular file")),
    }
}

/// Opens a regular file to be read.
pub fn open_to_read(path: &Path) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = fs::open(path, flags, Mode::empty());
    regular(path, opened.map_err(|error| failed(path, &error.into()))?)
}

impl Lines {
    pub fn open(path: &Path) -> Result<Lines> {
        let file = open(path)?;
        let about = fs::fstat(&file).map_err(|error| failed(path, &error.into()))?;
        let is = (about.st_dev, about.st_ino);
        Ok(Lines { path: path.to_owned(), file, is, end: None, written: 0 })
    }

    /// The file of that name may be another one since, or none.
    fn follow(&mut self) -> Result<()> {
        let there = fs::stat(&self.path);
        if there.is_ok_and(|about| (about.st_dev, about.st_ino) == self.is) {
            return Ok(());
        }
        let written = self.written;
        *self = Lines::open(&self.path)?;
        self.written = written;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let lock = Lock::of(&self.file)?;
        let mut size = fs::fstat(&self.file)?.st_size as u64;
        if self.end != Some(size) {
            size = mended(&self.file, size)?;
        }
        self.end = None;
        if let Err(error) = write(&self.file, bytes) {
            // All of them or none: they will be written again.
            let _ = retry_on_intr(|| fs::ftruncate(&self.file, size));
            return Err(error);
        }
        self.end = Some(size + bytes.len() as u64);
        drop(lock);
        Ok(())
    }
}

fn write(file: &File, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match retry_on_intr(|| rustix::io::write(file, bytes))? {
            0 => return Err(std::io::ErrorKind::WriteZero.into()),
            count => bytes = bytes.get(count..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// Among all processes, until it is dropped.
struct Lock<'f>(&'f File);

impl Lock<'_> {
    fn of(file: &File) -> std::io::Result<Lock<'_>> {
        retry_on_intr(|| fs::flock(file, FlockOperation::LockExclusive))?;
        Ok(Lock(file))
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        let _ = fs::flock(self.0, FlockOperation::Unlock);
    }
}

/// Makes a file end with a whole line; gives its size then.
fn mended(file: &File, size: u64) -> std::io::Result<u64> {
    let start = last_line(file, size)?;
    if start == size {
        return Ok(size);
    }
    let mut piece = vec![0; (size - start) as usize];
    file.read_exact_at(&mut piece, start)?;
    if is_torn(&piece) {
        retry_on_intr(|| fs::ftruncate(file, start))?;
        return Ok(start);
    }
    write(file, b"\n")?;
    Ok(size + 1)
}

/// Where the last line begins; the size of a file that ends with a line break.
fn last_line(file: &File, size: u64) -> std::io::Result<u64> {
    let (mut until, mut block) = (size, vec![0; BLOCK]);
    while until > 0 {
        let from = until.saturating_sub(BLOCK as u64);
        let part = block.get_mut(..(until - from) as usize).unwrap_or_default();
        file.read_exact_at(part, from)?;
        if let Some(at) = memchr::memrchr(b'\n', part) {
            return Ok(from + at as u64 + 1);
        }
        until = from;
    }
    Ok(0)
}

/// Whether what has no line break is what a killed process left of a document, or what a crash of the
/// machine made of it. Anything else was put there by somebody, and stays.
pub fn is_torn(piece: &[u8]) -> bool {
    let ours = piece.starts_with(b"{") || piece.iter().all(|byte| *byte == 0);
    ours && json::parse_within(piece, DEPTH, &mut Tape::default()).is_err()
}

/// The size of a file.
pub fn size(file: &File) -> std::io::Result<u64> {
    Ok(fs::fstat(file)?.st_size as u64)
}

/// Up to `most` bytes from there on.
pub fn part(mut file: &File, from: u64, most: u64) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Store for Lines {
    fn get(&mut self, _: Space, _: &[u8], _: UnixMs) -> Result<Option<Record>> {
        Ok(None)
    }

    fn scan(&mut self, _: &Range, _: UnixMs) -> Result<Vec<(Vec<u8>, Record)>> {
        Ok(Vec::new())
    }

    /// What is put are lines with their breaks; keys mean nothing.
    fn commit(&mut self, writes: &[Write], how: Durability, _: UnixMs) -> Result<Committed> {
        let mut bytes = Vec::new();
        for write in writes {
            if let Change::Put { bytes: line, .. } = &write.change {
                bytes.extend_from_slice(line);
            }
        }
        self.follow()?;
        self.append(&bytes).map_err(|error| failed(&self.path, &error))?;
        if how == Durability::Sync {
            self.sync()?;
        }
        let mut effect = || {
            self.written += 1;
            Effect { before: 0, version: self.written }
        };
        Ok(Committed::Done(writes.iter().map(|_| effect()).collect()))
    }

    fn sync(&mut self) -> Result<()> {
        retry_on_intr(|| fs::fdatasync(&self.file))
            .map_err(|error| failed(&self.path, &error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;
    use std::os::unix::fs::PermissionsExt;

    fn put(lines: &mut Lines, text: &str) {
        let change = Change::Put { bytes: text.as_bytes().to_vec(), expires_at: None };
        let write = Write { space: Space::Events, key: Vec::new(), change, only_if: None };
        lines.commit(&[write], Durability::Batched, 0).unwrap();
    }

    #[test]
    fn lines_are_appended_and_the_file_is_its_owners() {
        let folder = Folder::new();
        let mut lines = Lines::open(&folder.file()).unwrap();
        put(&mut lines, "{\"a\":1}\n");
        let mut other = Lines::open(&folder.file()).unwrap();
        put(&mut other, "{\"a\":2}\n");
        put(&mut lines, "{\"a\":3}\n");
        let text = std::fs::read_to_string(folder.file()).unwrap();
        assert_eq!(text, "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
        let mode = std::fs::metadata(folder.file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_a_killed_writer_left_of_a_line_is_cut_off_at_any_byte() {
        let folder = Folder::new();
        let line = format!("{{\"a\":\"{}\"}}\n", "x".repeat(100_000));
        for cut in [1, 2, 5, 7, 50_000, BLOCK, BLOCK + 1, line.len() - 2] {
            std::fs::write(folder.file(), format!("{{}}\n{}", &line[..cut])).unwrap();
            put(&mut Lines::open(&folder.file()).unwrap(), "[1]\n");
            assert_eq!(std::fs::read_to_string(folder.file()).unwrap(), "{}\n[1]\n", "{cut}");
        }
        std::fs::write(folder.file(), "{}\n\0\0\0").unwrap();
        put(&mut Lines::open(&folder.file()).unwrap(), "[1]\n");
        assert_eq!(std::fs::read_to_string(folder.file()).unwrap(), "{}\n[1]\n");
    }

    #[test]
    fn what_somebody_else_left_without_a_line_break_stays() {
        let folder = Folder::new();
        for text in ["{\"whole\":1}", "no document"] {
            std::fs::write(folder.file(), text).unwrap();
            put(&mut Lines::open(&folder.file()).unwrap(), "[1]\n");
            assert_eq!(std::fs::read_to_string(folder.file()).unwrap(), format!("{text}\n[1]\n"));
        }
    }

    #[test]
    fn a_file_that_was_moved_away_gets_a_successor() {
        let folder = Folder::new();
        let mut lines = Lines::open(&folder.file()).unwrap();
        put(&mut lines, "1\n");
        std::fs::rename(folder.file(), folder.path("old")).unwrap();
        put(&mut lines, "2\n");
        assert_eq!(std::fs::read_to_string(folder.path("old")).unwrap(), "1\n");
        assert_eq!(std::fs::read_to_string(folder.file()).unwrap(), "2\n");
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = Folder::new();
        let why =
            |error: crate::error::Error| error.fields().details.clone().unwrap()["reason"].clone();
        assert_eq!(why(open(folder.here()).unwrap_err()), "is_directory");
        assert_eq!(why(open(Path::new("/dev/null")).unwrap_err()), "not_a_file");
        assert_eq!(why(open(&folder.path("none/a")).unwrap_err()), "not_found");
        assert_eq!(why(open_to_read(&folder.file()).unwrap_err()), "not_found");
    }
}
