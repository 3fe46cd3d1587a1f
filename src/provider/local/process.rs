//! What this process holds: its models and the queues of their threads. A forked child has none of
//! its parent's threads, so it starts with nothing and never touches what it inherited.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::engine::{self, Job};
use super::{Key, Model, gate};
use crate::error::Error;
use crate::net::workers::{PerProcess, spawn};

/// llama.cpp recurses deep in places (grammars, schemas).
const STACK: usize = 8 << 20;

#[derive(Default)]
pub struct Process {
    models: Mutex<HashMap<Key, Weak<Model>>>,
    /// The queue of each model in use, by the model's id.
    engines: Mutex<HashMap<u64, Sender<Job>>>,
}

/// The state of the current process.
pub fn here() -> &'static Process {
    static PROCESS: PerProcess<Process> = PerProcess::empty();
    PROCESS.get(Process::default)
}

impl Process {
    pub fn model(&self, key: Key) -> Arc<Model> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut models = lock(&self.models);
        if let Some(model) = models.get(&key).and_then(Weak::upgrade) {
            return model;
        }
        models.retain(|_, model| model.strong_count() > 0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let model = Arc::new(Model { id, key: key.clone() });
        models.insert(key, Arc::downgrade(&model));
        model
    }

    /// Queues a job, starting the model's thread if there is none.
    pub fn send(&self, id: u64, key: &Key, job: Job) {
        let mut engines = lock(&self.engines);
        let unsent = match engines.get(&id) {
            Some(engine) => match engine.send(job) {
                Ok(()) => return,
                Err(refused) => refused.0,
            },
            None => job,
        };
        match start(key.clone()) {
            Ok(engine) => {
                // Its thread has only just been started, so it is there to receive.
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
        lock(&self.engines).remove(&id);
    }
}

fn start(key: Key) -> io::Result<Sender<Job>> {
    gate::guard_fork();
    let (sender, jobs) = mpsc::channel();
    spawn("zigllms model", STACK, move || engine::run(&key.path, key.options, jobs))?;
    Ok(sender)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
