//! Tools whose work is done by Lua text in a room of its own: no reach, and limits on everything.

use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value;

use super::worker::{Asked, Work, Worker};
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::sandbox::{self, Form, Limits, Run, Script};
use crate::shape::Options;
use crate::value::{Data, Document, Record, Tape, json};

/// Limit of one call where none is set.
pub const TIMEOUT_MS: f64 = 1000.0;

#[derive(Debug)]
pub struct Sandboxed {
    script: Arc<Script>,
    limits: Limits,
}

/// Who does the work of a definition that has `source`; one that says SANDBOXED must have it.
pub fn worker(options: &Options<'_>, name: &str) -> Result<Option<Rc<dyn Worker>>> {
    let Some(source) = options.text("source") else {
        return match options.word("execution_mode") {
            Some("sandboxed") => Err(sourceless("definition.execution_mode: a sandboxed tool")),
            _ => Ok(None),
        };
    };
    let limits = Limits::default();
    let number = |key: &str, usual: usize| options.number(key).map_or(usual, |n| n as usize);
    let limits = Limits {
        memory: number("memory_limit", limits.memory),
        result: number("max_result_bytes", limits.result),
    };
    let script = Script::new(name, source.as_bytes(), Form::Function);
    sandbox::check(&script).map_err(|e| e.at("definition.source"))?;
    Ok(Some(Rc::new(Sandboxed { script, limits })))
}

/// The error where there is nothing to run sandboxed.
pub fn sourceless(what: &str) -> Error {
    Error::unsupported(format!("{what} needs `source`: Lua text that returns its function"))
}

impl Worker for Sandboxed {
    fn kind(&self) -> &'static str {
        "script"
    }

    fn overlaps(&self) -> bool {
        true
    }

    fn source(&self) -> Option<&str> {
        std::str::from_utf8(&self.script.text).ok()
    }

    fn start(&self, _: &mut Runtime, asked: Asked) -> Result<Work> {
        let input = asked.bytes.unwrap_or_else(|| document(&asked.input));
        let arguments = vec![input, context(&asked.info)];
        let run = Run::new(self.script.clone(), self.limits, asked.deadline, arguments);
        Ok(Work::Goes(Box::new(run)))
    }
}

fn document(value: &Value) -> Document {
    let mut document = Document::default();
    document.root = json::put(value, &mut document.tape);
    document
}

/// What the function learns about its call, as plain data.
fn context(info: &Record) -> Document {
    let mut document = Document::default();
    let tape = &mut document.tape;
    let mark = tape.open_object();
    let mut count = 0;
    for (name, value) in &info.fields {
        let at = tape.len();
        tape.str(name.as_bytes());
        if put(value, tape) {
            count += 1;
        } else {
            tape.truncate(at);
        }
    }
    tape.close(mark, count);
    document
}

fn put(value: &Data, tape: &mut Tape) -> bool {
    match value {
        Data::Bool(value) => tape.bool(*value),
        Data::Int(n) => tape.int(*n),
        Data::Num(n) => tape.float(*n),
        Data::Text(text) => tape.str(text.as_bytes()),
        Data::Json(value) => {
            json::put(value, tape);
        }
        _ => return false,
    }
    true
}
