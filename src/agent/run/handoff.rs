//! An agent that a call handed over to: its answer is the run's.

use super::Run;
use crate::chat::{Message, Role};
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::Step;
use crate::value::{Data, Record};

/// What of the response is the other agent's.
const ANSWER: &[&str] = &[
    "content",
    "finish_reason",
    "native_finish_reason",
    "model",
    "provider",
    "id",
    "thinking",
    "parsed",
    "structured",
    "request_id",
    "raw",
    "agent_id",
];

impl Run {
    /// The run ends with the answer of the agent that has taken over. Calls that are still open get
    /// a result: a run is handed over once.
    pub(super) fn hand_over(&mut self, runtime: &mut Runtime) -> Result<Step> {
        let Some((_, response)) = self.desk.taken_over.take() else {
            return Err(Error::internal("nobody has taken over"));
        };
        self.break_off();
        let content = text(&response, "content");
        self.turn.push(Message::new(Role::Assistant, content.as_str()));
        let reason = text(&response, "finish_reason");
        self.taken_over = Some(response);
        self.finish(runtime, &reason)
    }
}

fn text(response: &Record, field: &str) -> String {
    match response.get(field) {
        Some(Data::Text(text)) => text.clone(),
        _ => String::new(),
    }
}

/// The run's response with the other agent's answer.
pub fn overlay(mut own: Record, other: &Record) -> Record {
    own.fields.retain(|(name, _)| !ANSWER.contains(&name.as_ref()));
    for name in ANSWER {
        own.put(*name, other.get(name).cloned());
    }
    own
}
