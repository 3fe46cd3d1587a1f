//! What was compiled lately, by the content of the schema, compared in full.
//!
//! Compiling takes hundreds of times as long as looking a schema up; a program that passes the
//! same table with every call should not notice that there is a difference.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::{Options, Schema};
use crate::value::{Kind, Ref};

/// Most schemas, and most bytes of their keys, that are remembered.
const MOST: usize = 512;
const MOST_BYTES: usize = 4 << 20;

pub struct Memo {
    entries: HashTable<Entry>,
    hasher: RandomState,
    bytes: usize,
    /// Counts uses, to tell what was not used for long.
    clock: Cell<u64>,
}

struct Entry {
    hash: u64,
    key: Box<[u8]>,
    schema: Schema,
    used: Cell<u64>,
}

/// A schema and its options as bytes: equal bytes, equal meaning.
pub struct Key {
    bytes: Vec<u8>,
    hash: u64,
}

impl Default for Memo {
    fn default() -> Memo {
        let clock = Cell::new(0);
        Memo { entries: HashTable::new(), hasher: RandomState::new(), bytes: 0, clock }
    }
}

impl Memo {
    pub fn key(&self, given: Ref<'_>, options: &Options) -> Key {
        let mut bytes = Vec::with_capacity(256);
        let draft = options.draft.map_or(0, |draft| draft as u8 + 1);
        bytes.extend_from_slice(&[draft, u8::from(options.formats)]);
        write(given, &mut bytes);
        for (uri, document) in options.documents.iter() {
            bytes.extend_from_slice(format!("\n{uri}\n{document}").as_bytes());
        }
        let hash = self.hasher.hash_one(&bytes);
        Key { bytes, hash }
    }

    pub fn get(&self, key: &Key) -> Option<Schema> {
        let entry = self.entries.find(key.hash, |entry| *entry.key == *key.bytes)?;
        self.clock.set(self.clock.get() + 1);
        entry.used.set(self.clock.get());
        Some(entry.schema.clone())
    }

    pub fn put(&mut self, key: Key, schema: Schema) {
        if key.bytes.len() > MOST_BYTES / 4 {
            return;
        }
        if self.entries.len() >= MOST || self.bytes + key.bytes.len() > MOST_BYTES {
            self.drop_old();
        }
        self.bytes += key.bytes.len();
        let used = Cell::new(self.clock.get());
        let entry = Entry { hash: key.hash, key: key.bytes.into(), schema, used };
        self.entries.insert_unique(key.hash, entry, |entry| entry.hash);
    }

    /// Drops the half that was not used for longest, so that dropping is rare.
    fn drop_old(&mut self) {
        let mut uses: Vec<u64> = self.entries.iter().map(|entry| entry.used.get()).collect();
        uses.sort_unstable();
        let middle = uses.get(uses.len() / 2).copied().unwrap_or_default();
        self.entries.retain(|entry| entry.used.get() > middle);
        self.bytes = self.entries.iter().map(|entry| entry.key.len()).sum();
    }

    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

impl std::fmt::Debug for Memo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Memo({} schemas)", self.entries.len())
    }
}

/// Kinds and lengths stand before contents, so that different values never have equal bytes.
fn write(value: Ref<'_>, bytes: &mut Vec<u8>) {
    bytes.push(value.kind() as u8);
    match value.kind() {
        Kind::Bool => bytes.push(u8::from(value.as_bool() == Some(true))),
        Kind::Int => bytes.extend_from_slice(&value.as_i64().unwrap_or_default().to_le_bytes()),
        Kind::Float => bytes.extend_from_slice(&value.as_f64().unwrap_or_default().to_le_bytes()),
        Kind::Str => {
            let text = value.as_bytes().unwrap_or_default();
            bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
            bytes.extend_from_slice(text);
        }
        Kind::Array => {
            bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
            value.items().for_each(|item| write(item, bytes));
        }
        Kind::Object => {
            bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
            for (key, member) in value.members() {
                write(key, bytes);
                write(member, bytes);
            }
        }
        Kind::Null | Kind::Empty | Kind::Function | Kind::Opaque => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::value::{Tape, json as text};

    #[test]
    fn it_stays_bounded_and_keeps_what_is_used() {
        let mut memo = Memo::default();
        let mut tape = Tape::default();
        let key = |memo: &Memo, n: usize, tape: &mut Tape| {
            tape.clear();
            text::put(&json!({ "minimum": n }), tape);
            memo.key(tape.view(0), &Options::default())
        };
        let schema = Schema::compile(&json!(true)).unwrap();
        for n in 0..3 * MOST {
            let favourite = key(&memo, 0, &mut tape);
            memo.get(&favourite);
            let key = key(&memo, n, &mut tape);
            memo.put(key, schema.clone());
        }
        assert!(memo.entries.len() <= MOST);
        assert!(memo.get(&key(&memo, 0, &mut tape)).is_some());
        assert!(memo.get(&key(&memo, 1, &mut tape)).is_none());
    }
}
