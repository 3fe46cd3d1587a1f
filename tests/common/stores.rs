//! What the tests of stores on a disk share.

#![allow(dead_code)] // not every suite uses all of it

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use zigllms::error::{Code, Error, Result};
use zigllms::store::sqlite::Sqlite;
use zigllms::store::{
    Change, Committed, Durability, Effect, Range, Record, Space, Store, UnixMs, Write,
};

pub const NOW: UnixMs = 1_700_000_000_000;

/// Whether the numbers of the issue are wanted, or some that take seconds.
pub fn full() -> bool {
    std::env::var("ZIGLLMS_SWEEP").is_ok_and(|size| size == "full")
}

/// A folder of its own, removed in the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        Folder::within(&std::env::temp_dir(), name)
    }

    /// In memory where that can be had: for what does not look at how files are written.
    pub fn fast(name: &str) -> Folder {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Folder::within(memory, name) } else { Folder::new(name) }
    }

    fn within(folder: &Path, name: &str) -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("zigllms-{name}-{}-{number}", std::process::id());
        let path = folder.join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn file(&self) -> PathBuf {
        self.0.join("store.db")
    }

    /// The names of what is in it.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

pub fn put(key: impl AsRef<[u8]>, bytes: impl AsRef<[u8]>) -> Write {
    let change = Change::Put { bytes: bytes.as_ref().to_vec(), expires_at: None };
    Write { space: Space::Memory, key: key.as_ref().to_vec(), change, only_if: None }
}

pub fn done(store: &mut dyn Store, writes: &[Write], durability: Durability) -> Vec<Effect> {
    match store.commit(writes, durability, NOW).unwrap() {
        Committed::Done(effects) => effects,
        Committed::Conflict(n) => panic!("write {n} met another state"),
    }
}

/// All that is in a store, a space after the other.
pub type Contents = Vec<Vec<(Vec<u8>, Record)>>;

pub fn contents(store: &mut dyn Store) -> Result<Contents> {
    let range = |space| Range { space, prefix: Vec::new(), after: None, limit: usize::MAX };
    Space::ALL.iter().map(|space| store.scan(&range(*space), NOW)).collect()
}

/// The same, by asking for each key there should be.
pub fn asked(store: &mut dyn Store, keys: &Contents) -> Result<Contents> {
    let mut found = Contents::new();
    for (space, records) in Space::ALL.into_iter().zip(keys) {
        let mut there = Vec::new();
        for (key, _) in records {
            there.extend(store.get(space, key, NOW)?.map(|record| (key.clone(), record)));
        }
        found.push(there);
    }
    Ok(found)
}

pub fn open(path: &Path) -> Sqlite {
    Sqlite::open(path).unwrap_or_else(|error| panic!("{error}"))
}

/// `details.reason` of an `io_error`, else the code.
pub fn reason(error: &Error) -> String {
    if error.code() != Code::IoError {
        return error.code().name().to_owned();
    }
    let details = error.fields().details.as_ref().expect("details");
    details["reason"].as_str().expect("a reason").to_owned()
}
