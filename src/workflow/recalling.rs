//! What is recorded of agents: those that wait, and what others have said by then.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::definition::shape::RUN_OPTIONS;
use super::definition::{Does, Step};
use super::execution::{Execution, Waiting};
use super::journal::{Progress, Recorded};
use crate::agent::{Paused, recall};
use crate::error::Result;
use crate::runtime::Runtime;
use crate::shape::Options;

impl Waiting {
    /// `agent`: its name, as ids mean nothing elsewhere.
    pub fn to_json(&self, agent: &str) -> Value {
        let (step, run) = (self.step.as_ref(), self.run.to_json());
        json!({ "step": step, "agent": agent, "session": self.session, "run": run })
    }

    pub fn parse(value: &Value) -> Result<Waiting> {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let run = Box::new(Paused::parse(&value["run"], "run")?);
        let step = text("step").as_str().into();
        Ok(Waiting { step, agent: text("agent"), session: text("session"), run })
    }
}

impl Execution {
    /// The agents that wait, as they are recorded.
    pub fn restore_waiting(&mut self, progress: &Progress) -> Result<()> {
        for (path, state) in &progress.waiting {
            self.waiting.insert(path.as_str().into(), Waiting::parse(state)?);
        }
        Ok(())
    }
}

/// All agents of a run that wait, by the places of their steps from the outermost execution on.
pub fn waiting(recorded: &Recorded) -> Result<BTreeMap<String, Waiting>> {
    let parts = recorded.parts.iter().map(|(part, progress)| (part.as_str(), progress));
    let mut all = BTreeMap::new();
    for (part, progress) in parts.chain([("", &recorded.own)]) {
        for (path, state) in &progress.waiting {
            let place = format!("{}{path}", part.replace('\u{1}', "/"));
            all.insert(place, Waiting::parse(state)?);
        }
    }
    Ok(all)
}

/// Agents know here what they have said in the run elsewhere, and by their ids who waits.
pub fn recall_all(runtime: &mut Runtime, number: u64, progress: &Progress) -> Result<()> {
    let definition = runtime.workflows.execution(number)?.definition.clone();
    for (_, id, end) in progress.in_order() {
        let Some(step) = find(&definition.body, id) else { continue };
        let turn = end.response.to_json();
        if let (Does::Agent { agent, options }, true) = (&step.does, turn["messages"].is_array()) {
            let options = options.as_ref().and_then(|options| options.value());
            let options = Options::new(options, &RUN_OPTIONS);
            let session = options.text("session").unwrap_or_default();
            let agent = runtime.agents.find(agent)?;
            let agent = agent.filter(|_| options.bool("remember") != Some(false));
            if let Some(agent) = agent {
                recall(runtime, agent, &session, &turn["messages"])?;
            }
        }
    }
    name_waiting(runtime, number)
}

fn name_waiting(runtime: &mut Runtime, number: u64) -> Result<()> {
    for waiting in runtime.workflows.executions.get_mut(number)?.waiting.values_mut() {
        if let Ok(Some(agent)) = runtime.agents.find(&waiting.agent) {
            waiting.agent = runtime.agents.id(agent);
        }
    }
    Ok(())
}

fn find<'d>(does: &'d Does, id: &str) -> Option<&'d Step> {
    does.inner().find_map(
        |step| {
            if *step.id == *id { Some(step.as_ref()) } else { find(&step.does, id) }
        },
    )
}
