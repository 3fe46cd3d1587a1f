//! What is seen of an execution from outside, turn by turn.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;

use crate::workflow::execution::{Execution, How};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Began,
    Ended(How),
}

#[derive(Default)]
pub struct Watch {
    /// What became of steps, by their paths, in order.
    pub seen: Vec<(Rc<str>, Seen)>,
    /// So many branches were under way at once.
    pub widest: usize,
    under_way: HashSet<Rc<str>>,
    ended: BTreeSet<Rc<str>>,
}

impl Watch {
    pub fn look(&mut self, execution: &Execution) {
        for path in execution.under_way.keys() {
            if self.under_way.insert(path.clone()) {
                self.seen.push((path.clone(), Seen::Began));
            }
        }
        self.under_way.retain(|path| execution.under_way.contains_key(path));
        for (path, ended) in &execution.ended {
            if self.ended.insert(path.clone()) {
                self.seen.push((path.clone(), Seen::Ended(ended.how)));
            }
        }
        self.ended.retain(|path| execution.ended.contains_key(path));
    }

    pub fn ended(&self) -> usize {
        self.seen.iter().filter(|(_, seen)| matches!(seen, Seen::Ended(_))).count()
    }

    /// How often each path came to an end.
    pub fn ends(&self) -> BTreeMap<&str, usize> {
        let mut ends = BTreeMap::new();
        for (path, seen) in &self.seen {
            if matches!(seen, Seen::Ended(_)) {
                *ends.entry(&**path).or_default() += 1;
            }
        }
        ends
    }

    pub fn first(&self, path: &str, wanted: impl Fn(&Seen) -> bool) -> Option<usize> {
        self.seen.iter().position(|(other, seen)| **other == *path && wanted(seen))
    }
}
