//! Cassettes: what a program and the servers it asked have said to each other, kept in a file and
//! said again without a network.
//!
//! While a cassette runs it stands where requests go out: [`Recorder`] in front of the network,
//! [`Player`] in its place. Nothing above knows of either.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::memory::files;
use crate::net::{Request, Sink, Transport};
use crate::provider::secret::Secret;
use crate::runtime::Runtime;

mod clean;
mod compare;
pub mod failing;
mod file;
mod line;
mod player;
mod recorder;
mod spoken;
mod tape;
#[cfg(test)]
mod tests;

use player::Player;
use recorder::Recorder;
pub use tape::Outcome;
use tape::Tape;

/// What is to become of the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Replays if the file is there, else records.
    Auto,
    Record,
    Replay,
}

impl Mode {
    pub fn of(word: Option<&str>) -> Mode {
        match word {
            Some("record") => Mode::Record,
            Some("replay") => Mode::Replay,
            _ => Mode::Auto,
        }
    }
}

/// Where a cassette may run: one at a time.
#[derive(Default)]
pub struct Deck {
    running: Option<Running>,
    /// Cassettes so far, which tells one from the next.
    count: u64,
}

struct Running {
    number: u64,
    path: PathBuf,
    side: Side,
    /// Calls of tools are a part of it.
    tools: bool,
    /// Where requests went before.
    before: Arc<dyn Transport>,
}

enum Side {
    Records(Arc<Recorder>),
    Replays(Arc<Player>),
}

/// What is told of a cassette that has begun.
pub struct Begun {
    pub number: u64,
    pub replays: bool,
    /// When it was recorded, in Unix seconds.
    pub recorded_at: f64,
}

impl Deck {
    pub fn is_replaying(&self) -> bool {
        matches!(self.side(), Some(Side::Replays(_)))
    }

    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    fn side(&self) -> Option<&Side> {
        self.running.as_ref().map(|running| &running.side)
    }

    /// What listens to an answer that a client of the user's brings: it is recorded, too.
    pub fn tapped(&self, request: &Request, sink: Box<dyn Sink>) -> Box<dyn Sink> {
        match self.side() {
            Some(Side::Records(recorder)) => recorder.tap(request, sink),
            _ => sink,
        }
    }

    /// Whether what comes of calls of tools is recorded, or known.
    pub fn takes_tools(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.tools)
    }

    /// A call of a tool has ended.
    pub fn called(&self, name: &str, input: Value, outcome: Outcome) {
        if let Some(Side::Records(recorder)) = self.side() {
            recorder.called(name, input, outcome);
        }
    }

    /// What came of a call of a tool, in a replay.
    pub fn call(&self, name: &str, input: &Value) -> Option<Result<Outcome>> {
        match self.side() {
            Some(Side::Replays(player)) => {
                Some(player.call(name, input).map_err(|missing| missing.error()))
            }
            _ => None,
        }
    }

    /// Pauses before another attempt are over at once: what comes then is known.
    pub fn pause(&self, ms: u64) -> u64 {
        if self.is_replaying() { 0 } else { ms }
    }
}

/// Starts a cassette.
pub fn begin(runtime: &mut Runtime, path: &str, mode: Mode, tools: bool) -> Result<Begun> {
    if let Some(running) = &runtime.cassette.running {
        let path = running.path.display();
        return Err(Error::state(format!("a cassette runs already: {path}")));
    }
    let path = files::absolute(path)?;
    let tape = match mode {
        Mode::Record => None,
        Mode::Replay => Some(file::load(&path)?),
        Mode::Auto => found(file::load(&path))?,
    };
    if tape.is_none() {
        check_folder(&path)?;
    }
    Ok(start(runtime, path, tape, tools))
}

fn found(tape: Result<Tape>) -> Result<Option<Tape>> {
    let is_missing = |error: &Error| error.members().get("reason") == Some(&"not_found".into());
    match tape {
        Err(error) if is_missing(&error) => Ok(None),
        tape => tape.map(Some),
    }
}

/// Nothing is sent whose answer could not be kept.
fn check_folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Err(crate::store::filing::said(path, "is_directory", "it is a directory"));
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder)
        .map_err(|error| crate::store::filing::failed(folder, &error))?;
    let probe = tempfile_in(folder);
    probe.map_err(|error| crate::store::filing::failed(path, &error))
}

/// Whether a file can be made there.
fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
        .map_err(std::io::Error::from)
}

fn start(runtime: &mut Runtime, path: PathBuf, tape: Option<Tape>, tools: bool) -> Begun {
    forget_answers(runtime);
    let before = runtime.transport.clone();
    let secrets = known_secrets(runtime);
    let tools = tools && tape.as_ref().is_none_or(|tape| tape.tools);
    let (side, recorded_at) = match tape {
        Some(tape) => {
            let at = tape.recorded_at;
            (Side::Replays(Arc::new(Player::new(tape, path.clone(), secrets))), at)
        }
        None => {
            let now = runtime.clock.unix();
            let recorder = Recorder::new(before.clone(), &runtime.clock, now, tools, secrets);
            (Side::Records(Arc::new(recorder)), now)
        }
    };
    runtime.transport = match &side {
        Side::Records(recorder) => recorder.clone(),
        Side::Replays(player) => player.clone(),
    };
    let deck = &mut runtime.cassette;
    deck.count += 1;
    let number = deck.count;
    let replays = matches!(side, Side::Replays(_));
    deck.running = Some(Running { number, path, side, tools, before });
    Begun { number, replays, recorded_at }
}

/// Ends that cassette. A recording is written if all went `well`.
pub fn end(runtime: &mut Runtime, number: u64, well: bool) -> Result<()> {
    let running = runtime.cassette.running.take_if(|running| running.number == number);
    let Some(running) = running else {
        return Err(Error::state("the cassette has ended before: the module was reset"));
    };
    runtime.transport = running.before;
    forget_answers(runtime);
    match running.side {
        Side::Replays(player) => player.stop(),
        Side::Records(recorder) => {
            let tape = recorder.finish(known_secrets(runtime));
            if let Some(tape) = tape.filter(|_| well) {
                file::save(&running.path, &tape)?;
            }
        }
    }
    Ok(())
}

/// Ends whatever runs; nothing is written.
pub fn eject(runtime: &mut Runtime) {
    if let Some(number) = runtime.cassette.running.as_ref().map(|running| running.number) {
        let _ = end(runtime, number, false);
    }
}

/// Kept answers would be missing in the recording, and replayed ones must not outlive it.
fn forget_answers(runtime: &mut Runtime) {
    for functions in ["provider.*", "tool.*"] {
        runtime.cache.clear(Some(functions));
    }
}

fn known_secrets(runtime: &Runtime) -> Vec<Secret> {
    runtime.providers.secrets(&runtime.config.http)
}
