//! What a script says, in neutral words: a text, or a table with all that a reply can hold.

use super::refusal::{REFUSAL, Refusal};
use crate::chat::Usage;
use crate::error::{Error, Result};
use crate::shape::{Check, Field, Kind, Options, Shape};
use crate::value::{Kind as Tag, Ref};

pub static REPLY: Shape = Shape::new(
    "ScriptedReply",
    &[
        Field::new("content", Kind::Any, "none", "what is said: a text; other data as their JSON"),
        Field::new(
            "pieces",
            Kind::List(&Kind::Text),
            "of some letters each",
            "the texts that `content` is streamed in; in place of `content`: what is said is all of them",
        ),
        Field::new("tool_calls", Kind::List(&Kind::Table(&CALL)), "none", "what is to be called"),
        Field::new("thinking", Kind::Text, "none", "what is thought before it"),
        Field::new(
            "usage",
            Kind::Table(&USAGE),
            "estimated",
            "tokens that are reported; those not named are estimated",
        ),
        Field::new(
            "finish_reason",
            Kind::Enum(FINISHES),
            "as it is",
            "why it ends: by default \"tool_calls\" where something is to be called, else \"stop\"",
        ),
        Field::new(
            "delay_ms",
            Kind::Number(0.0, 1e12),
            "0",
            "time that passes before the answer begins",
        ),
        Field::new(
            "chunk_delay_ms",
            Kind::Number(0.0, 1e12),
            "0",
            "time that passes between the pieces of a stream",
        ),
        Field::new(
            "error",
            Kind::OneOf(&[Kind::Name, Kind::Table(&REFUSAL)]),
            "none",
            "the error answered instead, or its code; after `content` a stream breaks off with it",
        ),
    ],
    &[],
);

static CALL: Shape = Shape::new(
    "ScriptedCall",
    &[
        Field::new("name", Kind::Name, "", "the tool's name (required)"),
        Field::new(
            "arguments",
            Kind::OneOf(&[Kind::Text, Kind::Any]),
            "{}",
            "a table; a string is sent as it is, also one that is no JSON",
        ),
        Field::new("id", Kind::Name, "made up", "the id of the call"),
    ],
    &[],
);

static USAGE: Shape = Shape::new(
    "ScriptedUsage",
    &[
        tokens("prompt_tokens", "of the request, the cached ones included").or(&["input_tokens"]),
        tokens("completion_tokens", "of the answer").or(&["output_tokens"]),
        tokens("total_tokens", "of both: tells the one that is not named"),
        tokens("cached_tokens", "of the request, read from a cache"),
        tokens("cache_write_tokens", "of the request, put into a cache"),
        tokens("reasoning_tokens", "of the answer, thought"),
    ],
    &[],
);

const fn tokens(name: &'static str, doc: &'static str) -> Field {
    Field::new(name, Kind::Int(0, 1 << 40), "", doc)
}

const FINISHES: &[&str] = &["stop", "length", "tool_calls", "content_filter", "pause"];

/// A reply as a script says it.
#[derive(Clone, Debug, Default)]
pub struct Said {
    pub content: Option<String>,
    /// The content as it is to be streamed; empty where the script leaves that open.
    pub pieces: Vec<String>,
    pub thinking: Option<String>,
    pub calls: Vec<Call>,
    pub finish: Option<&'static str>,
    pub usage: Spent,
    pub delay_ms: f64,
    pub chunk_delay_ms: f64,
    pub error: Option<Refusal>,
}

/// A tool call as a script says it.
#[derive(Clone, Debug, Default)]
pub struct Call {
    pub id: Option<String>,
    pub name: String,
    /// JSON, unless the script wants something else.
    pub arguments: String,
}

/// Tokens as far as a script names them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    pub prompt: Option<u64>,
    pub completion: Option<u64>,
    pub cached: Option<u64>,
    pub cache_write: Option<u64>,
    pub reasoning: Option<u64>,
}

impl Said {
    /// A mere text.
    pub fn text(text: impl Into<String>) -> Said {
        Said { content: Some(text.into()), ..Said::default() }
    }

    /// Nothing but an error.
    pub fn error(refusal: Refusal) -> Said {
        Said { error: Some(refusal), ..Said::default() }
    }

    /// What a script gives as a response; `path` is how messages call it.
    pub fn read(value: Ref<'_>, path: &str) -> Result<Said> {
        static KIND: Kind = Kind::OneOf(&[Kind::Text, Kind::Table(&REPLY)]);
        Check { strict: true }.value(value, &KIND, path)?;
        if let Some(text) = value.as_str() {
            return Ok(Said::text(text));
        }
        let options = Options::new(Some(value), &REPLY);
        let (content, pieces) = content(&options, path)?;
        Ok(Said {
            content,
            pieces,
            thinking: options.text("thinking"),
            calls: calls(options.get("tool_calls"), path)?,
            finish: options.word("finish_reason"),
            usage: Spent::read(options.get("usage")),
            delay_ms: options.number("delay_ms").unwrap_or_default(),
            chunk_delay_ms: options.number("chunk_delay_ms").unwrap_or_default(),
            error: options.get("error").map(|error| Refusal::read(error, path)).transpose()?,
        })
    }
}

/// What is said, and the pieces in which the script says it.
fn content(options: &Options<'_>, path: &str) -> Result<(Option<String>, Vec<String>)> {
    let whole = options.get("content").map(text_of);
    let Some(list) = options.get("pieces") else { return Ok((whole, Vec::new())) };
    let pieces: Vec<String> = list.items().filter_map(Ref::as_str).map(str::to_owned).collect();
    let all = pieces.concat();
    if whole.is_some_and(|whole| whole != all) {
        let text = format!("{path}.pieces: expected the text of content, cut: leave out content");
        return Err(Error::invalid(text));
    }
    Ok((Some(all), pieces))
}

/// A text as it is, anything else as JSON: always the same, though Lua's tables have no order.
fn text_of(value: Ref<'_>) -> String {
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    let mut document = value.to_json();
    document.sort_all_objects();
    document.to_string()
}

fn calls(list: Option<Ref<'_>>, path: &str) -> Result<Vec<Call>> {
    let items = list.into_iter().flat_map(Ref::items).enumerate();
    items.map(|(i, item)| Call::read(item, &format!("{path}.tool_calls[{}]", i + 1))).collect()
}

impl Call {
    fn read(item: Ref<'_>, path: &str) -> Result<Call> {
        let options = Options::new(Some(item), &CALL);
        let name = options.text("name").ok_or_else(|| {
            Error::invalid(format!("{path}.name: expected a non-empty string, got nil"))
        })?;
        let arguments = options.get("arguments").map_or_else(|| "{}".into(), arguments_of);
        Ok(Call { id: options.text("id"), name, arguments })
    }
}

/// An empty table has no arguments in it.
fn arguments_of(value: Ref<'_>) -> String {
    if value.kind() == Tag::Empty { "{}".into() } else { text_of(value) }
}

impl Spent {
    fn read(table: Option<Ref<'_>>) -> Spent {
        let options = Options::new(table, &USAGE);
        let tokens = |name: &str| options.int(name).and_then(|n| u64::try_from(n).ok());
        let (prompt, completion) = (tokens("prompt_tokens"), tokens("completion_tokens"));
        let rest = |other: Option<u64>| Some(tokens("total_tokens")?.saturating_sub(other?));
        Spent {
            prompt: prompt.or_else(|| rest(completion)),
            completion: completion.or_else(|| rest(prompt)),
            cached: tokens("cached_tokens"),
            cache_write: tokens("cache_write_tokens"),
            reasoning: tokens("reasoning_tokens"),
        }
    }

    /// With estimates for what is not named.
    pub fn or(self, prompt: u64, completion: u64) -> Usage {
        let cached = self.cached.unwrap_or(0) + self.cache_write.unwrap_or(0);
        Usage {
            prompt_tokens: self.prompt.unwrap_or(prompt).max(cached),
            completion_tokens: self.completion.unwrap_or(completion),
            cached_tokens: self.cached,
            cache_write_tokens: self.cache_write,
            reasoning_tokens: self.reasoning,
            ..Usage::default()
        }
    }
}
