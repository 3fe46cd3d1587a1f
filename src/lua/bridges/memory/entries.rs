//! Single entries and several at once.

use crate::error::{Error, Result};
use crate::lua::args::Args;
use crate::lua::faces::face;
use crate::memory::{self, Embed, Entry, Item, Keep, Spot, Value};
use crate::runtime::Runtime;
use crate::shape::{Check, Field, Kind, Options, Shape, shown};
use crate::step::{Face, Operation, Ready};
use crate::store::{Answer, Asking, Durability, Question, Space};
use crate::value::{self, Data, Document, Ref, Tape};

use super::conversation;
use super::options::{NEW, OWNER, SCOPE, WHERE, address, entry, key, key_of};
use super::search::{NUMBERS, Purpose, asking, text};

pub static STORE: Shape = Shape::new(
    "StoreOptions",
    &[
        SCOPE,
        Field::new("if_absent", Kind::Bool, "false", "only if the key is not there"),
        Field::new(
            "durability",
            Kind::Enum(&["batched", "sync"]),
            "`configure{durability=}`",
            "persistent entries: \"sync\" returns when the store has it for good",
        ),
        Field::new("embedding", NUMBERS, "", "what `search` finds it by"),
        Field::new(
            "embed",
            Kind::OneOf(&[Kind::Bool, Kind::Name]),
            "false",
            "asks the provider that `configure{memory=}` names for it: true for that of the value, a text for that of the text",
        ),
    ],
    &[&OWNER, &NEW],
);

pub static RETRIEVE: Shape = Shape::new(
    "RetrieveOptions",
    &[SCOPE, Field::new("default", Kind::Any, "nil", "returned where there is no entry")],
    &[&OWNER],
);

/// What is to be kept, and the text whose embedding is to go with it.
type Wish = (Item, Option<String>);

/// What the options make of a key and a value.
fn item(
    runtime: &Runtime,
    key: &[u8],
    value: Option<Ref<'_>>,
    options: &Options<'_>,
) -> Result<Wish> {
    let address = address(runtime, options)?;
    conversation::refuse(key, &address)?;
    let now = runtime.clock.unix_ms();
    let text = text(value, options)?;
    let entry = value.filter(|value| !value.is_null()).map(|value| entry(value, options, now));
    if entry.as_ref().and_then(Entry::embedding).is_some_and(memory::is_nowhere) {
        return Err(Error::invalid(
            "options.embedding: expected numbers that are not all zero, got none",
        ));
    }
    let item = Item {
        spot: Spot::new(&address, key),
        entry,
        if_absent: options.bool("if_absent") == Some(true),
        sync: match options.word("durability") {
            Some(word) => word == "sync",
            None => runtime.config.durability == Durability::Sync,
        },
    };
    Ok((item, text))
}

pub fn store(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let options = args.options(2, &STORE);
    let key = key(args, 0);
    if let Some(meant) = conversation::meant(&key, || address(runtime, &options))? {
        return meant.store(runtime, args.get(1), &options);
    }
    let (item, text) = item(runtime, &key, args.get(1), &options)?;
    keep(runtime, vec![item], vec![text], |kept| Data::Bool(kept == 1), face(&options))
}

fn keep(
    runtime: &mut Runtime,
    items: Vec<Item>,
    texts: Vec<Option<String>>,
    result: fn(u64) -> Data,
    face: Face,
) -> Result<Ready> {
    if texts.iter().any(Option::is_some) {
        let wanted = texts.into_iter().enumerate().filter_map(|(i, text)| Some((i, text?)));
        let (whose, texts) = wanted.unzip();
        let ask = asking(runtime, texts, Purpose::Document)?;
        return Ok(Ready::waits(Embed::operation(ask, items, whose, result), face));
    }
    let mut keep = Keep::new(items, result);
    match keep.begin(runtime)? {
        Some(data) => Ok(Ready::now("memory_write", face, data)),
        None => Ok(Ready::waits(keep.operation(), face)),
    }
}

pub fn retrieve(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let options = args.options(1, &RETRIEVE);
    let key = key(args, 0);
    let usual = options.get("default").map(|value| Value::of(value).to_data());
    if let Some(meant) = conversation::meant(&key, || address(runtime, &options))? {
        return meant.retrieve(runtime, usual.unwrap_or_default(), face(&options));
    }
    let spot = Spot::new(&address(runtime, &options)?, &key);
    if let Some(entry) = runtime.recall(&spot) {
        return Ok(Ready::now("memory_read", face(&options), values(&entry)));
    }
    let finish = move |found: Option<Entry>| {
        found.map_or_else(|| usual.unwrap_or_default(), |entry| values(&entry))
    };
    if runtime.backing().is_none() {
        return Ok(Ready::now("memory_read", face(&options), finish(None)));
    }
    let operation =
        ask_for(vec![spot.key], |_, found| Ok(finish(found.into_iter().flatten().next())));
    Ok(Ready::waits(operation, face(&options)))
}

/// Reads entries of the store, in the order of their keys.
fn ask_for(
    keys: Vec<Vec<u8>>,
    then: impl FnOnce(&mut Runtime, Vec<Option<Entry>>) -> Result<Data> + 'static,
) -> Operation {
    let question = Question::Get { space: Space::Memory, keys };
    Asking::operation("memory_read", question, |runtime, answer| {
        let found = records(answer)?;
        runtime.memory.own.counts.found(found.iter().flatten().count() as u64);
        then(runtime, found)
    })
}

fn records(answer: Answer) -> Result<Vec<Option<Entry>>> {
    let records = answer.records()?;
    records.iter().map(|record| record.as_ref().map(Entry::from_record).transpose()).collect()
}

/// The value, and what goes with it.
pub fn values(entry: &Entry) -> Data {
    let value = entry.value.to_data();
    let about = about(entry);
    if about.fields.is_empty() { value } else { Data::Many(vec![value, about.into()]) }
}

/// Tags and metadata.
pub fn about(entry: &Entry) -> value::Record {
    let Some(extra) = &entry.extra else { return value::Record::new() };
    let tags: Vec<Data> = extra.tags.iter().map(|tag| Data::from(tag.as_str())).collect();
    value::Record::new()
        .set("tags", Some(tags).filter(|tags| !tags.is_empty()).map(Data::List))
        .set("metadata", extra.metadata.as_ref().map(Value::to_data))
}

pub fn delete(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let options = args.options(1, &WHERE);
    let key = key(args, 0);
    if let Some(meant) = conversation::meant(&key, || address(runtime, &options))? {
        return meant.delete(runtime, face(&options));
    }
    let spot = Spot::new(&address(runtime, &options)?, &key);
    let here = runtime.forget(&spot);
    if here {
        runtime.tell_entry(&spot.key, "delete");
    }
    if runtime.backing().is_none() {
        return Ok(Ready::now("memory_write", face(&options), Data::Bool(here)));
    }
    let write = memory::write(&spot, None);
    let durability = runtime.config.durability;
    let question = Question::Commit { writes: vec![write], durability };
    let operation = Asking::operation("memory_write", question, move |runtime, answer| {
        let there = answer.committed()?.before() > 0;
        if there && !here {
            runtime.tell_entry(&spot.key, "delete");
        }
        Ok(Data::Bool(there || here))
    });
    Ok(Ready::waits(operation, face(&options)))
}

pub fn store_many(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let options = args.options(1, &STORE);
    let (items, texts) = items(runtime, args, &options)?.into_iter().unzip();
    keep(runtime, items, texts, Data::from, face(&options))
}

/// All that is to be kept, checked.
pub fn items(runtime: &Runtime, args: &Args<'_>, options: &Options<'_>) -> Result<Vec<Wish>> {
    let Some(entries) = args.get(0) else { return Ok(Vec::new()) };
    match entries.is_array() {
        true => entries
            .items()
            .enumerate()
            .map(|(i, triple)| listed(runtime, triple, options, &format!("entries[{}]", i + 1)))
            .collect(),
        false if entries.is_object() => entries
            .members()
            .map(|(name, value)| item(runtime, &key_of(name), Some(value), options))
            .collect(),
        false => Err(Error::invalid(format!(
            "argument #1: entries: expected a table of keys and values or an array of {{key, value, options}}, got {}",
            shown(entries)
        ))),
    }
}

/// An entry as `{key, value, options}`.
fn listed(runtime: &Runtime, triple: Ref<'_>, options: &Options<'_>, path: &str) -> Result<Wish> {
    static KEY: Kind = super::KEY_KIND;
    static TABLE: Kind = Kind::Table(&STORE);
    let check = Check { strict: runtime.config.strict };
    let mut parts = triple.items();
    let (name, value, own) = (parts.next(), parts.next(), parts.next());
    let Some(name) = name else {
        return Err(Error::invalid(format!(
            "{path}: expected an array of key, value, options, got {}",
            shown(triple)
        )));
    };
    check.value(name, &KEY, &format!("{path}[1]"))?;
    let Some(own) = own else { return item(runtime, &key_of(name), value, options) };
    check.value(own, &TABLE, &format!("{path}[3]"))?;
    let merged = over(own, options);
    item(runtime, &key_of(name), value, &Options::new(merged.root(), &STORE))
}

/// The entry's own options, and those of the call that it does not have.
pub fn over(own: Ref<'_>, options: &Options<'_>) -> Tape {
    let mut tape = Tape::default();
    let mark = tape.open_object();
    let others = options.members().filter(|(key, _)| own.get(&key.to_text()).is_none());
    let mut count = 0;
    for (key, value) in own.members().chain(others) {
        tape.copy(key.walk());
        tape.copy(value.walk());
        count += 1;
    }
    tape.close(mark, count);
    tape
}

pub fn retrieve_many(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let options = args.options(1, &WHERE);
    let address = address(runtime, &options)?;
    let keys: Vec<Vec<u8>> = args.get(0).into_iter().flat_map(Ref::items).map(key_of).collect();
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for key in keys {
        conversation::refuse(&key, &address)?;
        match runtime.recall(&Spot::new(&address, &key)) {
            Some(entry) => found.push((key, entry)),
            None => missing.push(key),
        }
    }
    if missing.is_empty() || runtime.backing().is_none() {
        return Ok(Ready::now("memory_read", face(&options), table(&found)));
    }
    let whole = missing.iter().map(|key| address.key(key)).collect();
    let operation = ask_for(whole, move |_, entries| {
        let more = missing.into_iter().zip(entries);
        found.extend(more.filter_map(|(key, entry)| Some((key, entry?))));
        Ok(table(&found))
    });
    Ok(Ready::waits(operation, face(&options)))
}

/// A table from key to value: keys are any bytes, as a document may have them.
fn table(found: &[(Vec<u8>, Entry)]) -> Data {
    let mut document = Document::default();
    let mark = document.tape.open_object();
    for (key, entry) in found {
        document.tape.str(key);
        entry.value.put(&mut document.tape);
    }
    document.tape.close(mark, found.len());
    Data::Document(Box::new(document))
}
