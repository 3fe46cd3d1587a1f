//! What a run is asked to do: its own options over its agent's.

use super::paused::Own;
use super::run::Plan;
use super::tools::usable;
use crate::error::{Error, Result};
use crate::provider::Whom;
use crate::provider::options::lay;
use crate::runtime::Runtime;

/// Options that say how a call is made, not what a run is.
const OF_THE_CALL: [&str; 6] = ["async", "detach", "stream", "session", "remember", "tools"];

impl Plan {
    /// Of an agent's own conversation, without an input.
    pub fn new(runtime: &Runtime, number: u64, mut own: Own) -> Result<Plan> {
        let agent_id = runtime.agents.id(number);
        let agent = runtime.agents.get(number);
        let agent = agent.ok_or_else(|| Error::not_found("agent", &agent_id))?;
        own.options.retain(|key, _| !OF_THE_CALL.contains(&key.as_str()));
        let options = lay([&agent.config.to_map(), &own.options]);
        let whom = agent.provider.clone().map_or_else(|| Whom::usual(runtime), Ok)?;
        Ok(Plan {
            agent: number,
            agent_id,
            total: whom.end(runtime, &options),
            whom,
            session: String::new(),
            remember: agent.remembers(),
            within: None,
            execution: None,
            inner: false,
            input: Vec::new(),
            options,
            reach: agent.reach().under(&own.reach),
            tools: usable(own.tools.as_deref().unwrap_or(&agent.tools), &runtime.tools),
            follow: false,
            context: Vec::new(),
            summarize: own.summarize.clone().unwrap_or_else(|| agent.summarize.clone()),
            own,
        })
    }

    /// The same for a run that began earlier, as its agent is now: what it was asked to do then,
    /// under what it is asked to do now.
    pub fn over(&mut self, runtime: &Runtime, earlier: &Own) -> Result<()> {
        let fresh = Plan::new(runtime, self.agent, earlier.under(&self.own))?;
        (self.own, self.options, self.reach) = (fresh.own, fresh.options, fresh.reach);
        (self.whom, self.tools, self.total) = (fresh.whom, fresh.tools, fresh.total);
        self.summarize = fresh.summarize;
        Ok(())
    }
}
