//! `agent_call`: a run of an agent as `agent.run` and `agent.resume` make it.

use std::rc::Rc;

use serde_json::Value;

use super::step::Asked;
use super::{only, paused};
use crate::agent::{self, Decisions, Own, Paused, Plan, Resume, Run, own};
use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;
use crate::shape::Options;
use crate::step::{Machine, Outcome, Output, Rest, Returned, Step as Next, Token, stopped};
use crate::value::{Data, Document, Record};
use crate::workflow::definition::shape::RUN_OPTIONS;
use crate::workflow::execution::Waiting;
use crate::workflow::frame::{Frame, value_of};
use crate::workflow::journal::Entry;

pub struct AgentCall {
    agent: String,
    options: Option<Rc<Document>>,
    input: Data,
    frame: Frame,
    step: Rc<str>,
    path: Rc<str>,
}

impl AgentCall {
    pub fn new(asked: &Asked, agent: String, options: Option<Rc<Document>>) -> AgentCall {
        AgentCall {
            agent,
            options,
            input: asked.input.clone(),
            frame: asked.frame.clone(),
            step: asked.step.id.clone(),
            path: asked.path.clone(),
        }
    }

    fn start(&self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        let execution = runtime.workflows.executions.get_mut(self.frame.execution)?;
        let Some(waiting) = execution.waiting.remove(&self.path) else {
            return self.frame.ask_data(runtime, "give", [self.input.clone()]);
        };
        let decisions = execution.take_decisions(&self.path).unwrap_or_default();
        if waiting.needs_decisions() && decisions.is_empty() {
            execution.waiting.insert(self.path.clone(), waiting);
            return Ok(Next::Done(paused()));
        }
        self.resume(runtime, me, waiting, decisions)
    }

    fn plan(&self, runtime: &Runtime, own: Own) -> Result<Plan> {
        let number = runtime.agents.require(&self.agent)?;
        let options = self.options.as_ref().and_then(|options| options.value());
        let options = Options::new(options, &RUN_OPTIONS);
        let plan = Plan::new(runtime, number, own)?;
        Ok(Plan {
            session: options.text("session").unwrap_or_default(),
            remember: options.bool("remember").unwrap_or(true) && plan.remember,
            execution: Some(self.frame.execution),
            ..plan
        })
    }

    fn own(&self, runtime: &Runtime) -> Result<Own> {
        let options = self.options.as_ref().and_then(|options| options.value());
        own::read(runtime, &Options::new(options, &RUN_OPTIONS))
    }

    fn run(&self, runtime: &mut Runtime, me: Token, returned: Returned) -> Result<Next> {
        let document = returned.document;
        if document.is_none() && returned.value.is_some() {
            let message = "the input of the step is no plain data";
            return Err(Error::new(Code::ConversionError, message));
        }
        let value = document.as_ref().and_then(|document| document.value());
        let plan = self.plan(runtime, self.own(runtime)?)?;
        let plan = Plan { input: agent::input::read(value)?, ..plan };
        agent::refuse_nesting(runtime, me, &plan)?;
        Ok(Next::Run(Run::new(runtime, plan).operation()))
    }

    /// Its run has stopped, and goes on.
    fn resume(
        &self,
        runtime: &mut Runtime,
        me: Token,
        waiting: Waiting,
        decisions: Decisions,
    ) -> Result<Next> {
        let plan = self.plan(runtime, Own::default())?;
        let plan = Plan { input: waiting.run.input(), ..plan };
        agent::refuse_nesting(runtime, me, &plan)?;
        let resume = Resume { decisions, run: Some(waiting.run) };
        Ok(Next::Run(Run::new(runtime, plan).resuming(resume).operation()))
    }

    fn answered(&self, runtime: &mut Runtime, output: Output) -> Result<Next> {
        if let Output::Paused { rest, .. } = &output {
            let waiting = self.waiting(runtime, rest)?;
            return self.wait(runtime, waiting);
        }
        let data = output.into_data();
        let Data::Record(response) = &data else { return Ok(Next::Done(Output::Data(data))) };
        let said = said(response);
        let execution = runtime.workflows.executions.get_mut(self.frame.execution)?;
        if let Some(progress) = execution.under_way.get_mut(&self.path) {
            progress.response = data;
        }
        Ok(Next::Done(Output::Data(said)))
    }

    fn waiting(&self, runtime: &Runtime, rest: &Rest) -> Result<Waiting> {
        let plan = self.plan(runtime, Own::default())?;
        let run = Box::new(rest.get::<Paused>()?.clone());
        let (step, agent) = (self.step.clone(), plan.agent_id);
        Ok(Waiting { step, agent, session: plan.session, run })
    }

    fn wait(&self, runtime: &mut Runtime, waiting: Waiting) -> Result<Next> {
        let agent = runtime.agents.find(&waiting.agent)?.and_then(|n| runtime.agents.get(n));
        let name = agent.map_or(waiting.agent.clone(), |agent| agent.name.clone());
        let execution = runtime.workflows.executions.get_mut(self.frame.execution)?;
        execution.waits |= waiting.needs_decisions();
        let (path, state) = (self.path.to_string(), waiting.to_json(&name));
        execution.keep(Entry::Waiting { path, state });
        execution.waiting.insert(self.path.clone(), waiting);
        Ok(Next::Done(paused()))
    }
}

/// What fits the agent's schema, or else what it has said.
fn said(response: &Record) -> Data {
    let parsed = response.get("parsed").cloned();
    parsed.or_else(|| response.get("content").cloned()).unwrap_or_else(|| Value::from("").into())
}

impl Machine for AgentCall {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        match outcome {
            Outcome::Start => self.start(runtime, me),
            Outcome::Returned(returned) => self.run(runtime, me, returned),
            Outcome::Finished(outputs) => self.answered(runtime, only(outputs)?),
            Outcome::Stop(stop) => Err(stopped(&stop, "the workflow")),
            outcome => value_of(outcome, "the input of the agent").map(|_| Next::Wait(None)),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
