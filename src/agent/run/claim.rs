//! A run that lies in the store goes on in one process only: whoever goes on with it says so there
//! first. Calls that somebody has agreed to once are not made twice.
//!
//! The claim ends with the run, and at the latest when the run's time is over: a process that is
//! killed leaves no more behind than that.

use super::{Run, Stage};
use crate::agent::Conversation;
use crate::agent::paused::Paused;
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::Step;
use crate::store::{Expected, Question};

/// How long a claim lasts where nothing limits the run: a day.
const LONGEST_MS: f64 = 86_400_000.0;

impl Run {
    /// Goes on with what its conversation has kept, once that is this run's alone.
    pub(super) fn open_again(&mut self, runtime: &mut Runtime) -> Result<Step> {
        self.read_conversation(runtime)?;
        self.decided = self.take_up(runtime)?;
        match self.is_kept() && self.plan.execution.is_none() {
            true => self.claim(runtime),
            false => self.set_out(runtime),
        }
    }

    pub(super) fn set_out(&mut self, runtime: &mut Runtime) -> Result<Step> {
        self.enter(runtime, self.me)?;
        self.check_prices(runtime)?;
        let decisions = std::mem::take(&mut self.decided);
        self.go_on(runtime, &decisions)
    }

    fn claim(&mut self, runtime: &mut Runtime) -> Result<Step> {
        self.stage = Stage::Claiming;
        let now = runtime.clock.now();
        let left = self.plan.total.map_or(LONGEST_MS, |end| end.ms_since(now).max(0.0));
        let until = runtime.clock.unix() + left / 1e3;
        let owner = self.agent(runtime)?.owner().to_owned();
        let session = self.plan.session.clone();
        let origin = self
            .origin
            .clone()
            .map(|origin| Box::new(Paused { claimed_until: Some(until), ..*origin }));
        let conversation = self.conversation(runtime)?;
        let only_if = conversation.stored.map_or(Expected::Absent, Expected::Version);
        let messages = conversation.messages.clone();
        let all = Conversation { messages, paused: origin, ..Conversation::default() };
        let write = all.to_talk(&owner, &session).write(Some(only_if));
        let durability = runtime.config.durability;
        self.ask_store(runtime, Question::Commit { writes: vec![write], durability })
    }

    /// The claim is in the store.
    pub(super) fn claimed(&mut self, runtime: &mut Runtime, version: u64) -> Result<Step> {
        let conversation = self.conversation(runtime)?;
        conversation.stored = Some(version);
        conversation.ahead = false;
        self.claims = true;
        self.set_out(runtime)
    }

    /// Somebody was faster: what is there now may be something else.
    pub(super) fn look_again(&mut self, runtime: &mut Runtime) -> Result<Step> {
        let decisions = std::mem::take(&mut self.decided);
        self.origin = None;
        self.resume = Some(super::Resume { decisions, run: None });
        self.fetch(runtime, Stage::Reading)
    }
}

/// Whether nobody else goes on with it.
pub(super) fn check(paused: &Paused, runtime: &Runtime) -> Result<()> {
    let now = runtime.clock.unix();
    match paused.claimed_until.filter(|until| *until > now) {
        None => Ok(()),
        Some(until) => Err(Error::state("another process goes on with this run").with(|f| {
            f.details = Some(serde_json::json!({ "reason": "claimed", "until_at": until }));
        })),
    }
}
