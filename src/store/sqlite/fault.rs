//! What SQLite and the file system say, in the words of the one error type.

use std::io;
use std::path::Path;

use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_IOERR_SHMSIZE, SQLITE_READONLY};
use rustix::fs::{Access, access};
use serde_json::json;

use crate::error::{Code, Error, quoted};

pub type Checked<T> = std::result::Result<T, Fault>;

#[derive(Debug)]
pub enum Fault {
    Sql(rusqlite::Error),
    Io(io::Error),
    /// What is wrong with it.
    Damaged(String),
    /// What is there instead.
    Foreign(&'static str),
    /// The format it is written in.
    Newer(i32),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        Fault::Sql(error)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

impl From<rustix::io::Errno> for Fault {
    fn from(error: rustix::io::Errno) -> Fault {
        Fault::Io(error.into())
    }
}

impl Fault {
    pub fn damaged(what: impl Into<String>) -> Fault {
        Fault::Damaged(what.into())
    }

    /// As an error about the store in this file.
    pub fn of(self, path: &Path) -> Error {
        let this = if self.is_by_header() && writable(path) {
            Fault::damaged("it says that it must not be written")
        } else {
            self
        };
        this.told(path)
    }

    /// SQLite does not write to a file that says it is of a newer kind.
    fn is_by_header(&self) -> bool {
        let failure = match self {
            Fault::Sql(error) => error.sqlite_error(),
            _ => None,
        };
        failure.is_some_and(|failure| failure.extended_code == SQLITE_READONLY)
    }

    fn told(self, path: &Path) -> Error {
        let reason = self.reason();
        let store = format!("store {}", quoted(&path.to_string_lossy()));
        let told = match self {
            Fault::Newer(format) => return newer(&store, format),
            Fault::Foreign(what) => format!("{what}; it was left as it is"),
            Fault::Damaged(what) => damaged(&what),
            Fault::Io(error) => error.to_string(),
            Fault::Sql(error) if reason == "corrupt" => damaged(&error.to_string()),
            Fault::Sql(error) => sql(reason, &error),
        };
        let details = json!({ "reason": reason, "path": path.to_string_lossy() });
        Error::new(Code::IoError, format!("{store}: {told}")).with(|f| f.details = Some(details))
    }

    fn reason(&self) -> &'static str {
        match self {
            Fault::Sql(error) => sql_reason(error),
            Fault::Io(error) => io_reason(error),
            Fault::Damaged(_) => "corrupt",
            Fault::Foreign(_) | Fault::Newer(_) => "foreign",
        }
    }
}

fn writable(path: &Path) -> bool {
    let may = |path| access(path, Access::WRITE_OK).is_ok();
    may(path) && path.parent().is_none_or(may)
}

fn newer(store: &str, format: i32) -> Error {
    Error::unsupported(format!(
        "{store}: its format is {format}, written by a newer version of this module; update the module to open it"
    ))
}

fn damaged(what: &str) -> String {
    format!(
        "damaged: {what}; the file was left as it is: put a copy of it in its place, or move it away to begin anew"
    )
}

fn sql(reason: &str, error: &rusqlite::Error) -> String {
    match reason {
        "busy" => "another process has kept it locked for 5 seconds".to_owned(),
        "full" => "no space left on its disk; what was to be written is not in it".to_owned(),
        "readonly" => {
            "it cannot be written: the file, its folder or its disk is read-only".to_owned()
        }
        "too_big" => "a value or key is larger than a store can hold (1 GB)".to_owned(),
        _ => error.to_string(),
    }
}

fn sql_reason(error: &rusqlite::Error) -> &'static str {
    let Some(failure) = error.sqlite_error() else {
        // A column of another type than was written.
        return "corrupt";
    };
    match failure.code {
        ErrorCode::DiskFull => "full",
        // Grown when opened: there is one way for that to fail that is not a broken disk.
        _ if failure.extended_code == SQLITE_IOERR_SHMSIZE => "full",
        ErrorCode::SystemIoFailure => "io",
        ErrorCode::ReadOnly => "readonly",
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed => "busy",
        ErrorCode::CannotOpen => "cannot_open",
        ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => "denied",
        ErrorCode::OutOfMemory => "memory",
        ErrorCode::TooBig => "too_big",
        // Our statements are right: if one has no sense here, the tables are not as we made them.
        _ => "corrupt",
    }
}

fn io_reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "full",
        io::ErrorKind::ReadOnlyFilesystem => "readonly",
        io::ErrorKind::PermissionDenied => "denied",
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "cannot_open",
        _ => "io",
    }
}
