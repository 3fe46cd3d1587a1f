//! `file_reader` looks at files below the roots that `configure{tools={file_roots=}}` names,
//! `file_writer` writes below those of `write_roots`.

mod beneath;
mod look;
mod put;

pub use beneath::open as open_below;
pub use put::FILE_WRITER;

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Builtin, Work, count};
use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Outcome, Output, Step, Token, stopped};
use crate::store::Filing;
use crate::value::Data;

/// Bytes that one call reads.
const MOST_BYTES: u64 = 10 << 20;

pub static FILE_READER: Builtin = Builtin {
    name: "file_reader",
    aliases: &[],
    description: "Looks at files. \"read\" gives the text of a file (base64 if it is no UTF-8), at most 10 MB at once: \
                  where it is cut, next_offset says where to go on. \"list\" gives the entries of a directory, \"stat\" what is known of one path. \
                  Paths are relative, without \"..\"; \".\" is the top directory.",
    category: "file",
    capabilities: &["filesystem", "asynchronous"],
    parameters: |_| {
        json!({
            "type": "object",
            "properties": {
                "operation": { "type": "string", "enum": ["read", "list", "stat"], "default": "read" },
                "path": { "type": "string", "description": "for example \"src/main.lua\"" },
                "offset": { "type": "integer", "minimum": 0, "description": "byte to begin at" },
                "max_bytes": { "type": "integer", "minimum": 1, "maximum": MOST_BYTES },
            },
            "required": ["path"],
        })
    },
    returns: || json!({ "type": "object" }),
    offered: |_| true,
    start,
};

/// What is asked, checked.
struct Wish {
    operation: Operation,
    path: String,
    roots: Vec<PathBuf>,
    offset: u64,
    max_bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Read,
    List,
    Stat,
}

fn start(runtime: &Runtime, input: Value) -> Result<Work> {
    let wish = wish(runtime, &input)?;
    Ok(Work::Goes(Box::new(Filed::new("reading the file", move || look::at(&wish)))))
}

fn wish(runtime: &Runtime, input: &Value) -> Result<Wish> {
    let wrong = |what: &str| Error::new(Code::ValidationFailed, what);
    let operation = match input["operation"].as_str().unwrap_or("read") {
        "read" => Operation::Read,
        "list" => Operation::List,
        "stat" => Operation::Stat,
        _ => return Err(wrong("operation: expected \"read\", \"list\" or \"stat\"")),
    };
    let path = input["path"].as_str().ok_or_else(|| wrong("path: expected a string"))?;
    Ok(Wish {
        operation,
        path: path.to_owned(),
        roots: rooted(&runtime.config.tools.file_roots)?,
        offset: count(input, "offset").unwrap_or(0),
        max_bytes: count(input, "max_bytes").unwrap_or(MOST_BYTES).min(MOST_BYTES),
    })
}

/// As the process stands now: it may go elsewhere while a thread reads.
pub fn rooted<'r>(given: impl IntoIterator<Item = &'r String>) -> Result<Vec<PathBuf>> {
    let failed = |e: std::io::Error| Error::new(Code::IoError, format!("configure{{tools=}}: {e}"));
    given.into_iter().map(|root| std::path::absolute(root).map_err(failed)).collect()
}

type Task = Box<dyn FnOnce() -> Result<Value> + Send>;

/// The work of a thread, waited for.
struct Filed {
    /// In words.
    what: &'static str,
    task: Option<Task>,
    filing: Option<Filing<Value>>,
}

impl Filed {
    fn new(what: &'static str, task: impl FnOnce() -> Result<Value> + Send + 'static) -> Filed {
        Filed { what, task: Some(Box::new(task)), filing: None }
    }
}

impl Machine for Filed {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        if let Outcome::Stop(stop) = outcome {
            return Err(stopped(&stop, self.what));
        }
        if let Some(task) = self.task.take() {
            self.filing = Some(Filing::start(&runtime.clock, runtime.tasks.waker(me)?, task)?);
        }
        match self.filing.as_ref().and_then(Filing::take) {
            None => Ok(Step::Wait(None)),
            Some(done) => Ok(Step::Done(Output::Data(Data::Json(done?)))),
        }
    }

    /// The thread ends by itself; nobody looks at what became of it.
    fn abandon(&mut self, _: &mut Runtime, _: Token) {
        self.filing = None;
    }
}
