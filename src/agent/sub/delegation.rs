//! One task for another agent: a run of it inside a tool call.

use serde_json::{Value, json};

use super::Colleague;
use crate::agent::{Resume, Resumed, Run};
use crate::chat::Message;
use crate::desk::TakenOver;
use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Outcome, Output, Rest, Step, Token, stopped};
use crate::tool::Asked;
use crate::value::{Data, Record};

/// Runs of agents inside each other.
const DEEPEST: usize = 16;

pub struct Delegation {
    colleague: Colleague,
    input: Value,
    /// Of the call, if a model has asked for it.
    call_id: Option<String>,
    /// What had stopped, and goes on.
    resumed: Option<Rest>,
}

impl Delegation {
    pub fn new(colleague: Colleague, asked: Asked) -> Delegation {
        let call_id = match asked.info.get("call_id") {
            Some(Data::Text(id)) => Some(id.clone()),
            _ => None,
        };
        Delegation { colleague, input: asked.input, call_id, resumed: asked.resumed }
    }

    fn begin(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        refuse_depth(runtime, me)?;
        let desk = self.caller(runtime, me).and_then(|caller| runtime.tasks.desk(caller));
        let follow = desk.as_ref().is_some_and(|desk| desk.follow);
        let shown = desk.filter(|_| self.colleague.history).map(|desk| desk.shown.clone());
        let shown: &[Message] = shown.as_deref().unwrap_or_default();
        let mut plan = self.colleague.plan(runtime, self.input.take(), shown)?;
        plan.follow = follow && self.colleague.hands_over;
        // Outside of a run nobody but the agent itself can keep what waits for a decision.
        plan.within = self.caller(runtime, me).and(self.call_id.clone());
        let run = Run::new(runtime, plan);
        let Some(rest) = self.resumed.take() else { return Ok(Step::Run(run.operation())) };
        let Resumed { run: paused, decisions } = rest.get().cloned()?;
        Ok(Step::Run(run.resuming(Resume { decisions, run: Some(paused) }).operation()))
    }

    /// The run whose model has asked for this.
    fn caller(&self, runtime: &Runtime, me: Token) -> Option<Token> {
        self.call_id.as_ref().and_then(|_| runtime.tasks.above(me).next())
    }

    fn answered(&mut self, runtime: &mut Runtime, me: Token, output: Output) -> Result<Step> {
        if matches!(output, Output::Paused { .. }) {
            return Ok(Step::Done(output));
        }
        let Data::Record(response) = output.into_data() else {
            return Err(Error::internal("a run ended with something else than a response"));
        };
        self.check(&response)?;
        let desk = self.caller(runtime, me).and_then(|caller| runtime.tasks.desk(caller));
        if let (true, Some(desk), Some(id)) = (self.colleague.hands_over, desk, &self.call_id) {
            // Its answer follows in its own words.
            let told = json!({ "handed_over_to": self.colleague.name }).to_string();
            let result = Data::Json(result(&response));
            desk.taken_over = Some(TakenOver { call_id: id.clone(), response, told: told.clone() });
            return Ok(Step::Done(Output::Tool { result, text: told, ms: 0.0 }));
        }
        Ok(Step::Done(Output::Data(Data::Json(result(&response)))))
    }

    /// What ended without an answer is no result.
    fn check(&self, response: &Record) -> Result<()> {
        let reason = word(response, "finish_reason");
        let (agent, silent) = (&self.colleague.agent, word(response, "content").is_empty());
        match reason {
            // Whoever follows the stream wants no more.
            "cancelled" if self.colleague.hands_over => Ok(()),
            "max_iterations" | "budget_exceeded" | "cancelled" if silent => Err(Error::new(
                Code::ToolError,
                format!("{agent} ended without an answer: {reason}"),
            )),
            "approval_required" => Err(Error::state(format!(
                "{agent} waits for a decision: agent.resume({agent:?}, {{…}}) goes on with its run"
            ))),
            "tool_calls" => {
                Err(Error::state(format!("{agent} waits for tools that a client runs")))
            }
            _ => Ok(()),
        }
    }
}

fn refuse_depth(runtime: &mut Runtime, me: Token) -> Result<()> {
    let mut depth = 0;
    runtime.tasks.ledgers(me, |_| {
        depth += 1;
        None::<()>
    });
    if depth < DEEPEST {
        return Ok(());
    }
    Err(Error::state(format!(
        "agents are nested deeper than {DEEPEST} runs: do they call each other?"
    )))
}

fn word<'r>(response: &'r Record, field: &str) -> &'r str {
    match response.get(field) {
        Some(Data::Text(text)) => text,
        _ => "",
    }
}

/// What fits the agent's schema, or else what it has said.
fn result(response: &Record) -> Value {
    match response.get("parsed") {
        Some(Data::Json(parsed)) => parsed.clone(),
        _ => word(response, "content").into(),
    }
}

impl Machine for Delegation {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Start => self.begin(runtime, me),
            Outcome::Finished(outputs) => {
                let none = || Err(Error::internal("a run without an end"));
                let output = outputs.into_iter().next().unwrap_or_else(none)?;
                self.answered(runtime, me, output)
            }
            Outcome::Stop(stop) => Err(stopped(&stop, "the run")),
            _ => Err(Error::internal("a delegated task waits for its run only")),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
