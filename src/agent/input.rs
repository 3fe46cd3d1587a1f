//! What a run is given, in all forms it may have.

use crate::chat::{Message, Role, messages};
use crate::error::Result;
use crate::value::{Ref, json};

/// The messages it stands for.
pub fn read(value: Option<Ref<'_>>) -> Result<Vec<Message>> {
    let Some(value) = value else { return Ok(Vec::new()) };
    if value.as_str().is_some()
        || value.is_array() && !value.is_empty()
        || value.get("role").is_some()
    {
        return messages::read(value, "input");
    }
    let text = ["message", "content", "messages"].into_iter().find_map(|key| value.get(key));
    let mut input = match text {
        Some(given) => messages::read(given, "input.message")?,
        None => vec![Message::new(Role::User, json::to_sorted(value))],
    };
    if let Some(context) = value.get("context").filter(|_| text.is_some()) {
        input.push(Message::new(Role::User, format!("Context: {}", json::to_sorted(context))));
    }
    Ok(input)
}
