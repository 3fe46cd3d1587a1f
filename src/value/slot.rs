//! An integer standing for one Lua value in its state's registry table.
//!
//! The core holds and passes slots without knowing Lua. When the last clone of a slot is dropped
//! its number goes onto a list, and the Lua edge clears those registry entries at its next call:
//! so a slot may be dropped anywhere, also on another thread.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

/// A Lua value held by reference.
#[derive(Clone)]
pub struct Slot(Arc<Inner>);

struct Inner {
    id: i64,
    freed: Arc<Mutex<Vec<i64>>>,
}

impl Slot {
    /// The key in the registry table.
    pub fn id(&self) -> i64 {
        self.0.id
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.freed.lock().push(self.id);
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({})", self.0.id)
    }
}

/// Hands out slot numbers of one Lua state.
#[derive(Default)]
pub struct Slots {
    last: i64,
    reusable: Vec<i64>,
    freed: Arc<Mutex<Vec<i64>>>,
}

impl Slots {
    pub fn take(&mut self) -> Slot {
        let id = self.reserve();
        self.slot(id)
    }

    /// A number to store a value under. Unless [`Slots::slot`] follows it is never used again.
    pub fn reserve(&mut self) -> i64 {
        self.reusable.pop().unwrap_or_else(|| {
            self.last += 1;
            self.last
        })
    }

    /// The slot of a number that was reserved.
    pub fn slot(&self, id: i64) -> Slot {
        Slot(Arc::new(Inner { id, freed: self.freed.clone() }))
    }

    /// The next dropped slot whose registry entry must be cleared. Its number is reused later.
    pub fn next_freed(&mut self) -> Option<i64> {
        let id = self.freed.lock().pop()?;
        self.reusable.push(id);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_reused_only_after_its_entry_was_cleared() {
        let mut slots = Slots::default();
        let first = slots.take();
        let copy = first.clone();
        drop(first);
        assert_eq!(slots.next_freed(), None, "a clone is alive");
        drop(copy);
        let second = slots.take();
        assert_eq!(second.id(), 2);
        assert_eq!(slots.next_freed(), Some(1));
        assert_eq!(slots.take().id(), 1);
    }
}
