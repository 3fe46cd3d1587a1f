//! Which steps of workflows were come to, and which ways were taken there.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::percent;
use crate::registry::Registry;
use crate::value::{Data, Record};
use crate::workflow::definition::{Does, Step};
use crate::workflow::{Definition, Workflow};

/// A server may make one for each request: those after so many are not followed.
const MOST: usize = 1000;

/// By their numbers.
#[derive(Debug, Default)]
pub struct Workflows(BTreeMap<u64, Covered>);

/// Of a workflow, which may have gone: its definition would keep the functions of its steps.
#[derive(Debug, Default)]
struct Covered {
    name: Option<String>,
    /// In the order in which they are written.
    steps: Vec<Rc<str>>,
    branches: Vec<Branch>,
    begun: BTreeSet<Rc<str>>,
    skipped: BTreeSet<Rc<str>>,
}

/// A step that decides by its id, or a workflow by its pattern.
#[derive(Debug)]
struct Branch {
    id: Rc<str>,
    ways: Vec<(Rc<str>, Sign)>,
}

/// By what it is known that a way was taken.
#[derive(Debug)]
enum Sign {
    /// One of these was begun.
    Begun(Vec<Rc<str>>),
    Skipped(Rc<str>),
}

impl Workflows {
    pub fn known(&mut self, number: u64, definition: &Definition) {
        if self.0.len() < MOST {
            self.0.insert(number, Covered::of(definition));
        }
    }

    /// A step was begun.
    pub fn begun(&mut self, workflow: u64, step: &Rc<str>) {
        if let Some(covered) = self.0.get_mut(&workflow) {
            covered.begun.insert(step.clone());
        }
    }

    /// A step was passed over, by its condition.
    pub fn skipped(&mut self, workflow: u64, step: &Rc<str>) {
        if let Some(covered) = self.0.get_mut(&workflow) {
            covered.skipped.insert(step.clone());
        }
    }

    pub fn report(&self, known: &Registry<Workflow>) -> Record {
        let mut all = Record::new();
        self.0.iter().for_each(|(number, covered)| all.put(known.id(*number), covered.report()));
        all
    }
}

impl Covered {
    fn of(definition: &Definition) -> Covered {
        let mut covered = Covered { name: definition.name.clone(), ..Covered::default() };
        covered.decided(definition.pattern.name().into(), &definition.body, Vec::new());
        covered
    }

    fn add(&mut self, steps: &[Rc<Step>]) {
        for step in steps {
            self.steps.push(step.id.clone());
            let mut ways = Vec::new();
            if step.when.is_some() {
                ways.push(("run".into(), Sign::Begun(vec![step.id.clone()])));
                ways.push(("skip".into(), Sign::Skipped(step.id.clone())));
            }
            self.decided(step.id.clone(), &step.does, ways);
        }
    }

    fn decided(&mut self, id: Rc<str>, does: &Does, mut ways: Vec<(Rc<str>, Sign)>) {
        ways.extend(ways_of(does));
        if !ways.is_empty() {
            self.branches.push(Branch { id, ways });
        }
        inside(does).into_iter().for_each(|steps| self.add(steps));
    }

    fn took(&self, sign: &Sign) -> bool {
        match sign {
            Sign::Begun(steps) => steps.iter().any(|step| self.begun.contains(step)),
            Sign::Skipped(step) => self.skipped.contains(step),
        }
    }

    fn report(&self) -> Record {
        let missing = self.steps.iter().filter(|step| !self.begun.contains(*step));
        let missing: Vec<Data> = missing.map(|step| step.to_string().into()).collect();
        let (total, executed) = (self.steps.len(), self.steps.len() - missing.len());
        let mut branches = Record::new();
        for Branch { id, ways } in &self.branches {
            let mut taken = Record::new();
            ways.iter().for_each(|(way, sign)| taken.put(way.to_string(), self.took(sign)));
            branches.put(id.to_string(), taken);
        }
        Record::new()
            .set("name", self.name.clone())
            .set("steps_total", total)
            .set("steps_executed", executed)
            .set("percent", percent(executed, total))
            .set("missing", Data::List(missing))
            .set("branches", branches)
    }
}

/// Which ways there are through a step that decides.
fn ways_of(does: &Does) -> Vec<(Rc<str>, Sign)> {
    let any = |steps: &[Rc<Step>]| Sign::Begun(steps.iter().map(|step| step.id.clone()).collect());
    match does {
        Does::Branch { then, otherwise, .. } => [("then", then), ("else", otherwise)]
            .into_iter()
            .filter(|(_, steps)| !steps.is_empty())
            .map(|(way, steps)| (way.into(), any(steps)))
            .collect(),
        Does::Choice(steps) => {
            steps.iter().map(|step| (step.id.clone(), Sign::Begun(vec![step.id.clone()]))).collect()
        }
        Does::Loop(looping) => vec![("body".into(), any(&looping.steps))],
        Does::Map { steps, .. } => vec![("body".into(), any(steps))],
        _ => Vec::new(),
    }
}

/// The lists of steps in a step.
fn inside(does: &Does) -> Vec<&[Rc<Step>]> {
    match does {
        Does::Sequence(steps)
        | Does::Choice(steps)
        | Does::Parallel { steps, .. }
        | Does::Map { steps, .. } => vec![steps],
        Does::Branch { then, otherwise, .. } => vec![then, otherwise],
        Does::Loop(looping) => vec![&looping.steps],
        _ => Vec::new(),
    }
}
