//! `tool_call`: a call of a tool as `tool.execute` makes it.

use std::rc::Rc;

use super::only;
use super::step::Asked;
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Outcome, Output, Returned, Step as Next, Token, stopped};
use crate::tool::{Input, ToolRun};
use crate::value::{Data, Record};
use crate::workflow::frame::{Frame, value_of};

pub struct ToolCall {
    tool: String,
    input: Data,
    frame: Frame,
    step: String,
    path: Rc<str>,
}

impl ToolCall {
    pub fn new(asked: &Asked, tool: String) -> ToolCall {
        ToolCall {
            tool,
            input: asked.input.clone(),
            frame: asked.frame.clone(),
            step: asked.step.id.to_string(),
            path: asked.path.clone(),
        }
    }

    fn call(&self, runtime: &mut Runtime, returned: Returned) -> Result<Next> {
        let key = &self.tool;
        let found = runtime.tools.usable(key)?.ok_or_else(|| Error::not_found("tool", key))?;
        let (tool, id) = (found.tool, found.id);
        let checks = tool.validates();
        let sandboxed = tool.is_sandboxed();
        let works = tool.worker_for(sandboxed).is_some();
        let document = returned.document.as_ref().and_then(|document| document.value());
        if document.is_none() && returned.value.is_some() && (works || tool.has_schema()) {
            let message = "the input of the step is no plain data";
            return Err(Error::new(crate::error::Code::ConversionError, message));
        }
        let input = match document.filter(|value| sandboxed && !value.is_text()) {
            Some(bytes) => Input::from_bytes(&tool, checks, bytes)?,
            None => Input::from_lua(&tool, checks, works, document, returned.value)?,
        };
        let info = self.info(runtime)?;
        let run = ToolRun::new(tool, id, input, info).copied(runtime, document);
        Ok(Next::Run(run.operation()))
    }

    fn info(&self, runtime: &Runtime) -> Result<Record> {
        let execution = runtime.workflows.execution(self.frame.execution)?;
        Ok(Record::new()
            .set("workflow_id", runtime.workflows.known.id(execution.workflow))
            .set("execution_id", execution.id.as_str())
            .set("step_id", self.step.as_str())
            .set("idempotency_key", execution.key(&self.path)))
    }
}

impl Machine for ToolCall {
    fn step(&mut self, runtime: &mut Runtime, _: Token, outcome: Outcome) -> Result<Next> {
        match outcome {
            Outcome::Start => self.frame.ask_data(runtime, "give", [self.input.clone()]),
            Outcome::Returned(returned) => self.call(runtime, returned),
            Outcome::Finished(outputs) => {
                let result = only(outputs)?.into_data();
                Ok(Next::Done(Output::Data(result)))
            }
            Outcome::Stop(stop) => Err(stopped(&stop, "the workflow")),
            outcome => value_of(outcome, "the input of the tool").map(|_| Next::Wait(None)),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
