//! Things a Lua program made and names by id: agents, tools, providers.
//!
//! Ids are `prefix_N` with counters that are never reused. Wherever an id is accepted a unique
//! name is too; ids win over names.
//!
//! A registry counts every change that goes through it, of the set and of each thing: what was told of
//! them is still true where the counts are the same.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::error::{Error, Result, quoted};

pub trait Named {
    /// May be shared by several things.
    fn name(&self) -> &str;
}

#[derive(Debug)]
pub struct Registry<T> {
    /// As in `agent_1`.
    prefix: &'static str,
    /// What messages call such a thing.
    what: &'static str,
    last: u64,
    things: BTreeMap<u64, Counted<T>>,
    /// Numbers by the hash of their thing's name: the names themselves are not stored twice.
    names: HashTable<(u64, u64)>,
    hasher: RandomState,
    /// Changes of anything; never goes back.
    changes: u64,
    /// The same when a thing came, went or was renamed.
    set_changed: u64,
}

#[derive(Debug)]
struct Counted<T> {
    thing: T,
    /// The count of changes when this was changed last.
    changed: u64,
}

impl<T: Named> Registry<T> {
    pub fn new(prefix: &'static str) -> Registry<T> {
        Registry::called(prefix, prefix)
    }

    /// As [`Registry::new`], where the word is longer than the prefix.
    pub fn called(prefix: &'static str, what: &'static str) -> Registry<T> {
        Registry {
            prefix,
            what,
            last: 0,
            things: BTreeMap::new(),
            names: HashTable::new(),
            hasher: RandomState::new(),
            changes: 0,
            set_changed: 0,
        }
    }

    /// Another number after any change.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Another number after a thing came, went or was renamed.
    pub fn set_changes(&self) -> u64 {
        self.set_changed
    }

    /// Another number after a change of that thing.
    pub fn changes_of(&self, number: u64) -> u64 {
        self.things.get(&number).map_or(0, |counted| counted.changed)
    }

    fn set_changes_now(&mut self) {
        self.changes += 1;
        self.set_changed = self.changes;
    }

    pub fn id(&self, number: u64) -> String {
        format!("{}_{number}", self.prefix)
    }

    /// The number the next thing will get.
    pub fn next(&self) -> u64 {
        self.last + 1
    }

    pub fn insert(&mut self, thing: T) -> u64 {
        self.last += 1;
        self.set_changes_now();
        self.index(self.last, thing.name());
        self.things.insert(self.last, Counted { thing, changed: self.changes });
        self.last
    }

    pub fn remove(&mut self, number: u64) -> Option<T> {
        let thing = self.things.remove(&number)?.thing;
        self.set_changes_now();
        self.forget(number, thing.name());
        Some(thing)
    }

    pub fn get(&self, number: u64) -> Option<&T> {
        self.things.get(&number).map(|counted| &counted.thing)
    }

    /// For changing a thing in place; its name stays ([`Registry::rename`]).
    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let counted = self.things.get_mut(&number)?;
        self.changes += 1;
        counted.changed = self.changes;
        Some(&mut counted.thing)
    }

    /// Keeps the name index true after a thing's name changed from `old`.
    pub fn rename(&mut self, number: u64, old: &str) {
        let Some(new) = self.get(number).map(|t| t.name().to_owned()) else { return };
        self.set_changes_now();
        self.forget(number, old);
        self.index(number, &new);
    }

    fn index(&mut self, number: u64, name: &str) {
        let hash = self.hasher.hash_one(name);
        self.names.insert_unique(hash, (hash, number), |(hash, _)| *hash);
    }

    fn forget(&mut self, number: u64, name: &str) {
        let hash = self.hasher.hash_one(name);
        if let Ok(entry) = self.names.find_entry(hash, |(_, n)| *n == number) {
            entry.remove();
        }
    }

    /// Numbers of all things of that name.
    fn named(&self, name: &str) -> Vec<u64> {
        let hash = self.hasher.hash_one(name);
        let same = |number: &u64| self.get(*number).is_some_and(|t| t.name() == name);
        self.names.iter_hash(hash).map(|(_, number)| *number).filter(same).collect()
    }

    /// All things of that name, oldest first.
    pub fn all_named(&self, name: &str) -> Vec<(u64, &T)> {
        let mut numbers = self.named(name);
        numbers.sort_unstable();
        numbers.into_iter().filter_map(|n| Some((n, self.get(n)?))).collect()
    }

    /// The thing with that id or unique name; `None` if there is none.
    pub fn find(&self, key: &str) -> Result<Option<u64>> {
        if let Some(number) = self.by_id(key) {
            return Ok(Some(number));
        }
        match self.named(key).as_slice() {
            [] => Ok(None),
            [number] => Ok(Some(*number)),
            several => Err(self.ambiguous(key, several.len())),
        }
    }

    /// As [`Registry::find`], but it must exist.
    pub fn require(&self, key: &str) -> Result<u64> {
        self.find(key)?.ok_or_else(|| Error::not_found(self.what, key))
    }

    fn by_id(&self, key: &str) -> Option<u64> {
        let digits = key.strip_prefix(self.prefix)?.strip_prefix('_')?;
        let number = digits.parse().ok().filter(|n| self.things.contains_key(n))?;
        (self.id(number) == key).then_some(number)
    }

    fn ambiguous(&self, name: &str, count: usize) -> Error {
        let what = self.what;
        Error::invalid(format!("{count} {what}s are named {}: use an id", quoted(name)))
    }

    /// All things in creation order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.things.iter().map(|(number, counted)| (*number, &counted.thing))
    }

    pub fn is_empty(&self) -> bool {
        self.things.is_empty()
    }

    pub fn clear(&mut self) {
        self.set_changes_now();
        self.things.clear();
        self.names.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(&'static str);

    impl Named for Thing {
        fn name(&self) -> &str {
            self.0
        }
    }

    #[test]
    fn ids_win_over_names_and_are_never_reused() {
        let mut things = Registry::new("tool");
        let first = things.insert(Thing("tool_2"));
        let second = things.insert(Thing("b"));
        assert_eq!(things.find("tool_2").unwrap(), Some(second));
        things.remove(second);
        assert_eq!(things.find("tool_2").unwrap(), Some(first));
        assert_eq!(things.insert(Thing("b")), 3);
        assert_eq!(things.find("tool_03").unwrap(), None);
    }

    #[test]
    fn an_ambiguous_name_is_refused() {
        let mut things = Registry::new("agent");
        things.insert(Thing("x"));
        things.insert(Thing("x"));
        let error = things.find("x").unwrap_err();
        assert_eq!(error.message(), "2 agents are named \"x\": use an id");
        assert!(things.require("y").unwrap_err().message().contains("agent not found"));
    }

    #[test]
    fn every_change_is_counted_where_it_belongs() {
        let mut things = Registry::new("agent");
        let (a, b) = (things.insert(Thing("a")), things.insert(Thing("b")));
        let counts = |things: &Registry<Thing>| {
            (things.changes(), things.set_changes(), things.changes_of(a), things.changes_of(b))
        };
        let before = counts(&things);
        let _ = (things.get(a), things.iter().count(), things.find("a").unwrap());
        assert_eq!(counts(&things), before);
        things.get_mut(a);
        let changed = counts(&things);
        assert_ne!((changed.0, changed.2), (before.0, before.2));
        assert_eq!((changed.1, changed.3), (before.1, before.3));
        things.rename(a, "a");
        assert_ne!(things.set_changes(), changed.1);
        let renamed = counts(&things);
        things.remove(b);
        assert_ne!(things.set_changes(), renamed.1);
        let removed = counts(&things);
        things.clear();
        assert_ne!((things.changes(), things.set_changes()), (removed.0, removed.1));
        // A new thing never has a count that another one had.
        let c = things.insert(Thing("a"));
        assert!(things.changes_of(c) > removed.2);
    }
}
