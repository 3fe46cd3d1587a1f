//! What a loop or a map goes over: made once, also where the run is durable and goes on elsewhere.

use std::rc::Rc;

use crate::error::Result;
use crate::runtime::Runtime;
use crate::step::{Outcome, Step as Next};
use crate::value::Data;
use crate::workflow::durable::OVER;
use crate::workflow::frame::{Frame, document_of};

fn key(frame: &Frame, id: &Rc<str>) -> String {
    format!("{}{OVER}", frame.path(id))
}

/// Where it is recorded: what makes it again.
pub fn again(runtime: &Runtime, frame: &Frame, id: &Rc<str>) -> Result<Option<Next>> {
    let execution = runtime.workflows.execution(frame.execution)?;
    let recorded = execution.decided_exactly(&key(frame, id));
    recorded.map(|value| frame.ask(runtime, "give", [value])).transpose()
}

/// Where it is to be recorded: what reads it as data, for [`keep`].
pub fn read(runtime: &Runtime, frame: &Frame, id: &Rc<str>, value: &Data) -> Result<Option<Next>> {
    let execution = runtime.workflows.execution(frame.execution)?;
    if execution.durable.is_none() || execution.decided.contains_key(key(frame, id).as_str()) {
        return Ok(None);
    }
    frame.ask_only_data(runtime, "give", [value.clone()]).map(Some)
}

pub fn keep(runtime: &mut Runtime, frame: &Frame, id: &Rc<str>, outcome: Outcome) -> Result<()> {
    let document = document_of(outcome, &format!("what {id:?} goes over"))?;
    let execution = runtime.workflows.executions.get_mut(frame.execution)?;
    if let Some(value) = document.as_ref().and_then(|document| document.value()) {
        execution.decide_exactly(&key(frame, id), value);
    }
    Ok(())
}
