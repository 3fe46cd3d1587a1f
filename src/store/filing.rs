//! Work with files on a thread of its own, so that nobody's event loop stands still, and what is said
//! of a file that does not do.

use std::cell::Cell;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::clock::{Busy, Clock};
use crate::error::{Code, Error, Result, quoted};
use crate::guard::guarded;
use crate::net::{Waker, lock, workers};

/// Virtual memory only; a document may be nested deeply.
const STACK: usize = 2 << 20;

/// Work on a thread of its own. Dropping it does not stop the work.
pub struct Filing<T> {
    desk: Arc<Desk<T>>,
    busy: Cell<Option<Busy>>,
}

struct Desk<T> {
    done: Mutex<Option<Result<T>>>,
    waker: Waker,
}

impl<T: Send + 'static> Filing<T> {
    pub fn start(
        clock: &Clock,
        waker: Waker,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<Filing<T>> {
        let desk = Arc::new(Desk { done: Mutex::new(None), waker });
        let theirs = desk.clone();
        let spawned = workers::spawn("zigllms-file", STACK, move || {
            *lock(&theirs.done) = Some(guarded(work));
            theirs.waker.wake();
        });
        match spawned {
            Ok(()) => Ok(Filing { desk, busy: Cell::new(Some(clock.busy())) }),
            Err(error) => {
                Err(Error::new(Code::IoError, format!("no thread could be made: {error}"))
                    .with(|f| f.details = Some(json!({ "reason": "no_thread" }))))
            }
        }
    }

    /// What became of it, once; `None`: not done yet.
    pub fn take(&self) -> Option<Result<T>> {
        self.desk.waker.rearm();
        lock(&self.desk.done).take().inspect(|_| drop(self.busy.take()))
    }
}

/// An `io_error` about a file, as the system says it.
pub fn failed(path: &Path, error: &std::io::Error) -> Error {
    said(path, reason(error), &error.to_string())
}

/// An `io_error` about a file.
pub fn said(path: &Path, reason: &str, what: &str) -> Error {
    let path = path.to_string_lossy();
    let details = json!({ "reason": reason, "path": path });
    Error::new(Code::IoError, format!("{}: {what}", quoted(&path)))
        .with(|f| f.details = Some(details))
}

fn reason(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "not_found",
        ErrorKind::NotADirectory => "not_a_directory",
        ErrorKind::IsADirectory => "is_directory",
        ErrorKind::PermissionDenied => "denied",
        ErrorKind::ReadOnlyFilesystem => "readonly",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => "full",
        ErrorKind::InvalidFilename => "bad_name",
        ErrorKind::AlreadyExists => "busy",
        _ => "io",
    }
}
