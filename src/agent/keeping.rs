//! Conversations on their way into memory and back: what is persisted, loaded and set.

use serde_json::Value;

use super::{Agent, Conversation, Paused, plain};
use crate::chat::Message;
use crate::chat::messages::to_json;
use crate::error::{Code, Error, Result, quoted};
use crate::memory::{self, Address, Scope, Talk};
use crate::runtime::Runtime;
use crate::store::Space;

impl Conversation {
    pub fn to_talk(&self, agent: &str, session: &str) -> Talk {
        Talk {
            agent: agent.to_owned(),
            session: session.to_owned(),
            messages: self.messages.iter().map(to_json).collect(),
            paused: self.paused.as_ref().map_or(Value::Null, |paused| paused.to_json()),
        }
    }

    /// Takes over what a kept conversation says.
    pub fn take(&mut self, talk: &Talk) -> Result<()> {
        (self.messages, self.paused) = contents(talk)?;
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.paused.is_none()
    }

    pub fn clear(&mut self) {
        self.messages.clear();
        self.paused = None;
    }
}

/// Messages of a kept conversation.
pub fn contents(talk: &Talk) -> Result<(Vec<Message>, Option<Box<Paused>>)> {
    let place = format!("conversation of agent {}", quoted(&talk.agent));
    let unfit = |error: Error| Error::new(Code::ParseFailed, error.message()).at(&place);
    let messages = plain::messages(&talk.messages, "messages").map_err(unfit)?;
    let paused = match &talk.paused {
        Value::Null => None,
        paused => Some(Box::new(Paused::parse(paused, "paused").map_err(unfit)?)),
    };
    Ok((messages, paused))
}

impl Agent {
    /// Whether its conversations lie in the store.
    pub fn is_persistent(&self) -> bool {
        self.config.get("memory").is_some_and(|memory| memory["type"] == "persistent")
    }
}

impl Runtime {
    /// Number of the agent whose memory lies under that name.
    pub fn agent_of(&self, owner: &str) -> Option<u64> {
        let base = owner.rsplit_once('#').map(|(base, _)| base);
        let named = std::iter::once(owner).chain(base);
        let mut all = named.flat_map(|name| self.agents.all_named(name));
        all.find(|(_, agent)| agent.owner() == owner).map(|(number, _)| number)
    }

    /// Whose conversations lie in this process and nowhere else.
    pub fn own_talkers(&self) -> Vec<String> {
        let kept_here = |agent: &&Agent| self.store.place().is_memory() || !agent.is_persistent();
        let agents = self.agents.iter().map(|(_, agent)| agent).filter(kept_here);
        let waiting = self.memory.waiting.iter().map(|talk| talk.agent.clone());
        let mut names: Vec<_> = agents.map(|a| a.owner().to_owned()).chain(waiting).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Conversations that lie in this process and nowhere else.
    pub fn talks(&self) -> Vec<Talk> {
        let here = self.store.place().is_memory();
        let mut talks = self.memory.waiting.clone();
        for (_, agent) in self.agents.iter().filter(|(_, agent)| here || !agent.is_persistent()) {
            for (session, conversation) in &agent.conversations {
                if !conversation.is_empty() {
                    talks.push(conversation.to_talk(agent.owner(), session));
                }
            }
        }
        talks.sort_by(|a, b| (&a.agent, &a.session).cmp(&(&b.agent, &b.session)));
        talks
    }

    /// Whether conversations can be put in the place of what there is: `all` of it, or what they
    /// are about.
    pub fn check_talks(&self, talks: &[Talk], all: bool) -> Result<()> {
        talks.iter().try_for_each(|talk| contents(talk).map(drop))?;
        let meant = |owner: &str, session: &str| {
            all || talks.iter().any(|talk| talk.agent == owner && talk.session == session)
        };
        for (number, agent) in self.agents.iter() {
            let busy = |(session, c): (&String, &Conversation)| {
                !c.queue.is_idle() && meant(agent.owner(), session)
            };
            if agent.conversations.iter().any(busy) {
                return Err(running(&self.agents.id(number)));
            }
        }
        Ok(())
    }

    /// Puts conversations in the place of what there is. Those of agents that are not there yet
    /// wait for them. `ahead`: they are newer than what the store says.
    pub fn attach(&mut self, talks: Vec<Talk>, all: bool, ahead: bool) {
        if all {
            self.memory.waiting.clear();
            let numbers: Vec<u64> = self.agents.iter().map(|(number, _)| number).collect();
            for number in numbers {
                let Some(agent) = self.agents.get_mut(number) else { continue };
                for conversation in agent.conversations.values_mut() {
                    conversation.clear();
                    conversation.ahead = ahead;
                }
            }
        }
        for talk in talks {
            let number = self.agent_of(&talk.agent);
            match number.and_then(|number| self.agents.get_mut(number)) {
                Some(agent) => agent.attach(&talk, ahead),
                None => self.await_agent(talk),
            }
        }
    }

    /// Keeps a conversation for an agent that is not there yet.
    pub fn await_agent(&mut self, talk: Talk) {
        let same = |other: &Talk| other.agent == talk.agent && other.session == talk.session;
        self.memory.waiting.retain(|other| !same(other));
        if !talk.is_empty() {
            self.memory.waiting.push(talk);
        }
    }

    /// Gives an agent that is new the conversations that wait for it.
    pub fn welcome(&mut self, number: u64) {
        let Some(owner) = self.agents.get(number).map(|agent| agent.owner().to_owned()) else {
            return;
        };
        if self.memory.waiting.is_empty() {
            return;
        }
        let (own, others) = std::mem::take(&mut self.memory.waiting)
            .into_iter()
            .partition::<Vec<_>, _>(|talk| talk.agent == owner);
        self.memory.waiting = others;
        if let Some(agent) = self.agents.get_mut(number) {
            own.iter().for_each(|talk| agent.attach(talk, true));
        }
    }

    /// Everything goes that is kept under an agent's name.
    pub fn forget_agent(&mut self, owner: &str) -> Result<()> {
        memory::forget_all(self, &Address::new(Scope::Agent, owner))?;
        self.tell_store(vec![memory::forget(owner)])
    }

    /// Key and space of a conversation in the store.
    pub fn talk_key(owner: &str, session: &str) -> (Space, Vec<u8>) {
        (Space::Conversations, Talk::key(owner, session))
    }
}

impl Agent {
    fn attach(&mut self, talk: &Talk, ahead: bool) {
        let conversation = self.conversations.entry(talk.session.clone()).or_default();
        // What cannot be read was refused before.
        let _ = conversation.take(talk);
        conversation.ahead = ahead;
    }
}

pub fn running(id: &str) -> Error {
    Error::state(format!("{id} is running this conversation"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::paused::{Open, Why};
    use crate::chat::{Role, ToolCall};
    use serde_json::json;

    #[test]
    fn a_kept_conversation_reads_no_files() {
        let part = json!({"type": "image", "path": "/etc/hostname"});
        let messages = json!([{"role": "user", "content": [part]}]);
        let (agent, session) = ("a".to_owned(), String::new());
        let talk = Talk { agent, session, messages, paused: Value::Null };
        assert_eq!(contents(&talk).unwrap_err().code(), Code::ParseFailed);
    }

    #[test]
    fn a_conversation_comes_back_with_its_open_calls() {
        let call = |id: &str| ToolCall {
            id: id.into(),
            name: "t".into(),
            arguments_json: "{\"a\":1}".into(),
            whole: true,
        };
        let mut asked = Message::new(Role::Assistant, "");
        asked.tool_calls.push(call("1"));
        asked.blocks = Some(json!({"openai": [{"x": null}]}));
        let paused = Paused {
            turn: vec![Message::new(Role::User, "q"), asked],
            open: vec![Open::new(call("1"), Why::Approval)],
            spent_ms: 1.5,
            ..Paused::default()
        };
        let conversation = Conversation {
            messages: vec![Message::new(Role::User, "hello"), Message::new(Role::Assistant, "hi")],
            paused: Some(Box::new(paused.clone())),
            ..Conversation::default()
        };
        let mut back = Conversation::default();
        back.take(&conversation.to_talk("ada", "s")).unwrap();
        assert_eq!(back.messages, conversation.messages);
        let back = back.paused.unwrap();
        assert_eq!((&back.turn, back.spent_ms), (&paused.turn, 1.5));
        assert_eq!((&back.open[0].call, back.open[0].why), (&call("1"), Why::Approval));
        let empty = Conversation::default().to_talk("ada", "");
        assert!(empty.is_empty() && contents(&empty).unwrap().0.is_empty());
    }
}
