//! The events of operations: that one begins, and how it ended.

use crate::clock::Moment;
use crate::error::{Code, Error};
use crate::event::{Builtin, Lifecycle};
use crate::runtime::Runtime;
use crate::step::{Machine, Output, Token};
use crate::tasks::{ATTENTION, Running};
use crate::value::{Data, Failure, Record};

/// What has to be known of an operation when it ends.
pub struct Teller {
    pub name: &'static str,
    /// The operation around it.
    pub parent: Token,
    pub begun: Option<Moment>,
}

impl From<&Running> for Teller {
    fn from(running: &Running) -> Teller {
        Teller { name: running.name, parent: running.parent, begun: running.begun }
    }
}

impl Runtime {
    /// Ids and names of what an operation inside `parent` is about; in an agent's run, also its.
    pub fn about(&self, parent: Token, machine: &dyn Machine) -> Record {
        let mut about = machine.about(self);
        if about.get("agent_id").is_none()
            && let Some(number) = self.tasks.agent_around(parent)
        {
            about.put("agent_id", self.agents.id(number));
        }
        for (name, value) in self.part_of(parent).fields {
            if about.get(&name).is_none() {
                about.put(name, value);
            }
        }
        about
    }

    /// The workflow's execution and step that `parent` is in.
    fn part_of(&self, parent: Token) -> Record {
        let around = std::iter::once(parent).chain(self.tasks.above(parent));
        let mut machines = around.filter_map(|token| self.tasks.machine_of(token));
        machines.find_map(|machine| machine.belongs_to(self)).unwrap_or_default()
    }

    /// Whether the machine `token`, or one around it, is a part of that execution of a workflow.
    pub fn is_in_execution(&self, token: Token, id: &str) -> bool {
        let around = std::iter::once(token).chain(self.tasks.above(token));
        let mut machines = around.filter_map(|token| self.tasks.machine_of(token));
        machines.any(|machine| {
            let ids = machine.belongs_to(self).unwrap_or_default();
            matches!(ids.get("execution_id"), Some(Data::Text(own)) if own == id)
        })
    }

    /// What the function of a tool learns, with the step of a workflow that it is called in.
    pub fn placed(&self, around: Token, mut info: Record) -> Record {
        let part = self.part_of(around).fields;
        let ids = part.into_iter().filter(|(name, _)| name != "workflow_name");
        for (name, id) in ids {
            if info.get(&name).is_none() {
                info.put(name, id);
            }
        }
        info
    }

    /// An operation is about to be stepped for the first time.
    pub fn tell_begun(&mut self, teller: &Teller, machine: &dyn Machine) {
        let Some(events) = Lifecycle::of(teller.name) else { return };
        let event = if machine.resumes() { events.resumed } else { Some(events.begun) };
        let Some(event) = event.filter(|event| self.events.wants(*event)) else { return };
        let data = self.opening(events, teller, machine);
        self.events.tell(event, data, None);
    }

    /// An operation has ended, with its hooks.
    pub fn tell_ended(
        &mut self,
        teller: &Teller,
        machine: &dyn Machine,
        output: Result<&Output, &Error>,
    ) {
        let Some(events) = Lifecycle::of(teller.name) else { return };
        match output {
            Ok(output) => self.tell_done(events, teller, machine, output),
            Err(error) => self.tell_failed(events, teller, machine, error),
        }
    }

    fn tell_done(
        &mut self,
        events: Lifecycle,
        teller: &Teller,
        machine: &dyn Machine,
        output: &Output,
    ) {
        let event = if machine.pauses() { events.paused } else { Some(events.done) };
        let Some(event) = event.filter(|event| self.events.wants(*event)) else { return };
        let mut data = self.opening(events, teller, machine);
        data.fields.extend(machine.told_of(output).fields);
        let data = self.with_duration(data, teller);
        self.events.tell(event, data, None);
    }

    fn tell_failed(
        &mut self,
        events: Lifecycle,
        teller: &Teller,
        machine: &dyn Machine,
        error: &Error,
    ) {
        let event = if machine.was_stopped(error) { events.cancelled } else { events.failed };
        if !self.events.wants(event) {
            return;
        }
        let data = self.opening(events, teller, machine);
        let data = self.with_duration(data, teller);
        let failure = Failure { error: error.clone(), function: function_of(teller.name) };
        self.events.tell(event, data, Some(failure));
    }

    /// What all events of an operation say.
    fn opening(&self, events: Lifecycle, teller: &Teller, machine: &dyn Machine) -> Record {
        let mut about = self.about(teller.parent, machine);
        about.fields.retain(|(name, _)| name != "first_run"); // a word for hooks
        if events.with_input { about.set("input", machine.input()) } else { about }
    }

    fn with_duration(&self, data: Record, teller: &Teller) -> Record {
        let now = self.clock.now();
        data.set("duration_ms", teller.begun.map_or(Data::Nil, |at| now.ms_since(at).into()))
    }

    /// Commits that failed while nobody waited for them. What was to be written stays queued.
    pub fn tell_failures(&mut self) {
        if !self.events.wants(Builtin::BatchError) {
            return;
        }
        let tasks = &mut self.tasks;
        let mut failures = self.store.failures(|| tasks.waker(ATTENTION));
        failures.extend(self.events.recorders.failures());
        for error in failures {
            let data = Record::new().set("lost", 0u64);
            let failure = Failure { error, function: "flush" };
            self.events.tell(Builtin::BatchError, data, Some(failure));
        }
    }

    /// An operation ends because nobody is left who could see its end.
    pub fn tell_abandoned(&mut self, running: &Running, machine: &mut dyn Machine) {
        if running.begun.is_some() {
            let gone = Error::new(Code::Cancelled, "nobody was left to see the result");
            machine.ended(self, Err(&gone));
            self.tell_ended(&running.into(), machine, Err(&gone));
        }
    }
}

/// The public function behind an operation, by its full name.
pub fn function_of(operation: &str) -> &'static str {
    match operation {
        "agent_run" => "agent.run",
        "tool_execute" => "tool.execute",
        "provider_embed" => "provider.embed",
        "workflow_execute" | "workflow_step" => "workflow.execute",
        "memory_save" => "memory.store",
        "memory_load" => "memory.retrieve",
        _ => "provider.chat",
    }
}
