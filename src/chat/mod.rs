//! The neutral conversation: requests, replies and deltas, the same for every provider. What
//! agents, tools, providers and streams tell each other is said in these words.

use std::borrow::Cow;

use serde_json::{Map, Value};

mod answer;
mod arguments;
pub mod estimate;
mod growing;
pub mod kept;
pub mod media;
pub mod messages;
mod overlay;
pub mod printed;

pub use answer::{Answer, non_empty};
pub use growing::{Fragment, Growing};
pub use media::Source;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    System,
    User,
    Assistant,
    Tool,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }

    /// Also the older names some programs still use.
    pub fn parse(name: &str) -> Option<Role> {
        Some(match name.to_ascii_lowercase().as_str() {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" | "function" => Role::Tool,
            _ => return None,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Text(String),
    Parts(Vec<Part>),
}

impl Default for Content {
    fn default() -> Content {
        Content::Text(String::new())
    }
}

impl Content {
    /// The text of all text parts.
    pub fn text(&self) -> String {
        match self {
            Content::Text(text) => text.clone(),
            Content::Parts(parts) => parts.iter().filter_map(Part::text).collect(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Text(String),
    Image {
        source: Source,
        /// How closely it is to be looked at: "low", "high", "auto".
        detail: Option<String>,
    },
    Document {
        source: Source,
        name: Option<String>,
    },
    /// The prompt up to here may be kept by the provider, to be read faster next time.
    Cache(Cache),
    /// A part of a type this module does not know, passed on as it is.
    Other(Value),
}

/// How long a provider may keep a part of the prompt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cache {
    /// "5m", "1h"; `None` is the provider's own measure.
    pub ttl: Option<String>,
}

impl Part {
    fn text(&self) -> Option<&str> {
        match self {
            Part::Text(text) => Some(text),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub role: Role,
    pub content: Content,
    pub name: Option<String>,
    /// Of a tool message: the call it answers.
    pub tool_call_id: Option<String>,
    /// Of an assistant message: what it asked for.
    pub tool_calls: Vec<ToolCall>,
    /// Blocks that must come back exactly as they were (signed thinking), under the name of the
    /// protocol that they came by: no other looks at them.
    pub blocks: Option<Value>,
}

impl Message {
    pub fn new(role: Role, text: impl Into<String>) -> Message {
        Message {
            role,
            content: Content::Text(text.into()),
            name: None,
            tool_call_id: None,
            tool_calls: Vec::new(),
            blocks: None,
        }
    }

    pub fn tool_result(call_id: &str, text: impl Into<String>) -> Message {
        let mut message = Message::new(Role::Tool, text);
        message.tool_call_id = Some(call_id.to_owned());
        message
    }
}

/// A model's wish to have a tool called.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    /// Exactly as the model wrote them; may be no valid JSON.
    pub arguments_json: String,
    /// The model wrote all it wanted to: what is broken was meant so, and may be put right. What
    /// was cut off may not, for nobody knows what is missing.
    pub whole: bool,
}

impl ToolCall {
    /// The arguments as a document; `None` if they are broken beyond what may be put right.
    pub fn arguments(&self) -> Option<Value> {
        arguments::read(&self.arguments_json, self.whole)
    }

    /// The arguments as JSON, for those who parse it: as written where that is valid.
    pub fn valid_json(&self) -> Option<Cow<'_, str>> {
        arguments::valid_json(&self.arguments_json, self.whole)
    }
}

/// A tool as a model is told about it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    pub name: String,
    pub description: String,
    /// JSON Schema of the arguments.
    pub parameters: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ToolChoice {
    Auto,
    None,
    Required,
    Named(String),
}

/// Structured output.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Any JSON object.
    Json,
    /// JSON that fits a schema.
    Schema { name: String, schema: Value },
}

/// How far a server goes to make an answer fit the format that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// It lets the model say nothing that does not fit the schema.
    Strict,
    /// It lets the model say nothing but JSON.
    Json,
    /// The model is told in words.
    Prompted,
}

impl Rung {
    pub fn of(name: &str) -> Option<Rung> {
        [Rung::Strict, Rung::Json, Rung::Prompted].into_iter().find(|rung| rung.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Rung::Strict => "strict",
            Rung::Json => "json",
            Rung::Prompted => "prompted",
        }
    }
}

/// How to generate; unset options are not sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u32>,
    pub max_tokens: Option<u32>,
    pub stop: Vec<String>,
    pub seed: Option<i64>,
    pub presence_penalty: Option<f64>,
    pub frequency_penalty: Option<f64>,
    /// "none", "low", "medium" or "high".
    pub reasoning: Option<String>,
    pub tool_choice: Option<ToolChoice>,
    pub parallel_tool_calls: Option<bool>,
    /// Read tool calls that the model printed as text. Unset: where models of all kinds are run.
    pub printed_tool_calls: Option<bool>,
    /// Keep the whole prompt for the next request.
    pub prompt_cache: Option<Cache>,
    pub format: Option<Format>,
    /// Merged verbatim into the body, last.
    pub extra: Map<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    pub model: String,
    pub messages: Vec<Message>,
    pub tools: Vec<ToolSpec>,
    pub settings: Settings,
    /// Ask for a streamed answer. Every option works the same either way.
    pub stream: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finish {
    Stop,
    Length,
    ToolCalls,
    ContentFilter,
    /// Send the message back to go on.
    Pause,
    Cancelled,
    #[default]
    Unknown,
}

impl Finish {
    const ALL: [Finish; 7] = [
        Finish::Stop,
        Finish::Length,
        Finish::ToolCalls,
        Finish::ContentFilter,
        Finish::Pause,
        Finish::Cancelled,
        Finish::Unknown,
    ];

    pub fn of(name: &str) -> Option<Finish> {
        Finish::ALL.into_iter().find(|finish| finish.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::ToolCalls => "tool_calls",
            Finish::ContentFilter => "content_filter",
            Finish::Pause => "pause",
            Finish::Cancelled => "cancelled",
            Finish::Unknown => "unknown",
        }
    }
}

/// Tokens of one or more requests. `prompt_tokens` always includes the cached ones.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub cached_tokens: Option<u64>,
    pub cache_write_tokens: Option<u64>,
    pub reasoning_tokens: Option<u64>,
    /// In the provider's total, but in neither of the first two (xAI: thinking).
    pub other_tokens: u64,
    /// The provider did not report them; counted here (bytes / 4).
    pub estimated: bool,
    /// In the currency of the provider's prices, as far as they are known.
    pub cost: Option<f64>,
}

impl Usage {
    pub fn total_tokens(&self) -> u64 {
        self.prompt_tokens + self.completion_tokens + self.other_tokens
    }

    /// What was used after `earlier`, which is a part of it.
    #[must_use]
    pub fn since(&self, earlier: &Usage) -> Usage {
        let less = |a: Option<u64>, b: Option<u64>| Some(a?.saturating_sub(b.unwrap_or(0)));
        Usage {
            prompt_tokens: self.prompt_tokens.saturating_sub(earlier.prompt_tokens),
            completion_tokens: self.completion_tokens.saturating_sub(earlier.completion_tokens),
            cached_tokens: less(self.cached_tokens, earlier.cached_tokens),
            cache_write_tokens: less(self.cache_write_tokens, earlier.cache_write_tokens),
            reasoning_tokens: less(self.reasoning_tokens, earlier.reasoning_tokens),
            other_tokens: self.other_tokens.saturating_sub(earlier.other_tokens),
            estimated: self.estimated,
            cost: self.cost.map(|cost| (cost - earlier.cost.unwrap_or(0.0)).max(0.0)),
        }
    }

    pub fn add(&mut self, other: &Usage) {
        let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0) + b.unwrap_or(0)),
        };
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.other_tokens += other.other_tokens;
        self.cached_tokens = sum(self.cached_tokens, other.cached_tokens);
        self.cache_write_tokens = sum(self.cache_write_tokens, other.cache_write_tokens);
        self.reasoning_tokens = sum(self.reasoning_tokens, other.reasoning_tokens);
        self.estimated |= other.estimated;
        if let Some(cost) = other.cost {
            self.cost = Some(self.cost.unwrap_or(0.0) + cost);
        }
    }
}

/// An answer, also one that is still arriving.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    pub id: Option<String>,
    pub model: Option<String>,
    /// Unix seconds.
    pub created: Option<f64>,
    pub content: String,
    pub thinking: String,
    pub tool_calls: Vec<ToolCall>,
    /// `None` until the provider has said how the answer ended.
    pub finish: Option<Finish>,
    pub native_finish: Option<String>,
    pub usage: Option<Usage>,
    pub blocks: Option<Value>,
    /// Set before it arrives: keep what the provider sent.
    pub keep_raw: bool,
    /// What the provider sent: its document, or the array of a stream's events.
    pub raw: Option<Value>,
}

/// A piece of a tool call that is still arriving.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolCallDelta {
    pub index: usize,
    pub id: Option<String>,
    pub name: Option<String>,
    pub arguments: String,
}

/// What arrived since somebody last looked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delta {
    pub content: String,
    pub thinking: String,
    pub tool_calls: Vec<ToolCallDelta>,
}

impl Delta {
    pub fn is_empty(&self) -> bool {
        self.content.is_empty() && self.thinking.is_empty() && self.tool_calls.is_empty()
    }

    /// A whole answer as one piece.
    pub fn from(reply: &Reply) -> Delta {
        let call = |(index, call): (usize, &ToolCall)| ToolCallDelta {
            index,
            id: Some(call.id.clone()),
            name: Some(call.name.clone()),
            arguments: call.arguments_json.clone(),
        };
        Delta {
            content: reply.content.clone(),
            thinking: reply.thinking.clone(),
            tool_calls: reply.tool_calls.iter().enumerate().map(call).collect(),
        }
    }

    /// Bytes it holds: the measure of back-pressure.
    pub fn bytes(&self) -> usize {
        let calls: usize = self.tool_calls.iter().map(|c| c.arguments.len() + 64).sum();
        self.content.len() + self.thinking.len() + calls
    }

    /// Adds what came after; fragments of one call have one index and are merged.
    pub fn append(&mut self, later: Delta) {
        self.content.push_str(&later.content);
        self.thinking.push_str(&later.thinking);
        later.tool_calls.into_iter().for_each(|call| self.append_call(call));
    }

    fn append_call(&mut self, call: ToolCallDelta) {
        match self.tool_calls.iter_mut().find(|c| c.index == call.index) {
            Some(earlier) => {
                earlier.arguments.push_str(&call.arguments);
                earlier.id = earlier.id.take().or(call.id);
                earlier.name = earlier.name.take().or(call.name);
            }
            None => self.tool_calls.push(call),
        }
    }
}
