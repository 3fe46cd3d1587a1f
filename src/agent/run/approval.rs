//! Which calls of a round somebody has to agree to. All are looked at before the first one is made.

use super::{Run, Stage};
use crate::agent::paused::{Open, Why};
use crate::chat::ToolCall;
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Call, Raised, Returned, Step};
use crate::tool::Usable;
use crate::tool::{Approval, Input};
use crate::value::{Data, Record, Slot};

impl Run {
    /// Looks at the calls that are left to look at, then makes those that may be made.
    pub(super) fn weigh(&mut self, runtime: &mut Runtime) -> Result<Step> {
        while let Some(call) = self.unweighed.pop_front() {
            match self.approval(&call) {
                None => self.calls.push_back(call),
                Some((Approval::Always, ..)) => self.wait_for(call, None),
                Some((Approval::Asks(function), id, input)) => {
                    let asks = self.asks(function, &id, &call, input);
                    self.weighed = Some(call);
                    self.stage = Stage::Weighing;
                    return Ok(Step::Call(asks));
                }
            }
        }
        self.make_calls(runtime)
    }

    /// Who says whether the call needs approval, with the tool's id and the input. What cannot be
    /// called anyway needs none: the model is told so.
    fn approval(&self, call: &ToolCall) -> Option<(Approval, String, Data)> {
        let named = |usable: &&Usable| usable.tool.name == call.name;
        let Usable { id, tool } = self.plan.tools.iter().find(named)?;
        let approval = tool.approval.clone().filter(|_| !tool.is_declared())?;
        let input = Input::from_json(tool, call.arguments()?).ok()?;
        Some((approval, id.clone(), input.into_data()))
    }

    fn asks(&self, function: Slot, tool_id: &str, call: &ToolCall, input: Data) -> Call {
        let info = Record::new()
            .set("agent_id", self.plan.agent_id.as_str())
            .set("call_id", call.id.as_str())
            .set("tool_id", tool_id)
            .set("name", call.name.as_str());
        Call { info: Some(info), text: true, ..Call::new(function, input) }
    }

    /// The function has said whether the call needs approval.
    pub(super) fn weighed(&mut self, runtime: &mut Runtime, said: &Returned) -> Result<Step> {
        let call = self.asked_about()?;
        if Approval::is_needed(said) {
            self.wait_for(call, said.refusal.as_ref().map(|refusal| refusal.text.clone()));
        } else {
            self.calls.push_back(call);
        }
        self.weigh(runtime)
    }

    /// The function has failed: what nobody could tell, a person has to.
    pub(super) fn not_weighed(&mut self, runtime: &mut Runtime, raised: &Raised) -> Result<Step> {
        let call = self.asked_about()?;
        self.wait_for(call, Some(raised.text.clone()));
        self.weigh(runtime)
    }

    fn asked_about(&mut self) -> Result<ToolCall> {
        self.weighed.take().ok_or_else(|| Error::internal("no call was looked at"))
    }

    fn wait_for(&mut self, call: ToolCall, doubt: Option<String>) {
        self.pending.push(Open { doubt, ..Open::new(call, Why::Approval) });
    }
}
