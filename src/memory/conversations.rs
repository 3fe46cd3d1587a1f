//! Conversations of agents as they are kept: by the name their agent's memory goes by.

use serde_json::{Value, json};

use super::corrupt;
use crate::error::{Error, Result};
use crate::store::{Change, Expected, Space, Write};
use crate::value::bytes::{Reader, put_text};

/// One conversation. Its messages are documents: what a message is, agents know.
#[derive(Clone, Debug, PartialEq)]
pub struct Talk {
    /// What its agent's memory lies under.
    pub agent: String,
    /// "" is the agent's own.
    pub session: String,
    pub messages: Value,
    /// A run that has stopped with calls open; null if there is none.
    pub paused: Value,
}

/// Layout of the bytes that [`Talk::to_bytes`] gives.
const FORMAT: u8 = 1;

impl Talk {
    pub fn key(agent: &str, session: &str) -> Vec<u8> {
        let mut key = Talk::prefix(agent);
        key.extend_from_slice(session.as_bytes());
        key
    }

    /// What the keys of all conversations of an agent begin with.
    pub fn prefix(agent: &str) -> Vec<u8> {
        let mut prefix = Vec::new();
        put_text(agent.as_bytes(), &mut prefix);
        prefix
    }

    pub fn is_empty(&self) -> bool {
        let none = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
        none(&self.messages) && self.paused.is_null()
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let document = json!({ "messages": self.messages, "paused": self.paused });
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(document.to_string().as_bytes());
        bytes
    }

    /// The conversation that a store held under a key.
    pub fn from_bytes(key: &[u8], bytes: &[u8]) -> Result<Talk> {
        let damaged = || corrupt("the store holds a damaged conversation");
        match bytes.first() {
            Some(&FORMAT) => {}
            Some(newer) if *newer > FORMAT => {
                return Err(Error::unsupported(format!(
                    "the store holds a conversation of format {newer}, this version reads {FORMAT}"
                )));
            }
            _ => return Err(damaged()),
        }
        let mut reader = Reader(key);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let agent = reader.text().and_then(text).ok_or_else(damaged)?;
        let session = text(reader.0).ok_or_else(damaged)?;
        let document = bytes.get(1..).unwrap_or_default();
        let mut document: Value = serde_json::from_slice(document).map_err(|_| damaged())?;
        let (messages, paused) = (document["messages"].take(), document["paused"].take());
        match messages.is_array() && (paused.is_null() || paused.is_object()) {
            true => Ok(Talk { agent, session, messages, paused }),
            false => Err(damaged()),
        }
    }

    /// What a store is told of it; of one without messages that it is gone.
    pub fn write(&self, only_if: Option<Expected>) -> Write {
        let change = match self.is_empty() {
            true => Change::Delete,
            false => Change::Put { bytes: self.to_bytes(), expires_at: None },
        };
        let key = Talk::key(&self.agent, &self.session);
        Write { space: Space::Conversations, key, change, only_if }
    }
}

/// All conversations of an agent go.
pub fn forget(agent: &str) -> Write {
    let (space, key) = (Space::Conversations, Talk::prefix(agent));
    Write { space, key, change: Change::DeleteAll, only_if: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn a_conversation_comes_back_from_its_bytes() {
        let messages = json!([{"role": "user", "content": "ä", "blocks": [null]}]);
        let paused = json!({"pending": [{"id": "c"}]});
        let talk = Talk { agent: "a#2".into(), session: "s".into(), messages, paused };
        let (key, bytes) = (Talk::key("a#2", "s"), talk.to_bytes());
        assert_eq!(Talk::from_bytes(&key, &bytes).unwrap(), talk);
        for cut in 0..bytes.len() {
            assert_eq!(Talk::from_bytes(&key, &bytes[..cut]).unwrap_err().code(), Code::IoError);
        }
        let newer = [&[FORMAT + 1], &bytes[1..]].concat();
        assert_eq!(Talk::from_bytes(&key, &newer).unwrap_err().code(), Code::Unsupported);
        assert!(!Talk::key("ab", "").starts_with(&Talk::prefix("a")));
    }
}
