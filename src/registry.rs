//! Things a Lua program made and names by id: agents, tools, providers.
//!
//! Ids are `prefix_N` with counters that are never reused. Wherever an id is accepted a unique
//! name is too; ids win over names.

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
    /// As in `agent_1`; also what messages call such a thing.
    prefix: &'static str,
    last: u64,
    things: BTreeMap<u64, T>,
    /// Numbers by the hash of their thing's name: the names themselves are not stored twice.
    names: HashTable<(u64, u64)>,
    hasher: RandomState,
}

impl<T: Named> Registry<T> {
    pub fn new(prefix: &'static str) -> Registry<T> {
        Registry {
            prefix,
            last: 0,
            things: BTreeMap::new(),
            names: HashTable::new(),
            hasher: RandomState::new(),
        }
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
        self.index(self.last, thing.name());
        self.things.insert(self.last, thing);
        self.last
    }

    pub fn remove(&mut self, number: u64) -> Option<T> {
        let thing = self.things.remove(&number)?;
        self.forget(number, thing.name());
        Some(thing)
    }

    pub fn get(&self, number: u64) -> Option<&T> {
        self.things.get(&number)
    }

    /// For changing a thing in place; its name stays ([`Registry::rename`]).
    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        self.things.get_mut(&number)
    }

    /// Keeps the name index true after a thing's name changed from `old`.
    pub fn rename(&mut self, number: u64, old: &str) {
        let Some(new) = self.things.get(&number).map(|t| t.name().to_owned()) else { return };
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
        let same = |number: &u64| self.things.get(number).is_some_and(|t| t.name() == name);
        self.names.iter_hash(hash).map(|(_, number)| *number).filter(same).collect()
    }

    /// All things of that name, oldest first.
    pub fn all_named(&self, name: &str) -> Vec<(u64, &T)> {
        let mut numbers = self.named(name);
        numbers.sort_unstable();
        numbers.into_iter().filter_map(|n| Some((n, self.things.get(&n)?))).collect()
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
        self.find(key)?.ok_or_else(|| Error::not_found(self.prefix, key))
    }

    fn by_id(&self, key: &str) -> Option<u64> {
        let digits = key.strip_prefix(self.prefix)?.strip_prefix('_')?;
        let number = digits.parse().ok().filter(|n| self.things.contains_key(n))?;
        (self.id(number) == key).then_some(number)
    }

    fn ambiguous(&self, name: &str, count: usize) -> Error {
        let what = self.prefix;
        Error::invalid(format!("{count} {what}s are named {}: use an id", quoted(name)))
    }

    /// All things in creation order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.things.iter().map(|(number, thing)| (*number, thing))
    }

    pub fn is_empty(&self) -> bool {
        self.things.is_empty()
    }

    pub fn clear(&mut self) {
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
}
