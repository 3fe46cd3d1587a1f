//! Models that run inside this process: llama.cpp on a GGUF file.
//!
//! ```no_run
//! # use zigllms::{chat::*, clock::Clock, error::Result, net::Limits, provider::local::*};
//! struct Printer;
//! impl Listener for Printer {
//!     fn delta(&mut self, delta: &Delta) -> bool {
//!         print!("{}", delta.content);
//!         true
//!     }
//!     fn end(self: Box<Self>, outcome: Result<Reply>) {
//!         println!("{:?}", outcome.map(|reply| reply.finish));
//!     }
//! }
//! let model = open("models/SmolLM2-135M-Instruct.Q4_1.gguf".as_ref(), Options::default())?;
//! let messages = vec![Message::new(Role::User, "Hello!")];
//! let request = Request { messages, ..Request::default() };
//! let task = Task { request, limits: Limits::default(), clock: Clock::default() };
//! let generation = model.start(task, Box::new(Printer)); // deltas arrive on the model's own thread
//! generation.cancel();
//! # Ok::<(), zigllms::error::Error>(())
//! ```
//!
//! A process holds each model once, however many Lua states use it. It is loaded at its first use,
//! by a thread of its own that answers one request after the other.

mod engine;
mod gate;
mod grammar;
mod process;
mod sample;
mod template;
mod text;
mod vectors;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use llama_cpp_2::gguf::GgufContext;
pub use vectors::Made;

use super::question;
use crate::chat::{Delta, Message, Reply, Request, ToolSpec};
use crate::clock::{Clock, Moment};
use crate::error::{Code, Error, Result, quoted};
use crate::net::Limits;

/// How a model is run. Different options make different models of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    /// Tokens of prompt and answer together. Unset: what the model was trained for, at most 4096,
    /// since memory is taken for all of them.
    pub context: Option<u32>,
    /// More than one pays only where that many cores are idle: two threads on two busy cores
    /// were four times slower than one.
    pub threads: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options { context: None, threads: 1 }
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Task {
    pub request: Request,
    /// `connect` has no meaning here. Waiting for the model's thread counts as waiting for the
    /// first token.
    pub limits: Limits,
    pub clock: Clock,
}

/// Receives one answer. Called on the model's thread, one call at a time; must not block.
pub trait Listener: Send {
    /// More of the answer. `false` ends the generation: [`Listener::end`] gets the reply so far,
    /// with [`crate::chat::Finish::Cancelled`].
    fn delta(&mut self, delta: &Delta) -> bool;
    /// Called exactly once, last.
    fn end(self: Box<Self>, outcome: Result<Reply>);
}

/// A running request. Dropping it does not end the request; `cancel` does.
#[derive(Clone, Debug)]
pub struct Generation {
    cancelled: Arc<AtomicBool>,
}

impl Generation {
    /// Ends the generation after the token it is at; the listener's `end` gets `cancelled`.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// What tokens are counted of.
#[derive(Clone, Debug)]
pub enum Countable {
    Text(String),
    /// With all that the chat template adds.
    Chat {
        messages: Vec<Message>,
        tools: Vec<ToolSpec>,
    },
}

/// A model file. The last handle to go frees the model, after the requests it has begun.
#[derive(Debug)]
pub struct Model {
    id: u64,
    key: Key,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    path: PathBuf,
    options: Options,
}

/// The model in a file; the same one for the same file and options. Nothing is loaded yet.
pub fn open(path: &Path, options: Options) -> Result<Arc<Model>> {
    check_processor()?;
    check_file(path)?;
    if !(1..=256).contains(&options.threads) {
        return Err(Error::invalid("threads must be between 1 and 256"));
    }
    if options.context.is_some_and(|tokens| tokens < 16) {
        return Err(Error::invalid("a context of fewer than 16 tokens holds no conversation"));
    }
    let path = path.canonicalize().map_err(|e| unreadable(path, &e))?;
    Ok(process::here().model(Key { path, options }))
}

/// The models a file offers: one.
pub fn list_models(path: &Path) -> Result<Vec<question::Model>> {
    check_file(path)?;
    engine::backend()?;
    let _open = gate::enter();
    let header = GgufContext::from_file(path).ok_or_else(|| damaged(path))?;
    let text = |key: &str| {
        let index = header.find_key(key);
        let is_text = index >= 0 && header.kv_type(index) == GGUF_STRING;
        if is_text { header.val_str(index).map(str::to_owned) } else { None }
    };
    let number = |key: &str| {
        let index = header.find_key(key);
        let is_number = index >= 0 && header.kv_type(index) == GGUF_UINT32;
        is_number.then(|| u64::from(header.val_u32(index)))
    };
    let architecture = text("general.architecture").unwrap_or_default();
    let id = name_of(path);
    Ok(vec![question::Model {
        name: text("general.name").unwrap_or_else(|| id.clone()),
        id,
        owned_by: text("general.organization"),
        context_length: number(&format!("{architecture}.context_length")),
        ..question::Model::default()
    }])
}

/// Type numbers of the GGUF format.
const GGUF_UINT32: u32 = 4;
const GGUF_STRING: u32 = 8;

impl Model {
    /// Queues a request. A failure to load the model is told to the listener too.
    pub fn start(&self, task: Task, listener: Box<dyn Listener>) -> Generation {
        let cancelled = Arc::new(AtomicBool::new(false));
        let generation = Generation { cancelled: cancelled.clone() };
        let started = task.clock.now();
        let listener = Ending(Some(listener));
        let work = Work { task, listener, cancelled, started };
        self.send(engine::Job::Generate(Box::new(work)));
        generation
    }

    /// Counts tokens exactly, once the model's thread gets to it, and tells `done` there.
    pub fn count_tokens(
        &self,
        what: Countable,
        clock: Clock,
        done: impl FnOnce(Result<u64>) + Send + 'static,
    ) {
        self.send(engine::Job::Count { what, clock, done: Box::new(done) });
    }

    /// Makes a vector of each text, once the model's thread gets to it, and tells `done` there.
    /// Cancelling takes effect between two texts.
    pub fn embed(
        &self,
        texts: Vec<String>,
        done: impl FnOnce(Result<Made>) + Send + 'static,
    ) -> Generation {
        let cancelled = Arc::new(AtomicBool::new(false));
        let texts = vectors::Texts { texts, cancelled: cancelled.clone(), done: Box::new(done) };
        self.send(engine::Job::Embed(texts));
        Generation { cancelled }
    }

    /// The file's name without `.gguf`.
    pub fn name(&self) -> String {
        name_of(&self.key.path)
    }

    fn send(&self, job: engine::Job) {
        process::here().send(self.id, &self.key, job);
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        process::here().forget(self.id);
    }
}

/// A request in the queue or being worked on.
struct Work {
    task: Task,
    listener: Ending,
    cancelled: Arc<AtomicBool>,
    started: Moment,
}

/// A listener that is told of the end whatever happens.
struct Ending(Option<Box<dyn Listener>>);

impl Ending {
    fn delta(&mut self, delta: &Delta) -> bool {
        self.0.as_mut().is_some_and(|listener| listener.delta(delta))
    }

    fn end(mut self, outcome: Result<Reply>) {
        if let Some(listener) = self.0.take() {
            listener.end(outcome);
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(listener) = self.0.take() {
            listener.end(Err(Error::internal("the model's thread failed")));
        }
    }
}

fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn check_file(path: &Path) -> Result<()> {
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    match read {
        Ok(()) if magic == *b"GGUF" => Ok(()),
        Ok(()) => Err(Error::invalid(format!("{} is no GGUF file", shown(path)))),
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Err(damaged(path)),
        Err(e) => Err(unreadable(path, &e)),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(Code::IoError, format!("model file {}: {error}", shown(path)))
}

fn damaged(path: &Path) -> Error {
    let reason = "it is damaged, or of a kind this build does not know";
    Error::invalid(format!("{} cannot be loaded: {reason}", shown(path)))
}

fn shown(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// llama.cpp is compiled for processors with AVX2 unless `GGML_AVX2=OFF` is set for the build;
/// on an older one it would end the process with an illegal instruction.
#[cfg(target_arch = "x86_64")]
fn check_processor() -> Result<()> {
    let wide = option_env!("GGML_AVX2").is_none_or(|set| set != "OFF");
    let able = std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("fma")
        && std::arch::is_x86_feature_detected!("f16c")
        && std::arch::is_x86_feature_detected!("bmi2");
    if wide && !able {
        return Err(Error::unsupported("the embedded engine was built for processors with AVX2"));
    }
    Ok(())
}

#[cfg(not(target_arch = "x86_64"))]
fn check_processor() -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
