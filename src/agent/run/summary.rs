//! What stands in the place of messages that have fallen out of the window: a summary of them.
//!
//! Once the window is exceeded, all but what fills half of it is summed up, so that the next rounds
//! need no summary again. The one before is among what is summed up.

use serde_json::Value;

use super::{Run, Stage};
use crate::agent::conversation::{Window, settle_order};
use crate::agent::summarize::{Summarize, Summarizer, transcript};
use crate::chat::estimate::of_message as estimate;
use crate::chat::messages::{read, to_json};
use crate::chat::{self, Answer, Message, Role};
use crate::error::{Code, Error, Result};
use crate::provider::options::LIMITS;
use crate::provider::{Ask, Exchange, Reach};
use crate::runtime::Runtime;
use crate::step::{Call, Output, Raised, Returned, Step};
use crate::value::{Data, Ref};

/// A summary, and how much it stands for.
#[derive(Clone, Debug, Default)]
pub struct Folded {
    pub summary: Option<Message>,
    /// So many messages at the beginning of the conversation and of what stands before it.
    pub count: usize,
}

impl Run {
    /// Whether something falls out of the window that is to be summed up first.
    pub(super) fn fold(&mut self, runtime: &mut Runtime) -> Result<Option<Step>> {
        let Some(summarize) = self.plan.summarize.clone() else { return Ok(None) };
        let rest = self.unfolded();
        let window = self.window();
        if window.newest(&rest).len() == rest.len() {
            return Ok(None);
        }
        let kept = window.half().newest(&rest).len();
        if kept == rest.len() {
            return Ok(None);
        }
        let falls = &rest[..rest.len() - kept];
        let asked: Vec<Message> = self.folded.summary.iter().chain(falls).cloned().collect();
        self.folding = falls.len();
        self.stage = Stage::Folding;
        match summarize {
            Summarize::Function(function) => Ok(Some(ask_function(function, &asked))),
            Summarize::Model(model) => self.ask_model(runtime, &model, &asked).map(Some),
        }
    }

    /// The conversation behind what is summed up.
    fn unfolded(&self) -> Vec<Message> {
        let mut all: Vec<Message> = self.history.iter().chain(&self.turn).cloned().collect();
        settle_order(&mut all);
        all.split_off(self.folded.count.min(all.len()))
    }

    /// The window of what stands behind the summary.
    fn window(&self) -> Window {
        let window = Window::of(self.plan.options.get("memory"));
        self.folded.summary.as_ref().map_or(window, |summary| window.behind(estimate(summary)))
    }

    /// What of the conversation the model is shown.
    pub(super) fn conversation_shown(&self) -> Vec<Message> {
        let rest = self.unfolded();
        let newest = self.window().newest(&rest);
        self.folded.summary.iter().chain(newest).cloned().collect()
    }

    /// What stays of the conversation; `before` is what it was, if it was not the one that is known.
    pub(super) fn conversation_kept(&self, before: &[Message]) -> Vec<Message> {
        let own = self.history.get(self.plan.context.len()..self.known).unwrap_or_default();
        let folded = self.folded.count.saturating_sub(self.plan.context.len());
        let mut all: Vec<Message> =
            before.iter().chain(&self.closed).chain(&self.turn).cloned().collect();
        settle_order(&mut all);
        match &self.folded.summary {
            Some(summary) if folded > 0 && fits(before, own, folded) => std::iter::once(summary)
                .chain(all.get(folded..).unwrap_or_default())
                .cloned()
                .collect(),
            _ => all,
        }
    }

    fn ask_model(
        &self,
        runtime: &mut Runtime,
        by: &Summarizer,
        messages: &[Message],
    ) -> Result<Step> {
        let own = by.provider.is_none();
        let named = || self.plan.options.get("model").and_then(Value::as_str).filter(|_| own);
        let mut options = self.plan.options.clone();
        options.retain(|name, _| LIMITS.all().any(|field| field.name == name));
        let ask = Ask {
            whom: by.provider.clone().unwrap_or_else(|| self.plan.whom.clone()),
            request: chat::Request {
                model: by.model.as_deref().or_else(named).unwrap_or_default().to_owned(),
                messages: vec![
                    Message::new(Role::System, by.prompt.as_str()),
                    Message::new(Role::User, transcript(messages)),
                ],
                ..chat::Request::default()
            },
            options,
            reach: if own { self.plan.reach.clone() } else { Reach::default() },
            follow: false,
            iteration: None,
            strict: false,
        };
        let exchange = Exchange::new(runtime, ask, self.plan.total)?;
        Ok(Step::Run(exchange.operation(self.ledger.end())))
    }

    /// The function has given its summary.
    pub(super) fn function_summed_up(
        &mut self,
        runtime: &mut Runtime,
        returned: Returned,
    ) -> Result<Step> {
        let document = returned.document.as_deref();
        let summary = document.and_then(|document| document.value()).map(summary_of);
        let nothing = || Err(unfit("nil"));
        match summary.unwrap_or_else(nothing) {
            Ok(summary) => self.summed_up(runtime, summary),
            Err(error) => Err(self.with_partial(runtime, error)),
        }
    }

    pub(super) fn function_failed(&self, runtime: &Runtime, raised: Raised) -> Error {
        self.with_partial(runtime, raised.into_error("summarize"))
    }

    /// The model has.
    pub(super) fn model_summed_up(
        &mut self,
        runtime: &mut Runtime,
        output: Result<Output>,
    ) -> Result<Step> {
        match output {
            Ok(Output::Answer(answer)) => self.model_said(runtime, &answer),
            Ok(_) => Err(Error::internal("a question ended with something else")),
            Err(error) => self.no_answer(runtime, error),
        }
    }

    fn model_said(&mut self, runtime: &mut Runtime, answer: &Answer) -> Result<Step> {
        self.attempts += answer.attempts;
        let text = answer.reply.content.trim();
        if text.is_empty() {
            let error = Error::new(Code::BadResponse, "the summary of the conversation is empty");
            return Err(self.with_partial(runtime, error));
        }
        let text = format!("Summary of the conversation so far:\n{text}");
        self.summed_up(runtime, Message::new(Role::User, text))
    }

    fn summed_up(&mut self, runtime: &mut Runtime, summary: Message) -> Result<Step> {
        self.folded.count += std::mem::take(&mut self.folding);
        self.folded.summary = Some(summary);
        self.ask(runtime)
    }
}

/// Whether a summary of so many messages of `own` and of what follows can stand in `before`: somebody
/// else may have gone on with it meanwhile.
fn fits(before: &[Message], own: &[Message], folded: usize) -> bool {
    before == own || folded <= own.len() && before.starts_with(own)
}

fn ask_function(function: crate::value::Slot, messages: &[Message]) -> Step {
    let messages = Data::Json(messages.iter().map(to_json).collect());
    Step::Call(Call { keeps: true, ..Call::new(function, messages) })
}

fn unfit(got: &str) -> Error {
    let text = format!("summarize: expected a string or a message {{role=, content=}}, got {got}");
    Error::new(Code::CallbackError, text)
}

/// One message, which is no part of a round of tools.
fn summary_of(value: Ref<'_>) -> Result<Message> {
    if value.as_str().is_none() && value.get("role").is_none() {
        return Err(unfit(if value.is_object() {
            "a table without a role"
        } else {
            "something else"
        }));
    }
    let wrong = |error: Error| Error::new(Code::CallbackError, error.message());
    let message = read(value, "summarize").map_err(wrong)?.pop().ok_or_else(|| unfit("nothing"))?;
    if message.role == Role::Tool || !message.tool_calls.is_empty() {
        return Err(unfit("a part of a round of tools"));
    }
    Ok(message)
}
