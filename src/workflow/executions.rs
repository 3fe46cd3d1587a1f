//! The executions of one instance: by number, by id, and those of each workflow.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::Execution;
use crate::error::{Error, Result};

#[derive(Default)]
pub struct Executions {
    last: u64,
    all: BTreeMap<u64, Execution>,
    by_id: HashMap<String, u64>,
    /// Those of each workflow that have ended, oldest first.
    ended: HashMap<u64, VecDeque<u64>>,
    latest: HashMap<u64, u64>,
}

impl Executions {
    /// `exec_1`, `exec_2`, …; not one that a run has been given.
    pub fn next_id(&mut self) -> String {
        loop {
            let id = format!("exec_{}", self.last + 1);
            if !self.by_id.contains_key(&id) {
                return id;
            }
            self.last += 1;
        }
    }

    pub fn insert(&mut self, execution: Execution) -> u64 {
        self.last += 1;
        self.by_id.insert(execution.id.clone(), self.last);
        self.latest.insert(execution.workflow, self.last);
        self.all.insert(self.last, execution);
        self.last
    }

    pub fn find(&self, id: &str) -> Option<u64> {
        self.by_id.get(id).copied()
    }

    pub fn get(&self, number: u64) -> Result<&Execution> {
        self.all.get(&number).ok_or_else(gone)
    }

    pub fn get_mut(&mut self, number: u64) -> Result<&mut Execution> {
        self.all.get_mut(&number).ok_or_else(gone)
    }

    /// Those of a workflow.
    pub fn of(&self, workflow: u64) -> Vec<u64> {
        let own = self.all.iter().filter(|(_, execution)| execution.workflow == workflow);
        own.map(|(number, _)| *number).collect()
    }

    /// Those of a workflow that have ended are kept among those of another one.
    pub fn hand_over(&mut self, workflow: u64, to: u64) {
        let own = self.ended.remove(&workflow).unwrap_or_default();
        self.ended.entry(to).or_default().extend(own);
        self.latest.remove(&workflow);
    }

    /// The latest one of a workflow.
    pub fn latest(&self, workflow: u64) -> Option<u64> {
        self.latest.get(&workflow).copied().filter(|number| self.all.contains_key(number))
    }

    /// One has ended, or goes on after all.
    pub fn count_ended(&mut self, workflow: u64, number: u64, has_ended: bool) {
        let ended = self.ended.entry(workflow).or_default();
        match ended.contains(&number) {
            true if !has_ended => ended.retain(|other| *other != number),
            false if has_ended => ended.push_back(number),
            _ => {}
        }
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &Execution)> + Clone {
        self.all.iter().map(|(number, execution)| (*number, execution))
    }

    /// Of a workflow's executions that have ended, the newest so many stay, and those that somebody
    /// has yet to look at.
    pub fn keep(&mut self, workflow: u64, count: usize) {
        let ended = self.ended.entry(workflow).or_default();
        let mut over = ended.len().saturating_sub(count);
        ended.retain(|number| {
            let watched = self.all.get(number).is_some_and(Execution::is_watched);
            if over == 0 || watched {
                return true;
            }
            over -= 1;
            if let Some(execution) = self.all.remove(number) {
                unlist(&mut self.by_id, &execution.id, *number);
            }
            false
        });
    }

    /// It is not found by its id any more.
    pub fn unlist(&mut self, number: u64) {
        if let Some(execution) = self.all.get(&number) {
            unlist(&mut self.by_id, &execution.id, number);
        }
    }

    pub fn remove(&mut self, number: u64) -> Option<Execution> {
        let execution = self.all.remove(&number)?;
        unlist(&mut self.by_id, &execution.id, number);
        if let Some(ended) = self.ended.get_mut(&execution.workflow) {
            ended.retain(|other| *other != number);
        }
        Some(execution)
    }

    pub fn clear(&mut self) {
        let last = self.last;
        *self = Executions { last, ..Executions::default() };
    }
}

/// A later execution of the same run has the same id.
fn unlist(by_id: &mut HashMap<String, u64>, id: &str, number: u64) {
    if by_id.get(id) == Some(&number) {
        by_id.remove(id);
    }
}

fn gone() -> Error {
    Error::state("the execution is not known any more")
}
