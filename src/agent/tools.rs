//! The tools of a run: an allow-list, resolved when the run starts.

use std::rc::Rc;

use super::{Agent, AgentTool};
use crate::chat::ToolSpec;
use crate::error::Result;
use crate::registry::Registry;
use crate::tool::Tool;

/// A tool with the id it is known by; inline ones go by their name.
#[derive(Clone, Debug)]
pub struct Usable {
    pub id: String,
    pub tool: Rc<Tool>,
}

/// The registered tool of that id or name.
pub fn find_tool(tools: &Registry<Rc<Tool>>, key: &str) -> Result<Option<Usable>> {
    let number = tools.find(key)?;
    Ok(number.and_then(|n| Some(Usable { id: tools.id(n), tool: tools.get(n)?.clone() })))
}

impl Agent {
    /// Those that exist now; a tool that was unregistered meanwhile is left out.
    pub fn usable(&self, tools: &Registry<Rc<Tool>>) -> Vec<Usable> {
        usable(&self.tools, tools)
    }
}

pub fn usable(wanted: &[AgentTool], tools: &Registry<Rc<Tool>>) -> Vec<Usable> {
    let found = wanted.iter().filter_map(|wanted| match wanted {
        AgentTool::Inline(tool) => Some(Usable { id: tool.name.clone(), tool: tool.clone() }),
        AgentTool::Named(key) => find_tool(tools, key).ok().flatten(),
    });
    found.collect()
}

/// As the model is told about them.
pub fn specs(tools: &[Usable]) -> Vec<ToolSpec> {
    tools.iter().map(|usable| usable.tool.spec()).collect()
}
