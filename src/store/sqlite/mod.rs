//! A store in one file of SQLite, shared by any number of processes.
//!
//! ```no_run
//! use zigllms::store::{Space, Store, sqlite::Sqlite};
//! let mut store = Sqlite::open("agents.db".as_ref())?;
//! let record = store.get(Space::Memory, b"key", 0)?;
//! # Ok::<(), zigllms::error::Error>(())
//! ```
//!
//! A commit is one transaction that takes the lock for writing at once, since a lock that is
//! upgraded is not waited for. Commits go to a write-ahead log, and a killed process leaves all of
//! one or nothing. A *sync* commit is on the disk when it returns; others are at the next one. One
//! that the disk failed to take is undone, but may be found done if the machine crashes just then.
//!
//! Every record carries a checksum, and the store knows the sum of all: a damaged file is an error
//! when it is opened or when the record is read, never another value and never one less. Of a
//! damaged log, which only a killed process leaves behind, what comes before the damage is kept, as
//! of one that was cut off by a crash: the two look the same.

mod check;
mod commit;
mod create;
mod fault;
mod fork;
mod open;
mod sql;
mod sum;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

pub use self::fork::guard_forks;

use self::commit::Commit;
use self::fault::{Checked, Fault};
use self::open::{End, FileId, Open};
use self::sql::State;
use super::{Committed, Durability, Range, Record, Space, Store, UnixMs, Write};
use crate::error::Result;
use crate::net::lock;

/// An open store. Safe to keep over a fork: it is closed before, and opened again at its next use.
pub struct Sqlite(Arc<Held>);

struct Held {
    path: PathBuf,
    open: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    open: Option<Open>,
    /// Checked before a fork.
    known: Option<FileId>,
}

impl Sqlite {
    /// Opens a store, makes an empty one if there is no file, and checks what is there: the whole
    /// of a store of up to 64 MiB.
    pub fn open(path: &Path) -> Result<Sqlite> {
        let path = std::path::absolute(path).map_err(|error| Fault::Io(error).of(path))?;
        let inside = fork::enter();
        let open = Open::at(&path, None).map_err(|fault| fault.of(&path))?;
        let held =
            Arc::new(Held { path, open: Mutex::new(Slot { open: Some(open), known: None }) });
        fork::register(&inside, held.clone());
        Ok(Sqlite(held))
    }

    fn with<T>(&self, call: impl FnOnce(&mut Open) -> Checked<T>) -> Result<T> {
        let _inside = fork::enter();
        let mut slot = lock(&self.0.open);
        slot.get(&self.0.path).and_then(call).map_err(|fault| fault.of(&self.0.path))
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        let inside = fork::enter();
        let held: Arc<dyn fork::Closes> = self.0.clone();
        fork::forget(&inside, &held);
        *lock(&self.0.open) = Slot::default();
    }
}

impl Slot {
    fn get(&mut self, path: &Path) -> Checked<&mut Open> {
        // Somebody removed or replaced the file: what went into this one would be seen by nobody.
        self.open.take_if(|open| open.moved_from(path));
        match &mut self.open {
            Some(open) => Ok(open),
            none => Ok(none.insert(Open::at(path, self.known.take())?)),
        }
    }
}

impl fork::Closes for Held {
    fn close(&self) {
        let mut slot = lock(&self.open);
        if let Some(open) = slot.open.take() {
            // A fork should not wait for that; the next one who closes the store does it.
            drop(open.keep_log(true));
            slot.known = Some(open.file);
        }
    }
}

impl Store for Sqlite {
    fn get(&mut self, space: Space, key: &[u8], now: UnixMs) -> Result<Option<Record>> {
        let found = self.with(|open| sql::get(&open.connection, space, key))?;
        Ok(found.filter(|record| !record.expired(now)))
    }

    fn scan(&mut self, range: &Range, now: UnixMs) -> Result<Vec<(Vec<u8>, Record)>> {
        let mut page = Vec::new();
        if range.limit > 0 {
            let mut keep = |key, record: Record| {
                if !record.expired(now) {
                    page.push((key, record));
                }
                page.len() < range.limit
            };
            self.with(|open| sql::scan(&open.connection, range, &mut keep))?;
        }
        Ok(page)
    }

    fn commit(
        &mut self,
        writes: &[Write],
        durability: Durability,
        now: UnixMs,
    ) -> Result<Committed> {
        self.with(|open| {
            open.transaction(durability, |connection| Commit::new(connection, now)?.run(writes))
        })
    }

    fn sync(&mut self) -> Result<()> {
        self.with(|open| {
            open.transaction(Durability::Sync, |connection| {
                let state = State::read(connection)?;
                State { syncs: state.syncs.wrapping_add(1), ..state }.write(connection)?;
                Ok(End::Keep(()))
            })
        })
    }
}
