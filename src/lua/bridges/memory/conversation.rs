//! Keys of agents that mean their conversations.

use crate::agent::keeping::contents;
use crate::agent::shown_messages;
use crate::chat::{Message, messages};
use crate::error::{Error, Result, quoted};
use crate::lua::faces::face;
use crate::memory::{Address, Scope, Talk};
use crate::runtime::Runtime;
use crate::shape::Options;
use crate::step::{Face, Ready};
use crate::store::{Asking, Committed, Expected, Question};
use crate::value::{Data, Ref};

const KEY: &[u8] = b"conversation";

/// A conversation that a key means: of which agent, and which one of it.
pub struct Meant {
    owner: String,
    session: String,
}

/// None: an ordinary entry.
pub fn meant(key: &[u8], address: impl FnOnce() -> Result<Address>) -> Result<Option<Meant>> {
    let Some(rest) = key.strip_prefix(KEY) else { return Ok(None) };
    let session = match rest.strip_prefix(b":") {
        None if rest.is_empty() => "",
        Some(session) if !session.is_empty() => std::str::from_utf8(session).unwrap_or_default(),
        _ => return Ok(None),
    };
    let Address { scope, owner } = address()?;
    let session = session.to_owned();
    Ok((scope == Scope::Agent).then_some(Meant { owner, session }))
}

/// Functions that know entries only.
pub fn refuse(key: &[u8], address: &Address) -> Result<()> {
    match meant(key, || Ok(address.clone()))? {
        None => Ok(()),
        Some(_) => Err(Error::invalid(format!(
            "the key {} of an agent is its conversation: only memory.store, retrieve and delete know it",
            quoted(&String::from_utf8_lossy(key))
        ))),
    }
}

fn shown(messages: &[Message]) -> Option<Data> {
    (!messages.is_empty()).then(|| Data::Json(shown_messages(messages)))
}

impl Meant {
    /// Whether the store says what it is.
    fn is_stored(&self, runtime: &mut Runtime) -> bool {
        if runtime.backing().is_none() {
            return false;
        }
        let agent = runtime.agent_of(&self.owner).and_then(|n| runtime.agents.get(n));
        match agent {
            Some(agent) => {
                let ahead = agent.conversation(&self.session).is_some_and(|c| c.ahead);
                agent.is_persistent() && !ahead
            }
            None => self.waiting(runtime).is_none(),
        }
    }

    fn waiting<'r>(&self, runtime: &'r Runtime) -> Option<&'r Talk> {
        let same = |talk: &&Talk| talk.agent == self.owner && talk.session == self.session;
        runtime.memory.waiting.iter().find(same)
    }

    /// Its messages in this process.
    fn here(&self, runtime: &Runtime) -> Vec<Message> {
        let agent = runtime.agent_of(&self.owner).and_then(|n| runtime.agents.get(n));
        match agent {
            Some(agent) => {
                agent.conversation(&self.session).map(|c| c.messages.clone()).unwrap_or_default()
            }
            None => {
                let talk = self.waiting(runtime).and_then(|talk| contents(talk).ok());
                talk.map(|(messages, _)| messages).unwrap_or_default()
            }
        }
    }

    pub fn retrieve(&self, runtime: &mut Runtime, usual: Data, face: Face) -> Result<Ready> {
        if !self.is_stored(runtime) {
            let messages = shown(&self.here(runtime)).unwrap_or(usual);
            return Ok(Ready::now("memory_read", face, messages));
        }
        let (space, key) = Runtime::talk_key(&self.owner, &self.session);
        let question = Question::Get { space, keys: vec![key.clone()] };
        let operation = Asking::operation("memory_read", question, move |_, answer| {
            let Some(record) = answer.records()?.into_iter().flatten().next() else {
                return Ok(usual);
            };
            let (messages, _) = contents(&Talk::from_bytes(&key, &record.bytes)?)?;
            Ok(shown(&messages).unwrap_or(usual))
        });
        Ok(Ready::waits(operation, face))
    }

    pub fn store(
        &self,
        runtime: &mut Runtime,
        value: Option<Ref<'_>>,
        options: &Options<'_>,
    ) -> Result<Ready> {
        for name in ["type", "ttl", "ttl_ms", "tags", "metadata", "embedding"] {
            if options.get(name).is_some() {
                return Err(Error::invalid(format!("options.{name}: a conversation has none")));
            }
        }
        let only_new = options.bool("if_absent") == Some(true);
        let messages = value.filter(|v| !v.is_null()).map(|v| messages::read(v, "value"));
        let messages = messages.transpose()?.unwrap_or_default();
        let deletes = messages.is_empty();
        let result = move |done: bool, _: bool| Data::Bool(done || deletes);
        self.set(runtime, messages, only_new && !deletes, result, face(options))
    }

    pub fn delete(&self, runtime: &mut Runtime, face: Face) -> Result<Ready> {
        self.set(runtime, Vec::new(), false, |_, existed| Data::Bool(existed), face)
    }

    /// `result` is told whether it was set, and whether there was one.
    fn set(
        &self,
        runtime: &mut Runtime,
        messages: Vec<Message>,
        only_new: bool,
        result: impl FnOnce(bool, bool) -> Data + 'static,
        face: Face,
    ) -> Result<Ready> {
        let talk = crate::agent::Conversation { messages, ..Default::default() }
            .to_talk(&self.owner, &self.session);
        runtime.check_talks(std::slice::from_ref(&talk), false)?;
        if self.is_stored(runtime) {
            return self.commit(runtime, talk, only_new, result, face);
        }
        let existed = !self.here(runtime).is_empty();
        let done = !(only_new && existed);
        if done {
            runtime.attach(vec![talk], false, true);
        }
        Ok(Ready::now("memory_write", face, result(done, existed)))
    }

    fn commit(
        &self,
        runtime: &mut Runtime,
        talk: Talk,
        only_new: bool,
        result: impl FnOnce(bool, bool) -> Data + 'static,
        face: Face,
    ) -> Result<Ready> {
        let write = talk.write(only_new.then_some(Expected::Absent));
        let durability = runtime.config.durability;
        let question = Question::Commit { writes: vec![write], durability };
        let operation = Asking::operation("memory_write", question, move |runtime, answer| {
            match answer.committed()? {
                Committed::Done(effects) => {
                    // An agent that is not here reads it when it is.
                    if runtime.agent_of(&talk.agent).is_some() {
                        runtime.attach(vec![talk], false, false);
                    }
                    Ok(result(true, effects.iter().any(|effect| effect.before > 0)))
                }
                Committed::Conflict(_) => Ok(result(false, true)),
            }
        });
        Ok(Ready::waits(operation, face))
    }
}
