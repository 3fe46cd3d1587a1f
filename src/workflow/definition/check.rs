//! What is wrong with a definition that is whole: templates of things that are not there by then,
//! steps that are never reached, conditions that say nothing.

use super::given::inner;
use super::holes::{self, Site};
use super::layout::{Layout, Moment, Run, lists};
use super::{Definition, Does, Flaw, Made, Over, Problem, Step, Test};
use crate::shape::nearest;
use crate::value::Key;
use crate::workflow::matches;
use crate::workflow::template::{Filter, Hole};

const ROOTS: &[&str] = &["input", "previous", "steps", "variables", "workflow", "loop"];
const STEP: &[&str] =
    &["output", "status", "response", "error", "attempts", "started_at", "duration_ms"];
const WORKFLOW: &[&str] = &["id", "name", "execution_id", "input"];
const LOOP: &[&str] = &["index", "item", "first", "last"];
const PREVIOUS: &[&str] = &["output", "id"];

/// Steps that are looked through for one that may have been meant.
const COMPARED: usize = 200;

#[derive(Default)]
pub struct Judgement {
    pub errors: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

pub fn judge(definition: &Definition) -> Judgement {
    let layout = Layout::new(definition);
    let mut judge = Judge { layout: &layout, found: Judgement::default() };
    judge.place(None, holes::of_body(&definition.body));
    for (n, node) in layout.nodes.iter().enumerate() {
        judge.place(Some(n), holes::of_step(node.step));
        judge.when(n, node.step);
    }
    judge.found
}

struct Judge<'l, 'd> {
    layout: &'l Layout<'d>,
    found: Judgement,
}

impl Judge<'_, '_> {
    fn place(&mut self, place: Option<usize>, sites: Vec<Site>) {
        for site in sites {
            self.site(place, &site);
        }
        self.does(place);
    }

    fn warn(&mut self, place: Option<usize>, field: &str, message: impl Into<String>, flaw: Flaw) {
        let path = inner(&self.layout.path(place), field);
        self.found.warnings.push(Problem::new(path, message, flaw));
    }

    fn site(&mut self, place: Option<usize>, site: &Site) {
        let has_default = site.hole.filters.iter().any(|f| matches!(f, Filter::Default(_)));
        let Some((flaw, doubt, why)) = self.wrong(place, site) else { return };
        if doubt && has_default {
            return;
        }
        let message = format!("{{{{{}}}}}: {why}", site.hole.source);
        let path = inner(&self.layout.path(place), &site.field);
        let list =
            if doubt || has_default { &mut self.found.warnings } else { &mut self.found.errors };
        list.push(Problem::new(path, message, flaw));
    }

    /// What is wrong with a template, and whether that is only so at times.
    fn wrong(&self, place: Option<usize>, site: &Site) -> Option<(Flaw, bool, String)> {
        let keys = site.hole.steps();
        let root = match keys.first() {
            Some(Key::Name(root)) => root.as_str(),
            _ => "",
        };
        match root {
            "input" | "variables" => None,
            "previous" => member(&keys, 1, "previous", PREVIOUS),
            "workflow" => member(&keys, 1, "workflow", WORKFLOW),
            "loop" if !self.has_loop(place, site) => {
                let why = "`loop` is there only inside of a loop or map".to_owned();
                Some((Flaw::UnknownRoot, false, why))
            }
            "loop" => member(&keys, 1, "loop", LOOP),
            "steps" => self.step(place, site, &keys),
            "output" if site.maps_output => None,
            "output" => {
                let why = "`output` is there only in the field `output` of a step".to_owned();
                Some((Flaw::UnknownRoot, false, why))
            }
            other => Some((Flaw::UnknownRoot, false, unknown_root(other))),
        }
    }

    fn has_loop(&self, place: Option<usize>, site: &Site) -> bool {
        let field = site.field.as_str();
        let of_iterations = matches!(self.layout.does(place), Does::Loop(_))
            && (field == "until_condition" || site.moment == Moment::Again);
        let around = place.and_then(|n| self.layout.nodes.get(n)).map(|node| node.around);
        of_iterations || around.is_some_and(|around| self.layout.turns(around))
    }

    fn step(
        &self,
        place: Option<usize>,
        site: &Site,
        keys: &[Key],
    ) -> Option<(Flaw, bool, String)> {
        let id = match keys.get(1) {
            None => return None,
            Some(Key::Name(id)) => id,
            Some(Key::Index(_)) => {
                return Some((Flaw::UnknownStep, false, "steps go by their ids".to_owned()));
            }
        };
        let Some(to) = self.layout.find(id) else {
            let near = nearest(id, self.layout.ids().take(COMPARED));
            let hint = near.map(|near| format!(", did you mean {near:?}?")).unwrap_or_default();
            return Some((Flaw::UnknownStep, false, format!("no step has the id {id:?}{hint}")));
        };
        match self.layout.has_run(place, site.moment, to) {
            Run::Before => member(keys, 2, "a step", STEP),
            Run::Perhaps => {
                let why = format!(
                    "step {id:?} may not have run by then: say what stands for it with default(…)"
                );
                Some((Flaw::NotYetRun, true, why))
            }
            Run::Never => {
                let why = format!("step {id:?} cannot have run by then");
                Some((Flaw::NotYetRun, false, why))
            }
        }
    }

    fn does(&mut self, place: Option<usize>) {
        let does = self.layout.does(place);
        let all = lists(does);
        if !all.is_empty() && all.iter().all(|(_, steps)| steps.is_empty()) {
            let (field, _) = all.first().copied().unwrap_or_default();
            self.warn(place, field, "no steps: the output is the input", Flaw::NoSteps);
        }
        match does {
            Does::Branch { test, then, otherwise } => {
                if let Some(holds) = self.constant(place, "condition", test) {
                    let (field, dead) =
                        if holds { ("if_false", otherwise) } else { ("if_true", then) };
                    if !dead.is_empty() {
                        self.warn(place, field, "is never reached", Flaw::Unreachable);
                    }
                }
            }
            Does::Choice(steps) => self.choice(steps),
            Does::Loop(looping) => {
                if let Over::While(test) = &looping.over {
                    self.constant(place, "condition", test);
                }
                if let Some(until) = &looping.until {
                    self.constant(place, "until_condition", until);
                }
                match &looping.over {
                    Over::Items(made) if is_nothing(made) => {
                        self.warn(
                            place,
                            "items",
                            "no items: no step is reached",
                            Flaw::Unreachable,
                        );
                    }
                    Over::Count(made) if is_nothing(made) => {
                        self.warn(place, "count", "is 0: no step is reached", Flaw::Unreachable);
                    }
                    _ => {}
                }
            }
            Does::Map { over, .. } if is_nothing(over) => {
                self.warn(place, "over", "no items: no step is reached", Flaw::Unreachable);
            }
            _ => {}
        }
    }

    /// Behind a step that always runs, none of the others does.
    fn choice(&mut self, steps: &[std::rc::Rc<Step>]) {
        let always = |step: &std::rc::Rc<Step>| match &step.when {
            None => true,
            Some(test) => truth(test) == Some(true),
        };
        let Some(first) = steps.iter().position(always) else { return };
        let Some(sure) = steps.get(first) else { return };
        for step in steps.iter().skip(first + 1) {
            let message = format!("is never reached: step {:?} before it always runs", sure.id);
            self.warn(self.layout.find(&step.id), "", message, Flaw::Unreachable);
        }
    }

    fn when(&mut self, place: usize, step: &Step) {
        let Some(test) = &step.when else { return };
        let own = matches!(step.does, Does::Branch { .. } | Does::Loop(_));
        let field = if own { "when" } else { "condition" };
        if self.constant(Some(place), field, test) == Some(false) {
            self.warn(Some(place), "", "is never reached", Flaw::Unreachable);
        }
    }

    /// What a condition says that looks at nothing.
    fn constant(&mut self, place: Option<usize>, field: &str, test: &Test) -> Option<bool> {
        let holds = truth(test)?;
        let word = if holds { "always" } else { "never" };
        let message = format!("compares constants: it {word} holds");
        self.warn(place, field, message, Flaw::Constant);
        Some(holds)
    }
}

fn truth(test: &Test) -> Option<bool> {
    match test {
        Test::Says(condition) if condition.templates.is_empty() => {
            condition.holds(&[], &matches).ok()
        }
        _ => None,
    }
}

fn is_nothing(made: &Made) -> bool {
    match made {
        Made::Plain(value) => {
            value.as_array().is_some_and(Vec::is_empty) || value.as_f64() == Some(0.0)
        }
        _ => false,
    }
}

/// Whether a path goes on with one of the fields there are.
fn member(keys: &[Key], at: usize, of: &str, fields: &[&str]) -> Option<(Flaw, bool, String)> {
    let name = match keys.get(at) {
        None => return None,
        Some(Key::Name(name)) if fields.contains(&name.as_str()) => return None,
        Some(Key::Name(name)) => name.clone(),
        Some(Key::Index(index)) => (index + 1).to_string(),
    };
    let why = format!("there is no {name:?} in {of}: there are {}", fields.join(", "));
    Some((Flaw::UnknownRoot, false, why))
}

fn unknown_root(root: &str) -> String {
    match nearest(root, ROOTS.iter().copied()) {
        Some(near) => format!("unknown root {root:?}, did you mean {near:?}?"),
        None => format!("unknown root {root:?}: there are {}", ROOTS.join(", ")),
    }
}

/// Steps that a template names.
pub fn named(hole: &Hole) -> Option<String> {
    match hole.steps().as_slice() {
        [Key::Name(root), Key::Name(id), ..] if root == "steps" => Some(id.clone()),
        _ => None,
    }
}

/// Whether a template looks at the step before.
pub fn looks_back(hole: &Hole) -> bool {
    matches!(hole.path.steps.first(), Some(Key::Name(root)) if root == "previous")
}
