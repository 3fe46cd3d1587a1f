//! What this process holds: its models and their threads. A forked child has none of its parent's
//! threads, so it starts with nothing and never touches what it inherited.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Weak};
use std::{io, mem, process, ptr, thread};

use once_cell::sync::OnceCell;
use parking_lot::Mutex;

use super::engine::{self, Job};
use super::{Key, Model, gate};
use crate::error::Error;

/// llama.cpp recurses deep in places (grammars, schemas).
const STACK: usize = 8 << 20;

pub struct Process {
    pid: u32,
    models: Mutex<HashMap<Key, Weak<Model>>>,
    /// The queue of each model in use, by the model's id.
    engines: Mutex<HashMap<u64, Sender<Job>>>,
    /// The process forked from this one, as that process sees it.
    child: OnceCell<Box<Process>>,
}

static FIRST: OnceCell<Process> = OnceCell::new();

/// The state of the current process.
pub fn here() -> &'static Process {
    let pid = process::id();
    let mut process = FIRST.get_or_init(|| Process::new(pid));
    while process.pid != pid {
        process = process.child.get_or_init(|| Box::new(Process::new(pid)));
    }
    process
}

impl Process {
    fn new(pid: u32) -> Process {
        Process { pid, models: Mutex::default(), engines: Mutex::default(), child: OnceCell::new() }
    }

    pub fn model(&self, key: Key) -> Arc<Model> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut models = self.models.lock();
        if let Some(model) = models.get(&key).and_then(Weak::upgrade) {
            return model;
        }
        models.retain(|_, model| model.strong_count() > 0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let model = Arc::new(Model { id, key: key.clone() });
        models.insert(key, Arc::downgrade(&model));
        model
    }

    /// Queues a job, starting the model's thread if there is none. If that fails, the job is
    /// dropped, and whoever waits for it is told by its destructor.
    pub fn send(&self, id: u64, key: &Key, job: Job) {
        let mut engines = self.engines.lock();
        let unsent = match engines.get(&id) {
            Some(engine) => match engine.send(job) {
                Ok(()) => return,
                Err(refused) => refused.0,
            },
            None => job,
        };
        match spawn(&key.path, key.clone()) {
            Ok(engine) => {
                // The receiver is alive: its thread has only just been started.
                let _ = engine.send(unsent);
                engines.insert(id, engine);
            }
            Err(error) => {
                drop(engines);
                unsent.fail(Error::internal(format!("no thread for the model: {error}")));
            }
        }
    }

    /// Lets the thread of a model end after what is in its queue.
    pub fn forget(&self, id: u64) {
        self.engines.lock().remove(&id);
    }
}

fn spawn(path: &Path, key: Key) -> io::Result<Sender<Job>> {
    gate::guard_fork();
    let (sender, jobs) = mpsc::channel();
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let builder = thread::Builder::new().name(format!("model {name}")).stack_size(STACK);
    without_signals(|| builder.spawn(move || engine::run(&key.path, key.options, jobs)))?;
    Ok(sender)
}

/// Runs `start` with all signals blocked. A thread inherits that, and signals then reach the
/// host's own threads only, whose handlers may count on it.
fn without_signals<T>(start: impl FnOnce() -> T) -> T {
    // SAFETY: both sets are initialised before they are read, and the mask is put back as it was.
    unsafe {
        let mut all: libc::sigset_t = mem::zeroed();
        let mut before: libc::sigset_t = mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let started = start();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut());
        started
    }
}
