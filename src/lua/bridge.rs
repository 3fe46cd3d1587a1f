//! What a bridge, a function and a constant table are: static data that the dispatcher, `help`,
//! the reference, the stubs and the coverage check all read.
//!
//! A new bridge is a file with one [`Bridge`] and a line in `bridges/mod.rs`.

use once_cell::sync::Lazy;

use crate::error::{Code, Result};
use crate::optimize::functions;
use crate::runtime::Runtime;
use crate::shape::Kind;
use crate::step::{Ready, Start};
use crate::value::Data;

use super::args::Args;
use super::instance::Instance;

pub struct Bridge {
    /// Empty for the functions of the module itself.
    pub name: &'static str,
    pub doc: &'static str,
    /// Those that make the bridge.
    pub functions: &'static [Function],
    /// Those that came along with them.
    pub extras: &'static [Function],
    pub constants: &'static [Constants],
}

/// A read-only table of strings, as `agent.State`.
pub struct Constants {
    pub name: &'static str,
    pub members: &'static [(&'static str, &'static str)],
}

pub struct Function {
    pub name: &'static str,
    pub params: &'static [Param],
    /// Name and LuaCATS type of each result.
    pub returns: &'static [(&'static str, &'static str)],
    /// What it does, in sentences; the first one is the summary.
    pub doc: &'static str,
    /// Besides `invalid_argument`, which every function may raise.
    pub errors: &'static [Code],
    pub effect: Effect,
    /// Lua that runs as it stands after `local zigllms = require("zigllms")`.
    pub example: &'static str,
    pub run: Run,
}

/// What a call touches: memoization, batching and the reference read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Pure,
    Reads(&'static str),
    Writes(&'static str),
    /// Network, user code or time.
    Outside,
}

pub enum Run {
    /// Answers at once.
    Now(fn(&mut Runtime, &Args<'_>) -> Result<Data>),
    /// As `Now`, with a short way past the dispatcher for ordinary calls.
    Short(Short, fn(&mut Runtime, &Args<'_>) -> Result<Data>),
    /// As `Now`, for what reads the counters of the calls themselves.
    Instance(fn(&mut Instance, &Args<'_>) -> Result<Data>),
    /// Answers at once if it can, and waits as `Waits` where it must; maybe with a short way.
    Perhaps(Option<Short>, fn(&mut Runtime, &Args<'_>) -> Result<Ready>),
    /// Waits: the operation is driven by `drive.lua`, in the three faces of such a call.
    Waits(fn(&mut Runtime, &Args<'_>) -> Result<Start>),
    /// Implemented in `drive.lua` or `module.lua` under its full name; arguments are checked first.
    Lua,
}

/// Which short way of `short.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Short {
    Parse,
    Format,
    Store,
    Retrieve,
}

pub struct Param {
    pub name: &'static str,
    pub kind: Kind,
    pub optional: bool,
    pub read: Read,
}

/// How an argument crosses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Plain data; functions, threads and userdata in it are conversion errors.
    Data,
    /// A table of options: functions and userdata pass by reference.
    Options,
    /// As `Options`, but what cannot cross is the operation's to tell: the first of each member.
    Inspected,
    /// Plain data, and the value itself by reference.
    Both,
    /// Text whose bytes the operation checks itself; what is no text as `Both`.
    Text,
    /// Plain data whose strings may be any bytes.
    Bytes,
    /// As `Bytes`, and the value itself by reference, which need not be data.
    Whole,
    /// As `Options`, and the value itself by reference, which need not be readable.
    Judged,
    /// An id, for which a handle may stand that has it.
    Named,
    /// Not looked into.
    Reference,
}

impl Param {
    pub const fn new(name: &'static str, kind: Kind) -> Param {
        Param { name, kind, optional: false, read: Read::Options }
    }

    #[must_use]
    pub const fn optional(mut self) -> Param {
        self.optional = true;
        self
    }

    #[must_use]
    pub const fn read(mut self, read: Read) -> Param {
        self.read = read;
        self
    }
}

impl Function {
    /// `create(config) → agent_id`
    pub fn signature(&self) -> String {
        let mark = |p: &Param| format!("{}{}", p.name, if p.optional { "?" } else { "" });
        let params: Vec<_> = self.params.iter().map(mark).collect();
        let returns: Vec<_> = self.returns.iter().map(|(name, _)| *name).collect();
        let arrow = if returns.is_empty() { "" } else { " → " };
        format!("{}({}){arrow}{}", self.name, params.join(", "), returns.join(", "))
    }
}

impl Bridge {
    /// The module itself is none, nor is a table of extras.
    pub fn is_bridge(&self) -> bool {
        !self.name.is_empty() && !self.functions.is_empty()
    }

    /// Its functions, and then its extras.
    pub fn all(&self) -> impl Iterator<Item = &'static Function> + use<> {
        self.functions.iter().chain(self.extras)
    }

    pub fn is_extra(&self, function: &Function) -> bool {
        self.extras.iter().any(|extra| std::ptr::eq(extra, function))
    }

    /// `agent.create`; `sleep` for the module's own functions.
    pub fn full_name(&self, function: &Function) -> String {
        if self.name.is_empty() {
            return function.name.to_owned();
        }
        format!("{}.{}", self.name, function.name)
    }
}

/// A function with its bridge and its number: what a native closure points to.
pub struct Entry {
    pub bridge: &'static Bridge,
    pub function: &'static Function,
    pub number: usize,
    pub is_extra: bool,
    /// Its place among the functions whose results may be kept by the dispatcher.
    pub cached: Option<usize>,
}

impl Entry {
    pub fn is(&self, bridge: &str, function: &str) -> bool {
        self.bridge.name == bridge && self.function.name == function
    }
}

/// Every function of every bridge, numbered in order of declaration.
pub static ENTRIES: Lazy<Vec<Entry>> = Lazy::new(|| {
    let all = super::bridges::BRIDGES.iter();
    let pairs = all.flat_map(|bridge| bridge.all().map(move |f| (*bridge, f)));
    pairs
        .enumerate()
        .map(|(number, (bridge, function))| Entry {
            bridge,
            function,
            number,
            is_extra: bridge.is_extra(function),
            cached: functions::at_the_door(&bridge.full_name(function)),
        })
        .collect()
});
