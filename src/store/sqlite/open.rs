//! An open file: how it is opened, and what a transaction is.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use rustix::fs::Access;

use super::fault::{Checked, Fault};
use super::{check, create, sql};
use crate::store::Durability;

/// How long a call waits for another process that writes.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Open {
    pub connection: Connection,
    durability: Durability,
    pub file: FileId,
    /// The disk failed once. The system tells that one time only, and takes what it could not write
    /// for written.
    doubtful: bool,
}

/// Device and inode: the file itself, whatever it is called.
pub type FileId = (u64, u64);

impl Open {
    /// `known`: the file that need not be checked again.
    pub fn at(path: &Path, known: Option<FileId>) -> Checked<Open> {
        let found = match std::fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create::create(path)?;
                std::fs::metadata(path)?
            }
            found => found?,
        };
        plausible(&found)?;
        let open = Open {
            connection: connect(path)?,
            durability: Durability::Batched,
            file: (found.dev(), found.ino()),
            doubtful: false,
        };
        // Until it is known to be good, it is left as it is.
        open.keep_log(true)?;
        check::identity(&open.connection)?;
        sql::set_up(&open.connection)?;
        if known != Some(open.file) {
            check::contents(&open.connection)?;
        }
        open.keep_log(false)?;
        Ok(open)
    }

    pub fn moved_from(&self, path: &Path) -> bool {
        match std::fs::metadata(path) {
            Ok(found) => (found.dev(), found.ino()) != self.file,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    /// Whether the log stays beside the file when this is closed as the last one.
    pub fn keep_log(&self, keep: bool) -> rusqlite::Result<()> {
        let option = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        self.connection.set_db_config(option, keep).map(drop)
    }

    /// Does all of `work` or nothing, alone among all processes.
    pub fn transaction<T>(
        &mut self,
        durability: Durability,
        work: impl FnOnce(&Connection) -> Checked<End<T>>,
    ) -> Checked<T> {
        self.be(durability)?;
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Dropped, it is rolled back.
        match work(&transaction)? {
            End::Undo(done) => Ok(done),
            End::Keep(done) => {
                let kept = transaction.commit();
                self.doubtful |= kept.is_err();
                Ok(kept.map(|()| done)?)
            }
        }
    }

    fn be(&mut self, durability: Durability) -> Checked<()> {
        if self.durability != durability {
            sql::set_durability(&self.connection, durability)?;
            self.durability = durability;
        }
        if self.doubtful && durability == Durability::Sync {
            // From what is still in memory: earlier commits, too.
            self.doubtful = !sql::empty_log(&self.connection)?;
        }
        Ok(())
    }
}

pub enum End<T> {
    Keep(T),
    Undo(T),
}

/// SQLite would take an empty file for a new database: that is what a store cut off is, too. And a
/// pipe it would wait for.
fn plausible(found: &Metadata) -> Checked<()> {
    match (found.is_file(), found.len()) {
        (false, _) => Err(Fault::Foreign("not a file")),
        (true, 0) => Err(Fault::damaged("it is empty (if nothing was in it, remove it)")),
        (true, _) => Ok(()),
    }
}

fn connect(path: &Path) -> Checked<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| {
        // SQLite does not say why.
        let denied = rustix::fs::access(path, Access::READ_OK).err();
        denied.map_or(Fault::Sql(error), Fault::from)
    })?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}
