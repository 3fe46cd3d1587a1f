//! What a server of ours answers: who it is, which tools it has, and how calls of them ended.

use serde_json::{Value, json};

use super::super::rpc::{self, INVALID_PARAMS, Id};
use super::super::{LATEST, VERSIONS};
use crate::error::Result;
use crate::runtime::Runtime;
use crate::shape::Options;
use crate::step::Output;
use crate::tool::Tool;
use crate::tool::Usable;
use crate::value::Data;

/// What it says of itself.
pub struct About {
    info: Value,
    instructions: Option<String>,
}

impl About {
    pub fn of(options: &Options<'_>) -> About {
        let text = |name: &str, usual: &str| options.text(name).unwrap_or_else(|| usual.into());
        let mut info = json!({
            "name": text("name", "zigllms"), "version": text("version", env!("CARGO_PKG_VERSION")),
        });
        if let Some(title) = options.text("title") {
            info["title"] = title.into();
        }
        About { info, instructions: options.text("instructions") }
    }

    /// In the client's revision of the protocol if it is known here, else in ours: then the client
    /// decides.
    pub fn initialize(&self, params: &Value) -> Value {
        let asked = params["protocolVersion"].as_str().unwrap_or_default();
        let version = VERSIONS.iter().find(|known| **known == asked).unwrap_or(&LATEST);
        let mut answer = json!({
            "protocolVersion": version,
            "capabilities": { "tools": { "listChanged": true } },
            "serverInfo": self.info,
        });
        if let Some(instructions) = &self.instructions {
            answer["instructions"] = instructions.as_str().into();
        }
        answer
    }
}

/// Which tools it has.
pub struct Served {
    /// Ids and names; `None`: all that are registered.
    pub wanted: Option<Vec<String>>,
    /// Tools of one answer.
    pub page: usize,
}

impl Served {
    fn all(&self, runtime: &Runtime) -> Vec<Usable> {
        let tools = &runtime.tools;
        match &self.wanted {
            Some(keys) => {
                let mut found: Vec<Usable> = Vec::new();
                for usable in keys.iter().filter_map(|key| tools.usable(key).ok().flatten()) {
                    if found.iter().all(|known| known.tool.name != usable.tool.name) {
                        found.push(usable);
                    }
                }
                found
            }
            None => {
                let does = tools.iter().filter(|(_, tool)| !tool.is_declared());
                does.map(|(n, tool)| Usable { id: tools.id(n), tool: tool.clone() }).collect()
            }
        }
    }

    pub fn find(&self, runtime: &Runtime, name: &str) -> Option<Usable> {
        self.all(runtime).into_iter().find(|usable| usable.tool.name == name)
    }

    /// A page of the list; its cursor says how many came before.
    pub fn list(&self, runtime: &Runtime, id: &Id, params: &Value) -> String {
        let all = self.all(runtime);
        let from = match &params["cursor"] {
            Value::Null => Some(0),
            cursor => cursor.as_str().and_then(|c| c.parse().ok()).filter(|n| *n <= all.len()),
        };
        let Some(from) = from else {
            return rpc::refusal(id, INVALID_PARAMS, "cursor: it is none of this server's");
        };
        let page: Vec<Value> =
            all.iter().skip(from).take(self.page).map(|u| shown(&u.tool)).collect();
        let mut answer = json!({ "tools": page });
        if from + self.page < all.len() {
            answer["nextCursor"] = (from + self.page).to_string().into();
        }
        rpc::result(id, &answer)
    }
}

/// Clients insist on schemas of objects.
fn shown(tool: &Tool) -> Value {
    let mut shown = tool.in_mcp();
    if !shown["inputSchema"].is_object() {
        shown["inputSchema"] = json!({});
    }
    if shown["inputSchema"]["type"].is_null() {
        shown["inputSchema"]["type"] = "object".into();
    }
    shown
}

/// Whether it says of which form its results are, and they are objects.
pub fn is_structured(tool: &Tool) -> bool {
    tool.returns().is_some_and(|schema| schema["type"] == "object")
}

/// How a call ended. That a tool has failed is for the model to read, and no error of the protocol.
pub fn of_call(id: &Id, structured: bool, output: Result<Output>) -> String {
    let (data, words) = match output {
        Ok(Output::Tool { result, text, .. }) => (result, text),
        Ok(Output::Data(Data::Text(why))) => return failed(id, &why),
        Ok(_) => return failed(id, "a call without a result"),
        Err(error) => return failed(id, error.message()),
    };
    let mut answer = json!({ "content": text(&words) });
    if structured {
        let value = match data {
            Data::Json(value) => value,
            _ => serde_json::from_str(&words).unwrap_or_default(),
        };
        if value.is_object() {
            answer["structuredContent"] = value;
        }
    }
    rpc::result(id, &answer)
}

fn failed(id: &Id, why: &str) -> String {
    rpc::result(id, &json!({ "content": text(why), "isError": true }))
}

fn text(text: &str) -> Value {
    json!([{ "type": "text", "text": text }])
}
