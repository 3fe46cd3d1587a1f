//! What there is, and all of it at once.

use serde_json::json;

use crate::error::Result;
use crate::lua::args::Args;
use crate::lua::faces::face;
use crate::memory::{
    Address, Counts, Entry, Kind as Type, Scope, Selection, Value, address as addresses, global,
};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape};
use crate::step::Ready;
use crate::value::{Data, Record};

use super::entries::about;
use super::options::{OWNER, address};

/// "all" besides what single entries may have.
const SCOPES: Field = Field::new(
    "scope",
    Kind::Enum(&["global", "agent", "session", "all"]),
    "\"global\"",
    "who shares the entries",
);

pub static LIST: Shape = Shape::new(
    "ListKeysOptions",
    &[
        SCOPES,
        Field::new("type", Kind::Enum(Type::NAMES), "", "entries of this type"),
        Field::new("tag", Kind::Text, "", "entries with this tag"),
        Field::new("limit", Kind::Int(1, 1_000_000_000), "", "the first so many"),
        Field::new("detail", Kind::Bool, "false", "tables instead of keys"),
    ],
    &[&OWNER],
);

pub static CLEAR: Shape = Shape::new(
    "ClearOptions",
    &[
        SCOPES,
        Field::new("type", Kind::Enum(Type::NAMES), "", "entries of this type"),
        Field::new("pattern", Kind::Text, "", "keys that match"),
    ],
    &[&OWNER],
);

fn is_all(options: &Options<'_>) -> bool {
    options.word("scope") == Some("all")
}

fn selection(options: &Options<'_>, prefix: Vec<u8>) -> Selection {
    Selection {
        prefix,
        pattern: options.text("pattern"),
        kind: options.word("type").and_then(Type::parse),
        tag: options.text("tag"),
    }
}

pub fn list_keys(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let options = args.options(1, &LIST);
    let all = is_all(&options);
    let prefix = if all { Vec::new() } else { address(runtime, &options)?.prefix() };
    let pattern = args.text(0).map(str::to_owned);
    let selection = Selection { pattern, ..selection(&options, prefix) };
    let detail = all || options.bool("detail") == Some(true);
    let now = runtime.clock.unix_ms();
    let mut found = Vec::new();
    selection.each(&mut runtime.memory, now, |key, entry| {
        found.push((key.to_vec(), if detail { item(key, entry) } else { name(key) }));
    });
    let limit = options.int("limit").map_or(usize::MAX, |n| n as usize);
    Ok(Ready::now("memory_load", face(&options), sorted(found, limit)))
}

pub fn sorted(mut found: Vec<(Vec<u8>, Data)>, limit: usize) -> Data {
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Data::List(found.into_iter().take(limit).map(|(_, item)| item).collect())
}

/// The key alone.
fn name(key: &[u8]) -> Data {
    let key = addresses::parse(key).map_or(key, |(_, key)| key);
    match std::str::from_utf8(key) {
        Ok(text) => Data::from(text),
        Err(_) => Value::Text(key.into()).to_data(),
    }
}

fn item(key: &[u8], entry: &Entry) -> Data {
    let address = addresses::parse(key).map_or_else(Address::default, |(address, _)| address);
    let mut record = Record::new()
        .set("key", name(key))
        .set("scope", address.scope.name())
        .set("owner", address.owner)
        .set("type", entry.kind.name())
        .set("expires_at", entry.expires_at.map(|ms| ms as f64 / 1e3))
        .set("bytes", entry.size());
    record.fields.extend(about(entry).fields);
    record.into()
}

pub fn clear(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let options = args.options(0, &CLEAR);
    let somebody = ["scope", "agent", "session"].iter().any(|name| options.get(name).is_some());
    let all = is_all(&options) || !somebody;
    let prefix = if all { Vec::new() } else { address(runtime, &options)?.prefix() };
    let now = runtime.clock.unix_ms();
    let count = selection(&options, prefix).forget(&mut runtime.memory, now);
    let data = Data::Many(vec![Data::Bool(true), Data::from(count)]);
    Ok(Ready::now("memory_save", face(&options), data))
}

pub fn get_stats(runtime: &mut Runtime, _: &Args<'_>) -> Result<Data> {
    let now = runtime.clock.unix_ms();
    let (mut by_scope, mut by_type) = (json!({}), json!({}));
    let (mut keys, mut bytes) = (0u64, 0u64);
    Selection::default().each(&mut runtime.memory, now, |key, entry| {
        let scope = addresses::parse(key).map_or(Scope::Global, |(address, _)| address.scope);
        by_scope[scope.name()] = (by_scope[scope.name()].as_u64().unwrap_or(0) + 1).into();
        by_type[entry.kind.name()] = (by_type[entry.kind.name()].as_u64().unwrap_or(0) + 1).into();
        (keys, bytes) = (keys + 1, bytes + (key.len() + entry.size()) as u64);
    });
    let counts = sum(global().counts, runtime.memory.own.counts);
    Ok(Record::new()
        .set("total_keys", keys)
        .set("bytes", bytes)
        .set("by_scope", by_scope)
        .set("by_type", by_type)
        .set("hits", counts.hits)
        .set("misses", counts.misses)
        .set("hit_rate", counts.hits as f64 / (counts.hits + counts.misses).max(1) as f64)
        .set("expired", counts.expired)
        .set("evicted", counts.evicted)
        .set("conversations", conversations(runtime))
        .into())
}

fn sum(a: Counts, b: Counts) -> Counts {
    Counts {
        hits: a.hits + b.hits,
        misses: a.misses + b.misses,
        expired: a.expired + b.expired,
        evicted: a.evicted + b.evicted,
    }
}

fn conversations(runtime: &Runtime) -> Record {
    let talks = runtime.agents.iter().flat_map(|(_, agent)| agent.conversations.values());
    let (mut messages, mut tokens) = (0, 0);
    for talk in talks {
        messages += talk.messages.len();
        tokens += talk.messages.iter().map(crate::chat::estimate::of_message).sum::<u64>();
    }
    let agents = runtime.agents.iter().filter(|(_, agent)| !agent.conversations.is_empty()).count();
    Record::new().set("agents", agents).set("messages", messages).set("tokens_estimate", tokens)
}
