//! The counters as `metrics()` shows them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::chat::Usage;
use crate::runtime::Runtime;
use crate::value::{Data, Record};

use super::super::bridge::ENTRIES;
use super::super::instance::Instance;
use super::{Counters, Metrics, Times, label};

pub fn report(instance: &Instance) -> Record {
    let (metrics, runtime) = (&instance.metrics, &instance.runtime);
    let (all, cache) = (totals(metrics), cache_stats(runtime));
    let number = |name: &str| cache.get(name).and_then(Value::as_f64).unwrap_or(0.0);
    let (hits, misses) = (number("hits"), number("misses"));
    Record::sized(16)
        .set("total_calls", all.calls)
        .set("error_count", all.errors)
        .set("total_time_ms", all.ms)
        .set("avg_call_time_ms", all.ms / all.timed.max(1) as f64)
        .set("cache_hits", hits as u64)
        .set("cache_misses", misses as u64)
        .set("cache_hit_rate", hits / (hits + misses).max(1.0))
        .set("bridges", bridges(metrics))
        .set("batch", Data::Json(batch_stats(runtime)))
        .set("cache", Data::Json(cache))
        .set("stack", stack(instance))
        .set("usage", usage(runtime))
        .set("retries", runtime.meter.retries)
        .set("cancelled", metrics.cancelled)
        .set("profile", Record::new().set("samples", samples(metrics)))
}

/// Of the group commit of the store and of recorders' files, which this instance may share with others.
pub fn batch_stats(runtime: &Runtime) -> Value {
    let counters = runtime.store.counters().plus(runtime.events.recorders.counters());
    json!({
        "enabled": runtime.config.batch.policy.enabled,
        "queued": counters.queued,
        "batches": counters.batches,
        "calls": counters.calls,
        "avg_batch_size": counters.avg_batch_size(),
        "errors": counters.errors,
        "flush_reasons": {
            "full": counters.full,
            "timeout": counters.timeout,
            "barrier": counters.barrier,
            "manual": counters.manual,
        },
    })
}

/// Of results that are kept.
pub fn cache_stats(runtime: &Runtime) -> Value {
    runtime.cache.stats()
}

#[derive(Default)]
struct Totals {
    calls: u64,
    errors: u64,
    timed: u64,
    ms: f64,
}

impl Totals {
    fn add(&mut self, counters: &Counters) {
        self.calls += counters.calls;
        self.errors += counters.errors;
        let times = counters.times.as_deref();
        self.timed += times.map_or(0, |times| times.count);
        self.ms += times.map_or(0.0, |times| times.total_ms);
    }
}

fn totals(metrics: &Metrics) -> Totals {
    let mut all = Totals::default();
    metrics.by_function.iter().for_each(|counters| all.add(counters));
    all
}

/// Bridges and functions that were called.
fn bridges(metrics: &Metrics) -> Record {
    let mut found: BTreeMap<&'static str, (Totals, Record)> = BTreeMap::new();
    let called = metrics.by_function.iter().zip(ENTRIES.iter()).filter(|(c, _)| c.calls > 0);
    for (counters, entry) in called {
        let (all, functions) = found.entry(label(entry.bridge)).or_default();
        all.add(counters);
        functions.put(entry.function.name, function(counters));
    }
    let mut record = Record::new();
    for (name, (all, functions)) in found {
        let bridge = Record::new()
            .set("calls", all.calls)
            .set("errors", all.errors)
            .set("total_time_ms", all.ms)
            .set("functions", functions);
        record.put(name, bridge);
    }
    record
}

fn function(counters: &Counters) -> Record {
    let none = Times::default();
    let times = counters.times.as_deref().unwrap_or(&none);
    Record::new()
        .set("calls", counters.calls)
        .set("errors", counters.errors)
        .set("avg_ms", times.average())
        .set("min_ms", times.min_ms)
        .set("max_ms", times.max_ms)
        .set("p50_ms", times.quantile(0.5))
        .set("p95_ms", times.quantile(0.95))
}

fn stack(instance: &Instance) -> Record {
    let (stack, switches) = (&instance.metrics.stack, instance.runtime.config.stack);
    let totals = &stack.totals;
    let mut learned = Record::new();
    for (number, function) in stack.learned().filter(|_| switches.learning) {
        let Some(entry) = ENTRIES.get(number) else { continue };
        let known = Record::new().set("slots", function.slots).set("samples", function.samples);
        learned.put(entry.bridge.full_name(entry.function), known);
    }
    Record::sized(10)
        .set("enabled", switches.enabled)
        .set("operations", totals.operations)
        .set("predictions_ok", totals.exact)
        .set("over", totals.over)
        .set("under", totals.under)
        .set("overflows", totals.overflows)
        .set("max_used", totals.max_used)
        .set("avg_used", totals.average())
        .set("accuracy", totals.accuracy())
        .set("learned", learned)
}

fn usage(runtime: &Runtime) -> Record {
    let mut by_provider = Record::new();
    for (name, usage) in &runtime.meter.by_provider {
        by_provider.put(name.clone(), Usage::to_record(*usage));
    }
    runtime.meter.usage.to_record().set("by_provider", by_provider)
}

fn samples(metrics: &Metrics) -> Vec<Record> {
    let known =
        metrics.samples.iter().filter_map(|sample| Some((sample, ENTRIES.get(sample.number)?)));
    let shown = known.map(|(sample, entry)| {
        Record::sized(4)
            .set("bridge", label(entry.bridge))
            .set("func", entry.function.name)
            .set("duration_ms", sample.duration_ms)
            .set("at", sample.at)
    });
    shown.collect()
}
