//! Who wants to hear of which events: subscriptions, and the filters before them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::Result;
use crate::value::Slot;

use super::pattern::Pattern;
use super::topic::{Category, Priority};
use super::trie::Trie;

/// A function for the events whose names match.
#[derive(Debug)]
pub struct Subscription {
    pub pattern: Box<str>,
    pub callback: Slot,
    pub priority: Priority,
    /// Unix seconds.
    pub created_at: f64,
    /// What few have.
    pub limits: Option<Box<Limits>>,
    /// Whether the edge keeps a record of it, which must go with it.
    known: bool,
}

/// Which of the events that match are wanted.
#[derive(Debug, Default)]
pub struct Limits {
    pub once: bool,
    pub category: Option<Category>,
    pub min_priority: Option<Priority>,
    pub filter: Option<Filter>,
}

#[derive(Debug)]
pub enum Filter {
    Function(Slot),
    /// Fields that must have these values; `data.user.id` is a path.
    Fields(Map<String, Value>),
}

impl Subscription {
    pub fn new(pattern: &str, callback: Slot, created_at: f64) -> Subscription {
        let (priority, limits, known) = (Priority::Normal, None, false);
        Subscription { pattern: pattern.into(), callback, priority, created_at, limits, known }
    }
}

/// All of one kind, which the prefix of their ids tells.
#[derive(Debug)]
pub struct Subscriptions {
    prefix: &'static str,
    last: u64,
    all: BTreeMap<u64, Subscription>,
    trie: Trie,
    /// Those known to the edge that are no more.
    gone: Vec<u64>,
}

impl Subscriptions {
    pub fn new(prefix: &'static str) -> Subscriptions {
        let (all, trie, gone) = (BTreeMap::new(), Trie::default(), Vec::new());
        Subscriptions { prefix, last: 0, all, trie, gone }
    }

    pub fn id(&self, number: u64) -> String {
        format!("{}_{number}", self.prefix)
    }

    /// The number of the one with that id.
    pub fn find(&self, id: &str) -> Option<u64> {
        let digits = id.strip_prefix(self.prefix)?.strip_prefix('_')?;
        let number = digits.parse().ok().filter(|number| self.all.contains_key(number))?;
        (self.id(number) == id).then_some(number)
    }

    pub fn insert(&mut self, subscription: Subscription) -> Result<u64> {
        let pattern = Pattern::parse(&subscription.pattern)?;
        self.last += 1;
        self.trie.insert(&pattern, self.last);
        self.all.insert(self.last, subscription);
        Ok(self.last)
    }

    pub fn remove(&mut self, number: u64) -> Option<Subscription> {
        let subscription = self.all.remove(&number)?;
        if let Ok(pattern) = Pattern::parse(&subscription.pattern) {
            self.trie.remove(&pattern, number);
        }
        if subscription.known {
            self.gone.push(number);
        }
        Some(subscription)
    }

    pub fn clear(&mut self) {
        let known = self.all.iter().filter(|(_, s)| s.known).map(|(number, _)| *number);
        self.gone.extend(known);
        self.all.clear();
        self.trie = Trie::default();
    }

    /// The one with that number, of which the edge keeps a record from now on.
    pub fn known(&mut self, number: u64) -> Option<&Subscription> {
        let subscription = self.all.get_mut(&number)?;
        subscription.known = true;
        Some(subscription)
    }

    /// Those whose records the edge may drop.
    pub fn take_gone(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.gone)
    }

    /// Whether an event of that name is wanted at all.
    pub fn hear(&self, name: &str) -> bool {
        self.trie.matches(name)
    }

    /// Those for an event of that name, in the order in which they are called.
    pub fn hearing(&self, name: &str) -> Vec<u64> {
        let mut numbers = self.trie.matching(name);
        numbers.sort_by_cached_key(|number| {
            let priority = self.all.get(number).map(|s| s.priority);
            (std::cmp::Reverse(priority), *number)
        });
        numbers
    }

    /// All in order of registration.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Subscription)> {
        self.all.iter().map(|(number, subscription)| (*number, subscription))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Slots;

    struct Case {
        slots: Slots,
        subscriptions: Subscriptions,
    }

    impl Case {
        fn new() -> Case {
            Case { slots: Slots::default(), subscriptions: Subscriptions::new("sub") }
        }

        fn add(&mut self, pattern: &str, priority: Priority) -> u64 {
            let mut subscription = Subscription::new(pattern, self.slots.take(), 0.0);
            subscription.priority = priority;
            self.subscriptions.insert(subscription).unwrap()
        }
    }

    #[test]
    fn the_order_is_priority_and_then_registration() {
        let mut case = Case::new();
        let low = case.add("a.*", Priority::Low);
        let first = case.add("a.b", Priority::Normal);
        let second = case.add("**", Priority::Normal);
        let critical = case.add("*.b", Priority::Critical);
        case.add("b", Priority::Critical);
        assert_eq!(case.subscriptions.hearing("a.b"), [critical, first, second, low]);
        assert!(case.subscriptions.hear("x") && case.subscriptions.hearing("x") == [second]);
    }

    #[test]
    fn ids_are_never_reused_and_found_only_as_they_are_written() {
        let mut case = Case::new();
        let first = case.add("a", Priority::Normal);
        assert_eq!(case.subscriptions.find("sub_1"), Some(first));
        assert_eq!(case.subscriptions.find("sub_01"), None);
        assert_eq!(case.subscriptions.find("filter_1"), None);
        assert!(case.subscriptions.remove(first).is_some());
        assert!(case.subscriptions.remove(first).is_none());
        assert_eq!(case.add("a", Priority::Normal), 2);
        assert_eq!(case.subscriptions.find("sub_1"), None);
    }

    #[test]
    fn the_edge_hears_of_those_it_knew_that_went() {
        let mut case = Case::new();
        let (a, b, c) = (
            case.add("a", Priority::Normal),
            case.add("b", Priority::Normal),
            case.add("c", Priority::Normal),
        );
        assert!(case.subscriptions.known(a).is_some() && case.subscriptions.known(c).is_some());
        case.subscriptions.remove(a);
        case.subscriptions.remove(b);
        assert_eq!(case.subscriptions.take_gone(), [a]);
        case.subscriptions.clear();
        assert_eq!(case.subscriptions.take_gone(), [c]);
        assert!(!case.subscriptions.hear("c") && case.subscriptions.known(c).is_none());
    }

    #[test]
    fn the_callback_goes_with_its_subscription() {
        let mut case = Case::new();
        let number = case.add("a", Priority::Normal);
        case.subscriptions.remove(number);
        assert!(case.slots.next_freed().is_some());
    }
}
