//! What the options of a run say beyond its agent's configuration.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::paused::Own;
use super::{AgentTool, bind, summarize};
use crate::error::{Error, Result};
use crate::provider::Reach;
use crate::runtime::Runtime;
use crate::shape::{Options, id_of};
use crate::tool::{DEFINITION, Tool};
use crate::value::Ref;

/// What the options of a run say.
pub fn read(runtime: &Runtime, options: &Options<'_>) -> Result<Own> {
    let (own, reach) = Reach::split(options, &runtime.providers, "options")?;
    let tools = options.get("tools").map(|list| tools_of(runtime, list, "options.tools"));
    let summarize = summarize::given(options, &runtime.providers, "options")?;
    let options = with_schema(runtime, own, "options")?;
    Ok(Own { options, reach, tools: tools.transpose()?, summarize })
}

/// Options whose schema is one, not the name of one.
pub fn with_schema(
    runtime: &Runtime,
    mut options: Map<String, Value>,
    path: &str,
) -> Result<Map<String, Value>> {
    if let Some(format) = options.get_mut("response_format") {
        let place = |e: Error| e.at(&format!("{path}.response_format"));
        runtime.schemas.resolve_format(format).map_err(place)?;
    }
    Ok(options)
}

/// Ids and names must exist; definitions become tools of this agent alone.
pub fn tools_of(runtime: &Runtime, list: Ref<'_>, path: &str) -> Result<Vec<AgentTool>> {
    list.items()
        .enumerate()
        .map(|(i, item)| tool_of(runtime, item, &format!("{path}[{}]", i + 1)))
        .collect()
}

fn tool_of(runtime: &Runtime, item: Ref<'_>, path: &str) -> Result<AgentTool> {
    let registered =
        id_of(item).filter(|_| item.as_str().is_some() || item.get("execute").is_none());
    if let Some(key) = registered {
        runtime.tools.usable(&key)?.ok_or_else(|| Error::not_found("tool", &key).at(path))?;
        return Ok(AgentTool::Named(key));
    }
    let options = Options::new(Some(item), &DEFINITION);
    let tool =
        Tool::define(&options, &runtime.schemas, &runtime.config.tools, runtime.clock.unix());
    let tool = tool.and_then(|tool| bind(runtime, tool, &options));
    Ok(AgentTool::Inline(Rc::new(tool.map_err(|e| e.at(path))?)))
}
