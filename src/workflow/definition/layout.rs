//! All steps of a definition in the order in which they run, with what is around each.

use std::collections::HashMap;
use std::rc::Rc;

use super::{Definition, Does, Step, order};

pub struct Layout<'d> {
    pub definition: &'d Definition,
    pub nodes: Vec<Node<'d>>,
    by_id: HashMap<&'d str, usize>,
}

/// A step.
pub struct Node<'d> {
    pub step: &'d Step,
    /// The step it is inside of.
    pub around: Option<usize>,
    /// The field of that step which lists it.
    pub field: &'static str,
    /// Its place among those that run in this list.
    pub at: usize,
}

/// Whether what a template names has run by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    Before,
    /// In an iteration before, or if it happens to be faster.
    Perhaps,
    Never,
}

/// When the templates of a step are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before it, and before what is inside of it.
    Before,
    /// Before each iteration of it.
    Again,
    /// Behind all that is inside of it.
    Behind,
}

/// How many steps are looked through for what one of them depends on.
const PATIENCE: usize = 1000;

impl<'d> Layout<'d> {
    pub fn new(definition: &'d Definition) -> Layout<'d> {
        let nodes = Vec::with_capacity(definition.count);
        let mut layout = Layout { definition, nodes, by_id: HashMap::new() };
        layout.add(&definition.body, None);
        let ids = layout.nodes.iter().enumerate().map(|(n, node)| (node.step.id.as_ref(), n));
        layout.by_id = ids.collect();
        layout
    }

    fn add(&mut self, does: &'d Does, around: Option<usize>) {
        for (field, steps) in lists(does) {
            for (at, place) in order(steps).into_iter().enumerate() {
                let Some(step) = steps.get(place) else { continue };
                self.nodes.push(Node { step, around, field, at });
                let own = self.nodes.len() - 1;
                self.add(&step.does, Some(own));
            }
        }
    }

    pub fn find(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    pub fn ids(&self) -> impl Iterator<Item = &'d str> {
        self.nodes.iter().map(|node| node.step.id.as_ref())
    }

    pub fn does(&self, place: Option<usize>) -> &'d Does {
        place.and_then(|n| self.nodes.get(n)).map_or(&self.definition.body, |node| &node.step.does)
    }

    /// Where it is written: `steps[2].if_true[1]`.
    pub fn path(&self, place: Option<usize>) -> String {
        let Some(node) = place.and_then(|n| self.nodes.get(n)) else { return String::new() };
        let around = self.path(node.around);
        let dot = if around.is_empty() { "" } else { "." };
        format!("{around}{dot}{}[{}]", node.field, node.step.number)
    }

    fn around(&self, place: usize) -> Option<usize> {
        self.nodes.get(place).and_then(|node| node.around)
    }

    /// It and all that is around it, down to the workflow.
    fn outward(&self, place: Option<usize>) -> Vec<Option<usize>> {
        let mut all = vec![place];
        let mut here = place;
        while let Some(place) = here {
            here = self.around(place);
            all.push(here);
        }
        all
    }

    /// Whether it is done several times over because of what it is, or of what it is inside of.
    pub fn repeats(&self, place: Option<usize>) -> bool {
        self.outward(place).into_iter().any(|at| matches!(self.does(at), Does::Loop(_)))
    }

    /// Whether there is a `loop` for what is inside of it.
    pub fn turns(&self, place: Option<usize>) -> bool {
        let turns = |at| matches!(self.does(at), Does::Loop(_) | Does::Map { .. });
        self.outward(place).into_iter().any(turns)
    }

    /// Whether step `to` has run when a template of `from` is looked at.
    pub fn has_run(&self, from: Option<usize>, moment: Moment, to: usize) -> Run {
        let unless = |repeats: bool| if repeats { Run::Perhaps } else { Run::Never };
        let (own, other) = (self.outward(from), self.outward(Some(to)));
        if own.contains(&Some(to)) {
            return unless(self.repeats(self.around(to)));
        }
        if other.contains(&from) {
            return match moment {
                Moment::Behind => Run::Before,
                Moment::Again => Run::Perhaps,
                Moment::Before => unless(self.repeats(from.and_then(|n| self.around(n)))),
            };
        }
        // The steps of one list in which both are.
        let shared = own.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
        let (Some(Some(a)), Some(Some(b))) = (at_end(&own, shared), at_end(&other, shared)) else {
            return Run::Before;
        };
        self.in_order(a, b, &unless)
    }

    fn in_order(&self, from: usize, to: usize, unless: &dyn Fn(bool) -> Run) -> Run {
        let (Some(a), Some(b)) = (self.nodes.get(from), self.nodes.get(to)) else {
            return Run::Before;
        };
        match self.does(a.around) {
            Does::Choice(_) => unless(self.repeats(a.around)),
            Does::Parallel { .. } if self.depends(a, b) => Run::Before,
            Does::Parallel { .. } => Run::Perhaps,
            _ if a.field == b.field && b.at < a.at => Run::Before,
            _ => unless(self.repeats(a.around)),
        }
    }

    /// Whether a step waits for another one, maybe by way of others.
    fn depends(&self, step: &Node<'_>, on: &Node<'_>) -> bool {
        let mut open: Vec<&str> = step.step.depends_on.iter().map(String::as_str).collect();
        let mut seen = 0;
        while let Some(id) = open.pop() {
            seen += 1;
            if id == on.step.id.as_ref() || seen > PATIENCE {
                return true;
            }
            let next = self.find(id).and_then(|n| self.nodes.get(n));
            open.extend(
                next.into_iter().flat_map(|node| &node.step.depends_on).map(String::as_str),
            );
        }
        false
    }

    /// The step that comes before it in its chain; in the one around it, if it is the first.
    pub fn before(&self, place: usize) -> Option<usize> {
        let node = self.nodes.get(place)?;
        let beside = matches!(self.does(node.around), Does::Parallel { .. } | Does::Choice(_));
        if beside || node.at == 0 {
            return node.around.and_then(|around| self.before(around));
        }
        let earlier = (0..place).rev().find(|n| self.around(*n) == node.around);
        earlier.filter(|n| self.nodes.get(*n).is_some_and(|other| other.field == node.field))
    }
}

/// The one so many steps inward from the workflow.
fn at_end(outward: &[Option<usize>], shared: usize) -> Option<Option<usize>> {
    outward.len().checked_sub(shared + 1).and_then(|at| outward.get(at)).copied()
}

/// The lists of steps of what a step does, and the fields they stand in.
pub fn lists(does: &Does) -> Vec<(&'static str, &[Rc<Step>])> {
    match does {
        Does::Sequence(steps) | Does::Choice(steps) => vec![("steps", steps)],
        Does::Parallel { steps, .. } | Does::Map { steps, .. } => vec![("steps", steps)],
        Does::Loop(looping) => vec![("steps", &looping.steps)],
        Does::Branch { then, otherwise, .. } => vec![("if_true", then), ("if_false", otherwise)],
        _ => Vec::new(),
    }
}
