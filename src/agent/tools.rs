//! The tools of a run: an allow-list, resolved when the run starts.

use super::AgentTool;
use crate::chat::ToolSpec;
use crate::tool::{Tools, Usable};

/// Those that exist now; a tool that was unregistered meanwhile is left out.
pub fn usable(wanted: &[AgentTool], tools: &Tools) -> Vec<Usable> {
    let found = wanted.iter().filter_map(|wanted| match wanted {
        AgentTool::Inline(tool) => Some(Usable { id: tool.name.clone(), tool: tool.clone() }),
        AgentTool::Named(key) => tools.usable(key).ok().flatten(),
    });
    found.collect()
}

/// As the model is told about them.
pub fn specs(tools: &[Usable]) -> Vec<ToolSpec> {
    tools.iter().map(|usable| usable.tool.spec()).collect()
}
