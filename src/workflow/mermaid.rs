//! A workflow as a flowchart in the language of Mermaid, or an execution of it: then the colours are
//! those of what became of each step.
//!
//! Nodes go by numbers, and their texts are written so that nothing in them is syntax: steps may be
//! called "end", have quotes in their names, or whole diagrams.

mod labels;

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::rc::Rc;

use super::definition::{Aggregation, Definition, Does, Step, Test};
use super::execution::{Execution, States};
use labels::{detail, labelled, made, said, shape, text, times};

pub fn graph(definition: &Definition, name: &str) -> String {
    drawn(definition, &text(name), None)
}

pub fn graph_of(execution: &Execution) -> String {
    let title = format!("{}<br/>{}", text(&execution.name), execution.status.name());
    drawn(&execution.definition, &title, Some(execution.states()))
}

fn drawn(definition: &Definition, title: &str, states: Option<States>) -> String {
    let mut graph = Graph { depth: 1, states, ..Graph::default() };
    let start = graph.node("([", title, "])", "edge");
    let tails = graph.does(None, &definition.body, vec![Tail::from(start)]);
    let end = graph.node("([", "output", "])", "edge");
    graph.lead(&tails, &end);
    format!("flowchart TD\n{}{}{}", graph.nodes, graph.edges, graph.classes())
}

/// What nodes are told apart by: steps by what they do, those of an execution by how they stand, and
/// then by their outlines, too.
const LOOKS: &[(&str, &str)] = &[
    ("edge", "fill:#f5f5f5,stroke:#999"),
    ("test", "fill:#fce8e6,stroke:#c5533d"),
    ("agent", "fill:#e8f0fe,stroke:#4a7bd0"),
    ("tool", "fill:#e6f4ea,stroke:#3c8a4e"),
    ("code", "fill:#fff8e1,stroke:#c9a227"),
    ("pending", "fill:#fff,stroke:#999"),
    ("running", "fill:#e8f0fe,stroke:#4a7bd0,stroke-width:3px"),
    ("paused", "fill:#fff8e1,stroke:#c9a227,stroke-dasharray:6 3"),
    ("completed", "fill:#e6f4ea,stroke:#3c8a4e"),
    ("failed", "fill:#f8d7da,stroke:#b02a37,stroke-width:3px"),
    ("skipped", "fill:#f5f5f5,stroke:#999,stroke-dasharray:3 3"),
    ("cancelled", "fill:#eee,stroke:#b02a37,stroke-dasharray:3 3"),
];

/// An arrow that leads to whatever comes next.
#[derive(Clone)]
struct Tail {
    node: String,
    arrow: &'static str,
    label: &'static str,
}

impl Tail {
    fn from(node: String) -> Tail {
        Tail { node, arrow: "-->", label: "" }
    }

    fn labelled(node: &str, label: &'static str) -> Tail {
        Tail { node: node.to_owned(), arrow: "-->", label }
    }
}

#[derive(Default)]
struct Graph {
    nodes: String,
    edges: String,
    count: usize,
    depth: usize,
    /// Names of nodes by what they look like.
    looks: Vec<(&'static str, String)>,
    /// Of an execution.
    states: Option<States>,
}

impl Graph {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.nodes, "{}{line}", "  ".repeat(self.depth));
    }

    /// A node; its name.
    fn node(&mut self, open: &str, label: &str, close: &str, look: &'static str) -> String {
        let name = format!("n{}", self.count);
        self.count += 1;
        self.line(&format!("{name}{open}\"{label}\"{close}"));
        self.looks_like(&name, look);
        name
    }

    fn looks_like(&mut self, name: &str, look: &'static str) {
        match self.looks.iter_mut().find(|(known, _)| *known == look) {
            Some((_, names)) => {
                let _ = write!(names, ",{name}");
            }
            None => self.looks.push((look, name.to_owned())),
        }
    }

    /// What became of a step, where that is known; else how such a node looks.
    fn look(&self, step: Option<&Step>, look: &'static str) -> &'static str {
        match (step, &self.states) {
            (Some(step), Some(states)) => states.get(&step.id).copied().unwrap_or("pending"),
            _ => look,
        }
    }

    fn lead(&mut self, tails: &[Tail], to: &str) {
        for Tail { node, arrow, label } in tails {
            let label = if label.is_empty() { String::new() } else { format!("|\"{label}\"|") };
            let _ = writeln!(self.edges, "  {node} {arrow}{label} {to}");
        }
    }

    fn classes(&self) -> String {
        let used = LOOKS.iter().filter_map(|(look, style)| {
            let (_, names) = self.looks.iter().find(|(known, _)| known == look)?;
            Some(format!("  classDef {look} {style}\n  class {names} {look}\n"))
        });
        used.collect()
    }

    fn chain(&mut self, steps: &[Rc<Step>], tails: Vec<Tail>) -> Vec<Tail> {
        steps.iter().fold(tails, |tails, step| self.step(step, tails))
    }

    fn step(&mut self, step: &Step, tails: Vec<Tail>) -> Vec<Tail> {
        let Some(when) = &step.when else { return self.own(step, tails) };
        let test = self.test(when, &tails);
        let mut ends = self.own(step, vec![Tail::labelled(&test, "yes")]);
        ends.push(Tail::labelled(&test, "no"));
        ends
    }

    fn own(&mut self, step: &Step, tails: Vec<Tail>) -> Vec<Tail> {
        self.does(Some(step), &step.does, tails)
    }

    fn test(&mut self, test: &Test, tails: &[Tail]) -> String {
        let node = self.node("{", &said(test), "}", "test");
        self.lead(tails, &node);
        node
    }

    fn does(&mut self, step: Option<&Step>, does: &Does, tails: Vec<Tail>) -> Vec<Tail> {
        match does {
            Does::Sequence(steps) if step.is_none() => self.chain(steps, tails),
            Does::Sequence(steps) => self.boxed(step, "", |graph| graph.inside(steps, tails)),
            Does::Parallel { steps, gathers, .. } => self.parallel(step, steps, *gathers, &tails),
            Does::Branch { test, then, otherwise } => {
                let node = self.branching(step, test, &tails);
                let mut ends = self.chain(then, vec![Tail::labelled(&node, "yes")]);
                ends.extend(self.chain(otherwise, vec![Tail::labelled(&node, "no")]));
                ends
            }
            Does::Choice(steps) => self.choice(steps, tails),
            Does::Loop(looping) => {
                let title = times(looping);
                let label = if looping.until.is_some() { "until it holds" } else { "again" };
                self.boxed(step, &title, |graph| graph.turning(&looping.steps, tails, label))
            }
            Does::Map { steps, over, .. } => {
                let title = format!("each of {}", made(over));
                self.boxed(step, &title, |graph| graph.turning(steps, tails, "each"))
            }
            _ => self.single(step, does, &tails),
        }
    }

    fn single(&mut self, step: Option<&Step>, does: &Does, tails: &[Tail]) -> Vec<Tail> {
        let (open, close, look) = shape(does);
        let look = self.look(step, look);
        let node = self.node(open, &labelled(step, &detail(does)), close, look);
        self.lead(tails, &node);
        let goes_on = step.is_some_and(|step| step.goes_on == Some(true));
        let failed = Tail { node: node.clone(), arrow: "-.->", label: "failed" };
        std::iter::once(Tail::from(node)).chain(goes_on.then_some(failed)).collect()
    }

    fn branching(&mut self, step: Option<&Step>, test: &Test, tails: &[Tail]) -> String {
        let Some(step) = step else { return self.test(test, tails) };
        let look = self.look(Some(step), "test");
        let node = self.node("{", &labelled(Some(step), &said(test)), "}", look);
        self.lead(tails, &node);
        node
    }

    /// What is drawn by `inner` in a box of its own.
    fn boxed(
        &mut self,
        step: Option<&Step>,
        title: &str,
        inner: impl FnOnce(&mut Graph) -> Vec<Tail>,
    ) -> Vec<Tail> {
        let label = labelled(step, title);
        let name = format!("box{}", self.count);
        self.line(&format!("subgraph {name}[\"{label}\"]"));
        if self.states.is_some() {
            self.looks_like(&name, self.look(step, "edge"));
        }
        self.depth += 1;
        let ends = inner(self);
        self.depth -= 1;
        self.line("end");
        ends
    }

    /// The steps of a box, which is not empty.
    fn inside(&mut self, steps: &[Rc<Step>], tails: Vec<Tail>) -> Vec<Tail> {
        if !steps.is_empty() {
            return self.chain(steps, tails);
        }
        let node = self.node("(", "no steps", ")", "edge");
        self.lead(&tails, &node);
        vec![Tail::from(node)]
    }

    /// Steps that lead back to the first of them.
    fn turning(&mut self, steps: &[Rc<Step>], tails: Vec<Tail>, label: &'static str) -> Vec<Tail> {
        let first = format!("n{}", self.count);
        let ends = self.inside(steps, tails);
        let on = ends.iter().filter(|end| end.arrow == "-->");
        let back: Vec<Tail> = on.map(|end| Tail { label, ..end.clone() }).collect();
        self.lead(&back, &first);
        ends
    }

    fn choice(&mut self, steps: &[Rc<Step>], mut tails: Vec<Tail>) -> Vec<Tail> {
        let mut ends = Vec::new();
        for step in steps {
            let Some(when) = &step.when else {
                ends.extend(self.own(step, std::mem::take(&mut tails)));
                break;
            };
            let test = self.test(when, &tails);
            ends.extend(self.own(step, vec![Tail::labelled(&test, "yes")]));
            tails = vec![Tail::labelled(&test, "no")];
        }
        ends.extend(tails);
        ends
    }

    /// From a fork to a join; steps that depend on others hang on those.
    fn parallel(
        &mut self,
        step: Option<&Step>,
        steps: &[Rc<Step>],
        gathers: Aggregation,
        tails: &[Tail],
    ) -> Vec<Tail> {
        let look = self.look(step, "edge");
        let fork = self.node("[/", &labelled(step, "at the same time"), "\\]", look);
        self.lead(tails, &fork);
        let followed: HashSet<&str> =
            steps.iter().flat_map(|step| &step.depends_on).map(String::as_str).collect();
        let mut ends: HashMap<&str, Vec<Tail>> = HashMap::new();
        let mut last = Vec::new();
        for step in super::definition::order(steps).into_iter().filter_map(|at| steps.get(at)) {
            let on = step.depends_on.iter().filter_map(|id| ends.get(id.as_str()));
            let mut from: Vec<Tail> = on.flatten().cloned().collect();
            if from.is_empty() {
                from.push(Tail::from(fork.clone()));
            }
            let own = self.step(step, from);
            match followed.contains(step.id.as_ref()) {
                true => drop(ends.insert(&step.id, own)),
                false => last.extend(own),
            }
        }
        if steps.is_empty() {
            last.push(Tail::from(fork));
        }
        let join = self.node("[\\", gathers.name(), "/]", "edge");
        self.lead(&last, &join);
        vec![Tail::from(join)]
    }
}
