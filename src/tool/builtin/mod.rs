//! Tools that are there without being registered. They run no code of anybody's, and reach only
//! what `configure{tools=}` opens to them.

mod bounds;
mod calculator;
mod data;
mod files;
pub mod http;
mod programs;
mod system;

pub use bounds::{Bounds, TOOLS, check};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Stats, Tool, Work};
use crate::error::{Error, Result, quoted};
use crate::runtime::Runtime;
use crate::shape::{Options, nearest};
use crate::value::Kept;

/// A tool of the module.
#[derive(Debug)]
pub struct Builtin {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    /// For the model.
    pub description: &'static str,
    pub category: &'static str,
    pub capabilities: &'static [&'static str],
    /// Schema of the input, where it may reach so far.
    pub parameters: fn(&Bounds) -> Value,
    /// Schema of the result.
    pub returns: fn() -> Value,
    /// Whether it is there for those who may reach so far; else nobody sees it.
    pub offered: fn(&Bounds) -> bool,
    /// `input` may be anything if the check against the schema was switched off.
    pub start: fn(&Runtime, Value) -> Result<Work>,
}

/// In the order of `tool.discover`.
pub static ALL: &[&Builtin] = &[
    &calculator::CALCULATOR,
    &data::DATA_PROCESSOR,
    &system::SYSTEM_INFO,
    &files::FILE_READER,
    &files::FILE_WRITER,
    &http::HTTP_REQUEST,
    &programs::PROCESS_RUNNER,
];

/// The built-in tool of that name or alias.
pub fn find(name: &str) -> Option<&'static Builtin> {
    ALL.iter().copied().find(|one| one.name == name || one.aliases.contains(&name))
}

/// Which one a definition is bound to: the one it names, else the one whose name it has.
pub fn bound(
    options: &Options<'_>,
    name: &str,
    has_code: bool,
    bounds: &Bounds,
) -> Result<Option<&'static Builtin>> {
    match options.text("builtin") {
        Some(_) if has_code => {
            Err(Error::invalid("definition.builtin: a tool has either a function or a built-in"))
        }
        Some(word) => match find(&word) {
            Some(one) if (one.offered)(bounds) => Ok(Some(one)),
            Some(one) => Err(closed(one)),
            None => Err(unknown(&word)),
        },
        None if has_code => Ok(None),
        None => Ok(find(name).filter(|one| (one.offered)(bounds))),
    }
}

fn unknown(word: &str) -> Error {
    let names = || ALL.iter().map(|one| one.name);
    let hint = match nearest(word, names()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
    };
    Error::invalid(format!(
        "definition.builtin: no built-in tool is named {}; {hint}",
        quoted(word)
    ))
}

/// It is there only where something is opened to it.
fn closed(one: &Builtin) -> Error {
    let key = if one.category == "file" { "write_roots" } else { "process={allow=}" };
    Error::invalid(format!(
        "definition.builtin: {:?} is not there until configure{{tools={{{key}}}}} says what it may do",
        one.name
    ))
}

impl Builtin {
    /// As a tool that nobody registered.
    pub fn tool(&'static self, bounds: &Bounds) -> Tool {
        Tool {
            name: self.name.into(),
            description: self.description.into(),
            parameters: Some(Box::new((self.parameters)(bounds))),
            compiled: Default::default(),
            execute: None,
            builtin: Some(self),
            worker: None,
            cache: None,
            approval: None,
            options: Kept::default(),
            registered_at: 0.0,
            stats: Stats::default(),
        }
    }
}

/// Bytes as a text: base64 if they are none.
pub fn put_bytes(found: &mut Value, name: &str, bytes: Vec<u8>) {
    match String::from_utf8(bytes) {
        Ok(text) => {
            found[name] = text.into();
            found["encoding"] = "utf-8".into();
        }
        Err(bytes) => {
            found[name] = STANDARD.encode(bytes.as_bytes()).into();
            found["encoding"] = "base64".into();
            found["note"] = format!("{name} is base64: the bytes are no UTF-8 text").into();
        }
    }
}

/// A count among the input; floats that are whole do as well.
pub fn count(input: &Value, name: &str) -> Option<u64> {
    let given = input.get(name)?;
    let whole = |x: f64| (x >= 0.0 && x.fract() == 0.0).then_some(x as u64);
    given.as_u64().or_else(|| given.as_f64().and_then(whole))
}
