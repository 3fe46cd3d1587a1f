//! What was used of what there is, since an instance has begun to count. Things that have gone are
//! still counted: tests make what they use, and take it away again.

mod calls;
mod workflows;

use std::collections::BTreeMap;

use crate::agent::{Agent, AgentTool};
use crate::runtime::Runtime;
use crate::value::{Data, Record};

pub use calls::Calls;
pub use workflows::Workflows;

/// Counts side by side: 0 is that of the instance, others are those of suites under way.
#[derive(Debug)]
pub struct Coverage(BTreeMap<u64, Count>);

#[derive(Debug, Default)]
pub struct Count {
    pub calls: Calls,
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

impl Default for Coverage {
    fn default() -> Coverage {
        Coverage(BTreeMap::from([(0, Count::default())]))
    }
}

impl Coverage {
    /// Something was made, or used.
    pub fn note(&mut self, note: impl FnMut(&mut Count)) {
        self.0.values_mut().for_each(note);
    }

    pub fn get(&self, number: u64) -> Option<&Count> {
        self.0.get(&number)
    }

    pub fn end(&mut self, number: u64) {
        self.0.remove(&number);
    }

    fn next(&self) -> u64 {
        self.0.last_key_value().map_or(0, |(last, _)| last + 1)
    }
}

impl Count {
    /// Of what there is now.
    fn of(runtime: &Runtime, calls: Calls) -> Count {
        let mut count = Count { calls, ..Count::default() };
        runtime.tools.iter().for_each(|(_, tool)| count.tools.known(&tool.name));
        runtime.agents.iter().for_each(|(_, agent)| count.has_agent(agent));
        let workflows = runtime.workflows.known.iter();
        workflows.for_each(|(number, one)| count.workflows.known(number, &one.definition));
        let hooks = runtime.hooks.all();
        let calls = hooks.iter().map(|(number, hook)| (number, hook.stats.calls.get()));
        count.hooks = Hooked { before: calls.collect(), first: hooks.next(), fired: 0 };
        count
    }

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

    /// All but functions, events and lines.
    pub fn report(&self, runtime: &Runtime) -> Record {
        Record::new()
            .set("tools", self.tools.report("registered", "executed"))
            .set("agents", self.agents.report("created", "run"))
            .set("hooks", self.hooks.report(runtime.hooks.all().next()))
            .set("workflows", self.workflows.report(&runtime.workflows.known))
    }
}

impl Hooked {
    fn report(&self, next: u64) -> Record {
        let made = next.saturating_sub(self.first.max(1)) as usize;
        let registered = self.before.len() + made;
        Record::new()
            .set("registered", registered)
            .set("fired", self.fired)
            .set("percent", percent(self.fired, registered))
    }
}

/// Begins a count, or one anew, with what is there now; gives its number.
pub fn begin(runtime: &mut Runtime, number: Option<u64>, counters: Vec<u64>) -> u64 {
    let count = Count::of(runtime, Calls::begun(counters));
    let number = number.unwrap_or_else(|| runtime.coverage.next());
    runtime.coverage.0.insert(number, count);
    number
}
