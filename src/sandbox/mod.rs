//! Rooms for Lua text that nobody trusts: a Lua state of its own for each call, without a way out,
//! with limits on its time, its memory and what it answers.
//!
//! This is the part without Lua: what is run and within which limits ([`Job`]), on which threads
//! (`pool.rs`), how an operation waits for it ([`Run`]), and the [`pattern`] matcher. The Lua states
//! are made by an [`Engine`], which the edge installs.

mod failure;
mod job;
pub mod pattern;
mod pool;
mod run;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

pub use failure::Failure;
pub use job::{Answer, Form, Job, Limits, Script};
pub use run::Run;

use crate::error::{Code, Error, Result};

/// Texts that are longer are not taken.
const LONGEST: usize = 1 << 20;

/// Makes Lua states.
pub trait Engine: Send + Sync {
    /// A fresh one. It lives and dies on the thread that asks.
    fn room(&self) -> Result<Box<dyn Room>>;

    /// Whether the text can be compiled; it is not run.
    fn check(&self, script: &Script) -> Result<()>;
}

/// A Lua state for one job after the other. No job finds anything of an earlier one.
pub trait Room {
    fn run(&mut self, job: &Job) -> Answer;

    /// Clears what the last job left; false if that cannot be done for certain.
    fn tidy(&mut self) -> bool;
}

/// It is code and no state: one for the process.
static ENGINE: OnceLock<&'static dyn Engine> = OnceLock::new();

/// Says who makes Lua states; the first one stays.
pub fn install(engine: &'static dyn Engine) {
    let _ = ENGINE.set(engine);
}

/// Who makes Lua states here.
pub fn engine() -> Result<&'static dyn Engine> {
    let none = || Error::unsupported("this build has no Lua states for sandboxed code");
    ENGINE.get().copied().ok_or_else(none)
}

/// Fails unless the text can be compiled; it is not run.
pub fn check(script: &Script) -> Result<()> {
    if script.text.len() > LONGEST {
        let message = format!("expected at most {LONGEST} bytes, got {}", script.text.len());
        return Err(Error::new(Code::ValidationFailed, message));
    }
    engine()?.check(script)
}
