//! The counters as `metrics_text()` shows them, for Prometheus.

use serde_json::Value;

use crate::meter::{Series, Times};
use crate::optimize::exposition::{Exposition, Kind, Labels};
use crate::optimize::histogram::Distribution;

use super::super::bridge::ENTRIES;
use super::super::instance::Instance;
use super::report::{batch_stats, cache_stats};
use super::{Metrics, label};

pub fn text(instance: &Instance) -> String {
    let (metrics, runtime) = (&instance.metrics, &instance.runtime);
    let mut out = Exposition::default();
    calls(&mut out, metrics);
    errors(&mut out, metrics);
    let single = |out: &mut Exposition, (name, kind, help, value): Single| {
        out.single(name, kind, help, value);
    };
    single(
        &mut out,
        (
            "zigllms_cancelled_total",
            Kind::Counter,
            "Calls that were cancelled.",
            metrics.cancelled as f64,
        ),
    );
    let retries = runtime.meter.retries as f64;
    single(
        &mut out,
        ("zigllms_retries_total", Kind::Counter, "Requests that were repeated.", retries),
    );
    from_table(&mut out, &batch_stats(runtime), BATCH);
    from_table(&mut out, &cache_stats(runtime), CACHE);
    for one in stack(metrics) {
        single(&mut out, one);
    }
    operations(&mut out, instance);
    out.text()
}

type Single = (&'static str, Kind, &'static str, f64);

fn calls(out: &mut Exposition, metrics: &Metrics) {
    out.metric("zigllms_calls_total", Kind::Counter, "Calls of public functions.");
    let called = metrics.by_function.iter().zip(ENTRIES.iter()).filter(|(c, _)| c.calls > 0);
    for (counters, entry) in called {
        let labels = [("bridge", label(entry.bridge)), ("func", entry.function.name)];
        out.sample(&labels, counters.calls as f64);
    }
}

fn errors(out: &mut Exposition, metrics: &Metrics) {
    out.metric("zigllms_errors_total", Kind::Counter, "Calls that failed, by code of the error.");
    for ((bridge, code), count) in &metrics.errors {
        out.sample(&[("bridge", bridge), ("code", code)], *count as f64);
    }
}

/// A member of a table of numbers, and the metric that shows it.
type Member = (&'static str, &'static str, Kind, &'static str);

const BATCH: &[Member] = &[
    ("/queued", "zigllms_batch_queued", Kind::Gauge, "Writes that wait for their commit."),
    ("/batches", "zigllms_batch_batches_total", Kind::Counter, "Commits of several writes."),
    ("/calls", "zigllms_batch_calls_total", Kind::Counter, "Writes that were committed."),
    ("/errors", "zigllms_batch_errors_total", Kind::Counter, "Commits that failed."),
];

const CACHE: &[Member] = &[
    ("/entries", "zigllms_cache_entries", Kind::Gauge, "Results that are kept."),
    ("/bytes", "zigllms_cache_bytes", Kind::Gauge, "Bytes of these."),
    ("/hits", "zigllms_cache_hits_total", Kind::Counter, "Results that were there."),
    ("/misses", "zigllms_cache_misses_total", Kind::Counter, "Results that were not there."),
    ("/evictions", "zigllms_cache_evictions_total", Kind::Counter, "Results dropped for room."),
    ("/expired", "zigllms_cache_expired_total", Kind::Counter, "Results that were too old."),
    ("/invalidated", "zigllms_cache_invalidated_total", Kind::Counter, "Results no longer true."),
];

fn from_table(out: &mut Exposition, table: &Value, members: &[Member]) {
    for (path, name, kind, help) in members {
        let value = table.pointer(path).and_then(Value::as_f64).unwrap_or(0.0);
        out.single(name, *kind, help, value);
    }
    if let Some(Value::Object(reasons)) = table.get("flush_reasons") {
        out.metric("zigllms_batch_flushes_total", Kind::Counter, "Commits, by what made them due.");
        for (reason, count) in reasons {
            out.sample(&[("reason", reason)], count.as_f64().unwrap_or(0.0));
        }
    }
}

fn stack(metrics: &Metrics) -> [Single; 6] {
    let totals = &metrics.stack.totals;
    let counter = |name, help, count: u64| (name, Kind::Counter, help, count as f64);
    [
        counter("zigllms_stack_operations_total", "Results that were pushed.", totals.operations),
        counter("zigllms_stack_predictions_ok_total", "Needs foretold exactly.", totals.exact),
        counter("zigllms_stack_over_total", "Needs foretold too high.", totals.over),
        counter("zigllms_stack_under_total", "Needs foretold too low.", totals.under),
        counter("zigllms_stack_overflows_total", "Stacks that were full.", totals.overflows),
        ("zigllms_stack_max_used", Kind::Gauge, "Most slots of one call.", totals.max_used as f64),
    ]
}

const DURATION: &str = "gen_ai_client_operation_duration_seconds";
const TOKENS: &str = "gen_ai_client_token_usage";
const FIRST_CHUNK: &str = "gen_ai_client_operation_time_to_first_chunk_seconds";

/// Histograms of what was asked of models, by the names of OpenTelemetry.
fn operations(out: &mut Exposition, instance: &Instance) {
    let all = &instance.runtime.meter.series;
    out.metric(DURATION, Kind::Histogram, "How long requests to models took.");
    for (series, times) in all {
        for (code, durations) in &times.durations {
            let failed = [("error_type", *code)];
            let more: Labels<'_> = if code.is_empty() { &[] } else { &failed };
            sample(out, series, more, durations);
        }
    }
    out.metric(TOKENS, Kind::Histogram, "Tokens of a request or its answer.");
    for (series, times) in all {
        sample(out, series, &[("gen_ai_token_type", "input")], &times.input);
        sample(out, series, &[("gen_ai_token_type", "output")], &times.output);
    }
    out.metric(FIRST_CHUNK, Kind::Histogram, "Time until the first content of an answer.");
    for (series, Times { first_chunk, .. }) in all {
        sample(out, series, &[], first_chunk);
    }
}

/// Nothing for what has not happened.
fn sample(out: &mut Exposition, series: &Series, more: Labels<'_>, values: &Distribution) {
    if values.count == 0 {
        return;
    }
    let labels = [
        ("gen_ai_operation_name", series.operation),
        ("gen_ai_provider_name", provider(series.provider)),
        ("gen_ai_request_model", series.model.as_str()),
    ];
    out.distribution(&[&labels, more].concat(), values);
}

/// What OpenTelemetry calls a kind of provider.
fn provider(kind: &'static str) -> &'static str {
    match kind {
        "azure" => "azure.ai.openai",
        "gemini" => "gcp.gemini",
        "mistral" => "mistral_ai",
        "xai" => "x_ai",
        other => other,
    }
}
