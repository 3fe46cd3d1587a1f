//! `process_runner`: runs programs that `configure{tools={process={allow=}}}` names, and no others.

pub mod allow;

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::FileType;
use serde_json::{Value, json};

use self::allow::{Allowed, permitted, refused};
use super::files::{open_below, rooted};
use super::{Bounds, Builtin, Work, count};
use crate::error::{Code, Error, Result};
use crate::process::{Ended, Finished, Order, Program, Running, safe_environment};
use crate::runtime::Runtime;
use crate::step::{Machine, Outcome, Output, Step, Token, stopped};
use crate::value::Data;

/// Bytes that are kept of each of its streams.
const MOST_BYTES: u64 = 1 << 20;

/// Milliseconds that a program gets, and the most that may be asked for.
const TIME_MS: u64 = 30_000;
const MOST_MS: u64 = 3_600_000;

pub static PROCESS_RUNNER: Builtin = Builtin {
    name: "process_runner",
    aliases: &[],
    description: "Runs a program and waits for its end: {exit_code, stdout, stderr, duration_ms}, and signal instead of exit_code if one ended it. \
                  There is no shell: args are handed over as they are, without patterns, pipes and quotes. \
                  Where more than max_bytes came on a stream, truncated is true; a program that takes longer than timeout_ms is ended, and timed_out is true.",
    category: "system",
    capabilities: &["asynchronous"],
    parameters,
    returns: || json!({ "type": "object" }),
    offered: |bounds| !bounds.allow.is_empty(),
    start,
};

fn parameters(bounds: &Bounds) -> Value {
    let programs: Vec<String> = bounds.allow.iter().map(Allowed::in_words).collect();
    let words = match programs.is_empty() {
        true => "one of those that are allowed".to_owned(),
        false => format!("one of: {}", programs.join(", ")),
    };
    json!({
        "type": "object",
        "properties": {
            "program": { "type": "string", "description": words },
            "args": { "type": "array", "items": { "type": "string" }, "description": "one argument each" },
            "cwd": { "type": "string", "description": "directory to start in, relative; \".\" is the top directory" },
            "stdin": { "type": "string", "description": "what it reads from its standard input" },
            "timeout_ms": { "type": "integer", "minimum": 1, "maximum": MOST_MS, "description": "30000 unless given" },
            "max_bytes": { "type": "integer", "minimum": 1, "maximum": MOST_BYTES, "description": "kept of each stream" },
        },
        "required": ["program"],
    })
}

fn start(runtime: &Runtime, input: Value) -> Result<Work> {
    Ok(Work::Goes(Box::new(Called { order: Some(order(runtime, &input)?), running: None })))
}

/// What is asked, checked.
fn order(runtime: &Runtime, input: &Value) -> Result<Order> {
    let wrong = |what: &str| Error::new(Code::ValidationFailed, what);
    let program = input["program"].as_str().ok_or_else(|| wrong("program: expected a string"))?;
    let args = words(&input["args"]).ok_or_else(|| wrong("args: expected strings"))?;
    if args.iter().any(|word| word.contains('\0')) {
        return Err(wrong("args: a zero byte in an argument"));
    }
    let bounds = &runtime.config.tools;
    let path = permitted(&bounds.allow, program, &args)?;
    let directory = directory(bounds, input["cwd"].as_str().unwrap_or("."))?;
    let words = std::iter::once(program.to_owned()).chain(args).map(OsString::from).collect();
    let environment = safe_environment();
    Ok(Order {
        program: Program { path, words, environment, directory: Some(directory) },
        input: input["stdin"].as_str().unwrap_or_default().as_bytes().to_vec(),
        max_bytes: count(input, "max_bytes").unwrap_or(MOST_BYTES).min(MOST_BYTES) as usize,
        time: Duration::from_millis(count(input, "timeout_ms").unwrap_or(TIME_MS).min(MOST_MS)),
    })
}

/// None are none.
fn words(given: &Value) -> Option<Vec<String>> {
    match given {
        Value::Null => Some(Vec::new()),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        Value::Object(members) if members.is_empty() => Some(Vec::new()),
        _ => None,
    }
}

/// Below the roots of the other tools for files. Opened here, it is the one the program starts in,
/// whatever is renamed meanwhile.
fn directory(bounds: &Bounds, path: &str) -> Result<OwnedFd> {
    let roots: Vec<PathBuf> = rooted(bounds.file_roots.iter().chain(&bounds.write_roots))?;
    if roots.is_empty() {
        let text = "there is no directory to run in: configure{tools={file_roots=}} names none";
        return Err(refused("not_found", text));
    }
    let opened = open_below(&roots, path)?;
    if opened.kind != FileType::Directory {
        return Err(refused("not_a_directory", &format!("cwd: {path:?} is no directory")));
    }
    Ok(opened.file)
}

/// A program that runs, waited for. What ends the call ends the program.
struct Called {
    order: Option<Order>,
    running: Option<Running>,
}

impl Machine for Called {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        if let Outcome::Stop(stop) = outcome {
            self.running = None;
            return Err(stopped(&stop, "the program"));
        }
        if let Some(order) = self.order.take() {
            let name = order.program.path.display().to_string();
            let waker = runtime.tasks.waker(me)?;
            let started = Running::start(order, &runtime.clock, waker);
            self.running = Some(started.map_err(|error| no_start(&name, &error))?);
        }
        match self.running.as_ref().and_then(Running::take) {
            None => Ok(Step::Wait(None)),
            Some(finished) => Ok(Step::Done(Output::Data(Data::Json(told(finished))))),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {
        self.running = None;
    }
}

fn no_start(name: &str, error: &std::io::Error) -> Error {
    let reason = match error.kind() {
        std::io::ErrorKind::NotFound => "not_found",
        std::io::ErrorKind::PermissionDenied => "denied",
        std::io::ErrorKind::ArgumentListTooLong => "too_large",
        _ => "io",
    };
    refused(reason, &format!("cannot start {name:?}: {error}"))
}

fn told(finished: Finished) -> Value {
    let mut found = json!({});
    match finished.ended {
        Ended::Exited(code) => found["exit_code"] = code.into(),
        Ended::Killed(signal) => found["signal"] = signal.into(),
        Ended::Unknown => found["note"] = "how it ended was told to somebody else".into(),
    }
    put_stream(&mut found, "stdout", finished.output, finished.truncated);
    put_stream(&mut found, "stderr", finished.errors, finished.truncated);
    if finished.truncated {
        found["truncated"] = true.into();
    }
    if finished.timed_out {
        found["timed_out"] = true.into();
    }
    found["duration_ms"] = finished.ms.into();
    found
}

/// As text, without a character that was cut; base64 if it is none.
fn put_stream(found: &mut Value, name: &str, mut bytes: Vec<u8>, cut: bool) {
    if cut {
        bytes.truncate(whole_characters(&bytes));
    }
    match String::from_utf8(bytes) {
        Ok(text) => found[name] = text.into(),
        Err(bytes) => {
            found[name] = STANDARD.encode(bytes.as_bytes()).into();
            found[format!("{name}_encoding")] = "base64".into();
        }
    }
}

fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    }
}
