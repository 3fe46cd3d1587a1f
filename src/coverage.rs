//! What was used of what there is, since an instance has begun to count. Things that have gone are
//! still counted: tests make what they use, and take it away again.

mod workflows;

use std::collections::BTreeMap;

use crate::agent::{Agent, AgentTool};
use crate::runtime::Runtime;
use crate::value::{Data, Record};

pub use workflows::Workflows;

#[derive(Debug, Default)]
pub struct Coverage {
    pub tools: Uses,
    pub agents: Uses,
    pub workflows: Workflows,
    hooks: Hooked,
}

/// Things by name, and how often each was used.
#[derive(Debug, Default)]
pub struct Uses(BTreeMap<String, u64>);

/// A server may make an agent for each request: names after so many are not followed.
const MOST: usize = 10_000;

#[derive(Debug, Default)]
struct Hooked {
    /// Calls of those that were there when the count began, by number, which no two hooks share.
    before: BTreeMap<u64, u64>,
    /// The number of the next one then.
    first: u64,
    fired: usize,
}

impl Uses {
    pub fn known(&mut self, name: &str) {
        self.count(name, 0);
    }

    pub fn used(&mut self, name: &str) {
        self.count(name, 1);
    }

    fn count(&mut self, name: &str, uses: u64) {
        if let Some(count) = self.0.get_mut(name) {
            *count += uses;
        } else if self.0.len() < MOST {
            self.0.insert(name.to_owned(), uses);
        }
    }

    fn report(&self, all: &'static str, some: &'static str) -> Record {
        let used = self.0.values().filter(|count| **count > 0).count();
        let missing = self.0.iter().filter(|(_, count)| **count == 0);
        let missing: Vec<_> = missing.map(|(name, _)| name.as_str().into()).collect();
        Record::new()
            .set(all, self.0.len())
            .set(some, used)
            .set("percent", percent(used, self.0.len()))
            .set("missing", Data::List(missing))
    }
}

/// Of nothing all is used.
pub fn percent(used: usize, all: usize) -> f64 {
    if all == 0 { 100.0 } else { (used as f64 / all as f64 * 1000.0).round() / 10.0 }
}

impl Coverage {
    /// An agent was made or configured.
    pub fn has_agent(&mut self, agent: &Agent) {
        self.agents.known(&agent.name);
        for tool in &agent.tools {
            if let AgentTool::Inline(tool) = tool {
                self.tools.known(&tool.name);
            }
        }
    }

    /// A hook is called that has had so many calls.
    pub fn fires(&mut self, hook: u64, calls: u64) {
        if calls == self.hooks.before.get(&hook).copied().unwrap_or_default() {
            self.hooks.fired += 1;
        }
    }
}

/// All but functions, events and lines.
pub fn report(runtime: &Runtime) -> Record {
    let coverage = &runtime.coverage;
    Record::new()
        .set("tools", coverage.tools.report("registered", "executed"))
        .set("agents", coverage.agents.report("created", "run"))
        .set("hooks", hooks(runtime))
        .set("workflows", coverage.workflows.report(&runtime.workflows.known))
}

fn hooks(runtime: &Runtime) -> Record {
    let Hooked { before, first, fired } = &runtime.coverage.hooks;
    let made = runtime.hooks.all().next().saturating_sub((*first).max(1));
    let registered = before.len() + made as usize;
    Record::new()
        .set("registered", registered)
        .set("fired", *fired)
        .set("percent", percent(*fired, registered))
}

/// Begins anew, with what is there now.
pub fn restart(runtime: &mut Runtime) {
    let mut fresh = Coverage::default();
    runtime.tools.iter().for_each(|(_, tool)| fresh.tools.known(&tool.name));
    runtime.agents.iter().for_each(|(_, agent)| fresh.has_agent(agent));
    let workflows = runtime.workflows.known.iter();
    workflows.for_each(|(number, one)| fresh.workflows.known(number, &one.definition));
    let hooks = runtime.hooks.all();
    fresh.hooks.before =
        hooks.iter().map(|(number, one)| (number, one.stats.calls.get())).collect();
    fresh.hooks.first = hooks.next();
    runtime.coverage = fresh;
}
