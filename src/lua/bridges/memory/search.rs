//! What is most like a vector or a text, and embeddings on the way into memory.

use serde_json::Map;

use crate::error::{Code, Error, Result};
use crate::lua::args::Args;
use crate::lua::faces::face;
use crate::memory::{Direction, Entry, Kind as Type, Query, Search, Wanted};
use crate::provider::question::Embed;
use crate::provider::{Embedding, Inquiry, Reach, Whom};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape, shown};
use crate::step::{Operation, Ready};
use crate::value::{Data, Record, Ref};

use super::entries::about;
use super::listing::{SCOPES, named, selected};
use super::options::OWNER;

/// What an embedding is made of; nearly all numbers are far smaller.
pub const NUMBERS: Kind = Kind::List(&Kind::Number(-1e38, 1e38));

pub const QUERY: Kind = Kind::OneOf(&[Kind::Name, NUMBERS]);

pub static SEARCH: Shape = Shape::new(
    "SearchOptions",
    &[
        SCOPES,
        Field::new("type", Kind::Enum(Type::NAMES), "", "entries of this type"),
        Field::new("tag", Kind::Text, "", "entries with this tag"),
        Field::new("limit", Kind::Int(1, 1_000_000_000), "10", "the best so many"),
        Field::new("min_score", Kind::Number(-1.0, 1.0), "", "entries at least as similar"),
    ],
    &[&OWNER],
);

/// Entries found when nobody says how many.
const USUAL: usize = 10;

pub fn search(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let options = args.options(1, &SEARCH);
    let wanted = Wanted {
        selection: selected(runtime, &options)?,
        limit: options.int("limit").map_or(USUAL, |n| n as usize),
        min_score: options.number("min_score"),
    };
    let query = query(runtime, args)?;
    let mut search = Search::new(query, wanted, found);
    match search.at_once(runtime)? {
        Some(data) => Ok(Ready::now("memory_search", face(&options), data)),
        None => Ok(Ready::waits(search.operation(), face(&options))),
    }
}

fn query(runtime: &mut Runtime, args: &Args<'_>) -> Result<Query> {
    if let Some(text) = args.text(0) {
        return Ok(Query::Text(asking(runtime, vec![text.to_owned()], Purpose::Query)?));
    }
    let items = args.get(0).into_iter().flat_map(Ref::items);
    let direction = Direction::of(items.filter_map(Ref::as_f64).collect());
    let nowhere = || {
        Error::invalid(
            "argument #1: query: expected a text or numbers that are not all zero, got none",
        )
    };
    direction.map(Query::Vector).ok_or_else(nowhere)
}

fn found(key: &[u8], entry: &Entry, score: f64) -> Data {
    let mut record = named(key).set("value", entry.value.to_data()).set("score", score);
    record.fields.extend(about(entry).fields);
    Record::into(record)
}

/// What vectors are for: some models make others of questions than of what is to be found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Query,
    Document,
}

/// Asks the provider that memory is configured with for the vectors of texts.
pub fn asking(runtime: &mut Runtime, texts: Vec<String>, purpose: Purpose) -> Result<Operation> {
    let bounds = &runtime.config.memory;
    let model = bounds.embed_model.clone().unwrap_or_default();
    let Some(provider) = bounds.embed_provider.as_deref() else { return Err(nobody()) };
    let whom = Whom::Known(provider.into());
    let reach = Reach::default();
    let tells = runtime.providers.ask(&whom).is_ok()
        && purpose == Purpose::Query
        && whom.kind(&runtime.providers) == Some("cohere");
    let input_type = tells.then(|| "search_query".to_owned());
    let ask = Embed { model, texts, input_type, ..Embed::default() };
    let embedding = Embedding::new(runtime.providers.ask(&whom)?, ask, None)?;
    let none = Map::new();
    let total = whom.end(runtime, &none);
    let inquiry = Inquiry::new(runtime, whom, embedding, &none, &reach, total)?;
    Ok(inquiry.operation(total))
}

fn nobody() -> Error {
    Error::new(
        Code::InvalidState,
        "nobody to ask for embeddings: configure{memory={embed_provider=...}} names a provider",
    )
}

/// The text that the option `embed` wants the vector of.
pub fn text(value: Option<Ref<'_>>, options: &Options<'_>) -> Result<Option<String>> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    let embed = match options.get("embed") {
        None => return Ok(None),
        Some(embed) if embed.as_bool() == Some(false) => return Ok(None),
        Some(embed) => embed,
    };
    if options.get("embedding").is_some() {
        return Err(Error::invalid("options: got both `embedding` and `embed`"));
    }
    let text = embed.as_str().or_else(|| value.as_str()).filter(|text| !text.is_empty());
    text.map(|text| Some(text.to_owned())).ok_or_else(|| {
        Error::invalid(format!(
            "options.embed: expected a value that is a text, or the text itself in the place of true, got {}",
            shown(value)
        ))
    })
}
