//! A question to a provider as hooks and events see it, and what hooks make of it.

use serde_json::{Map, Value, json};

use super::Exchange;
use crate::chat::messages;
use crate::chat::{Answer, Reply, ToolSpec};
use crate::error::{Error, Result};
use crate::provider::exchange::Ask;
use crate::provider::options::GENERATION;
use crate::runtime::Runtime;
use crate::shape::{Check, Field, Kind, Options, Shape};
use crate::step::{Given, Output};
use crate::value::{Data, Record, Ref};

static TOOL: Shape = Shape::new(
    "RequestTool",
    &[
        Field::new("name", Kind::Name, "required", "as the model calls it"),
        Field::new("description", Kind::Text, "\"\"", "what it does"),
        Field::new("parameters", Kind::Schema, "", "JSON Schema of the arguments"),
    ],
    &[],
);

/// The neutral request: what hooks on `provider_before_request` get and may change.
static REQUEST: Shape = Shape::new(
    "Request",
    &[
        Field::new("model", Kind::Text, "", "the model that is asked"),
        Field::new("messages", Kind::Any, "required", "the whole conversation"),
        Field::new("tools", Kind::List(&Kind::Table(&TOOL)), "", "tools the model may call"),
    ],
    &[&GENERATION],
);

/// Options of a call that a request shows: those of generation, without headers, which may be
/// secret.
fn shown(options: &Map<String, Value>) -> impl Iterator<Item = (&'static str, Value)> {
    let fields = GENERATION.fields.iter().filter(|field| field.name != "headers");
    fields.filter_map(|field| Some((field.name, options.get(field.name)?.clone())))
}

fn tool(spec: &ToolSpec) -> Value {
    json!({ "name": spec.name, "description": spec.description, "parameters": spec.parameters })
}

impl Exchange {
    pub(super) fn who(&self) -> Record {
        Record::new()
            .set("provider", self.main.as_str())
            .set("model", self.model())
            .set("operation", "chat")
    }

    fn model(&self) -> Option<&str> {
        Some(self.ask.request.model.as_str()).filter(|model| !model.is_empty())
    }

    /// The request in neutral words.
    pub(super) fn neutral(&self) -> Data {
        let request = &self.ask.request;
        let mut record = Record::new()
            .set("model", self.model())
            .set("messages", request.messages.iter().map(messages::to_json).collect::<Value>());
        if !request.tools.is_empty() {
            record.put("tools", request.tools.iter().map(tool).collect::<Value>());
        }
        shown(&self.ask.options).for_each(|(name, value)| record.put(name, value));
        record.into()
    }

    /// Asks what a hook wants asked.
    pub(super) fn ask_instead(&mut self, runtime: &mut Runtime, given: &Given<'_>) -> Result<()> {
        let value = given.data()?;
        static KIND: Kind = Kind::Table(&REQUEST);
        Check { strict: runtime.config.strict }.value(value, &KIND, "request")?;
        let ask = self.changed(value)?;
        let (started, total) = (self.started, self.total);
        *self = Exchange::new(runtime, ask, total)?;
        self.started = started;
        Ok(())
    }

    fn changed(&self, value: Ref<'_>) -> Result<Ask> {
        let options = Options::new(Some(value), &REQUEST);
        let mut ask = self.ask.clone();
        let given = value.get("messages").map(|given| messages::read(given, "request.messages"));
        ask.request.messages = given.transpose()?.unwrap_or_default();
        if ask.request.messages.is_empty() {
            return Err(Error::invalid(
                "request.messages: expected at least one message, got none",
            ));
        }
        ask.request.model = options.text("model").unwrap_or_default();
        ask.request.tools = value.get("tools").into_iter().flat_map(Ref::items).map(spec).collect();
        for field in GENERATION.fields.iter().filter(|field| field.name != "headers") {
            match options.get(field.name) {
                Some(set) => drop(ask.options.insert(field.name.to_owned(), set.to_json())),
                None => drop(ask.options.remove(field.name)),
            }
        }
        Ok(ask)
    }

    /// The answer that a hook gave: its own one with other contents, or one made of nothing.
    pub(super) fn answer_instead(
        &self,
        runtime: &Runtime,
        given: &Given<'_>,
        own: Option<Output>,
    ) -> Result<Output> {
        let base = match own {
            Some(Output::Answer(answer)) => *answer,
            _ => self.blank(runtime),
        };
        Ok(Output::Answer(Box::new(base.overlaid(given.data()?)?)))
    }

    fn blank(&self, runtime: &Runtime) -> Answer {
        Answer {
            reply: Reply::default(),
            provider: self.main.clone(),
            model: self.ask.request.model.clone(),
            finish_reason: "stop",
            created: runtime.clock.unix(),
            ..Answer::default()
        }
    }
}

fn spec(tool: Ref<'_>) -> ToolSpec {
    let text = |key: &str| tool.get(key).and_then(Ref::as_str).unwrap_or_default().to_owned();
    let parameters = tool
        .get("parameters")
        .map_or_else(|| json!({ "type": "object", "properties": {} }), Ref::to_json);
    ToolSpec { name: text("name"), description: text("description"), parameters }
}
