//! What steps depend on, and the order that follows from it.

use std::collections::HashMap;
use std::rc::Rc;

use super::super::given::inner;
use super::super::order::{cycles, links, order};
use super::super::problem::Flaw;
use super::super::{Step, Steps};
use super::Reader;
use crate::shape::nearest;

/// Steps that are looked through for one that may have been meant.
const COMPARED: usize = 200;

/// Steps of a cycle that are named.
const NAMED: usize = 12;

impl Reader<'_> {
    /// Steps that follow each other, each behind those it depends on. `list` is their path.
    pub fn chained(&mut self, steps: Vec<Step>, list: &str) -> Steps {
        let steps = self.beside(steps, list);
        if steps.iter().all(|step| step.depends_on.is_empty()) {
            return steps;
        }
        order(&steps).into_iter().filter_map(|at| steps.get(at).cloned()).collect()
    }

    /// Steps as they are written, once all that they depend on was found.
    pub fn beside(&mut self, steps: Vec<Step>, list: &str) -> Steps {
        let steps: Steps = steps.into_iter().map(Rc::new).collect();
        if steps.iter().any(|step| !step.depends_on.is_empty()) {
            self.dependencies(&steps, list);
        }
        steps
    }

    /// Steps of which one is run.
    pub fn alternatives(&mut self, steps: Vec<Step>, list: &str) -> Steps {
        for step in steps.iter().filter(|step| !step.depends_on.is_empty()) {
            let message = "only one of these steps is run: it can depend on none of the others";
            self.wrong(at(list, step), message, Flaw::UnknownDependency);
        }
        steps.into_iter().map(Rc::new).collect()
    }

    fn dependencies(&mut self, steps: &Steps, list: &str) {
        let places: HashMap<&str, usize> =
            steps.iter().enumerate().map(|(at, step)| (step.id.as_ref(), at)).collect();
        for step in steps.iter() {
            for id in step.depends_on.iter().filter(|id| !places.contains_key(id.as_str())) {
                let message = self.unknown(id, steps);
                self.wrong(at(list, step), message, Flaw::UnknownDependency);
            }
        }
        for cycle in cycles(&links(steps)) {
            let Some(first) = cycle.first().and_then(|at| steps.get(*at)) else { continue };
            let message = format!("a cycle: {}", shown(steps, &cycle));
            self.wrong(at(list, first), message, Flaw::Cycle);
        }
    }

    fn unknown(&self, id: &str, steps: &Steps) -> String {
        if self.ids.is_known(id) {
            return format!("{id:?} is a step of another list: steps depend on those beside them");
        }
        let near = nearest(id, steps.iter().take(COMPARED).map(|step| step.id.as_ref()));
        let hint = near.map(|near| format!(", did you mean {near:?}?")).unwrap_or_default();
        format!("no step has the id {id:?}{hint}")
    }
}

fn at(list: &str, step: &Step) -> String {
    inner(&format!("{list}[{}]", step.number), "depends_on")
}

/// `a → b → a`
fn shown(steps: &Steps, cycle: &[usize]) -> String {
    let id = |at: &usize| steps.get(*at).map_or_else(String::new, |step| step.id.to_string());
    let mut ids: Vec<String> = cycle.iter().take(NAMED).map(id).collect();
    if cycle.len() > NAMED {
        ids.push("…".to_owned());
    }
    ids.extend(cycle.first().map(id));
    ids.join(" → ")
}
