//! Tools: a name, a JSON Schema of the input, and a Lua function.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use serde_json::{Value, json};

use crate::chat::ToolSpec;
use crate::error::{Code, Error, Result, quoted};
use crate::optimize::Wish;
use crate::optimize::cache::WISH;
use crate::registry::Named;
use crate::schema::{Library, Schema};
use crate::shape::{Field, Kind, Options, Shape};
use crate::value::{Data, Kept, Record, Slot};

mod approval;
pub mod builtin;
pub mod check;
pub mod gate;
pub mod mcp;
pub mod recall;
mod run;
mod sandboxed;
mod shown;
mod tools;
mod worker;

pub use approval::Approval;
pub use builtin::{Bounds, Builtin};
pub use run::{Input, ToolRun, error_text};
pub use tools::{Tools, Usable};
pub use worker::{Asked, Work, Worker};

pub static DEFINITION: Shape = Shape::new(
    "ToolDefinition",
    &[
        Field::new("name", Kind::Text, "required", "letters, digits, `_` and `-`, at most 64"),
        Field::new("description", Kind::Text, "\"\"", "what it does; the model reads it"),
        Field::new("parameters", Kind::Schema, "an object without properties", "schema of the input").or(&["schema", "input_schema"]),
        Field::new("returns", Kind::Schema, "", "schema of the result, checked when given").or(&["output_schema"]),
        Field::new("execute", Kind::Function, "", "`function(input, ctx)`; without it the tool is declared, if it is not a built-in: calls come back to the client").or(&["handler"]),
        Field::new("category", Kind::Text, "\"custom\"", "a `tool.Category` or any other word"),
        Field::new("execution_mode", Kind::Enum(&["direct", "async", "sandboxed"]), "\"direct\"; with `source` alone \"sandboxed\"", "\"async\": `tool.execute` gives a handle at once, and the calls of an agent's round run side by side; \"sandboxed\": `source` runs in a Lua state of its own, without a way out"),
        Field::new("timeout_ms", Kind::Number(0.0, 1e12), "60000; sandboxed 1000", "limit of one call; 0 = none"),
        Field::new("max_retries", Kind::Int(0, 100), "0", "further calls after one that raised"),
        Field::new("on_error", Kind::Enum(&["return", "raise"]), "\"return\"", "\"raise\": an agent's run ends with the tool's error"),
        Field::new("validate", Kind::Bool, "true", "check inputs against `parameters`"),
        Field::new("replace", Kind::Bool, "false", "overwrite a tool of that name"),
        Field::new("tags", Kind::List(&Kind::Text), "{}", "free words"),
        Field::new("version", Kind::Text, "\"1.0.0\"", "shown in infos"),
        Field::new("examples", Kind::OneOf(&[Kind::Map, Kind::List(&Kind::Any)]), "{}", "shown in infos"),
        Field::new("metadata", Kind::Map, "", "kept as it is"),
        Field::new("id", Kind::Text, "", "ignored: `tool.get` returns it"),
        Field::new("agent", Kind::Id("an agent"), "", "the agent that does the work, where there is no `execute`: what `agent.as_tool` makes"),
        Field::new("mode", Kind::Enum(&["call", "handoff"]), "\"call\"", "with `agent`: its answer is the tool's result, or that of the run that calls it"),
        Field::new("history", Kind::Bool, "false", "with `agent`: it reads the conversation of the run that calls it"),
        Field::new("session", Kind::Name, "none: each call starts anew", "with `agent`: the conversation of its own that it goes on with"),
        Field::new("source", Kind::Text, "", "Lua text that returns `function(input, ctx)`, at most 1 MiB: what runs sandboxed. Without `execute` the tool always does"),
        Field::new("builtin", Kind::Text, "the name, if a built-in has it", "the built-in tool that does the work, where there is no `execute`"),
        Field::new("memory_limit", Kind::Int(65_536, 1 << 40), "67108864", "bytes of memory that one sandboxed call may have"),
        Field::new("max_result_bytes", Kind::Int(0, 1 << 40), "1048576", "bytes of the result of a sandboxed call: of its strings and keys, and one for each other value"),
        Field::new("requires_approval", Kind::OneOf(&[Kind::Bool, Kind::Function]), "false", "true, or `function(input, ctx)` that says so of one call: an agent's run stops before it, until `agent.resume` says what to do. A function that raises says yes"),
        Field::new("cache", WISH, "false", "true, or milliseconds: its results are kept so long, for equal inputs; a hit is a copy of a result that is plain data"),
        Field::new("max_concurrency", Kind::Int(1, 1_000_000), "no limit", "calls of it at once; others wait their turn, in order, which takes none of their time"),
    ],
    &[],
);

/// Limit of one call where none is set.
pub const TIMEOUT_MS: f64 = 60_000.0;

/// A registered or inline tool.
#[derive(Debug)]
pub struct Tool {
    pub name: String,
    pub description: String,
    /// `None`: an object with any members.
    parameters: Option<Box<Value>>,
    compiled: OnceCell<Schema>,
    pub execute: Option<Slot>,
    /// What does the work where there is no function.
    pub builtin: Option<&'static Builtin>,
    /// What does it where there is neither.
    pub worker: Option<Rc<dyn Worker>>,
    /// Whether equal inputs have equal results.
    pub cache: Option<Wish>,
    /// Whether somebody has to agree to its calls.
    pub approval: Option<Approval>,
    /// What is set beyond that, by canonical name.
    pub options: Kept,
    pub registered_at: f64,
    pub stats: Stats,
}

/// Counts of one tool, and whose turn it is.
#[derive(Debug, Default)]
pub struct Stats {
    pub calls: Cell<u64>,
    pub errors: Cell<u64>,
    pub total_ms: Cell<f64>,
    pub last_called_at: Cell<Option<f64>>,
    pub gate: gate::Gate,
}

impl Stats {
    pub fn ended(&self, ms: f64, at: f64, failed: bool) {
        self.calls.set(self.calls.get() + 1);
        self.errors.set(self.errors.get() + u64::from(failed));
        self.total_ms.set(self.total_ms.get() + ms);
        self.last_called_at.set(Some(at));
    }
}

impl Named for std::rc::Rc<Tool> {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Tool {
    /// From a checked definition. A bad schema is `validation_failed`.
    pub fn define(
        options: &Options<'_>,
        schemas: &Library,
        bounds: &Bounds,
        now: f64,
    ) -> Result<Tool> {
        let name = options.text("name").unwrap_or_default();
        check_name(&name)?;
        let execute = options.function("execute");
        let builtin = builtin::bound(
            options,
            &name,
            execute.is_some() || options.get("source").is_some(),
            bounds,
        )?;
        let mut rest = options.to_map();
        let parameters = schema(schemas, rest.shift_remove("parameters"), "parameters")?;
        if let Some(returns) = schema(schemas, rest.shift_remove("returns"), "returns")? {
            rest.insert("returns".into(), returns);
        }
        for known in ["name", "description", "replace", "id", "builtin", "source"] {
            rest.shift_remove(known);
        }
        rest.retain(|_, value| !value.is_null());
        let worker = sandboxed::worker(options, &name);
        Ok(Tool {
            name,
            description: options
                .text("description")
                .unwrap_or_else(|| builtin.map_or("", |builtin| builtin.description).into()),
            parameters: parameters.or_else(|| Some((builtin?.parameters)(bounds))).map(Box::new),
            compiled: OnceCell::new(),
            execute,
            builtin,
            worker: worker?,
            cache: Wish::of(rest.get("cache")),
            approval: Approval::given(options),
            options: Kept::new(&rest),
            registered_at: now,
            stats: Stats::default(),
        })
    }

    /// JSON Schema of the input.
    pub fn parameters(&self) -> Value {
        self.parameters
            .as_deref()
            .cloned()
            .unwrap_or_else(|| json!({ "type": "object", "properties": {} }))
    }

    /// Compiled at the first use: idle tools stay small.
    pub fn schema(&self) -> Result<&Schema> {
        if let Some(schema) = self.compiled.get() {
            return Ok(schema);
        }
        let schema = Schema::compile(&self.parameters())?;
        Ok(self.compiled.get_or_init(|| schema))
    }

    /// Whether inputs are checked against more than "an object".
    pub fn has_schema(&self) -> bool {
        self.parameters.is_some()
    }

    pub fn takes_object(&self) -> bool {
        self.parameters.as_ref().is_none_or(|p| p["type"] == "object")
    }

    pub fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: self.name.clone(),
            description: self.description.clone(),
            parameters: self.parameters(),
        }
    }

    pub fn number(&self, key: &str) -> Option<f64> {
        self.options.number(key)
    }

    pub fn text(&self, key: &str) -> Option<String> {
        self.options.text(key)
    }

    pub fn validates(&self) -> bool {
        self.options.get("validate") != Some(Value::Bool(false))
    }

    /// Whether its calls run beside each other.
    pub fn overlaps(&self) -> bool {
        self.text("execution_mode").as_deref() == Some("async")
    }

    /// The Lua text that it runs sandboxed.
    pub fn source(&self) -> Option<&str> {
        self.worker.as_deref()?.source()
    }

    /// How it runs unless a call says otherwise.
    pub fn mode(&self) -> String {
        let sandboxed = || self.execute.is_none() && self.source().is_some();
        let usual = || if sandboxed() { "sandboxed" } else { "direct" }.into();
        self.text("execution_mode").unwrap_or_else(usual)
    }

    /// Whether its `source` does the work.
    pub fn is_sandboxed(&self) -> bool {
        self.source().is_some() && (self.execute.is_none() || self.mode() == "sandboxed")
    }

    /// Whether it does in a call that may say so: text of a source runs nowhere else.
    pub fn runs_sandboxed(&self, wanted: Option<bool>) -> Result<bool> {
        let has_source = self.source().is_some();
        match wanted {
            Some(true) if !has_source => {
                Err(sandboxed::sourceless(&format!("mode: tool {:?}", self.name)))
            }
            Some(wanted) => Ok(has_source && (wanted || self.execute.is_none())),
            None => Ok(self.is_sandboxed()),
        }
    }

    /// Limit of one call, in milliseconds; 0 is none. An agent has its own.
    pub fn timeout_ms(&self, sandboxed: bool) -> f64 {
        let usual = match self.is_agent() {
            true => 0.0,
            false if sandboxed => sandboxed::TIMEOUT_MS,
            false => TIMEOUT_MS,
        };
        self.number("timeout_ms").unwrap_or(usual)
    }

    /// What does the work if no function does.
    pub fn worker(&self) -> Option<&dyn Worker> {
        self.worker_for(self.is_sandboxed())
    }

    /// As [`Tool::worker`], where a call says whether the `source` does it.
    pub fn worker_for(&self, sandboxed: bool) -> Option<&dyn Worker> {
        if self.execute.is_some() && !sandboxed {
            return None;
        }
        let builtin = || self.builtin.map(|builtin| builtin as &dyn Worker);
        self.worker.as_deref().or_else(builtin)
    }

    /// Whether calls of a round run beside each other.
    pub fn runs_aside(&self) -> bool {
        self.overlaps() || self.worker().is_some_and(Worker::overlaps)
    }

    /// Whether the answer of the agent behind it is that of the run that calls it.
    pub fn hands_over(&self) -> bool {
        self.is_agent() && self.text("mode").as_deref() == Some("handoff")
    }

    /// Whether the agent behind it reads the conversation of the run that calls it.
    pub fn takes_history(&self) -> bool {
        self.is_agent() && self.options.get("history") == Some(Value::Bool(true))
    }

    fn is_agent(&self) -> bool {
        self.execute.is_none() && self.text("agent").is_some()
    }

    /// Whether its failure ends an agent's run.
    pub fn raises(&self) -> bool {
        self.text("on_error").as_deref() == Some("raise")
    }

    pub fn category(&self) -> String {
        let usual = || self.builtin.map_or("custom", |builtin| builtin.category).into();
        self.text("category").unwrap_or_else(usual)
    }

    /// "script" for a Lua function, "declared" for a client-side tool.
    pub fn kind(&self) -> &'static str {
        match (&self.execute, self.worker()) {
            (Some(_), _) => "script",
            (None, Some(worker)) => worker.kind(),
            (None, None) => "declared",
        }
    }

    /// Whether a client answers its calls.
    pub fn is_declared(&self) -> bool {
        self.kind() == "declared"
    }

    pub fn tags(&self) -> Value {
        self.options.get("tags").unwrap_or_else(|| json!([]))
    }

    /// An item of `tool.list`.
    pub fn summary(&self, id: Option<&str>) -> Record {
        Record::new()
            .set("id", id)
            .set("name", self.name.as_str())
            .set("description", self.description.as_str())
            .set("category", self.category())
            .set("source", self.kind())
            .set("tags", self.tags())
    }

    /// The normalised definition, with the same function.
    pub fn definition(&self, id: &str) -> Record {
        let mut record = Record::new()
            .set("id", id)
            .set("name", self.name.as_str())
            .set("description", self.description.as_str())
            .set("parameters", self.parameters())
            .set("execute", self.execute.clone())
            .set("source", self.source())
            .set("builtin", self.builtin.map(|builtin| builtin.name))
            .set("category", self.category())
            .set("execution_mode", self.mode())
            .set("tags", self.tags())
            .set("version", self.text("version").unwrap_or_else(|| "1.0.0".into()))
            .set("timeout_ms", self.timeout_ms(self.is_sandboxed()))
            .set("max_retries", self.number("max_retries").unwrap_or(0.0) as u64)
            .set("on_error", self.text("on_error").unwrap_or_else(|| "return".into()))
            .set("validate", self.validates())
            .set("requires_approval", self.approval.as_ref().map_or(Data::Nil, Approval::shown));
        for (key, value) in self.options.to_map() {
            if record.get(&key).is_none() {
                record.put(key, value);
            }
        }
        record
    }
}

/// What providers accept as a tool name.
fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.len() <= 64 && name.chars().all(fits) {
        return Ok(());
    }
    let got = if name.is_empty() { "nothing".to_owned() } else { quoted(name) };
    Err(Error::invalid(format!(
        "definition.name: expected 1 to 64 letters, digits, _ or -, got {got}"
    )))
}

/// A checked schema in one piece; one that says nothing is none.
fn schema(schemas: &Library, given: Option<Value>, field: &str) -> Result<Option<Value>> {
    let Some(given) = given.filter(|v| !v.is_null()) else { return Ok(None) };
    let place = format!("definition.{field}");
    let known = [Code::ValidationFailed, Code::NotFound];
    let placed = |e: Error| if known.contains(&e.code()) { e.at(&place) } else { e };
    let value = schemas.whole(&given).map_err(placed)?;
    if value == json!({ "type": "object", "properties": {} }) {
        return Ok(None);
    }
    Schema::compile(&value).map_err(placed)?;
    Ok(Some(value))
}
