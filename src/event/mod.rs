//! Events: what happens, told by name to whoever wants to hear of it.

use std::collections::VecDeque;

use crate::value::{Failure, Record};

mod builtin;
mod pattern;
pub mod recorder;

pub use builtin::{Builtin, Lifecycle, Wanted};
pub use pattern::Pattern;

use recorder::Recorders;

/// An event of the module itself that is still to be told.
#[derive(Debug)]
pub struct Told {
    pub event: Builtin,
    pub data: Record,
    /// Its field `error`.
    pub failure: Option<Failure>,
}

#[derive(Debug, Default)]
pub struct Events {
    /// Built-in events that somebody would hear: kept up to date by whoever changes what is heard.
    pub wanted: Wanted,
    pub recorders: Recorders,
    outbox: VecDeque<Told>,
}

impl Events {
    /// Whether anybody hears of events of that name.
    fn heard(&self, name: &str) -> bool {
        self.recorders.hears(name)
    }

    /// Somebody else hears of events than before.
    pub fn changed(&mut self) {
        self.wanted = Wanted::of(|name| self.heard(name));
    }

    /// Whether it is worth putting the event together.
    pub fn wants(&self, event: Builtin) -> bool {
        self.wanted.has(event)
    }

    /// Queues an event for the edge, which tells it before it does anything else.
    pub fn tell(&mut self, event: Builtin, data: Record, failure: Option<Failure>) {
        if self.wants(event) {
            self.outbox.push_back(Told { event, data, failure });
        }
    }

    pub fn has_told(&self) -> bool {
        !self.outbox.is_empty()
    }

    pub fn next_told(&mut self) -> Option<Told> {
        self.outbox.pop_front()
    }
}
