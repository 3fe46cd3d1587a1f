//! Who sums up what falls out of the window: a function, or a model.

use crate::chat::Message;
use crate::error::Result;
use crate::provider::Providers;
use crate::provider::Whom;
use crate::shape::{Field, Kind, Options, Shape};
use crate::value::Slot;

static BY_MODEL: Shape = Shape::new(
    "Summarizer",
    &[
        Field::new("model", Kind::Text, "the agent's", "the model that sums up"),
        Field::new("provider", Kind::Id("a provider"), "the agent's", "whose model it is"),
        Field::new(
            "prompt",
            Kind::Name,
            "asks for a short summary",
            "what the model is told to do",
        ),
    ],
    &[],
);

const BY: Kind = Kind::OneOf(&[Kind::Function, Kind::Table(&BY_MODEL)]);

pub const OPTION: Field = Field::new(
    "summarize",
    BY,
    "none: they are left out",
    "`function(messages) → message | string`, or `{model=}`: sums up what falls out of the window, and stands in its place from then on",
);

const PROMPT: &str = "Sum up this conversation for the assistant that will go on with it. Keep names, \
    numbers, decisions, results of tools and what is still to be done. Answer with the summary only.";

#[derive(Clone, Debug)]
pub enum Summarize {
    Function(Slot),
    Model(Box<Summarizer>),
}

#[derive(Clone, Debug)]
pub struct Summarizer {
    pub model: Option<String>,
    /// `None`: the agent's.
    pub provider: Option<Whom>,
    pub prompt: String,
}

/// What options say; `Some(None)` takes it back.
pub fn given(
    options: &Options<'_>,
    providers: &Providers,
    path: &str,
) -> Result<Option<Option<Summarize>>> {
    if options.unsets("summarize") {
        return Ok(Some(None));
    }
    if let Some(function) = options.function("summarize") {
        return Ok(Some(Some(Summarize::Function(function))));
    }
    let Some(table) = options.get("summarize") else { return Ok(None) };
    let table = Options::new(Some(table), &BY_MODEL);
    let provider = table.id("provider").map(|key| Whom::Known(key.into()));
    if let Some(whom) = &provider {
        whom.check(providers).map_err(|error| error.at(&format!("{path}.summarize.provider")))?;
    }
    let prompt = table.text("prompt").unwrap_or_else(|| PROMPT.to_owned());
    let by = Summarizer { model: table.text("model"), provider, prompt };
    Ok(Some(Some(Summarize::Model(Box::new(by)))))
}

/// A conversation as one text.
pub fn transcript(messages: &[Message]) -> String {
    messages.iter().map(lines).collect::<Vec<_>>().join("\n\n")
}

fn lines(message: &Message) -> String {
    let said = message.content.text();
    let mut lines = vec![format!("{}: {said}", message.role.name())];
    let call =
        |call: &crate::chat::ToolCall| format!("calls {}({})", call.name, call.arguments_json);
    lines.extend(message.tool_calls.iter().map(call));
    lines.join("\n")
}
