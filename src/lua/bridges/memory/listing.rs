//! What there is, and all of it at once.

use crate::error::Result;
use crate::lua::args::Args;
use crate::lua::faces::face;
use crate::memory::{
    self, Address, Counts, Entry, Kind as Type, Scope, Selection, Survey, address as addresses,
    cleared, global, name,
};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape};
use crate::step::{Face, Ready};
use crate::value::{Data, Record};

use super::entries::about;
use super::options::{OWNER, address};

/// "all" besides what single entries may have.
pub const SCOPES: Field = Field::new(
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

/// The entries that options mean whose scope may be "all".
pub fn selected(runtime: &Runtime, options: &Options<'_>) -> Result<Selection> {
    let all = is_all(options);
    let prefix = if all { Vec::new() } else { address(runtime, options)?.prefix() };
    Ok(selection(options, prefix))
}

pub fn list_keys(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let options = args.options(1, &LIST);
    let all = is_all(&options);
    let pattern = args.text(0).map(str::to_owned);
    let selection = Selection { pattern, ..selected(runtime, &options)? };
    let detail = all || options.bool("detail") == Some(true);
    let now = runtime.clock.unix_ms();
    let mut found = Vec::new();
    selection.each(&mut runtime.memory, now, |key, entry| {
        found.push((key.to_vec(), if detail { item(key, entry) } else { name(key) }));
    });
    let limit = options.int("limit").map_or(usize::MAX, |n| n as usize);
    let listing = Listing { found, detail, limit };
    if runtime.backing().is_none() || !selection.may_be_stored() {
        return Ok(Ready::now("memory_read", face(&options), listing.sorted()));
    }
    let finish = |listing: Listing, _: &mut Runtime| Ok(listing.sorted());
    let operation = Survey::operation("memory_read", selection, listing, Listing::see, finish);
    Ok(Ready::waits(operation, face(&options)))
}

struct Listing {
    found: Vec<(Vec<u8>, Data)>,
    detail: bool,
    limit: usize,
}

impl Listing {
    fn see(&mut self, key: &[u8], entry: Entry) {
        let shown = if self.detail { item(key, &entry) } else { name(key) };
        self.found.push((key.to_vec(), shown));
    }

    fn sorted(mut self) -> Data {
        self.found.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.found.dedup_by(|(a, _), (b, _)| a == b);
        Data::List(self.found.into_iter().take(self.limit).map(|(_, item)| item).collect())
    }
}

/// Key, scope and owner.
pub fn named(key: &[u8]) -> Record {
    let address = addresses::parse(key).map_or_else(Address::default, |(address, _)| address);
    Record::new()
        .set("key", name(key))
        .set("scope", address.scope.name())
        .set("owner", address.owner)
}

fn item(key: &[u8], entry: &Entry) -> Data {
    let mut record = named(key)
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
    let selection = selection(&options, prefix);
    let count = selection.forget(&mut runtime.memory, now);
    if runtime.backing().is_none() || !selection.may_be_stored() {
        return Ok(Ready::now("memory_write", face(&options), cleared(runtime, count)));
    }
    Ok(Ready::waits(memory::clear(selection, count), face(&options)))
}

pub fn get_stats(runtime: &mut Runtime, _: &Args<'_>) -> Result<Ready> {
    let now = runtime.clock.unix_ms();
    let mut tally = Tally::default();
    let everything = Selection::default();
    let mut here = Vec::new();
    everything.each(&mut runtime.memory, now, |key, entry| {
        tally.count(key, entry);
        if entry.kind == Type::Persistent {
            here.push((addresses::scope(key), entry.version));
        }
    });
    let dirty = |(scope, version): &&(Scope, u64)| runtime.memory.is_dirty(*scope, *version);
    tally.dirty = here.iter().filter(dirty).count() as u64;
    if runtime.backing().is_none() {
        return Ok(Ready::now("memory_read", Face::Plain, stats(&tally, runtime)));
    }
    let finish = |tally: Tally, runtime: &mut Runtime| Ok(stats(&tally, runtime));
    let see = |tally: &mut Tally, key: &[u8], entry: Entry| tally.count(key, &entry);
    let operation = Survey::operation("memory_read", everything, tally, see, finish);
    Ok(Ready::waits(operation, Face::Plain))
}

#[derive(Default)]
struct Tally {
    keys: u64,
    bytes: u64,
    by_scope: [u64; 3],
    by_type: [u64; 3],
    /// Persistent ones that no store has.
    dirty: u64,
}

impl Tally {
    fn count(&mut self, key: &[u8], entry: &Entry) {
        let scope = addresses::scope(key);
        self.keys += 1;
        self.bytes += (key.len() + entry.size()) as u64;
        self.by_scope[scope as usize] += 1;
        self.by_type[entry.kind as usize] += 1;
    }
}

fn stats(tally: &Tally, runtime: &mut Runtime) -> Data {
    let counts = sum(global().counts, runtime.memory.own.counts);
    let queued = runtime.store.used().map_or(0, |store| store.queued() as u64);
    let scopes = Scope::ALL.map(Scope::name).into_iter().zip(tally.by_scope);
    let types = Type::ALL.map(Type::name).into_iter().zip(tally.by_type);
    Record::new()
        .set("total_keys", tally.keys)
        .set("bytes", tally.bytes)
        .set("by_scope", counted(scopes))
        .set("by_type", counted(types))
        .set("hits", counts.hits)
        .set("misses", counts.misses)
        .set("hit_rate", counts.hits as f64 / (counts.hits + counts.misses).max(1) as f64)
        .set("expired", counts.expired)
        .set("evicted", counts.evicted)
        .set("dirty", tally.dirty + queued)
        .set("store", runtime.store.place().to_string())
        .set("conversations", conversations(runtime))
        .into()
}

fn counted(counts: impl Iterator<Item = (&'static str, u64)>) -> Record {
    counts.fold(Record::new(), |record, (name, count)| record.set(name, count))
}

fn sum(a: Counts, b: Counts) -> Counts {
    Counts {
        hits: a.hits + b.hits,
        misses: a.misses.wrapping_add(b.misses),
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
