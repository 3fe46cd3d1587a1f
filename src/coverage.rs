//! What was used of what there is, since an instance has begun to count. Things that have gone are
//! still counted: tests make what they use, and take it away again.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::runtime::Runtime;
use crate::value::Record;
use crate::workflow::Definition;
use crate::workflow::definition::{Does, Step};

#[derive(Debug, Default)]
pub struct Coverage {
    pub tools: Uses,
    pub agents: Uses,
    hooks: Hooked,
    workflows: BTreeMap<u64, Covered>,
}

/// Things by name, and how often each was used.
#[derive(Debug, Default)]
pub struct Uses(BTreeMap<String, u64>);

/// Hooks by number, which none shares with another.
#[derive(Debug, Default)]
struct Hooked {
    /// Those that were there when the count began, and the number of the next one then.
    before: u64,
    first: u64,
    fired: BTreeSet<u64>,
}

/// The steps of a workflow that were come to.
#[derive(Debug)]
struct Covered {
    definition: Rc<Definition>,
    executed: BTreeSet<Rc<str>>,
    skipped: BTreeSet<Rc<str>>,
}

impl Uses {
    pub fn known(&mut self, name: &str) {
        self.0.entry(name.to_owned()).or_default();
    }

    pub fn used(&mut self, name: &str) {
        *self.0.entry(name.to_owned()).or_default() += 1;
    }

    fn report(&self, all: &'static str, some: &'static str) -> Record {
        let used = self.0.values().filter(|count| **count > 0).count();
        let missing = self.0.iter().filter(|(_, count)| **count == 0);
        let missing: Vec<_> = missing.map(|(name, _)| name.as_str().into()).collect();
        Record::new()
            .set(all, self.0.len())
            .set(some, used)
            .set("percent", percent(used, self.0.len()))
            .set("missing", crate::value::Data::List(missing))
    }
}

/// Of nothing all is used.
pub fn percent(used: usize, all: usize) -> f64 {
    if all == 0 { 100.0 } else { (used as f64 / all as f64 * 1000.0).round() / 10.0 }
}

impl Coverage {
    pub fn fired(&mut self, hook: u64) {
        self.hooks.fired.insert(hook);
    }

    /// A step of a workflow was begun, or passed over.
    pub fn reached(
        &mut self,
        workflow: u64,
        definition: &Rc<Definition>,
        step: &Rc<str>,
        is_skipped: bool,
    ) {
        let covered = self.workflows.entry(workflow).or_insert_with(|| Covered::of(definition));
        covered.definition = definition.clone();
        let steps = if is_skipped { &mut covered.skipped } else { &mut covered.executed };
        steps.insert(step.clone());
    }
}

impl Covered {
    fn of(definition: &Rc<Definition>) -> Covered {
        let (executed, skipped) = Default::default();
        Covered { definition: definition.clone(), executed, skipped }
    }

    fn report(&self) -> Record {
        let mut branches = Record::new();
        let Definition { pattern, body, .. } = &*self.definition;
        self.decided(pattern.name(), body, Record::new(), &mut branches);
        Record::new()
            .set("name", self.definition.name.clone())
            .set("steps_total", self.definition.count)
            .set("steps_executed", self.executed.len())
            .set("branches", branches)
    }

    fn has(&self, steps: &[Rc<Step>]) -> bool {
        steps.iter().any(|step| self.executed.contains(&step.id))
    }

    /// Which ways were taken, by the id of the step that decides; the workflow's own go by its
    /// pattern.
    fn branches(&self, steps: &[Rc<Step>], all: &mut Record) {
        for step in steps {
            let mut ways = Record::new();
            if step.when.is_some() {
                ways.put("run", self.executed.contains(&step.id));
                ways.put("skip", self.skipped.contains(&step.id));
            }
            self.decided(&step.id, &step.does, ways, all);
        }
    }

    fn decided(&self, id: &str, does: &Does, mut ways: Record, all: &mut Record) {
        match does {
            Does::Branch { then, otherwise, .. } => {
                for (way, steps) in [("then", then), ("else", otherwise)] {
                    if !steps.is_empty() {
                        ways.put(way, self.has(steps));
                    }
                }
            }
            Does::Choice(steps) => steps.iter().for_each(|step| {
                ways.put(step.id.to_string(), self.executed.contains(&step.id));
            }),
            Does::Loop(looping) => ways.put("body", self.has(&looping.steps)),
            Does::Map { steps, .. } => ways.put("body", self.has(steps)),
            _ => {}
        }
        if !ways.fields.is_empty() {
            all.put(id.to_owned(), ways);
        }
        inside(does).iter().for_each(|steps| self.branches(steps, all));
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

/// All but functions, events and lines.
pub fn report(runtime: &Runtime) -> Record {
    let coverage = &runtime.coverage;
    Record::new()
        .set("tools", coverage.tools.report("registered", "executed"))
        .set("agents", coverage.agents.report("created", "run"))
        .set("hooks", hooks(runtime))
        .set("workflows", workflows(runtime))
}

fn hooks(runtime: &Runtime) -> Record {
    let Hooked { before, first, fired } = &runtime.coverage.hooks;
    let registered = before + runtime.hooks.all().next().saturating_sub((*first).max(1));
    Record::new()
        .set("registered", registered)
        .set("fired", fired.len())
        .set("percent", percent(fired.len(), registered as usize))
}

fn workflows(runtime: &Runtime) -> Record {
    let mut all = Record::new();
    let known = &runtime.workflows.known;
    let mut numbers: BTreeSet<u64> = known.iter().map(|(number, _)| number).collect();
    numbers.extend(runtime.coverage.workflows.keys());
    for number in numbers {
        let covered = runtime.coverage.workflows.get(&number).map(Covered::report);
        let fresh = || known.get(number).map(|one| Covered::of(&one.definition).report());
        if let Some(report) = covered.or_else(fresh) {
            all.put(known.id(number), report);
        }
    }
    all
}

/// Begins anew, with what is there now.
pub fn restart(runtime: &mut Runtime) {
    let mut fresh = Coverage::default();
    runtime.tools.iter().for_each(|(_, tool)| fresh.tools.known(&tool.name));
    runtime.agents.iter().for_each(|(_, agent)| fresh.agents.known(&agent.name));
    fresh.hooks.before = runtime.hooks.all().iter().count() as u64;
    fresh.hooks.first = runtime.hooks.all().next();
    runtime.coverage = fresh;
}
