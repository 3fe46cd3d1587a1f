//! What has stopped inside of an execution goes on with what it had: a step with its input, a loop
//! or a map with its items and the tables `loop` that its steps have seen.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::value::{Data, Slot};

#[derive(Default)]
pub struct Halted {
    steps: HashMap<Rc<str>, Stopped>,
    loops: HashMap<Rc<str>, Turns>,
}

/// A step that had begun when it stopped: hooks have seen it begin.
pub struct Stopped {
    pub input: Data,
    /// The attempt that stopped is one of them.
    pub attempts: u32,
}

/// What repeats.
#[derive(Default)]
pub struct Turns {
    pub items: Option<Slot>,
    /// So many, if that is known before.
    pub total: Option<usize>,
    /// The tables `loop` of what was under way, by number.
    pub loops: BTreeMap<usize, Slot>,
}

impl Halted {
    pub fn stop(&mut self, path: Rc<str>, stopped: Stopped) {
        self.steps.insert(path, stopped);
    }

    pub fn step(&self, path: &str) -> Option<&Stopped> {
        self.steps.get(path)
    }

    pub fn go_on(&mut self, path: &str) -> Option<Stopped> {
        self.steps.remove(path)
    }

    pub fn steps(&self) -> impl Iterator<Item = &Rc<str>> {
        self.steps.keys()
    }

    /// `path` is that of the step that repeats; "" at the top.
    pub fn keep_turns(&mut self, path: Rc<str>, turns: Turns) {
        self.loops.insert(path, turns);
    }

    pub fn take_turns(&mut self, path: &str) -> Option<Turns> {
        self.loops.remove(path)
    }

    /// The step begins anew, or has ended; the paths of what is inside begin with `inside`.
    pub fn forget(&mut self, path: &str, inside: &str) {
        let is_gone = |key: &str| key == path || key.starts_with(inside);
        self.steps.retain(|key, _| !is_gone(key));
        self.loops.retain(|key, _| !is_gone(key));
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.loops.is_empty()
    }

    pub fn clear(&mut self) {
        self.steps.clear();
        self.loops.clear();
    }
}
