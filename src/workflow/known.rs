//! Which workflows there are, and what is told of them beside their definitions.

use std::rc::Rc;

use serde_json::json;

use super::{Definition, Execution, Status, Workflow, Workflows};
use crate::clock::Clock;
use crate::runtime::Runtime;
use crate::value::Record;

/// Gives its number.
pub fn insert(runtime: &mut Runtime, definition: Definition) -> u64 {
    let (known, created_at) = (&mut runtime.workflows.known, runtime.clock.unix());
    runtime.coverage.note(|count| count.workflows.known(known.next(), &definition));
    let name = definition.name.clone().unwrap_or_else(|| known.id(known.next()));
    known.insert(Workflow { name, definition: Rc::new(definition), created_at })
}

impl Workflows {
    /// That of its latest execution.
    pub fn status(&self, number: u64) -> &'static str {
        self.latest(number).map_or(Status::Pending, |execution| execution.status).name()
    }

    pub fn summary(&self, number: u64, id: &str, workflow: &Workflow) -> Record {
        Record::new()
            .set("id", id)
            .set("name", workflow.name.as_str())
            .set("pattern", workflow.definition.pattern.name())
            .set("status", self.status(number))
            .set("steps_count", workflow.definition.count)
    }

    pub fn info(&self, number: u64, clock: &Clock) -> Record {
        let Some(workflow) = self.known.get(number) else { return Record::new() };
        let definition = &workflow.definition;
        let mut info = self
            .summary(number, &self.known.id(number), workflow)
            .set("description", definition.description.as_str())
            .set("version", definition.version.as_str())
            .set("metadata", definition.metadata.clone().unwrap_or_else(|| json!({})))
            .set("created_at", workflow.created_at);
        self.tell_history(number, clock, &mut info);
        info
    }

    /// Counts and times of the executions that are still known.
    fn tell_history(&self, number: u64, clock: &Clock, info: &mut Record) {
        let all =
            || self.executions.iter().map(|(_, one)| one).filter(|one| one.workflow == number);
        let mut counts = Record::new().set("total", all().count());
        for status in Status::ALL {
            counts.put(status.name(), all().filter(|one| one.status == status).count());
        }
        info.put("executions", counts);
        let times = all().filter(|one| one.status == Status::Completed);
        let times: Vec<f64> = times.map(|one| one.elapsed_ms(clock)).collect();
        if !times.is_empty() {
            info.put("avg_time_ms", times.iter().sum::<f64>() / times.len() as f64);
        }
        if let Some(latest) = self.latest(number) {
            tell_latest(latest, clock, info);
        }
    }
}

fn tell_latest(latest: &Execution, clock: &Clock, info: &mut Record) {
    info.put("latest_execution_id", latest.id.as_str());
    info.put("latest_started_at", Some(latest.started_at).filter(|at| *at > 0.0));
    info.put("latest_duration_ms", latest.elapsed_ms(clock));
}
