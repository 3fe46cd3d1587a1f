//! What comes to a run from outside while it goes on.

use std::rc::Rc;

use super::{Plan, Run};
use crate::agent::Why;
use crate::chat::{Message, ToolCall};
use crate::desk::Desk;
use crate::runtime::Runtime;
use crate::step::Token;
use crate::tool::Tool;

pub(super) fn desk(plan: &Plan) -> Desk {
    Desk {
        agent: plan.agent,
        session: plan.session.clone(),
        open: true,
        follow: plan.follow,
        ..Desk::default()
    }
}

impl Run {
    /// Before the next request: what was said meanwhile stands behind the results of the round.
    pub(super) fn take_messages(&mut self) {
        self.turn.append(&mut self.desk.inbox);
    }

    /// Whether somebody has said something that the model has not seen, and still can.
    pub(super) fn has_unseen(&self, runtime: &Runtime) -> bool {
        !self.desk.inbox.is_empty()
            && self.iteration < self.max_iterations()
            && self.over_budget(runtime).is_none()
    }

    /// From here on nothing is asked any more.
    pub(super) fn close_desk(&mut self) {
        self.desk.open = false;
    }

    /// Agents that are called with the conversation so far find it here: without the calls of this
    /// round, which have no results yet.
    pub(super) fn show_conversation(&mut self, calls: &[ToolCall]) {
        if !calls.iter().any(|call| self.is_one(call, Tool::takes_history)) {
            return;
        }
        let asked = self.turn.iter().rposition(|message| !message.tool_calls.is_empty());
        let round = self.turn.split_off(asked.unwrap_or(self.turn.len()));
        let shown = self.conversation_shown();
        self.turn.extend(round);
        self.desk.shown = Rc::from(shown);
    }

    /// The desk of the run whose tool call this is.
    pub(super) fn desk_around<'r>(&self, runtime: &'r mut Runtime) -> Option<&'r mut Desk> {
        let around: Vec<Token> = runtime.tasks.above(self.me).collect();
        let run = around.into_iter().find(|token| runtime.tasks.desk(*token).is_some())?;
        runtime.tasks.desk(run)
    }

    /// What nobody will see, for whoever gets the response; a run that waits for approval sees what
    /// was said to it when it goes on.
    pub fn unseen(&self) -> Vec<Message> {
        let own = self.desk.inbox.iter().filter(|_| !self.keeps_inbox());
        self.desk.unseen.iter().chain(own).cloned().collect()
    }

    /// What was said to a run that stops, for when it goes on. With calls for a client alone it does
    /// not go on itself: the response has it, and it must not be said twice.
    pub(super) fn kept_inbox(&self) -> Vec<Message> {
        if self.keeps_inbox() { self.desk.inbox.clone() } else { Vec::new() }
    }

    fn keeps_inbox(&self) -> bool {
        self.waits_for(Why::Approval) || self.is_handed_out()
    }

    /// Nobody gets the response of a run inside another one as it is.
    pub(super) fn hand_up_unseen(&self, runtime: &mut Runtime) {
        let unseen = self.unseen();
        if !self.plan.inner || unseen.is_empty() {
            return;
        }
        if let Some(desk) = self.desk_around(runtime) {
            desk.unseen.extend(unseen);
        }
    }
}
