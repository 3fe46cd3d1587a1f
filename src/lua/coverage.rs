//! What `coverage.lua` asks of the core: which functions were called, and what else was used.

use std::collections::BTreeMap;

use crate::coverage::{self, percent};
use crate::error::Result;
use crate::value::{Data, Record};

use super::args::Args;
use super::bridge::ENTRIES;
use super::inner::Inner;
use super::instance::Instance;
use super::metrics::Metrics;

pub static INNER: &[Inner] = &[
    Inner { name: "coverage", params: &[], run: report },
    Inner { name: "restart_coverage", params: &[], run: restart },
];

/// Calls of each function, whatever becomes of the counters of `metrics`.
#[derive(Default)]
pub struct Calls {
    /// Before those counters were last reset, by the function's number.
    earlier: Vec<u64>,
    /// What those said when the count began.
    since: Vec<u64>,
}

impl Calls {
    fn all(&self, metrics: &Metrics) -> Vec<u64> {
        let at = |list: &Vec<u64>, number| list.get(number).copied().unwrap_or_default();
        let now = metrics.calls().enumerate();
        let count = |(n, calls)| at(&self.earlier, n) + calls - at(&self.since, n);
        now.map(count).collect()
    }

    /// The counters are about to be reset.
    pub fn keep(&mut self, metrics: &Metrics) {
        self.earlier = self.all(metrics);
        self.since.clear();
    }

    fn restart(&mut self, metrics: &Metrics) {
        self.earlier.clear();
        self.since = metrics.calls().collect();
    }
}

/// coverage() → all that the core knows
fn report(instance: &mut Instance, _: &Args<'_>) -> Result<Data> {
    let calls = instance.calls.all(&instance.metrics);
    let emitted = ENTRIES
        .iter()
        .zip(&calls)
        .find(|(entry, _)| (entry.bridge.name, entry.function.name) == ("event", "emit"));
    let emitted = emitted.map_or(0, |(_, calls)| *calls);
    let mut all = Record::new().set("functions", functions(&calls));
    all.fields.extend(coverage::report(&instance.runtime).fields);
    Ok(all.set("events", Record::new().set("emitted", emitted)).into())
}

/// restart_coverage(): counts anew
fn restart(instance: &mut Instance, _: &Args<'_>) -> Result<Data> {
    instance.calls.restart(&instance.metrics);
    coverage::restart(&mut instance.runtime);
    Ok(Data::Nil)
}

/// Some functions, and how often each was called.
#[derive(Default)]
struct Part {
    total: usize,
    called: Record,
    missing: Vec<Data>,
}

impl Part {
    fn add(&mut self, name: String, calls: u64) {
        self.total += 1;
        match calls {
            0 => self.missing.push(name.into()),
            calls => self.called.put(name, calls),
        }
    }

    fn counts(total: usize, called: usize) -> Record {
        let record = Record::new().set("total", total).set("called", called);
        record.set("percent", percent(called, total))
    }

    fn into_record(self) -> Record {
        let counts = Part::counts(self.total, self.called.fields.len());
        counts.set("functions", self.called).set("missing", Data::List(self.missing))
    }
}

/// Of the bridges; the functions of the module itself belong to none.
fn functions(calls: &[u64]) -> Record {
    let (mut bridges, mut extras) = (BTreeMap::<&'static str, Part>::new(), Part::default());
    let ours = ENTRIES.iter().zip(calls).filter(|(entry, _)| !entry.bridge.name.is_empty());
    for (entry, calls) in ours {
        if entry.is_extra {
            extras.add(entry.bridge.full_name(entry.function), *calls);
        } else {
            bridges.entry(entry.bridge.name).or_default().add(entry.function.name.into(), *calls);
        }
    }
    let total: usize = bridges.values().map(|part| part.total).sum();
    let called: usize = bridges.values().map(|part| part.called.fields.len()).sum();
    let mut by_bridge = Record::new();
    for (name, part) in bridges {
        by_bridge.put(name, part.into_record());
    }
    Part::counts(total, called).set("by_bridge", by_bridge).set("extras", extras.into_record())
}
