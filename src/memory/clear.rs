//! All entries of a selection are taken out of the store.

use super::{Entry, Selection, Survey};
use crate::error::Result;
use crate::runtime::Runtime;
use crate::step::Operation;
use crate::store::{Asking, Change, Durability, Question, Space, Write};
use crate::value::Data;

/// What `clear` returns; it is told, too.
pub fn cleared(runtime: &mut Runtime, count: u64) -> Data {
    if count > 0 {
        runtime.tell_entries("clear", count);
    }
    Data::Many(vec![Data::Bool(true), Data::from(count)])
}

/// At once where a prefix says which, else found first. `count` entries were in the process.
pub fn clear(selection: Selection, count: u64) -> Operation {
    let of_any_kind = Selection { kind: None, ..selection.clone() };
    if of_any_kind.is_whole() {
        return all(selection.prefix, count);
    }
    let found = Found { keys: Vec::new(), count };
    Survey::operation("memory_write", selection, found, Found::see, Found::delete)
}

fn all(prefix: Vec<u8>, count: u64) -> Operation {
    let writes = vec![write(prefix, Change::DeleteAll)];
    let question = Question::Commit { writes, durability: Durability::Batched };
    Asking::operation("memory_write", question, move |runtime, answer| {
        let count = count + answer.committed()?.before();
        Ok(cleared(runtime, count))
    })
}

fn write(key: Vec<u8>, change: Change) -> Write {
    Write { space: Space::Memory, key, change, only_if: None }
}

struct Found {
    keys: Vec<Vec<u8>>,
    count: u64,
}

impl Found {
    fn see(&mut self, key: &[u8], _: Entry) {
        self.keys.push(key.to_vec());
    }

    fn delete(self, runtime: &mut Runtime) -> Result<Data> {
        let count = self.count + self.keys.len() as u64;
        let writes = self.keys.into_iter().map(|key| write(key, Change::Delete)).collect();
        let policy = runtime.config.batch.policy;
        if let Some(store) = runtime.backing() {
            store.queue(writes, policy)?;
        }
        Ok(cleared(runtime, count))
    }
}
