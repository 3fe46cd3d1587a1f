//! Workflows: steps that follow each other, lie side by side or repeat, and what each works on.
//!
//! A [`Definition`] is what a workflow is; an execution is a machine of `run/` over it.

pub mod calls;
pub mod compose;
pub mod condition;
mod control;
pub mod deciding;
pub mod definition;
pub mod durable;
pub mod execution;
mod executions;
pub mod frame;
pub mod halted;
pub mod journal;
mod known;
pub mod mermaid;
pub mod recalling;
mod run;
mod status;
pub mod template;

use std::collections::VecDeque;
use std::rc::Rc;

use serde_json::Value;

pub use condition::{Condition, matches};
pub use control::{Cancelling, Destroying, cancel};
pub use definition::Definition;
pub use execution::Execution;
pub use executions::Executions;
pub use frame::Frame;
pub use known::insert;
pub use run::{
    Awaiting, Distant, Expecting, Fetching, Kept, Recovering, Resuming, Stepping, check_input,
    distant, failed, standing, whole,
};
pub use status::Status;
pub use template::Template;

use crate::agent::Paused;
use crate::error::{Error, Result};
use crate::registry::{Named, Registry};
use crate::runtime::Runtime;
use crate::step::Token;
use crate::value::{Data, Record};

/// Stands for all workflows that are gone: the numbers of others count from 1.
const GONE: u64 = 0;

/// So many executions of those are known still.
const KEPT: usize = 100;

/// A workflow that a program has made.
#[derive(Debug)]
pub struct Workflow {
    /// The id, unless the definition says one.
    pub name: String,
    /// Executions go on with the definition they began with.
    pub definition: Rc<Definition>,
    pub created_at: f64,
}

impl Named for Workflow {
    fn name(&self) -> &str {
        &self.name
    }
}

/// All there is of workflows in one instance.
pub struct Workflows {
    pub known: Registry<Workflow>,
    pub executions: Executions,
    /// Those that handles follow and that have stopped, gone on or ended since.
    pub changed: VecDeque<u64>,
}

impl Default for Workflows {
    fn default() -> Workflows {
        Workflows {
            known: Registry::new("workflow"),
            executions: Executions::default(),
            changed: VecDeque::new(),
        }
    }
}

impl Workflows {
    pub fn clear(&mut self) {
        self.known.clear();
        self.executions.clear();
        self.changed.clear();
    }

    /// A new execution; answers its number.
    pub fn begin(&mut self, workflow: u64, input: Data) -> Result<u64> {
        let id = self.executions.next_id();
        self.begin_as(id, workflow, input)
    }

    /// The same by an id that is given.
    pub fn begin_as(&mut self, id: String, workflow: u64, input: Data) -> Result<u64> {
        let known = self.known.get(workflow);
        let known = known.ok_or_else(|| Error::state("the workflow is gone"))?;
        let variables = Data::Json(Value::Object(known.definition.variables.clone()));
        let (name, definition) = (known.name.clone(), known.definition.clone());
        let execution = Execution::new(id, workflow, name, definition);
        Ok(self.executions.insert(Execution { input, variables, ..execution }))
    }

    /// An execution has ended or stopped: of those that have ended only so many are kept.
    pub fn settle(&mut self, number: u64) {
        let Ok(execution) = self.executions.get(number) else { return };
        let (workflow, keep) = match self.known.get(execution.workflow) {
            Some(_) => (execution.workflow, execution.definition.keep),
            None => (GONE, KEPT),
        };
        let has_ended = execution.status.has_ended();
        self.executions.count_ended(workflow, number, has_ended);
        self.executions.keep(workflow, keep);
    }

    /// The machine is woken when the execution stops, goes on or ends, and sees how it stands then.
    pub fn watch(&mut self, number: u64, watcher: Token) -> Result<()> {
        let execution = self.executions.get_mut(number)?;
        if !execution.watchers.contains(&watcher) {
            execution.watchers.push(watcher);
        }
        Ok(())
    }

    pub fn unwatch(&mut self, number: u64, watcher: Token) {
        let Ok(execution) = self.executions.get_mut(number) else { return };
        execution.watchers.retain(|other| *other != watcher);
        self.settle(number);
    }

    /// The execution is kept until the machine, which it runs in, has let it go.
    pub fn hold(&mut self, number: u64, holder: Token) -> Result<()> {
        self.executions.get_mut(number)?.holders.push(holder);
        Ok(())
    }

    pub fn let_go(&mut self, number: u64, holder: Token) {
        let Ok(execution) = self.executions.get_mut(number) else { return };
        execution.holders.retain(|other| *other != holder);
        self.settle(number);
    }

    /// It was set up, and then nobody was there to wait for it.
    pub fn never_began(&mut self, number: u64) {
        let Ok(execution) = self.executions.get_mut(number) else { return };
        match execution.status {
            Status::Pending => drop(self.executions.remove(number)),
            Status::Running if execution.token.is_none() => execution.status = Status::Paused,
            _ => {}
        }
    }

    /// The runs of an agent that executions keep, each with its session.
    pub fn waiting_of<'w>(
        &'w self,
        agent: &'w str,
    ) -> impl Iterator<Item = (Option<&'w str>, &'w Paused)> + Clone {
        let all = self.executions.iter().flat_map(|(_, one)| one.waiting.values());
        let own = all.filter(move |one| one.agent == agent && one.needs_decisions());
        own.map(|one| (Some(one.session.as_str()).filter(|name| !name.is_empty()), &*one.run))
    }

    pub fn execution(&self, number: u64) -> Result<&Execution> {
        self.executions.get(number)
    }

    pub fn definition(&self, workflow: u64) -> Result<Rc<Definition>> {
        let known = self.known.get(workflow);
        let known = known.ok_or_else(|| Error::not_found("workflow", &self.known.id(workflow)))?;
        Ok(known.definition.clone())
    }

    /// What events say of the step of an execution.
    pub fn ids(&self, execution: u64, step: &str) -> Result<Record> {
        let execution = self.execution(execution)?;
        Ok(Record::new()
            .set("workflow_id", self.known.id(execution.workflow))
            .set("workflow_name", execution.name.as_str())
            .set("execution_id", execution.id.as_str())
            .set("step_id", step))
    }

    /// The latest execution of a workflow.
    pub fn latest(&self, workflow: u64) -> Option<&Execution> {
        self.executions.get(self.executions.latest(workflow)?).ok()
    }
}

impl Runtime {
    /// An execution has stopped, goes on, or has ended.
    pub fn tell_watchers(&mut self, number: u64) {
        let Ok(execution) = self.workflows.executions.get(number) else { return };
        if execution.followed {
            self.workflows.changed.push_back(number);
        }
        for watcher in execution.watchers.clone() {
            // Where no token can be posted, none can be waited for either.
            let _ = self.tasks.post(watcher);
        }
    }

    /// From here on a handle tells how the execution stands, and what happens in it.
    pub fn follow(&mut self, number: u64) -> Result<()> {
        let execution = self.workflows.executions.get_mut(number)?;
        if !std::mem::replace(&mut execution.followed, true) {
            self.events.followed += 1;
        }
        Ok(())
    }

    /// The handle has seen how it has ended.
    pub fn unfollow(&mut self, number: u64) {
        let Ok(execution) = self.workflows.executions.get_mut(number) else { return };
        if std::mem::take(&mut execution.followed) {
            self.events.followed = self.events.followed.saturating_sub(1);
        }
        self.workflows.settle(number);
    }

    /// Whether the edge is to be told something before anything else goes on.
    pub fn has_to_tell(&self) -> bool {
        self.events.has_told() || !self.workflows.changed.is_empty()
    }
}
