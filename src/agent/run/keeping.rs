//! A conversation that lies in the store: read when the run has its turn, written when it ends.
//!
//! Other processes may be at it too. A turn is written only over what the run has read; if somebody
//! was faster, it is put behind what is there now.

use super::{Run, Stage};
use crate::agent::Conversation;
use crate::agent::conversation::behind;
use crate::chat::ToolCall;
use crate::error::{Error, Result};
use crate::memory::Talk;
use crate::runtime::Runtime;
use crate::step::{Step, Stop, stopped};
use crate::store::{Answer, Committed, Expected, Pending, Question, Record};

impl Run {
    /// Whether the conversation lies in the store.
    pub(super) fn is_kept(&self) -> bool {
        let memory = self.plan.options.get("memory");
        self.plan.remember && memory.is_some_and(|memory| memory["type"] == "persistent")
    }

    /// Asks for what the store has.
    pub(super) fn fetch(&mut self, runtime: &mut Runtime, stage: Stage) -> Result<Step> {
        self.stage = stage;
        let owner = self.agent(runtime)?.owner().to_owned();
        let (space, key) = Runtime::talk_key(&owner, &self.plan.session);
        self.ask_store(runtime, Question::Get { space, keys: vec![key] })
    }

    pub(super) fn ask_store(&mut self, runtime: &mut Runtime, question: Question) -> Result<Step> {
        let waker = runtime.tasks.waker(self.me)?;
        let store = runtime.backing().ok_or_else(|| {
            Error::state("memory of the type \"persistent\" needs a store: configure{store=} first")
        })?;
        self.asked = Some(store.ask(question, waker));
        self.hear(runtime)
    }

    /// Looks whether the store has answered.
    pub(super) fn hear(&mut self, runtime: &mut Runtime) -> Result<Step> {
        let Some(answer) = self.asked.as_ref().and_then(Pending::take) else {
            return Ok(Step::Wait(None));
        };
        self.asked = None;
        match (answer, self.stage) {
            (Err(error), Stage::Reading | Stage::Claiming) => Err(error),
            (Err(error), _) => {
                let response = self.finished.take();
                Err(error.with(|f| f.partial = response))
            }
            (Ok(Answer::Records(records)), stage) => {
                self.found(runtime, records.into_iter().flatten().next())?;
                if stage == Stage::Reading { self.open(runtime) } else { self.write(runtime) }
            }
            (Ok(Answer::Committed(Committed::Done(effects))), Stage::Claiming) => {
                self.claimed(runtime, effects.first().map_or(0, |effect| effect.version))
            }
            (Ok(_), Stage::Claiming) => self.look_again(runtime),
            (Ok(Answer::Committed(Committed::Done(effects))), _) => {
                self.written(runtime, effects.first().map_or(0, |effect| effect.version))
            }
            (Ok(_), _) => self.fetch(runtime, Stage::Behind),
        }
    }

    /// The store's conversation becomes the agent's, unless the agent's is newer.
    fn found(&mut self, runtime: &mut Runtime, record: Option<Record>) -> Result<()> {
        let owner = self.agent(runtime)?.owner().to_owned();
        let (_, key) = Runtime::talk_key(&owner, &self.plan.session);
        let talk = record.as_ref().map(|record| Talk::from_bytes(&key, &record.bytes));
        let conversation = self.conversation(runtime)?;
        let known = conversation.stored.is_some();
        conversation.stored = record.map(|record| record.version);
        match talk.transpose()? {
            _ if conversation.ahead => {}
            Some(talk) => conversation.take(&talk)?,
            None if known => conversation.clear(),
            None => {}
        }
        Ok(())
    }

    /// Writes the conversation with this turn at its end.
    pub(super) fn write(&mut self, runtime: &mut Runtime) -> Result<Step> {
        let again = self.stage == Stage::Behind;
        self.stage = Stage::Writing;
        let owner = self.agent(runtime)?.owner().to_owned();
        let session = self.plan.session.clone();
        if again {
            self.stand_behind(runtime)?;
        }
        let (paused, others) = (self.pause(runtime), self.keeps_waiting());
        let conversation = self.conversation(runtime)?;
        let only_if = conversation.stored.map_or(Expected::Absent, Expected::Version);
        let before = conversation.messages.clone();
        let messages = if paused.is_none() { self.conversation_kept(&before) } else { before };
        let paused = if others { conversation.paused.clone() } else { paused };
        let all = Conversation { messages, paused, ..Conversation::default() };
        let write = all.to_talk(&owner, &session).write(Some(only_if));
        let durability = runtime.config.durability;
        self.ask_store(runtime, Question::Commit { writes: vec![write], durability })
    }

    /// What is left of a run that could not go on, for all processes: unless somebody else was there.
    pub(super) fn keep_settled(&mut self, runtime: &mut Runtime) -> Result<()> {
        let owner = self.agent(runtime)?.owner().to_owned();
        let session = self.plan.session.clone();
        let conversation = self.conversation(runtime)?;
        let Some(version) = conversation.stored else { return Ok(()) };
        let write = conversation.to_talk(&owner, &session).write(Some(Expected::Version(version)));
        let (waker, durability) = (runtime.tasks.waker(self.me)?, runtime.config.durability);
        if let Some(store) = runtime.backing() {
            drop(store.ask(Question::Commit { writes: vec![write], durability }, waker));
        }
        Ok(())
    }

    /// Somebody else has changed the conversation: the turn is put behind what is there now.
    fn stand_behind(&mut self, runtime: &mut Runtime) -> Result<()> {
        let now = self.conversation(runtime)?.paused.clone();
        if let Some(origin) = self.origin.take() {
            if now.as_ref().is_some_and(|now| now.turn == origin.turn) {
                self.origin = Some(origin);
                return Ok(());
            }
            let response = self.finished.take();
            return Err(Error::state("the run was resumed or closed by somebody else meanwhile")
                .with(|f| f.partial = response));
        }
        let (turn, open) = now.map_or_else(Default::default, |now| (now.turn, now.open));
        let open: Vec<ToolCall> = open.into_iter().map(|open| open.call).collect();
        self.turn = behind(&open, std::mem::take(&mut self.turn));
        self.closed = turn;
        Ok(())
    }

    fn written(&mut self, runtime: &mut Runtime, version: u64) -> Result<Step> {
        self.append_turn(runtime)?;
        let conversation = self.conversation(runtime)?;
        conversation.stored = Some(version);
        conversation.ahead = false;
        self.over(runtime)
    }

    /// The store was told already, and nobody waits for what it says.
    pub(super) fn stop_writing(&mut self, stop: &Stop) -> Error {
        let response = self.finished.take();
        stopped(stop, "the run (its turn may still become part of the conversation)")
            .with(|f| f.partial = response)
    }
}
