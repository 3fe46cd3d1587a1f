//! What a step does, as a machine.

use std::rc::Rc;

use serde_json::Value;

use super::agent::AgentCall;
use super::chain::Chain;
use super::child::Child;
use super::fan::Fan;
use super::looping::Loop;
use super::step::Asked;
use super::tool::ToolCall;
use crate::clock::Moment;
use crate::error::Result;
use crate::runtime::Runtime;
use crate::sandbox;
use crate::step::{Machine, Outcome, Output, Step as Next, Token, stopped};
use crate::value::Data;
use crate::workflow::definition::{Does, Made, Steps, Test};
use crate::workflow::frame::{Frame, Info, truth_of, value_of};

/// The machine of a step. What it ends with is the output of the step.
pub fn of(runtime: &mut Runtime, asked: &Asked) -> Result<Box<dyn Machine>> {
    let step = &asked.step;
    Ok(match &step.does {
        Does::Agent { agent, options } => {
            Box::new(AgentCall::new(asked, agent.clone(), options.clone()))
        }
        Does::Tool { tool } => Box::new(ToolCall::new(asked, tool.clone())),
        Does::Workflow { workflow } => Box::new(Child::new(asked, workflow.clone())),
        Does::Function(function) => {
            let act = asked.frame.run(runtime, function.clone(), asked.info())?;
            Box::new(Once::new(act, "the function"))
        }
        Does::Transform(made) => {
            let act = asked.inside().make(runtime, made, asked.info())?;
            Box::new(Once::new(act, "the transform"))
        }
        Does::Delay { ms, jitter_percent } => {
            Box::new(Delay::new(runtime, asked, *ms, *jitter_percent))
        }
        Does::Emit { event, data } => Box::new(Emit::new(asked, event.clone(), data.clone())),
        Does::Script(script) => Box::new(Script::new(runtime, asked, script.clone())),
        does => body(does, asked.inside(), step.id.clone()),
    })
}

/// The machine of what has steps in it; `id` is the step's that it belongs to.
pub fn body(does: &Does, frame: Frame, id: Rc<str>) -> Box<dyn Machine> {
    match does {
        Does::Sequence(steps) => Box::new(Chain::new(steps.clone(), frame)),
        Does::Choice(steps) => Box::new(Chain::choice(steps.clone(), frame)),
        Does::Parallel { steps, gathers, wide } => {
            Box::new(Fan::parallel(steps.clone(), *gathers, *wide, frame))
        }
        Does::Map { over, steps, wide } => {
            Box::new(Fan::map(over.clone(), steps.clone(), *wide, frame, id))
        }
        Does::Branch { test, then, otherwise } => {
            Box::new(Branch::new(test.clone(), [then.clone(), otherwise.clone()], frame, id))
        }
        Does::Loop(looping) => Box::new(Loop::new(looping.clone(), frame, id)),
        _ => Box::new(Chain::new(Steps::from(Vec::new()), frame)),
    }
}

/// One act, whose value it is.
struct Once {
    act: Option<Next>,
    what: &'static str,
}

impl Once {
    fn new(act: Next, what: &'static str) -> Once {
        Once { act: Some(act), what }
    }
}

impl Machine for Once {
    fn step(&mut self, _: &mut Runtime, _: Token, outcome: Outcome) -> Result<Next> {
        match self.act.take() {
            Some(act) => Ok(act),
            None => Ok(Next::Done(Output::Data(value_of(outcome, self.what)?))),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}

struct Delay {
    until: Moment,
    output: Data,
}

impl Delay {
    fn new(runtime: &Runtime, asked: &Asked, ms: f64, jitter_percent: f64) -> Delay {
        let jitter = (crate::chance::fraction() * 2.0 - 1.0) * jitter_percent / 100.0;
        let until = runtime.clock.now().after_float_ms(ms * (1.0 + jitter));
        Delay { until, output: asked.input.clone() }
    }
}

impl Machine for Delay {
    fn step(&mut self, runtime: &mut Runtime, _: Token, _: Outcome) -> Result<Next> {
        if runtime.clock.now() < self.until {
            return Ok(Next::Wait(Some(self.until)));
        }
        Ok(Next::Done(Output::Data(std::mem::take(&mut self.output))))
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}

struct Emit {
    event: String,
    data: Option<Made>,
    frame: Frame,
    info: Info,
    told: bool,
}

impl Emit {
    fn new(asked: &Asked, event: String, data: Option<Made>) -> Emit {
        Emit { event, data, frame: asked.inside(), info: asked.info(), told: false }
    }

    fn tell(&mut self, runtime: &mut Runtime, data: Data) -> Result<Next> {
        self.told = true;
        self.frame.ask(runtime, "emit", [Data::from(self.event.as_str()), data])
    }
}

impl Machine for Emit {
    fn step(&mut self, runtime: &mut Runtime, _: Token, outcome: Outcome) -> Result<Next> {
        match (outcome, self.data.clone()) {
            (Outcome::Start, Some(made)) => self.frame.make(runtime, &made, self.info.clone()),
            (Outcome::Start, None) => self.tell(runtime, self.info.input.clone()),
            (outcome, _) if self.told => {
                value_of(outcome, "emit")?;
                Ok(Next::Done(Output::Data(self.info.input.clone())))
            }
            (outcome, _) => {
                let data = value_of(outcome, "the data of the event")?;
                self.tell(runtime, data)
            }
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}

/// Lua text in a sandbox, with `ctx` as plain data.
struct Script {
    script: std::sync::Arc<sandbox::Script>,
    deadline: Option<Moment>,
    frame: Frame,
    info: Info,
    run: Option<sandbox::Run>,
}

/// A script without a limit of its own ends by this.
const SCRIPT_MS: f64 = 1000.0;

impl Script {
    fn new(runtime: &Runtime, asked: &Asked, script: std::sync::Arc<sandbox::Script>) -> Script {
        let ms = asked.step.timeout_ms.unwrap_or(SCRIPT_MS);
        let deadline = Some(runtime.clock.now().after_float_ms(ms));
        Script { script, deadline, frame: asked.frame.clone(), info: asked.info(), run: None }
    }

    fn begin(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        let Outcome::Returned(returned) = outcome else {
            return value_of(outcome, "the script").map(|_| Next::Wait(None));
        };
        let Some(context) = returned.document else {
            return self.frame.not_plain(runtime, self.info.clone());
        };
        let limits = sandbox::Limits::default();
        let run = sandbox::Run::new(self.script.clone(), limits, self.deadline, vec![*context]);
        self.run.insert(run).step(runtime, me, Outcome::Start)
    }
}

impl Machine for Script {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        match (&mut self.run, outcome) {
            (Some(run), outcome) => run.step(runtime, me, outcome),
            (None, Outcome::Start) => self.frame.plain_context(runtime, self.info.clone()),
            (None, outcome) => self.begin(runtime, me, outcome),
        }
    }

    fn abandon(&mut self, runtime: &mut Runtime, me: Token) {
        if let Some(run) = &mut self.run {
            run.abandon(runtime, me);
        }
    }
}

/// One of two chains.
struct Branch {
    test: Test,
    /// If it holds, and if it does not.
    steps: [Steps; 2],
    frame: Frame,
    /// Of the step that it belongs to; "" at the top.
    id: Rc<str>,
    chain: Option<Chain>,
}

impl Branch {
    fn new(test: Test, steps: [Steps; 2], frame: Frame, id: Rc<str>) -> Branch {
        Branch { test, steps, frame, id, chain: None }
    }

    /// Which one was decided once: an execution that goes on stays with that.
    fn start(&mut self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        let path = self.frame.path(&self.id);
        let decided = &runtime.workflows.execution(self.frame.execution)?.decided;
        if let Some(holds) = decided.get(&path).and_then(Value::as_bool) {
            return self.take(runtime, me, holds);
        }
        let info = self.frame.info(&self.id);
        self.frame.test(runtime, &self.test, info)
    }

    fn take(&mut self, runtime: &mut Runtime, me: Token, holds: bool) -> Result<Next> {
        let path = self.frame.path(&self.id);
        let execution = runtime.workflows.executions.get_mut(self.frame.execution)?;
        execution.decide(&path, holds.into());
        if self.id.is_empty() {
            execution.executed_branch = Some(if holds { "if_true" } else { "if_false" }.into());
        }
        let [then, otherwise] = &self.steps;
        let steps = if holds { then } else { otherwise };
        let chain = Chain::new(steps.clone(), self.frame.clone());
        self.chain.insert(chain).step(runtime, me, Outcome::Start)
    }
}

impl Machine for Branch {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        match (&mut self.chain, outcome) {
            (Some(chain), outcome) => chain.step(runtime, me, outcome),
            (None, Outcome::Start) => self.start(runtime, me),
            (None, Outcome::Stop(stop)) => Err(stopped(&stop, "the workflow")),
            (None, outcome) => {
                let holds = truth_of(outcome, "the condition")?;
                self.take(runtime, me, holds)
            }
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
