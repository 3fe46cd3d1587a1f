//! Exact counters of every function, and times while profiling is on.

use std::collections::HashMap;

use crate::clock::Moment;
use crate::step::Token;

use super::push::Origin;

#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    pub calls: u64,
    pub errors: u64,
    pub total_ms: f64,
    pub min_ms: f64,
    pub max_ms: f64,
}

/// A waiting call that has not ended.
#[derive(Clone, Debug)]
pub struct Open {
    pub number: usize,
    pub origin: Origin,
    pub since: Option<Moment>,
}

#[derive(Default)]
pub struct Metrics {
    by_function: Vec<Counters>,
    pub open: HashMap<Token, Open>,
    pub cancelled: u64,
}

impl Metrics {
    pub fn called(&mut self, number: usize) {
        self.counters(number).calls += 1;
    }

    pub fn failed(&mut self, number: usize) {
        self.counters(number).errors += 1;
    }

    pub fn took(&mut self, number: usize, ms: f64) {
        let counters = self.counters(number);
        let first = counters.total_ms == 0.0;
        counters.min_ms = if first { ms } else { counters.min_ms.min(ms) };
        counters.max_ms = counters.max_ms.max(ms);
        counters.total_ms += ms;
    }

    pub fn counters(&mut self, number: usize) -> &mut Counters {
        if self.by_function.len() <= number {
            self.by_function.resize(number + 1, Counters::default());
        }
        &mut self.by_function[number]
    }

    pub fn reset(&mut self) {
        self.by_function.clear();
        self.cancelled = 0;
    }
}

impl Counters {
    /// As `metrics()` shows one function.
    pub fn to_json(self) -> serde_json::Value {
        serde_json::json!({
            "calls": self.calls, "errors": self.errors,
            "avg_ms": self.total_ms / self.calls.max(1) as f64, "min_ms": self.min_ms, "max_ms": self.max_ms,
        })
    }
}
