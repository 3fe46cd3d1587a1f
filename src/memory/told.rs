//! The event that an entry has changed.

use super::about;
use crate::event::Builtin;
use crate::runtime::Runtime;
use crate::value::Record;

impl Runtime {
    /// `op` is what was done: "store", "delete", "update", "increment".
    pub fn tell_entry(&mut self, key: &[u8], op: &'static str) {
        if self.events.wants(Builtin::MemoryUpdated) {
            self.events.tell(Builtin::MemoryUpdated, about(key).set("op", op), None);
        }
    }

    /// Of many at once, "clear" or "load", only their number.
    pub fn tell_entries(&mut self, op: &'static str, count: u64) {
        let data = Record::new().set("op", op).set("count", count);
        self.events.tell(Builtin::MemoryUpdated, data, None);
    }
}
