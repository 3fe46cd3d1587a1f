//! One registered hook: what it is called for, and what became of its calls.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;

use serde_json::Value;

use super::point::Type;
use crate::registry::Named;
use crate::value::{Data, Record, Slot};

/// The one object that a hook is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// "agent", "tool" or "workflow".
    pub of: &'static str,
    /// Its id, or the name of one that is not there yet.
    pub id: String,
}

impl Scope {
    /// Whether that is what an operation is about.
    fn holds(&self, about: &Record) -> bool {
        let is = |field: &str| {
            let value = about.get(&format!("{}_{field}", self.of));
            matches!(value, Some(Data::Text(text)) if *text == self.id)
        };
        is("id") || is("name")
    }
}

#[derive(Debug)]
pub struct Hook {
    /// A point, an operation, a name of the user's, or a glob. Empty: only its id calls it.
    pub name: String,
    /// What the user calls the hook itself.
    pub label: Option<String>,
    pub kind: Type,
    pub priority: f64,
    pub callback: Slot,
    pub scopes: Vec<Scope>,
    pub once: bool,
    pub enabled: bool,
    pub timeout_ms: Option<f64>,
    pub description: Option<String>,
    pub metadata: Option<Value>,
    pub created_at: f64,
    pub stats: Stats,
}

/// What became of the calls of one hook.
#[derive(Debug, Default)]
pub struct Stats {
    pub calls: Cell<u64>,
    pub ended: Cell<u64>,
    pub errors: Cell<u64>,
    pub total_ms: Cell<f64>,
    pub last_called_at: Cell<Option<f64>>,
    pub last_error: RefCell<Option<String>>,
}

impl Stats {
    pub fn begun(&self, at: f64) {
        self.calls.set(self.calls.get() + 1);
        self.last_called_at.set(Some(at));
    }

    pub fn ended(&self, ms: f64, error: Option<&str>) {
        self.ended.set(self.ended.get() + 1);
        self.total_ms.set(self.total_ms.get() + ms);
        if let Some(error) = error {
            self.errors.set(self.errors.get() + 1);
            *self.last_error.borrow_mut() = Some(error.to_owned());
        }
    }

    fn average_ms(&self) -> f64 {
        self.total_ms.get() / self.ended.get().max(1) as f64
    }
}

impl Named for Hook {
    fn name(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.name)
    }
}

/// A number as Lua programs write it: 100 rather than 100.0.
fn plain(number: f64) -> Data {
    let whole = number.fract() == 0.0 && number.abs() < 1e15;
    if whole { Data::Int(number as i64) } else { Data::Num(number) }
}

fn text(value: Option<&str>) -> Data {
    value.filter(|text| !text.is_empty()).map_or(Data::Nil, Data::from)
}

impl Hook {
    pub fn new(name: &str, kind: Type, callback: Slot) -> Hook {
        Hook {
            name: name.to_owned(),
            label: None,
            kind,
            priority: 0.0,
            callback,
            scopes: Vec::new(),
            once: false,
            enabled: true,
            timeout_ms: None,
            description: None,
            metadata: None,
            created_at: 0.0,
            stats: Stats::default(),
        }
    }

    /// By type, then priority; equal ones run in the order in which they were registered.
    pub fn order(&self, other: &Hook) -> Ordering {
        let priority = other.priority.partial_cmp(&self.priority).unwrap_or(Ordering::Equal);
        self.kind.cmp(&other.kind).then(priority)
    }

    /// Whether it is for what an operation is about.
    pub fn concerns(&self, about: &Record) -> bool {
        self.scopes.iter().all(|scope| scope.holds(about))
    }

    pub fn summary(&self, id: &str) -> Record {
        Record::new()
            .set("id", id)
            .set("name", text(Some(&self.name)))
            .set("label", text(self.label.as_deref()))
            .set("type", self.kind.name())
            .set("priority", plain(self.priority))
            .set("enabled", self.enabled)
            .set("call_count", self.stats.calls.get())
    }

    pub fn info(&self, id: &str) -> Record {
        let stats = &self.stats;
        let mut info = self
            .summary(id)
            .set("error_count", stats.errors.get())
            .set("avg_time_ms", stats.average_ms())
            .set("last_called_at", stats.last_called_at.get().map_or(Data::Nil, Data::from))
            .set("last_error", text(stats.last_error.borrow().as_deref()))
            .set("once", self.once)
            .set("timeout_ms", self.timeout_ms.map_or(Data::Nil, plain))
            .set("description", text(self.description.as_deref()))
            .set("metadata", self.metadata.clone().map_or(Data::Nil, Data::Json))
            .set("created_at", self.created_at);
        for scope in &self.scopes {
            info.put(scope.of, scope.id.as_str());
        }
        info
    }
}
