//! What a run takes from its conversation, and what it leaves there.

use serde_json::Value;

use super::{Plan, Run};
use crate::agent::Conversation;
use crate::agent::answers;
use crate::agent::conversation::not_executed;
use crate::agent::paused::{Open, Paused, Why};
use crate::agent::running::would_never_have;
use crate::chat::{Message, Role, ToolCall};
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::Token;

/// Names the conversation of a run in this instance.
pub(super) fn key(plan: &Plan) -> String {
    format!("{}/{}", plan.agent, plan.session)
}

/// A run inside another one of the same conversation would wait for it for ever.
pub fn refuse_nesting(runtime: &Runtime, around: Token, plan: &Plan) -> Result<()> {
    if plan.remember && runtime.tasks.holds(around, &key(plan)) {
        let id = &plan.agent_id;
        return Err(Error::state(format!(
            "{id} is running this conversation further out: use another `session` or `remember=false`"
        )));
    }
    Ok(())
}

impl Run {
    /// Asks for the conversation; true once it is this run's.
    pub(super) fn join(&mut self, runtime: &mut Runtime, me: Token) -> Result<bool> {
        if !self.plan.remember || self.holding {
            return Ok(true);
        }
        self.refuse_nesting(runtime, me)?;
        self.refuse_deadlock(runtime, me)?;
        self.holding = self.conversation(runtime)?.queue.enter(me);
        self.desk.waits = !self.holding;
        Ok(self.holding)
    }

    /// Looked at once, when it begins to wait: whoever comes later looks at those that wait.
    fn refuse_deadlock(&self, runtime: &mut Runtime, me: Token) -> Result<()> {
        let Plan { agent, session, agent_id, .. } = &self.plan;
        if !self.desk.waits && would_never_have(runtime, me, *agent, session) {
            return Err(Error::state(format!(
                "{agent_id} is at this conversation and waits for one of the runs around this: use another `session`"
            )));
        }
        Ok(())
    }

    fn refuse_nesting(&self, runtime: &mut Runtime, me: Token) -> Result<()> {
        let around = runtime.tasks.get_mut(me).map_or(0, |running| running.parent);
        refuse_nesting(runtime, around, &self.plan)
    }

    /// Before anything is changed: no server takes a result without its call.
    pub(super) fn check_input(&self, runtime: &mut Runtime) -> Result<()> {
        if !self.plan.remember {
            return answers::check(&self.plan.input, None);
        }
        answers::check(&self.plan.input, self.conversation(runtime)?.paused.as_deref())
    }

    pub(super) fn read_conversation(&mut self, runtime: &mut Runtime) -> Result<()> {
        self.history = self.plan.context.clone();
        if !self.plan.remember {
            if !self.resumes {
                self.begin_turn(None);
            }
            return Ok(());
        }
        let conversation = self.conversation(runtime)?;
        let (history, paused) = (conversation.messages.clone(), conversation.paused.clone());
        self.history.extend(history);
        self.known = self.history.len();
        match paused {
            _ if self.resumes => {}
            Some(paused) if self.only_answers(&paused) => self.answer(runtime, *paused)?,
            paused => self.begin_turn(paused),
        }
        Ok(())
    }

    /// A new turn. It closes the one that has stopped: calls that nobody has answered get a result.
    /// What was said to that comes behind all results.
    fn begin_turn(&mut self, paused: Option<Box<Paused>>) {
        let input = self.plan.input.clone();
        let Some(paused) = paused else { return self.turn.extend(input) };
        let results = input.iter().take_while(|message| message.role == Role::Tool).count();
        self.turn = not_executed(&unanswered(&paused.open, &input));
        self.turn.extend(input);
        let at = self.turn.len() - self.plan.input.len() + results;
        self.turn.splice(at..at, paused.inbox);
        self.closed = paused.turn;
        self.history.extend(self.closed.iter().cloned());
    }

    pub(super) fn messages(&self) -> Vec<Message> {
        let system = self.plan.options.get("system_prompt").and_then(Value::as_str);
        let system = system.map(|text| Message::new(Role::System, text));
        system.into_iter().chain(self.conversation_shown()).collect()
    }

    pub(super) fn append_turn(&mut self, runtime: &mut Runtime) -> Result<()> {
        self.origin = None;
        let paused = self.pause(runtime);
        if !self.plan.remember {
            // A client's answers come with the messages that they belong to, unless the run goes on.
            let stays = |paused: &Paused| self.resumes || paused.waits_for(Why::Approval);
            return match paused.filter(|paused| stays(paused)) {
                Some(paused) => self.keep_aside(runtime, paused),
                None => Ok(()),
            };
        }
        let before = std::mem::take(&mut self.conversation(runtime)?.messages);
        let messages = if paused.is_none() { self.conversation_kept(&before) } else { before };
        let others = self.keeps_waiting();
        let conversation = self.conversation(runtime)?;
        conversation.messages = messages;
        if !others {
            conversation.paused = paused;
        }
        Ok(())
    }

    /// Whether another run may wait in the conversation meanwhile: what this one has waited for its
    /// execution has kept.
    pub(super) fn keeps_waiting(&self) -> bool {
        self.plan.execution.is_some() && self.resumes
    }

    /// Leaves the conversation, or the queue for it.
    pub(super) fn leave(&mut self, runtime: &mut Runtime) {
        if !self.plan.remember {
            return;
        }
        self.holding = false;
        let me = self.me;
        let next = self.conversation(runtime).ok().and_then(|c| c.queue.leave(me));
        if let Some(next) = next {
            // The notifier exists: the waiting run was started on it.
            let _ = runtime.tasks.post(next);
        }
    }

    pub(super) fn conversation<'r>(
        &self,
        runtime: &'r mut Runtime,
    ) -> Result<&'r mut Conversation> {
        let session = self.plan.session.clone();
        Ok(self.agent(runtime)?.conversations.entry(session).or_default())
    }
}

/// Pending calls that the new input does not answer.
fn unanswered(open: &[Open], input: &[Message]) -> Vec<ToolCall> {
    let unanswered = |call: &&ToolCall| {
        !input.iter().any(|m| m.tool_call_id.as_deref() == Some(call.id.as_str()))
    };
    open.iter().map(|open| &open.call).filter(unanswered).cloned().collect()
}
