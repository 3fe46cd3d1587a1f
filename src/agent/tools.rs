//! The tools of a run: an allow-list, resolved when the run starts.

use std::rc::Rc;

use super::AgentTool;
use crate::chat::ToolSpec;
use crate::error::Result;
use crate::tool::{Tool, Tools};

/// A tool with the id it is known by; inline ones go by their name.
#[derive(Clone, Debug)]
pub struct Usable {
    pub id: String,
    pub tool: Rc<Tool>,
}

/// The tool of that id or name: a registered one, else a built-in one, whose id is its name.
pub fn find_tool(tools: &Tools, key: &str) -> Result<Option<Usable>> {
    let registered = tools.find(key)?;
    let registered =
        registered.and_then(|n| Some(Usable { id: tools.id(n), tool: tools.get(n)?.clone() }));
    let builtin = || tools.builtin(key).map(|tool| Usable { id: tool.name.clone(), tool });
    Ok(registered.or_else(builtin))
}

/// Those that exist now; a tool that was unregistered meanwhile is left out.
pub fn usable(wanted: &[AgentTool], tools: &Tools) -> Vec<Usable> {
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
