//! Exact counters of every function, and times of the calls that are measured.
//!
//! What is counted here is shown by `report.rs` as a table and by `text.rs` for Prometheus.

mod report;
mod text;

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::clock::Moment;
use crate::error::Code;
use crate::optimize::histogram::Histogram;
use crate::optimize::stack::{Signature, Stack};
use crate::step::Token;

use super::bridge::{Bridge, ENTRIES, Entry};
use super::push::Origin;

pub use report::report;
pub use text::text;

/// Measured calls that are kept, the latest ones.
const KEPT_SAMPLES: usize = 1000;

#[derive(Clone, Debug, Default)]
pub struct Counters {
    pub calls: u64,
    pub errors: u64,
    pub times: Option<Box<Times>>,
}

/// Of the calls that were measured.
#[derive(Clone, Debug, Default)]
pub struct Times {
    pub count: u64,
    pub total_ms: f64,
    pub min_ms: f64,
    pub max_ms: f64,
    histogram: Histogram,
}

/// A waiting call that has not ended.
#[derive(Clone, Debug)]
pub struct Open {
    pub number: usize,
    pub origin: Origin,
    pub since: Option<Moment>,
}

/// One measured call.
struct Sample {
    number: usize,
    duration_ms: f64,
    /// When it ended.
    at: f64,
}

pub struct Metrics {
    by_function: Vec<Counters>,
    /// By bridge and code.
    errors: BTreeMap<(&'static str, &'static str), u64>,
    samples: VecDeque<Sample>,
    dice: Dice,
    pub stack: Stack,
    pub open: HashMap<Token, Open>,
    pub cancelled: u64,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            by_function: vec![Counters::default(); ENTRIES.len()],
            errors: BTreeMap::new(),
            samples: VecDeque::new(),
            dice: Dice::default(),
            stack: Stack::new(ENTRIES.iter().map(signature)),
            open: HashMap::new(),
            cancelled: 0,
        }
    }
}

/// What the declaration says of its results.
fn signature(entry: &Entry) -> Signature {
    let types = entry.function.returns.iter().map(|(_, kind)| *kind);
    Signature::of(entry.function.params.len(), types)
}

/// How metrics call a bridge; the module's own functions have none.
pub fn label(bridge: &Bridge) -> &'static str {
    if bridge.name.is_empty() { "zigllms" } else { bridge.name }
}

impl Metrics {
    #[inline]
    pub fn called(&mut self, number: usize) {
        self.called_often(number, 1);
    }

    #[inline]
    pub fn called_often(&mut self, number: usize, calls: u64) {
        if let Some(counters) = self.by_function.get_mut(number) {
            counters.calls += calls;
        }
    }

    pub fn failed(&mut self, number: usize, code: Code) {
        if let Some(counters) = self.by_function.get_mut(number) {
            counters.errors += 1;
        }
        let bridge = ENTRIES.get(number).map_or("", |entry| label(entry.bridge));
        *self.errors.entry((bridge, code.name())).or_default() += 1;
    }

    /// Of each function since the last reset.
    pub fn calls(&self) -> impl Iterator<Item = u64> {
        self.by_function.iter().map(|counters| counters.calls)
    }

    /// Whether the next call is one of the share that is measured.
    pub fn measures(&mut self, share: f64) -> bool {
        share > 0.0 && self.dice.falls_within(share)
    }

    /// Takes down a measured call that ended at `at`, in Unix seconds.
    pub fn took(&mut self, number: usize, duration_ms: f64, at: f64) {
        if let Some(counters) = self.by_function.get_mut(number) {
            counters.times.get_or_insert_default().add(duration_ms);
        }
        if self.samples.len() >= KEPT_SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { number, duration_ms, at });
    }

    /// Forgets everything but the calls under way.
    pub fn reset(&mut self) {
        let open = std::mem::take(&mut self.open);
        *self = Metrics { open, ..Metrics::default() };
    }
}

impl Times {
    fn add(&mut self, ms: f64) {
        self.min_ms = if self.count == 0 { ms } else { self.min_ms.min(ms) };
        self.max_ms = self.max_ms.max(ms);
        self.total_ms += ms;
        self.count += 1;
        self.histogram.add(ms);
    }

    fn average(&self) -> f64 {
        self.total_ms / self.count.max(1) as f64
    }

    fn quantile(&self, share: f64) -> f64 {
        self.histogram.quantile(share).clamp(self.min_ms, self.max_ms)
    }
}

/// Random numbers for sampling: a program that calls in a rhythm must not meet another one.
struct Dice(u64);

impl Default for Dice {
    fn default() -> Dice {
        Dice(0x9E37_79B9_7F4A_7C15)
    }
}

impl Dice {
    fn falls_within(&mut self, share: f64) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as f64 / (1u64 << 53) as f64) < share
    }
}
