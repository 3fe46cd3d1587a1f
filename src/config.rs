//! Global options of one instance, as `configure` sets them.

use serde_json::{Map, Value};

use crate::memory;
use crate::optimize::cache::CACHE;
use crate::optimize::stack::Switches;
use crate::provider::options::{HEADERS, LIMITS, merge, shown};
use crate::shape::{Field, Kind, Options, Shape};
use crate::store::{self, Batching, Durability};
use crate::tool::builtin::{Bounds, TOOLS};

pub static HTTP: Shape = Shape::new(
    "HttpConfig",
    &[
        Field::new(
            "proxy",
            Kind::OneOf(&[Kind::Text, Kind::Bool]),
            "from the environment",
            "URL of a proxy; false = none",
        ),
        Field::new(
            "ca",
            Kind::Text,
            "\"platform\"",
            "\"platform\", \"webpki\" or the path of a PEM file",
        ),
        Field::new("headers", HEADERS, "", "added to every request"),
    ],
    &[&LIMITS],
);

static PROFILING: Shape = Shape::new(
    "Profiling",
    &[Field::new(
        "sample_rate",
        Kind::Number(0.0, 1.0),
        "1",
        "the share of calls that is measured",
    )],
    &[],
);

static STACK: Shape = Shape::new(
    "StackConfig",
    &[
        Field::new("enabled", Kind::Bool, "true", "predict and count what results need"),
        Field::new("learning", Kind::Bool, "true", "keep the most that each function needed"),
    ],
    &[],
);

pub static CONFIG: Shape = Shape::new(
    "Config",
    &[
        Field::new(
            "default_provider",
            Kind::Name,
            "env ZIGLLMS_PROVIDER, else the only type with a key in the environment, else \"mock\" if \
             ZIGLLMS_MOCK=1",
            "used where no provider is named",
        ),
        Field::new("strict", Kind::Bool, "true", "unknown option keys are errors"),
        Field::new(
            "profiling",
            Kind::OneOf(&[Kind::Bool, Kind::Table(&PROFILING)]),
            "false",
            "measure how long calls take, for `metrics()`: true = all of them",
        ),
        Field::new("http", Kind::Table(&HTTP), "", "defaults of all network calls"),
        Field::new(
            "session",
            Kind::Name,
            "a random one for each instance",
            "owner of memory scope SESSION",
        ),
        Field::new(
            "store",
            store::KIND,
            "\"memory\"",
            "where PERSISTENT data lie: \"memory\", the path of a file, \"sqlite:PATH\" or \"redis://HOST\"",
        ),
        Field::new(
            "durability",
            Kind::Enum(&["batched", "sync"]),
            "\"batched\"",
            "\"sync\": each write is on the disk before it returns",
        ),
        Field::new(
            "journal_keep_ms",
            Kind::Number(0.0, 1e15),
            "604800000",
            "how long finished durable runs are kept: a week",
        ),
        Field::new("batch", Kind::Table(&store::BATCH), "", "how writes are committed together"),
        Field::new(
            "cache",
            Kind::Table(&CACHE),
            "",
            "results that are kept so that they need not be computed, or asked for, again",
        ),
        Field::new("stack", Kind::Table(&STACK), "", "foretelling the stack slots of results"),
        Field::new("memory", Kind::Table(&memory::BOUNDS), "", "bounds and search of `memory`"),
        Field::new("tools", Kind::Table(&TOOLS), "", "what built-in tools may reach"),
        Field::new("otlp", Kind::Absent("OTLP export"), "", ""),
        Field::new("loop", LOOP, "\"auto\"", "how to wait, see `loop`"),
    ],
    &[],
);

/// What `loop` takes.
pub const LOOP: Kind = Kind::OneOf(&[
    Kind::Enum(&["auto", "blocking", "nvim", "openresty", "luv", "copas", "cqueues"]),
    Kind::Table(&ADAPTER),
]);

static ADAPTER: Shape = Shape::new(
    "Loop",
    &[Field::new(
        "wait",
        Kind::Function,
        "required",
        "`function(fd, timeout_ms)`: returns when the descriptor is readable or the time is over (nil: no limit); may yield",
    )],
    &[],
);

#[derive(Clone, Debug)]
pub struct Config {
    pub default_provider: Option<String>,
    pub strict: bool,
    /// The share of calls that is measured.
    pub profiling: f64,
    pub stack: Switches,
    pub http: Map<String, Value>,
    /// Counts calls of `configure`.
    pub changes: u64,
    /// Owner of the scope SESSION, if one was named.
    pub session: Option<String>,
    pub memory: memory::Bounds,
    /// Of ordinary writes.
    pub durability: Durability,
    pub batch: Batching,
    /// How long durable runs are kept that have ended.
    pub journal_keep_ms: u64,
    /// Of built-in tools.
    pub tools: Bounds,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            default_provider: None,
            strict: true,
            profiling: 0.0,
            stack: Switches::default(),
            http: Map::new(),
            session: None,
            memory: memory::Bounds::default(),
            durability: Durability::Batched,
            batch: Batching::default(),
            journal_keep_ms: 7 * 86_400_000,
            tools: Bounds::default(),
            changes: 0,
        }
    }
}

impl Config {
    /// Merges checked options; null restores a default.
    pub fn configure(&mut self, options: &Options<'_>) {
        let usual = Config::default();
        self.changes += 1;
        for (key, value) in options.to_map() {
            match (key.as_str(), value) {
                ("default_provider", value) => {
                    self.default_provider = value.as_str().map(str::to_owned)
                }
                ("strict", value) => self.strict = value.as_bool().unwrap_or(usual.strict),
                ("profiling", value) => self.profiling = share(&value),
                ("stack", value) => self.stack = switched(self.stack, &value),
                ("http", Value::Object(http)) => merge(&mut self.http, &http),
                ("http", _) => self.http.clear(),
                ("session", value) => self.session = value.as_str().map(str::to_owned),
                ("memory", Value::Object(memory)) => self.memory.configure(&memory),
                ("memory", _) => self.memory = memory::Bounds::default(),
                ("durability", word) => self.durability = store::durability(word.as_str()),
                ("journal_keep_ms", value) => {
                    self.journal_keep_ms =
                        value.as_f64().map_or(usual.journal_keep_ms, |ms| ms as u64);
                }
                ("batch", Value::Object(batch)) => self.batch.configure(&batch),
                ("batch", _) => self.batch = usual.batch,
                ("tools", Value::Object(tools)) => self.tools.configure(&tools),
                ("tools", _) => self.tools = Bounds::default(),
                _ => {}
            }
        }
    }

    /// Calls that `batch` has under way at most, where it is not told.
    pub fn max_concurrency(&self) -> usize {
        self.batch.max_concurrency
    }

    /// A copy for users; headers may hold secrets, so only their names are shown.
    pub fn shown(&self) -> Value {
        let http = shown(&self.http);
        let profiling = match self.profiling {
            0.0 => Value::Bool(false),
            1.0 => Value::Bool(true),
            share => serde_json::json!({ "sample_rate": share }),
        };
        let stack = serde_json::json!({
            "enabled": self.stack.enabled, "learning": self.stack.learning,
        });
        let mut all = serde_json::json!({
            "strict": self.strict,
            "profiling": profiling,
            "stack": stack,
            "http": http,
            "durability": self.durability.name(),
            "batch": self.batch.shown(),
            "journal_keep_ms": self.journal_keep_ms,
            "memory": self.memory.shown(),
            "tools": self.tools.shown(),
        });
        if let Some(session) = &self.session {
            all["session"] = Value::from(session.as_str());
        }
        if let Some(provider) = &self.default_provider {
            all["default_provider"] = Value::from(provider.as_str());
        }
        all
    }
}

/// What `profiling` says: nothing, everything, or a share.
fn share(value: &Value) -> f64 {
    match value {
        Value::Bool(all) => f64::from(u8::from(*all)),
        Value::Object(options) => options.get("sample_rate").and_then(Value::as_f64).unwrap_or(1.0),
        _ => 0.0,
    }
}

/// `now` with what is said of it; null, also as a whole, restores what is usual.
fn switched(now: Switches, value: &Value) -> Switches {
    let usual = Switches::default();
    let switch = |name: &str, now: bool, usual: bool| match value.get(name) {
        Some(value) => value.as_bool().unwrap_or(usual),
        None => now,
    };
    if value.is_null() {
        return usual;
    }
    Switches {
        enabled: switch("enabled", now.enabled, usual.enabled),
        learning: switch("learning", now.learning, usual.learning),
    }
}
