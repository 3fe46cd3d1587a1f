//! Events: what happens, told by name to whoever wants to hear of it.

use std::collections::VecDeque;

use crate::error::Result;
use crate::value::{Failure, Record};

mod builtin;
mod id;
pub mod pattern;
pub mod recorder;
mod remote;
pub mod subscriptions;
mod topic;
mod trie;

pub use builtin::{Builtin, Lifecycle, Wanted};
pub use id::Id;
pub use pattern::Pattern;
pub use remote::{Links, Opening, Plan, flush};
pub use subscriptions::{Filter, Limits, Subscription, Subscriptions};
pub use topic::{Category, Priority};

use recorder::Recorders;

/// An event of the module itself that is still to be told.
#[derive(Debug)]
pub struct Told {
    pub event: Builtin,
    pub data: Record,
    /// Its field `error`.
    pub failure: Option<Failure>,
}

pub struct Events {
    /// Built-in events that somebody would hear: kept up to date by whoever changes what is heard.
    pub wanted: Wanted,
    pub subscriptions: Subscriptions,
    /// Functions that see an event first, and may change or drop it.
    pub filters: Subscriptions,
    pub recorders: Recorders,
    /// To other processes.
    pub links: Links,
    /// The number of the last event.
    last: u64,
    /// Whether what the edge knows of who hears what is no longer true.
    stale: bool,
    outbox: VecDeque<Told>,
    /// Executions of workflows whose events a handle gives.
    pub followed: usize,
}

impl Default for Events {
    fn default() -> Events {
        Events {
            wanted: Wanted::default(),
            subscriptions: Subscriptions::new("sub"),
            filters: Subscriptions::new("filter"),
            recorders: Recorders::default(),
            links: Links::default(),
            last: 0,
            stale: false,
            outbox: VecDeque::new(),
            followed: 0,
        }
    }
}

impl Events {
    /// Of an event that comes to be now.
    pub fn next_id(&mut self) -> Id {
        self.last += 1;
        Id::new(self.last)
    }

    /// Whether anybody would hear of an event of that name.
    pub fn heard(&self, name: &str) -> bool {
        self.filters.hear(name)
            || self.subscriptions.hear(name)
            || self.recorders.hears(name)
            || self.links.hear(name)
    }

    /// Who hears what has changed.
    pub fn changed(&mut self) {
        self.stale = true;
        self.wanted = Wanted::of(|name| self.heard(name));
    }

    /// The same, for events whose names match: mostly not those of the module itself.
    fn changed_for(&mut self, pattern: &str) {
        self.stale = true;
        let builtin = |p: Pattern| Builtin::ALL.iter().any(|event| p.matches(event.name()));
        if Pattern::parse(pattern).is_ok_and(builtin) {
            self.changed();
        }
    }

    /// Whether who hears what has changed since this was asked last.
    pub fn take_stale(&mut self) -> bool {
        std::mem::take(&mut self.stale)
    }

    /// Answers its id.
    pub fn subscribe(&mut self, subscription: Subscription) -> Result<String> {
        let pattern = subscription.pattern.clone();
        let number = self.subscriptions.insert(subscription)?;
        self.changed_for(&pattern);
        Ok(self.subscriptions.id(number))
    }

    /// As [`Events::subscribe`], for a function that sees events first.
    pub fn intercept(&mut self, filter: Subscription) -> Result<String> {
        let pattern = filter.pattern.clone();
        let number = self.filters.insert(filter)?;
        self.changed_for(&pattern);
        Ok(self.filters.id(number))
    }

    /// Ends a subscription, a filter or a link, or stops a recorder; false if there is none with
    /// that id.
    pub fn unsubscribe(&mut self, id: &str) -> bool {
        if self.recorders.stop(id) {
            self.changed();
            return true;
        }
        if let Some(number) = self.links.find(id) {
            let ended = self.links.remove(number);
            self.changed();
            return ended;
        }
        let removed = match (self.subscriptions.find(id), self.filters.find(id)) {
            (Some(number), _) => self.subscriptions.remove(number),
            (None, Some(number)) => self.filters.remove(number),
            (None, None) => None,
        };
        removed.as_ref().inspect(|gone| self.changed_for(&gone.pattern)).is_some()
    }

    /// Forgets who hears what.
    pub fn clear(&mut self) {
        self.subscriptions.clear();
        self.filters.clear();
        self.recorders.clear();
        self.links.clear();
        self.outbox.clear();
        self.followed = 0;
        self.changed();
    }

    /// Whether it is worth putting the event together.
    pub fn wants(&self, event: Builtin) -> bool {
        self.wanted.has(event) || self.followed > 0 && event.is_of_workflow()
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
