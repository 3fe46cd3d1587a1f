//! What the module tells of its own work: `metrics`, `metrics_text`.

use crate::error::Result;
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::lua::instance::Instance;
use crate::lua::metrics;
use crate::shape::{Field, Kind, Shape};
use crate::value::Data;

static OPTIONS: Shape = Shape::new(
    "MetricsOptions",
    &[Field::new("reset", Kind::Bool, "false", "start counting anew after reading")],
    &[],
);

pub const METRICS: Function = Function {
    name: "metrics",
    params: &[Param::new("options", Kind::Table(&OPTIONS)).optional()],
    returns: &[("metrics", "table")],
    doc: "Exact counts of calls and errors, `total_calls`, `error_count`, and per bridge and function in `bridges`; tokens \
          in `usage` (also `by_provider`), `retries`, `cancelled`; what `batch`, `cache` and `stack` did. Times (`avg_ms`, \
          `min_ms`, `max_ms`, `p50_ms`, `p95_ms`, `total_time_ms`) and the latest 1000 calls in `profile.samples` are those \
          of the calls that were measured: none unless `configure{profiling=true}`, or a share of them with \
          `{sample_rate=0.1}`.",
    errors: &[],
    effect: Effect::Reads("metrics"),
    example: "zigllms.configure{ profiling = true }\nzigllms.tool.list()\n\
              local list = zigllms.metrics().bridges.tool.functions.list\nprint(list.calls, list.p95_ms)",
    run: Run::Instance(metrics),
};

pub const METRICS_TEXT: Function = Function {
    name: "metrics_text",
    params: &[],
    returns: &[("text", "string")],
    doc: "The counters of `metrics` in the text format of Prometheus: `zigllms_calls_total{bridge,func}`, \
          `zigllms_errors_total{bridge,code}`, and so on; of requests to models the histograms \
          `gen_ai_client_operation_duration_seconds`, `gen_ai_client_token_usage` and \
          `gen_ai_client_operation_time_to_first_chunk_seconds`. Beyond 64 models, further ones are called \"other\".",
    errors: &[],
    effect: Effect::Reads("metrics"),
    example: "assert(zigllms.metrics_text():find(\"zigllms_calls_total\", 1, true))",
    run: Run::Instance(metrics_text),
};

fn metrics(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let record = metrics::report(instance);
    if args.options(0, &OPTIONS).bool("reset") == Some(true) {
        instance.forget_counts();
    }
    Ok(record.into())
}

fn metrics_text(instance: &mut Instance, _: &Args<'_>) -> Result<Data> {
    Ok(Data::Text(metrics::text(instance)))
}
