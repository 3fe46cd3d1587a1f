//! What a workflow needs: agents, tools, other workflows; and which of its steps needs which.

use std::collections::HashSet;

use super::check::{looks_back, named};
use super::holes;
use super::layout::{Layout, Moment};
use super::{Definition, Does};

#[derive(Debug, Default)]
pub struct Needs {
    pub agents: Vec<Use>,
    pub tools: Vec<Use>,
    pub workflows: Vec<Use>,
    /// Ids of all steps in the order in which they run, and of those each needs.
    pub steps: Vec<(String, Vec<String>)>,
}

/// Something that a step calls by id or name.
#[derive(Debug)]
pub struct Use {
    pub key: String,
    /// Path of the step's field.
    pub path: String,
    /// The step runs in every execution.
    pub sure: bool,
}

pub fn needs(definition: &Definition) -> Needs {
    let layout = Layout::new(definition);
    let mut needs = Needs::default();
    for (n, node) in layout.nodes.iter().enumerate() {
        needs.steps.push((node.step.id.to_string(), before(&layout, n)));
        let (list, key, field) = match &node.step.does {
            Does::Agent { agent, .. } => (&mut needs.agents, agent, "agent"),
            Does::Tool { tool } => (&mut needs.tools, tool, "tool"),
            Does::Workflow { workflow } => (&mut needs.workflows, workflow, "workflow"),
            _ => continue,
        };
        let path = format!("{}.{field}", layout.path(Some(n)));
        list.push(Use { key: key.clone(), path, sure: is_sure(&layout, n) });
    }
    needs
}

/// The steps that one depends on: as it says, and as its templates do.
fn before(layout: &Layout<'_>, place: usize) -> Vec<String> {
    let Some(node) = layout.nodes.get(place) else { return Vec::new() };
    let mut found = Found::default();
    node.step.depends_on.iter().for_each(|id| found.add(id));
    for site in holes::of_step(node.step) {
        if let Some(id) = named(&site.hole).filter(|id| layout.find(id).is_some_and(|n| n != place))
        {
            found.add(&id);
        }
        if looks_back(&site.hole) && site.moment == Moment::Before {
            let back = layout.before(place).and_then(|n| layout.nodes.get(n));
            back.into_iter().for_each(|node| found.add(&node.step.id));
        }
    }
    found.ids
}

#[derive(Default)]
struct Found {
    ids: Vec<String>,
    seen: HashSet<String>,
}

impl Found {
    fn add(&mut self, id: &str) {
        if self.seen.insert(id.to_owned()) {
            self.ids.push(id.to_owned());
        }
    }
}

/// Whether neither a condition nor a list decides that the step runs.
fn is_sure(layout: &Layout<'_>, place: usize) -> bool {
    let Some(node) = layout.nodes.get(place) else { return false };
    let always = matches!(layout.does(node.around), Does::Sequence(_) | Does::Parallel { .. });
    always && node.step.when.is_none() && node.around.is_none_or(|n| is_sure(layout, n))
}
