//! What `plans.lua`, `events.lua` and `emit.lua` ask of the core: who hears of an event, and what it
//! keeps of them.

use serde_json::Value;

use crate::error::Result;
use crate::event::{Category, Filter, Limits, Priority, Subscription, Subscriptions};
use crate::shape::Kind;
use crate::value::{Data, Record, json};

use super::args::Args;
use super::bridge::{Param, Read};
use super::inner::Inner;
use super::instance::Instance;

/// Where `plans.lua` keeps what it knows of who hears what, in the table of slots: it is taken
/// away there when that has changed, by whatever call.
pub const PLANS: i64 = -1;

const ID: Param = Param::new("id", Kind::Name);

pub static INNER: &[Inner] = &[
    Inner { name: "plan", params: &[Param::new("name", Kind::Name)], run: plan },
    Inner { name: "listener", params: &[ID], run: listener },
    Inner { name: "listeners_gone", params: &[], run: listeners_gone },
    Inner { name: "remove_listener", params: &[ID], run: remove_listener },
    Inner {
        name: "add_calls",
        params: &[
            Param::new("function", Kind::Number(0.0, 1e9)),
            Param::new("calls", Kind::Number(0.0, 1e15)),
        ],
        run: add_calls,
    },
    Inner { name: "is_measured", params: &[], run: is_measured },
    Inner {
        name: "json_text",
        params: &[Param::new("value", Kind::Any).optional().read(Read::Data)],
        run: json_text,
    },
];

/// plan(name) → {filters, handlers: ids in the order in which they are called; category}, or nil if
/// nobody hears of events of that name
fn plan(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let (events, name) = (&instance.runtime.events, args.text(0).unwrap_or_default());
    let record = Record::new()
        .set("filters", ids(&events.filters, name))
        .set("handlers", ids(&events.subscriptions, name))
        .set("category", Category::of(name).name())
        .set("records", events.recorders.hears(name))
        .set("publishes", events.links.hear(name));
    let heard = events.heard(name);
    Ok(if heard { record.into() } else { Data::Nil })
}

fn ids(subscriptions: &Subscriptions, name: &str) -> Vec<String> {
    subscriptions.hearing(name).into_iter().map(|number| subscriptions.id(number)).collect()
}

/// listener(id) → what is to be known to call it; nil if there is none
fn listener(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let (events, id) = (&mut instance.runtime.events, args.text(0).unwrap_or_default());
    let found = match (events.subscriptions.find(id), events.filters.find(id)) {
        (Some(number), _) => events.subscriptions.known(number),
        (None, Some(number)) => events.filters.known(number),
        (None, None) => None,
    };
    Ok(found.map_or(Data::Nil, |subscription| described(id, subscription).into()))
}

fn described(id: &str, subscription: &Subscription) -> Record {
    let record = Record::new()
        .set("id", id)
        .set("fn", subscription.callback.clone())
        .set("calls", 0u64)
        .set("errors", 0u64);
    match &subscription.limits {
        Some(limits) => with_limits(record, limits),
        None => record.set("plain", true),
    }
}

fn with_limits(record: Record, limits: &Limits) -> Record {
    let record = record
        .set("once", limits.once)
        .set("category", limits.category.map(Category::name))
        .set("min_priority", limits.min_priority.map(Priority::name));
    match &limits.filter {
        Some(Filter::Function(function)) => record.set("filter", function.clone()),
        Some(Filter::Fields(fields)) => record.set("fields", Value::Object(fields.clone())),
        None => record,
    }
}

/// listeners_gone() → ids of those asked for that are no more, each told once
fn listeners_gone(instance: &mut Instance, _: &Args<'_>) -> Result<Data> {
    let events = &mut instance.runtime.events;
    let gone = |all: &mut Subscriptions| -> Vec<String> {
        all.take_gone().into_iter().map(|number| all.id(number)).collect()
    };
    let mut ids = gone(&mut events.subscriptions);
    ids.extend(gone(&mut events.filters));
    Ok(ids.into())
}

/// remove_listener(id) → whether there was one
fn remove_listener(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    Ok(instance.runtime.events.unsubscribe(args.text(0).unwrap_or_default()).into())
}

/// add_calls(function, calls): of a function that counts its calls itself
fn add_calls(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    instance.metrics.called_often(args.number(0) as usize, args.number(1) as u64);
    Ok(Data::Nil)
}

/// is_measured() → whether any calls are measured
fn is_measured(instance: &mut Instance, _: &Args<'_>) -> Result<Data> {
    Ok((instance.runtime.config.profiling > 0.0).into())
}

/// json_text(value) → compact JSON
fn json_text(_: &mut Instance, args: &Args<'_>) -> Result<Data> {
    Ok(args.get(0).map_or_else(|| "null".into(), |value| json::to_sorted(value).into()))
}
