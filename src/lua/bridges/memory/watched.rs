//! Which entries a call is about, for those who watch it.

use crate::error::Result;
use crate::lua::args::Args;
use crate::memory::Spot;
use crate::runtime::Runtime;
use crate::shape::Options;
use crate::value::{Document, Ref, Tape};

use super::conversation;
use super::entries::{RETRIEVE, STORE};
use super::options::{address, key, key_of};

/// An entry: its whole key, and the value it is to have.
pub type Place<'t> = (Vec<u8>, Option<Ref<'t>>);

/// The entries that a call of `store`, `store_many` or `retrieve` is about; none for those that are
/// no entries, and of other functions.
pub fn places<'t>(runtime: &Runtime, function: &str, args: &Args<'t>) -> Result<Vec<Place<'t>>> {
    match function {
        "store" => one(runtime, args, &args.options(2, &STORE), args.get(1)),
        "retrieve" => one(runtime, args, &args.options(1, &RETRIEVE), None),
        "store_many" => many(runtime, args),
        _ => Ok(Vec::new()),
    }
}

fn one<'t>(
    runtime: &Runtime,
    args: &Args<'_>,
    options: &Options<'_>,
    value: Option<Ref<'t>>,
) -> Result<Vec<Place<'t>>> {
    let key = key(args, 0);
    if conversation::meant(&key, || address(runtime, options))?.is_some() {
        return Ok(Vec::new());
    }
    Ok(vec![(Spot::new(&address(runtime, options)?, &key).key, value)])
}

fn many<'t>(runtime: &Runtime, args: &Args<'t>) -> Result<Vec<Place<'t>>> {
    let options = args.options(1, &STORE);
    let Some(entries) = args.get(0) else { return Ok(Vec::new()) };
    // What is wrong with any of them is said before a hook sees one.
    super::entries::items(runtime, args, &options)?;
    if entries.is_object() {
        let address = address(runtime, &options)?;
        let place = |(name, value)| (Spot::new(&address, &key_of(name)).key, Some(value));
        return Ok(entries.members().map(place).collect());
    }
    entries.items().map(|triple| listed(runtime, triple, &options)).collect()
}

/// Of `{key, value, options}`.
fn listed<'t>(runtime: &Runtime, triple: Ref<'t>, options: &Options<'_>) -> Result<Place<'t>> {
    let mut parts = triple.items();
    let (name, value, own) = (parts.next(), parts.next(), parts.next());
    let merged = own.map(|own| super::entries::over(own, options));
    let all = merged.as_ref().and_then(Tape::root);
    let address = match all {
        Some(all) => address(runtime, &Options::new(Some(all), &STORE))?,
        None => address(runtime, options)?,
    };
    Ok((Spot::new(&address, &name.map(key_of).unwrap_or_default()).key, value))
}

/// Writes the entries of a call of `store_many` with other values, in the same order; an empty
/// document leaves a value as it is.
pub fn with_values(entries: Ref<'_>, values: &[Document], tape: &mut Tape) {
    if entries.is_object() {
        let mark = tape.open_object();
        for ((name, value), other) in entries.members().zip(values) {
            tape.copy(name.walk());
            tape.copy(other.value().unwrap_or(value).walk());
        }
        return tape.close(mark, entries.len());
    }
    let mark = tape.open_array();
    for (triple, other) in entries.items().zip(values) {
        let inner = tape.open_array();
        for (i, part) in triple.items().enumerate() {
            tape.copy(other.value().filter(|_| i == 1).unwrap_or(part).walk());
        }
        tape.close(inner, triple.len());
    }
    tape.close(mark, entries.len());
}
