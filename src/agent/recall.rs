//! What an agent has said in a run of a workflow that goes on in another process.

use serde_json::Value;

use super::plain::{messages, messages_to_json};
use crate::error::Result;
use crate::runtime::Runtime;

/// Puts the messages of a turn behind the conversation, unless they stand in it. One that lies in
/// the store is found there.
pub fn recall(runtime: &mut Runtime, agent: u64, session: &str, turn: &Value) -> Result<()> {
    let Some(agent) = runtime.agents.get_mut(agent) else { return Ok(()) };
    if !agent.remembers() || agent.is_persistent() {
        return Ok(());
    }
    let turn = messages(turn, "messages")?;
    let known = &mut agent.conversations.entry(session.to_owned()).or_default().messages;
    let all = messages_to_json(known);
    let all = all.as_array().map(Vec::as_slice).unwrap_or_default();
    let said = messages_to_json(&turn);
    let said = said.as_array().map(Vec::as_slice).unwrap_or_default();
    if !said.is_empty() && !all.windows(said.len()).any(|window| window == said) {
        known.extend(turn);
    }
    Ok(())
}
