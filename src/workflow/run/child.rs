//! `workflow_call`: an execution inside another one.

use std::rc::Rc;

use super::executing::{Executing, check_input};
use super::step::Asked;
use super::{only, paused};
use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Outcome, Output, Returned, Step as Next, Token, stopped};
use crate::value::Data;
use crate::workflow::deciding;
use crate::workflow::frame::{Frame, document_of};
use crate::workflow::journal::{Child as Called, Entry, Plain};
use crate::workflow::{Definition, Status, recalling};

pub struct Child {
    workflow: String,
    input: Data,
    /// The execution around it, and the path of the step there.
    parent: u64,
    path: Rc<str>,
    frame: Frame,
}

/// Executions inside each other: one without an end has to end somewhere.
const DEEPEST: usize = 100;

impl Child {
    pub fn new(asked: &Asked, workflow: String) -> Child {
        let (input, parent) = (asked.input.clone(), asked.frame.execution);
        Child { workflow, input, parent, path: asked.path.clone(), frame: asked.frame.clone() }
    }

    fn start(&self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        let parent = runtime.workflows.executions.get_mut(self.parent)?;
        let recorded = parent.durable.as_mut().and_then(|durable| durable.take_child(&self.path));
        if let Some(child) = recorded {
            return self.go_on(runtime, me, &child);
        }
        if let Some(number) = parent.children.get(&self.path).copied() {
            return self.execute(runtime, me, number);
        }
        self.call(runtime, me)
    }

    fn call(&self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        if runtime.tasks.depth(me, "workflow_execute") >= DEEPEST {
            let workflow = &self.workflow;
            let message =
                format!("{workflow} is executed inside {DEEPEST} others: is there an end?");
            return Err(Error::state(message));
        }
        let workflow = runtime.workflows.known.require(&self.workflow)?;
        if self.is_durable(runtime) {
            return self.frame.ask_only_data(runtime, "give", [self.input.clone()]);
        }
        if runtime.workflows.definition(workflow)?.input_schema.is_some() {
            return self.frame.ask_data(runtime, "give", [self.input.clone()]);
        }
        self.begin(runtime, me)
    }

    /// What it was given, as data that is to be recorded.
    fn recorded(&self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        let document = document_of(outcome, "the input of the workflow")?;
        let workflow = runtime.workflows.known.require(&self.workflow)?;
        let definition = runtime.workflows.definition(workflow)?;
        let value = document.as_ref().and_then(|document| document.value());
        check_input(&definition, value, value.is_some())?;
        let known = runtime.workflows.known.get(workflow);
        let child = Called {
            workflow: known.map(|known| known.name.clone()).unwrap_or_default(),
            version: definition.version.clone(),
            definition: definition.hash(runtime),
            input: Plain::document(document.as_deref()),
        };
        let parent = runtime.workflows.execution(self.parent)?;
        parent.keep(Entry::Child { path: self.path.to_string(), child });
        self.begin(runtime, me)
    }

    /// It had begun, here or elsewhere.
    fn go_on(&self, runtime: &mut Runtime, me: Token, child: &Called) -> Result<Next> {
        let workflow = runtime.workflows.known.require(&self.workflow)?;
        let definition = runtime.workflows.definition(workflow)?;
        let same =
            child.definition == definition.hash(runtime) && child.version == definition.version;
        let number = self.known(runtime, child)?;
        let parent = runtime.workflows.execution(self.parent)?;
        let Some(durable) = &parent.durable else { return self.execute(runtime, me, number) };
        if !same {
            return Err(durable.breaks(self.changed(&definition, child)));
        }
        let (mut part, progress) = durable.part(&self.path);
        let execution = runtime.workflows.executions.get_mut(number)?;
        if execution.status.has_ended() {
            // Somebody has cancelled it while the run was paused.
            return self.execute(runtime, me, number);
        }
        execution.restore(&mut part, &child.input, &progress)?;
        execution.goes_on |= execution.status == Status::Paused;
        execution.durable = Some(part);
        recalling::recall_all(runtime, number, &progress)?;
        self.execute(runtime, me, number)
    }

    /// The execution that it is here, or a new one.
    fn known(&self, runtime: &mut Runtime, child: &Called) -> Result<u64> {
        let parent = runtime.workflows.execution(self.parent)?;
        match parent.children.get(&self.path) {
            Some(number) if runtime.workflows.execution(*number).is_ok() => Ok(*number),
            _ => self.insert(runtime, child.input.to_data()),
        }
    }

    fn changed(&self, definition: &Definition, child: &Called) -> Error {
        let message = format!(
            "the run called workflow {:?} of version {:?}, which has changed since: it is of \
             version {:?} now",
            self.workflow, child.version, definition.version
        );
        Error::new(Code::VersionMismatch, message)
    }

    fn checked(&self, runtime: &mut Runtime, me: Token, returned: &Returned) -> Result<Next> {
        let workflow = runtime.workflows.known.require(&self.workflow)?;
        let definition = runtime.workflows.definition(workflow)?;
        let value = returned.document.as_ref().and_then(|document| document.value());
        check_input(&definition, value, returned.value.is_some())?;
        self.begin(runtime, me)
    }

    fn begin(&self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        let number = self.insert(runtime, self.input.clone())?;
        let durable = runtime.workflows.execution(self.parent)?.durable.as_ref();
        let part = durable.map(|durable| durable.part(&self.path).0);
        runtime.workflows.executions.get_mut(number)?.durable = part;
        self.execute(runtime, me, number)
    }

    fn insert(&self, runtime: &mut Runtime, input: Data) -> Result<u64> {
        let workflow = runtime.workflows.known.require(&self.workflow)?;
        let number = runtime.workflows.begin(workflow, input)?;
        let parent = runtime.workflows.executions.get_mut(self.parent)?;
        parent.children.insert(self.path.clone(), number);
        let (on_step, keyed) = (parent.on_step.clone(), format!("{}/", parent.key(&self.path)));
        let run = parent.claim.as_ref().map(|claim| claim.run.clone());
        let part_of = run.or_else(|| parent.part_of.clone());
        let child = runtime.workflows.executions.get_mut(number)?;
        (child.on_step, child.keyed, child.part_of) = (on_step, keyed, part_of);
        Ok(number)
    }

    fn execute(&self, runtime: &mut Runtime, me: Token, number: u64) -> Result<Next> {
        let execution = runtime.workflows.execution(number)?;
        let ended = execution.error.clone().map_or(Ok(()), |failure| Err(failure.error));
        match execution.status {
            Status::Running => Err(Error::state(format!("{} goes on elsewhere", execution.id))),
            // Somebody has gone on with it while the execution around it was paused.
            status if status.has_ended() => {
                let output = ended.map(|()| Output::Data(Data::Nil));
                self.take(runtime, number, output)
            }
            _ => self.run(runtime, me, number),
        }
    }

    fn run(&self, runtime: &mut Runtime, me: Token, number: u64) -> Result<Next> {
        runtime.workflows.hold(number, me)?;
        Ok(Next::Run(Executing::new(runtime, number)?.operation(runtime)))
    }

    fn came_back(&self, runtime: &mut Runtime, me: Token, output: Result<Output>) -> Result<Next> {
        let number = self.number(runtime)?;
        let came = self.take(runtime, number, output);
        runtime.workflows.let_go(number, me);
        came
    }

    fn take(&self, runtime: &mut Runtime, number: u64, output: Result<Output>) -> Result<Next> {
        if matches!(output, Ok(Output::Paused { .. })) {
            // What has waited before and waits still does not keep others from going on.
            let child = runtime.workflows.execution(number)?;
            let waits = child.waits || !deciding::waits(&runtime.workflows, number);
            let parent = runtime.workflows.executions.get_mut(self.parent)?;
            parent.waits |= waits;
            return Ok(Next::Done(paused()));
        }
        let parent = runtime.workflows.executions.get_mut(self.parent)?;
        parent.children.remove(&self.path);
        output?;
        let child = runtime.workflows.execution(number)?;
        Ok(Next::Done(Output::Data(child.output.clone())))
    }

    fn is_durable(&self, runtime: &Runtime) -> bool {
        let parent = runtime.workflows.execution(self.parent);
        parent.is_ok_and(|parent| parent.durable.is_some())
    }

    fn number(&self, runtime: &Runtime) -> Result<u64> {
        let children = &runtime.workflows.execution(self.parent)?.children;
        children.get(&self.path).copied().ok_or_else(|| Error::internal("a child without a name"))
    }
}

impl Machine for Child {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        match outcome {
            Outcome::Start => self.start(runtime, me),
            outcome @ Outcome::Returned(_) if self.is_durable(runtime) => {
                self.recorded(runtime, me, outcome)
            }
            Outcome::Returned(returned) => self.checked(runtime, me, &returned),
            Outcome::Finished(outputs) => self.came_back(runtime, me, only(outputs)),
            Outcome::Stop(stop) => Err(stopped(&stop, "the workflow")),
            _ => Err(Error::internal("a child waits for its end only")),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
