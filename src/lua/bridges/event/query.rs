//! Recorded events by criteria.

use crate::error::{Error, Result, quoted};
use crate::event::recorder::{self, Criteria};
use crate::event::{Category, Priority};
use crate::lua::args::Args;
use crate::lua::faces::{ASYNC, face};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape};
use crate::step::Ready;
use crate::value::path::Path;
use crate::value::{Document, Ref};

use super::parsed;

pub static CRITERIA: Shape = Shape::new(
    "EventCriteria",
    &[
        Field::new("pattern", Kind::Name, "\"*\"", "of the events' names"),
        Field::new("category", Kind::Enum(Category::NAMES), "", "of the events"),
        Field::new("priority", Kind::Enum(Priority::NAMES), "", "exactly that"),
        Field::new("min_priority", Kind::Enum(Priority::NAMES), "", "that or a higher one"),
        Field::new("source", Kind::Text, "", "of the events"),
        Field::new("since", Kind::Number(-1e15, 1e15), "", "Unix seconds; that moment included"),
        Field::new("until_time", Kind::Number(-1e15, 1e15), "", "the same for the end"),
        Field::new(
            "where",
            Kind::Map,
            "",
            "paths and the values there: `{[\"data.items[1].id\"] = 7}`; null = nothing is there",
        ),
        Field::new(
            "recorder",
            Kind::Id("a recorder"),
            "all of this instance",
            "what this one has; also one that another process keeps in the store",
        ),
        Field::new("limit", Kind::Int(0, 1 << 50), "", "the first so many"),
        ASYNC,
    ],
    &[],
);

/// filter(pattern | criteria) → events
pub fn query(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let options = args.options(0, &CRITERIA);
    let pattern = match args.text(0) {
        Some(text) => Some(parsed(text, "argument #1: pattern")?),
        None => options.text("pattern").map(|text| parsed(&text, "pattern.pattern")).transpose()?,
    };
    let criteria = Criteria { pattern, ..criteria(&options)? };
    let recorder = options.id("recorder");
    let limit = options.int("limit").map_or(usize::MAX, |n| n as usize);
    recorder::query(runtime, recorder.as_deref(), criteria, limit, face(&options))
}

fn criteria(options: &Options<'_>) -> Result<Criteria> {
    let fields = options.get("where").into_iter().flat_map(Ref::members);
    Ok(Criteria {
        pattern: None,
        category: options.word("category").and_then(Category::parse),
        priority: options.word("priority").and_then(Priority::parse),
        min_priority: options.word("min_priority").and_then(Priority::parse),
        source: options.text("source"),
        since: options.number("since"),
        until: options.number("until_time"),
        fields: fields.map(|(path, value)| field(path, value)).collect::<Result<_>>()?,
    })
}

fn field(path: Ref<'_>, value: Ref<'_>) -> Result<(Path, Document)> {
    let text = path.as_str().unwrap_or_default();
    let wrong = |what: String| Error::invalid(format!("pattern.where[{}]: {what}", quoted(text)));
    Ok((Path::parse(text).map_err(wrong)?, Document::copy(value)))
}
