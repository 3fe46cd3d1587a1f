//! Who hears of which events: `subscribe`, `unsubscribe`, `list_subscriptions`, `filter`.

use serde_json::{Map, Value};

use crate::error::{Error, Result, quoted};
use crate::event::{Category, Filter, Limits, Pattern, Priority, Subscription};
use crate::lua::args::Args;
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape};
use crate::step::Ready;
use crate::value::{Data, Record, Slot};

use super::{CATEGORY, PRIORITY, parsed};

/// Where the pattern stands.
const PLACE: &str = "argument #1: pattern";

const SCALAR: Kind = Kind::OneOf(&[Kind::Text, Kind::Number(f64::MIN, f64::MAX), Kind::Bool]);

pub static OPTIONS: Shape = Shape::new(
    "SubscribeOptions",
    &[
        Field::new("priority", PRIORITY, "\"normal\"", "higher ones are called first"),
        Field::new("once", Kind::Bool, "false", "ends before its first call"),
        Field::new(
            "filter",
            Kind::OneOf(&[Kind::Function, Kind::MapOf(&SCALAR)]),
            "",
            "function(event), true where it is wanted; or fields and their values, as {[\"data.user.id\"]=7}",
        ),
        Field::new("category", CATEGORY, "", "events of that category alone"),
        Field::new("min_priority", PRIORITY, "", "events of that priority or a higher one"),
    ],
    &[],
);

/// What a filter may ask for.
const FIELDS: &[&str] = &[
    "id",
    "type",
    "name",
    "category",
    "priority",
    "data",
    "source",
    "timestamp",
    "correlation_id",
    "tags",
    "metadata",
    "replayed",
    "remote",
    "origin",
    "position",
    "unrecorded",
];

pub fn subscribe(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let options = args.options(2, &OPTIONS);
    let mut subscription = new(runtime, args)?;
    let priority = options.word("priority").and_then(Priority::parse);
    subscription.priority = priority.unwrap_or_default();
    subscription.limits = limits(&options)?;
    runtime.events.subscribe(subscription).map(Data::from).map_err(in_pattern)
}

fn new(runtime: &Runtime, args: &Args<'_>) -> Result<Subscription> {
    let callback = args.get(1).and_then(|value| value.as_slot().cloned());
    let callback: Slot = callback.ok_or_else(|| Error::internal("a callback has no slot"))?;
    Ok(Subscription::new(args.text(0).unwrap_or_default(), callback, runtime.clock.unix()))
}

fn in_pattern(error: Error) -> Error {
    error.at(PLACE)
}

/// `None` if every event that matches is wanted, again and again.
fn limits(options: &Options<'_>) -> Result<Option<Box<Limits>>> {
    let limits = Limits {
        once: options.bool("once") == Some(true),
        category: options.word("category").and_then(Category::parse),
        min_priority: options.word("min_priority").and_then(Priority::parse),
        filter: filter_of(options)?,
    };
    let none = !limits.once && limits.category.is_none() && limits.min_priority.is_none();
    Ok((!none || limits.filter.is_some()).then(|| Box::new(limits)))
}

fn filter_of(options: &Options<'_>) -> Result<Option<Filter>> {
    if let Some(function) = options.function("filter") {
        return Ok(Some(Filter::Function(function)));
    }
    let Some(table) = options.get("filter") else { return Ok(None) };
    let mut fields = Map::new();
    for (key, value) in table.members().filter(|(_, value)| !value.is_null()) {
        let path = key.to_text();
        fields.insert(known(path)?, value.to_json());
    }
    lower(&mut fields);
    Ok(Some(Filter::Fields(fields)))
}

fn known(path: String) -> Result<String> {
    let first = path.split('.').next().unwrap_or_default();
    if FIELDS.contains(&first) {
        return Ok(path);
    }
    Err(Error::invalid(format!(
        "options.filter: events have no field {}: expected one of {}, or a path in one, as \"data.id\"",
        quoted(first),
        FIELDS.join(", ")
    )))
}

/// The words of enums are lower case in events.
fn lower(fields: &mut Map<String, Value>) {
    for name in ["category", "priority"] {
        if let Some(Value::String(word)) = fields.get_mut(name) {
            *word = word.to_ascii_lowercase();
        }
    }
}

pub fn unsubscribe(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    Ok(Data::Bool(runtime.events.unsubscribe(&args.id(0))))
}

pub fn list(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let wanted = args.text(0).map(Wanted::parse).transpose()?;
    let subscriptions = &runtime.events.subscriptions;
    let all = subscriptions.iter().filter(|(_, s)| wanted.as_ref().is_none_or(|w| w.has(s)));
    Ok(Data::List(all.map(|(number, s)| info(subscriptions.id(number), s)).collect()))
}

/// Which subscriptions are listed.
struct Wanted<'t> {
    text: &'t str,
    pattern: Pattern,
}

impl<'t> Wanted<'t> {
    fn parse(text: &'t str) -> Result<Wanted<'t>> {
        Ok(Wanted { text, pattern: parsed(text, PLACE)? })
    }

    fn has(&self, subscription: &Subscription) -> bool {
        if self.text.contains('*') {
            return *self.text == *subscription.pattern
                || self.pattern.matches(&subscription.pattern);
        }
        Pattern::parse(&subscription.pattern).is_ok_and(|pattern| pattern.matches(self.text))
    }
}

/// The counts are the edge's.
fn info(id: String, subscription: &Subscription) -> Data {
    let limits = subscription.limits.as_deref();
    Record::new()
        .set("id", id)
        .set("pattern", &*subscription.pattern)
        .set("event_type", &*subscription.pattern)
        .set("priority", subscription.priority.name())
        .set("once", limits.is_some_and(|limits| limits.once))
        .set("has_filter", limits.is_some_and(|limits| limits.filter.is_some()))
        .set("call_count", 0u64)
        .set("error_count", 0u64)
        .set("created_at", subscription.created_at)
        .into()
}

pub fn filter(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    if args.get(1).is_none() {
        return super::query::query(runtime, args);
    }
    if args.text(0).is_none() {
        return Err(Error::invalid("argument #1: pattern: expected a pattern before a callback"));
    }
    let filter = new(runtime, args)?;
    runtime.events.intercept(filter).map(|id| Ready::Now(id.into())).map_err(in_pattern)
}
