//! A tool as it is shown: what it takes and gives, and how it has fared.

use serde_json::{Value, json};

use super::Tool;
use crate::value::Record;

impl Tool {
    /// JSON Schema of the result, if there is one.
    pub fn returns(&self) -> Option<Value> {
        self.options.get("returns").or_else(|| Some((self.builtin?.returns)()))
    }

    /// What it needs beyond its input: "network", "filesystem", "asynchronous".
    pub fn capabilities(&self) -> Vec<&'static str> {
        let mut all = self.builtin.map_or(Vec::new(), |builtin| builtin.capabilities.to_vec());
        let of_category = match self.category().as_str() {
            "http" => Some("network"),
            "file" => Some("filesystem"),
            _ => None,
        };
        let is_async = self.runs_aside();
        for more in of_category.into_iter().chain(is_async.then_some("asynchronous")) {
            if !all.contains(&more) {
                all.push(more);
            }
        }
        all
    }

    /// `tool.get_schema` without a format.
    pub fn outline(&self) -> Record {
        let (parameters, returns) = (self.parameters(), self.returns());
        Record::new()
            .set("name", self.name.as_str())
            .set("description", self.description.as_str())
            .set("parameters", parameters.clone())
            .set("returns", returns.clone())
            .set("input", parameters)
            .set("output", returns)
    }

    /// As the Model Context Protocol lists it, which knows results that are objects only.
    pub fn in_mcp(&self) -> Value {
        let mut out = json!({ "name": self.name });
        if !self.description.is_empty() {
            out["description"] = self.description.as_str().into();
        }
        out["inputSchema"] = self.parameters();
        if let Some(returns) = self.returns().filter(|schema| schema["type"] == "object") {
            out["outputSchema"] = returns;
        }
        out
    }

    /// `tool.get_info`.
    pub fn info(&self, id: &str) -> Record {
        let calls = self.stats.calls.get();
        let average = if calls == 0 { 0.0 } else { self.stats.total_ms.get() / calls as f64 };
        let text = |key: &str, usual: &str| self.text(key).unwrap_or_else(|| usual.into());
        Record::new()
            .set("id", id)
            .set("name", self.name.as_str())
            .set("description", self.description.as_str())
            .set("category", self.category())
            .set("type", self.kind())
            .set("has_execute", !self.is_declared())
            .set("execution_mode", self.mode())
            .set("version", text("version", "1.0.0"))
            .set("tags", self.tags())
            .set("parameters", self.parameters())
            .set("call_count", calls)
            .set("error_count", self.stats.errors.get())
            .set("avg_time_ms", average)
            .set("last_called_at", self.stats.last_called_at.get())
            .set("registered_at", self.registered_at)
            .set("metadata", self.options.get("metadata").unwrap_or_else(|| json!({})))
    }
}
