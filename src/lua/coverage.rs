//! What `coverage.lua` asks of the core: which functions were called, and what else was used.

use std::collections::BTreeMap;

use crate::coverage::{self, percent};
use crate::error::Result;
use crate::shape::Kind;
use crate::value::{Data, Record, Ref};

use super::args::Args;
use super::bridge::{ENTRIES, Param};
use super::inner::Inner;
use super::instance::Instance;

const COUNT: Param = Param::new("count", Kind::Int(0, i64::MAX));

pub static INNER: &[Inner] = &[
    Inner { name: "coverage", params: &[COUNT], run: report },
    Inner { name: "begin_count", params: &[COUNT.optional()], run: begin },
    Inner { name: "end_count", params: &[COUNT], run: end },
];

fn number(args: &Args<'_>) -> u64 {
    args.number(0) as u64
}

fn counters(instance: &Instance) -> Vec<u64> {
    instance.metrics.calls().collect()
}

/// coverage(count) → all that the core knows; nothing if there is no such count
fn report(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let Some(count) = instance.runtime.coverage.get(number(args)) else { return Ok(Data::Nil) };
    let calls = count.calls.all(&counters(instance));
    let emitted = ENTRIES
        .iter()
        .zip(&calls)
        .find(|(entry, _)| (entry.bridge.name, entry.function.name) == ("event", "emit"));
    let emitted = emitted.map_or(0, |(_, calls)| *calls);
    let mut all = Record::new().set("functions", functions(&calls));
    all.fields.extend(count.report(&instance.runtime).fields);
    Ok(all.set("events", Record::new().set("emitted", emitted)).into())
}

/// begin_count(count?) → its number: a new one, or one that begins anew
fn begin(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let counters = counters(instance);
    let number = args.get(0).and_then(Ref::as_f64).map(|number| number as u64);
    Ok(Data::from(coverage::begin(&mut instance.runtime, number, counters)))
}

/// end_count(count)
fn end(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    instance.runtime.coverage.end(number(args));
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
