//! The options of `configure` that are about the store.

use serde_json::{Map, Value, json};

use super::{Durability, Place, Policy};
use crate::error::{Error, Result};
use crate::shape::{Field, Kind, Options, Shape};

pub static STORE: Shape = Shape::new(
    "Store",
    &[
        Field::new(
            "backend",
            Kind::Enum(&["memory", "sqlite", "redis"]),
            "as `path` or `url` says",
            "what kind of store",
        ),
        Field::new("path", Kind::Name, "", "of the file of a SQLite store"),
        Field::new("url", Kind::Name, "", "of a Redis server; a password in it is shown nowhere"),
    ],
    &[],
);

/// What `store` takes.
pub const KIND: Kind = Kind::OneOf(&[Kind::Text, Kind::Table(&STORE)]);

pub static BATCH: Shape = Shape::new(
    "BatchConfig",
    &[
        Field::new(
            "enabled",
            Kind::Bool,
            "true",
            "writes of PERSISTENT entries are committed together; false: each by itself",
        ),
        Field::new(
            "max_batch_size",
            Kind::Int(1, 10_000),
            "100",
            "so many queued writes are committed at once",
        ),
        Field::new(
            "timeout_ms",
            Kind::Number(0.0, 3_600_000.0),
            "20",
            "so long after the oldest one they are, however few",
        ),
        Field::new(
            "max_concurrency",
            Kind::Int(1, 1_000_000),
            "8",
            "calls of `zigllms.batch` at the same time",
        ),
    ],
    &[],
);

/// How calls are batched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    pub policy: Policy,
    pub max_concurrency: usize,
}

impl Default for Batching {
    fn default() -> Batching {
        Batching { policy: Policy::default(), max_concurrency: 8 }
    }
}

impl Batching {
    /// Merges checked options; null restores a default.
    pub fn configure(&mut self, options: &Map<String, Value>) {
        let usual = Batching::default();
        for (key, value) in options {
            let policy = &mut self.policy;
            let count = |usual: usize| value.as_f64().map_or(usual, |n| n as usize);
            match key.as_str() {
                "enabled" => policy.enabled = value.as_bool().unwrap_or(usual.policy.enabled),
                "max_batch_size" => policy.max_batch_size = count(usual.policy.max_batch_size),
                "timeout_ms" => policy.timeout_ms = count(usual.policy.timeout_ms as usize) as u64,
                "max_concurrency" => self.max_concurrency = count(usual.max_concurrency),
                _ => {}
            }
        }
    }

    pub fn shown(&self) -> Value {
        json!({
            "enabled": self.policy.enabled,
            "max_batch_size": self.policy.max_batch_size,
            "timeout_ms": self.policy.timeout_ms,
            "max_concurrency": self.max_concurrency,
        })
    }
}

/// The word for how durable ordinary writes are.
pub fn durability(word: Option<&str>) -> Durability {
    if word == Some("sync") { Durability::Sync } else { Durability::Batched }
}

/// The store that checked options choose, if they do; `name` is how messages call the options.
pub fn chosen(options: &Options<'_>, name: &str) -> Result<Option<Place>> {
    if options.unsets("store") {
        return Ok(Some(Place::Memory));
    }
    let Some(store) = options.get("store") else { return Ok(None) };
    let name = format!("{name}.store");
    match store.as_str() {
        Some(text) => Place::parse(text, &name),
        None => described(&Options::new(Some(store), &STORE), &name),
    }
    .map(Some)
}

fn described(store: &Options<'_>, name: &str) -> Result<Place> {
    let (path, url) = (store.text("path"), store.text("url"));
    let backend = match (store.word("backend"), &path, &url) {
        (Some(backend), ..) => backend,
        (None, Some(_), _) => "sqlite",
        (None, None, Some(_)) => "redis",
        (None, None, None) => {
            let expected = "expected a table with path, url or backend";
            return Err(Error::invalid(format!("{name}: {expected}, got an empty one")));
        }
    };
    match (backend, path, url) {
        ("memory", None, None) => Ok(Place::Memory),
        ("sqlite", Some(path), None) => Place::sqlite(&path, &format!("{name}.path")),
        ("redis", None, Some(url)) => Place::redis(&url, &format!("{name}.url")),
        ("sqlite", None, None) => Err(missing(&format!("{name}.path"))),
        ("redis", None, None) => Err(missing(&format!("{name}.url"))),
        (_, Some(_), _) if backend != "sqlite" => Err(surplus(name, "path", backend)),
        (..) => Err(surplus(name, "url", backend)),
    }
}

fn missing(path: &str) -> Error {
    Error::invalid(format!("{path}: expected a non-empty string, got nil"))
}

fn surplus(name: &str, field: &str, backend: &str) -> Error {
    Error::invalid(format!("{name}.{field}: a store of the backend \"{backend}\" has none"))
}
