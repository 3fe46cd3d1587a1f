//! An agent that a call handed over to: its answer is the run's.

use super::Run;
use crate::chat::{Message, Role, ToolCall};
use crate::error::Result;
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
    /// A call has its result, which hooks may have changed: then that is the answer.
    pub(super) fn accept(&mut self, call: &ToolCall, text: &str) {
        let Some(over) = self.desk.taken_over.take_if(|over| over.call_id == call.id) else {
            return;
        };
        let mut response = over.response;
        if text != over.told {
            response
                .fields
                .retain(|(name, _)| !matches!(name.as_ref(), "content" | "parsed" | "raw"));
            response.put("content", text);
        }
        self.taken_over = Some(response);
    }

    /// The run ends with the answer of the agent that has taken over. Calls that are still open get
    /// a result: a run is handed over once.
    pub(super) fn hand_over(&mut self, runtime: &mut Runtime) -> Result<Step> {
        self.break_off();
        let response = self.taken_over.clone().unwrap_or_default();
        let content = text(&response, "content");
        self.turn.push(Message::new(Role::Assistant, content.as_str()));
        let reason = text(&response, "finish_reason");
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
