//! What the writes of one commit do, within its transaction.

use rusqlite::Connection;

use super::fault::{Checked, Fault};
use super::open::End;
use super::sql::{self, Outline, State};
use super::sum::Stored;
use crate::store::{Change, Committed, Effect, Space, UnixMs, Write};

/// Expired records that a commit removes besides its own writes, so that they do not pile up.
const SWEPT: usize = 16;

/// A commit on its way.
pub struct Commit<'a> {
    connection: &'a Connection,
    state: State,
    now: UnixMs,
}

impl Commit<'_> {
    pub fn new(connection: &Connection, now: UnixMs) -> Checked<Commit<'_>> {
        Ok(Commit { connection, state: State::read(connection)?, now })
    }

    pub fn run(&mut self, writes: &[Write]) -> Checked<End<Committed>> {
        let mut effects = Vec::with_capacity(writes.len());
        for (n, write) in writes.iter().enumerate() {
            match self.write(write)? {
                Some(effect) => effects.push(effect),
                None => return Ok(End::Undo(Committed::Conflict(n))),
            }
        }
        self.sweep(writes.len().saturating_add(SWEPT))?;
        self.state.write(self.connection)?;
        Ok(End::Keep(Committed::Done(effects)))
    }

    /// None: what the write expected is not there.
    fn write(&mut self, write: &Write) -> Checked<Option<Effect>> {
        let found = sql::outline(self.connection, write.space, &write.key)?;
        let alive = found.as_ref().filter(|found| !found.expired(self.now));
        if write.only_if.is_some_and(|expected| !expected.holds(alive.map(|found| found.version))) {
            return Ok(None);
        }
        let before = u64::from(alive.is_some());
        Ok(Some(match &write.change {
            Change::DeleteAll => self.delete_all(write)?,
            Change::Keep => Effect { before, version: 0 },
            Change::Delete => {
                self.delete(write.space, &write.key, found.as_ref())?;
                Effect { before, version: 0 }
            }
            Change::Put { bytes, expires_at } => {
                self.replace(found.as_ref());
                let version = self.put(write, bytes, *expires_at)?;
                Effect { before, version }
            }
        }))
    }

    fn replace(&mut self, found: Option<&Outline>) {
        if let Some(found) = found {
            self.state.total.take(found.sum);
        }
    }

    fn put(&mut self, write: &Write, bytes: &[u8], expires_at: Option<UnixMs>) -> Checked<u64> {
        self.state.versions = self.state.versions.wrapping_add(1);
        let version = self.state.versions;
        let one = Stored { space: write.space, key: &write.key, version, expires_at, bytes };
        let sum = one.sum();
        sql::put(self.connection, &one, sum)?;
        self.state.total.add(sum);
        Ok(version)
    }

    fn delete(&mut self, space: Space, key: &[u8], found: Option<&Outline>) -> Checked<()> {
        if found.is_some() {
            sql::delete(self.connection, space, key)?;
        }
        self.replace(found);
        Ok(())
    }

    fn delete_all(&mut self, write: &Write) -> Checked<Effect> {
        let mut before = 0;
        sql::delete_all(self.connection, write.space, &write.key, |gone| {
            self.state.total.take(gone.sum);
            before += u64::from(!gone.expired(self.now));
        })?;
        Ok(Effect { before, version: 0 })
    }

    /// The index says which; what it says is looked up, for it has no checksum.
    fn sweep(&mut self, most: usize) -> Checked<()> {
        for (number, key) in sql::mortals(self.connection, self.now, most)? {
            let space = Space::of(number).ok_or_else(index_damaged)?;
            let found = sql::outline(self.connection, space, &key)?;
            if !found.as_ref().is_some_and(|found| found.expired(self.now)) {
                return Err(index_damaged());
            }
            self.delete(space, &key, found.as_ref())?;
        }
        Ok(())
    }
}

fn index_damaged() -> Fault {
    Fault::damaged("its index of what expires is not of its records")
}
