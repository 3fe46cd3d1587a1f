//! `agent_call`: a run of an agent as `agent.run` and `agent.resume` make it.

use std::rc::Rc;

use serde_json::Value;

use super::step::Asked;
use super::{only, paused};
use crate::agent::{self, Own, Plan, Resume, Run, own};
use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;
use crate::shape::Options;
use crate::step::{Machine, Outcome, Output, Returned, Step as Next, Token, stopped};
use crate::value::{Data, Document, Record};
use crate::workflow::definition::shape::RUN_OPTIONS;
use crate::workflow::execution::Waiting;
use crate::workflow::frame::{Frame, value_of};

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
        match execution.waiting.remove(&self.path) {
            Some(waiting) => self.resume(runtime, me, &waiting),
            None => self.frame.ask_data(runtime, "give", [self.input.clone()]),
        }
    }

    fn plan(&self, runtime: &Runtime, own: Own) -> Result<Plan> {
        let number = runtime.agents.require(&self.agent)?;
        let options = self.options.as_ref().and_then(|options| options.value());
        let options = Options::new(options, &RUN_OPTIONS);
        let plan = Plan::new(runtime, number, own)?;
        Ok(Plan {
            session: options.text("session").unwrap_or_default(),
            remember: options.bool("remember").unwrap_or(true) && plan.remember,
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

    /// The calls that the run waits for have been decided on.
    fn resume(&self, runtime: &mut Runtime, me: Token, waiting: &Waiting) -> Result<Next> {
        let decisions = runtime.workflows.execution(self.frame.execution)?.decisions.clone();
        let plan = self.plan(runtime, Own::default())?;
        let plan = Plan { session: waiting.session.clone(), ..plan };
        agent::refuse_nesting(runtime, me, &plan)?;
        let run = Run::new(runtime, plan).resuming(Resume { decisions, run: None });
        Ok(Next::Run(run.operation()))
    }

    fn answered(&self, runtime: &mut Runtime, output: Output) -> Result<Next> {
        let data = output.into_data();
        let Data::Record(response) = &data else { return Ok(Next::Done(Output::Data(data))) };
        if let Some(calls) = response.get("pending_tool_calls") {
            self.wait(runtime, calls.clone())?;
            return Ok(Next::Done(paused()));
        }
        let said = said(response);
        let execution = runtime.workflows.executions.get_mut(self.frame.execution)?;
        if let Some(progress) = execution.under_way.get_mut(&self.path) {
            progress.response = data;
        }
        Ok(Next::Done(Output::Data(said)))
    }

    fn wait(&self, runtime: &mut Runtime, calls: Data) -> Result<()> {
        let number = runtime.agents.require(&self.agent)?;
        let options = self.options.as_ref().and_then(|options| options.value());
        let session = Options::new(options, &RUN_OPTIONS).text("session").unwrap_or_default();
        let agent = runtime.agents.id(number);
        let waiting = Waiting { step: self.step.clone(), agent, session, calls };
        let execution = runtime.workflows.executions.get_mut(self.frame.execution)?;
        execution.waiting.insert(self.path.clone(), waiting);
        execution.waits = true;
        Ok(())
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
