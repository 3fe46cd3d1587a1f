//! Which entries are meant: by owner, key, type and tag.

use super::vectors::Block;
use super::{Entry, Kind, Memory, Scope, address, global};
use crate::store::UnixMs;
use crate::value::glob;

#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// What the whole keys begin with, as [`address::Address`] makes them; empty: of every owner.
    pub prefix: Vec<u8>,
    /// A glob that the keys themselves match.
    pub pattern: Option<String>,
    pub kind: Option<Kind>,
    pub tag: Option<String>,
}

impl Selection {
    pub fn takes(&self, key: &[u8], entry: &Entry) -> bool {
        self.takes_any(key, entry.kind, entry.tags())
    }

    /// As [`Selection::takes`], for what is known of an entry elsewhere; the owner counts too.
    pub fn takes_any(&self, key: &[u8], kind: Kind, tags: &[String]) -> bool {
        self.kind.is_none_or(|wanted| wanted == kind)
            && key.starts_with(&self.prefix)
            && self.tag.as_ref().is_none_or(|tag| tags.contains(tag))
            && self.pattern.as_deref().is_none_or(|pattern| matches(pattern, key))
    }

    /// Whether all entries under the prefix are meant.
    pub fn is_whole(&self) -> bool {
        self.pattern.is_none() && self.kind.is_none() && self.tag.is_none()
    }

    /// Whether what is meant may lie in a store.
    pub fn may_be_stored(&self) -> bool {
        self.kind.is_none_or(|kind| kind == Kind::Persistent)
    }

    fn scopes(&self) -> impl Iterator<Item = Scope> {
        let prefix = &self.prefix;
        let fits =
            |scope: &Scope| prefix.is_empty() || prefix.starts_with(&address::prefix(*scope));
        Scope::ALL.into_iter().filter(fits)
    }

    /// Shows each entry that lies in the process.
    pub fn each(&self, memory: &mut Memory, now: UnixMs, mut see: impl FnMut(&[u8], &Entry)) {
        let global_too = self.scopes().any(|scope| scope == Scope::Global);
        let own_too = self.scopes().any(|scope| scope != Scope::Global);
        let mut look = |key: &[u8], entry: &Entry| {
            if self.takes(key, entry) {
                see(key, entry);
            }
        };
        if global_too {
            global().select(&self.prefix, now).for_each(|(key, entry)| look(key, entry));
        }
        if own_too {
            memory.own.select(&self.prefix, now).for_each(|(key, entry)| look(key, entry));
        }
    }

    /// The embeddings that lie in the process, of other entries too.
    pub fn vectors(&self, memory: &mut Memory, now: UnixMs) -> Vec<Block> {
        let mut blocks = Vec::new();
        if self.scopes().any(|scope| scope == Scope::Global) {
            blocks.extend_from_slice(global().vectors(now));
        }
        if self.scopes().any(|scope| scope != Scope::Global) {
            blocks.extend_from_slice(memory.own.vectors(now));
        }
        blocks
    }

    /// Forgets the entries that lie in the process; gives how many.
    pub fn forget(&self, memory: &mut Memory, now: UnixMs) -> u64 {
        let mut keys = Vec::new();
        self.each(memory, now, |key, _| keys.push(key.to_vec()));
        for key in &keys {
            memory.within(address::scope(key), |space| space.remove(key, now));
        }
        keys.len() as u64
    }
}

fn matches(pattern: &str, key: &[u8]) -> bool {
    let key = address::parse(key).map_or(key, |(_, key)| key);
    glob::matches(pattern, &String::from_utf8_lossy(key))
}
