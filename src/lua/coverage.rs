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

/// Functions of one bridge.
#[derive(Default)]
struct Bridge {
    total: usize,
    called: Record,
    missing: Vec<Data>,
}

impl Bridge {
    fn into_record(self) -> Record {
        let called = self.called.fields.len();
        Record::new()
            .set("total", self.total)
            .set("called", called)
            .set("percent", percent(called, self.total))
            .set("functions", self.called)
            .set("missing", Data::List(self.missing))
    }
}

/// Of the bridges; the functions of the module itself belong to none.
fn functions(calls: &[u64]) -> Record {
    let mut bridges: BTreeMap<&'static str, Bridge> = BTreeMap::new();
    let ours = ENTRIES.iter().zip(calls).filter(|(entry, _)| !entry.bridge.name.is_empty());
    for (entry, calls) in ours {
        let bridge = bridges.entry(entry.bridge.name).or_default();
        bridge.total += 1;
        match calls {
            0 => bridge.missing.push(entry.function.name.into()),
            calls => bridge.called.put(entry.function.name, *calls),
        }
    }
    let total: usize = bridges.values().map(|bridge| bridge.total).sum();
    let called: usize = bridges.values().map(|bridge| bridge.called.fields.len()).sum();
    let mut by_bridge = Record::new();
    for (name, bridge) in bridges {
        by_bridge.put(name, bridge.into_record());
    }
    Record::new()
        .set("total", total)
        .set("called", called)
        .set("percent", percent(called, total))
        .set("by_bridge", by_bridge)
}
