//! Options of generation and of network calls: declared once, valid at every level.
//!
//! `configure{http=}`, providers, agents and calls each hold a map of the options they were given.
//! A call sees them laid over each other, the nearest on top, and decodes the result once.

mod layers;

use std::time::Duration;

use serde_json::{Map, Value};

use super::limiter::{Allowance, Rate};
use super::reach::REACH;
use super::retry::Retry;
use super::secret::{Secret, of_members};
use crate::chat::messages::cache_of;
use crate::chat::{Format, Settings, ToolChoice};
use crate::clock::Moment;
use crate::error::{Error, Result, quoted};
use crate::net::{Limits, Proxy, Roots};
use crate::optimize::cache::WISH;
use crate::schema::{from_shorthand, settle_order};
use crate::shape::{Field, Kind, Shape};
use crate::value::json;

pub use layers::{lay, merge, portable, shown};

const COUNT: Kind = Kind::Int(1, i32::MAX as i64);
const MILLIS: Kind = Kind::Number(0.0, 1e12);

pub static GENERATION: Shape = Shape::new(
    "Generation",
    &[
        Field::new(
            "temperature",
            Kind::Number(0.0, 2.0),
            "",
            "randomness; sent only when set, as are all of these",
        ),
        Field::new("top_p", Kind::Number(0.0, 1.0), "", "nucleus sampling"),
        Field::new("top_k", COUNT, "", "sample from the k likeliest tokens"),
        Field::new("max_tokens", COUNT, "", "longest answer, in tokens"),
        Field::new(
            "stop",
            Kind::OneOf(&[Kind::Text, Kind::List(&Kind::Text)]),
            "",
            "texts that end the answer",
        ),
        Field::new("seed", Kind::Int(i64::MIN, i64::MAX), "", "for repeatable sampling"),
        Field::new("presence_penalty", Kind::Number(-2.0, 2.0), "", "against repeated topics"),
        Field::new("frequency_penalty", Kind::Number(-2.0, 2.0), "", "against repeated words"),
        Field::new(
            "reasoning",
            Kind::Enum(&["none", "low", "medium", "high"]),
            "",
            "effort of thinking models",
        ),
        Field::new(
            "tool_choice",
            Kind::OneOf(&[Kind::Enum(&["auto", "none", "required"]), Kind::Table(&NAMED_TOOL)]),
            "\"auto\"",
            "whether tools may, must not or must be called; in a run of an agent a call is forced once",
        ),
        Field::new(
            "parallel_tool_calls",
            Kind::Bool,
            "the provider's",
            "several calls in one answer",
        ),
        PRINTED,
        Field::new(
            "prompt_cache",
            Kind::OneOf(&[Kind::Bool, Kind::Text]),
            "false",
            "the provider may keep the prompt, to read it faster next time; a text says how long: \"1h\"",
        ),
        Field::new(
            "response_format",
            Kind::Schema,
            "",
            "\"json\" or a schema: structured output in `parsed`",
        )
        .or(&["schema"]),
        Field::new("extra", Kind::Map, "", "merged verbatim into the request body"),
        Field::new("headers", HEADERS, "", "added to the request"),
        Field::new("cache", WISH, "false", CACHED),
    ],
    &[],
);

/// What the option `cache` does.
pub const CACHED: &str = "true, or milliseconds: an answer to the same question is kept for so long and given again (`cached`)";

/// Headers of the user's, by name; `None` takes one out.
pub type Headers = Vec<(String, Option<String>)>;

/// Headers by name. Their values are texts, or numbers and booleans as text; null takes a header out.
pub const HEADERS: Kind =
    Kind::MapOf(&Kind::OneOf(&[Kind::Text, Kind::Number(f64::MIN, f64::MAX), Kind::Bool]));

/// Of a provider and of a call.
const PRINTED: Field = Field::new(
    "printed_tool_calls",
    Kind::Bool,
    "true for `local`, `llamacpp`, `vllm`, `lmstudio`",
    "read calls of the tools offered that the model printed as text",
);

static NAMED_TOOL: Shape =
    Shape::new("NamedTool", &[Field::new("name", Kind::Name, "", "the tool to call")], &[]);

pub static LIMITS: Shape = Shape::new(
    "Limits",
    &[
        Field::new(
            "connect_timeout_ms",
            MILLIS,
            "10000",
            "DNS, TCP and TLS; 0 = no limit, as for all of these",
        ),
        Field::new(
            "first_token_timeout_ms",
            MILLIS,
            "120000",
            "request sent until the first content",
        ),
        Field::new("idle_timeout_ms", MILLIS, "60000", "between contents"),
        Field::new("timeout_ms", MILLIS, "600000", "the whole call with its retries"),
        Field::new("max_response_bytes", Kind::Int(1, i64::MAX), "67108864", "largest reply body"),
        Field::new(
            "retry",
            Kind::OneOf(&[Kind::Bool, Kind::Table(&RETRY)]),
            "three attempts",
            "when a request that failed is made again; `false` = one attempt",
        ),
        Field::new("max_retries", Kind::Int(0, 100), "2", "short for `retry.max_attempts - 1`"),
        Field::new("flush_ms", MILLIS, "0", "at most one chunk per interval"),
        Field::new(
            "rate_limit",
            Kind::Table(&RATE_LIMIT),
            "none",
            "what this provider gets in any minute; calls wait their turn, retries too",
        ),
    ],
    &[],
);

static RATE_LIMIT: Shape = Shape::new(
    "RateLimit",
    &[
        Field::new(
            "requests_per_minute",
            COUNT,
            "no limit",
            "requests, wherever the minute begins",
        ),
        Field::new(
            "tokens_per_minute",
            Kind::Int(1, i64::MAX),
            "no limit",
            "tokens: the prompt as estimated (bytes / 4) and `max_tokens`, until the answer tells its usage",
        ),
        Field::new("key", Kind::Text, "", "counted by itself: a user, a tenant"),
        Field::new(
            "on_limit",
            Kind::Enum(&["wait", "raise"]),
            "\"wait\"",
            "\"raise\": `rate_limited` with `retry_after_ms`, nothing is sent",
        ),
        Field::new(
            "shared",
            Kind::Bool,
            "false",
            "true: counted in the store, for all processes whose provider has the same name",
        ),
    ],
    &[],
);

static RETRY: Shape = Shape::new(
    "Retry",
    &[
        Field::new("max_attempts", Kind::Int(1, 100), "3", "requests at most"),
        Field::new("initial_delay_ms", MILLIS, "500", "first pause"),
        Field::new("max_delay_ms", MILLIS, "8000", "longest pause"),
        Field::new("multiplier", Kind::Number(1.0, 100.0), "2", "growth of the pause"),
        Field::new("jitter", Kind::Bool, "true", "shorten pauses by up to a quarter"),
    ],
    &[],
);

/// Configuration of a provider.
pub static CONFIG: Shape = Shape::new(
    "ProviderConfig",
    &[
        Field::new(
            "type",
            Kind::Enum(&[
                "openai",
                "anthropic",
                "cohere",
                "local",
                "ollama",
                "groq",
                "openrouter",
                "xai",
                "gemini",
                "mistral",
                "deepseek",
                "azure",
                "llamacpp",
                "vllm",
                "lmstudio",
                "mock",
            ]),
            "required",
            "a `provider.Type`; \"mock\" says again what the user said last",
        )
        .or(&["provider"]),
        Field::new("name", Kind::Name, "", "another name for it, unique"),
        Field::new("enabled", Kind::Bool, "true", "false: calls are refused"),
        Field::new(
            "api_key",
            Kind::Text,
            "from the environment",
            "never shown again, however a server echoes it",
        ),
        Field::new("base_url", Kind::Name, "the vendor's", "any compatible server"),
        Field::new(
            "model",
            Kind::Text,
            "per type; `local`: the first one the server lists",
            "asked where a call names none",
        ),
        Field::new(
            "embed_model",
            Kind::Name,
            "per type; shown by `get`",
            "asked where a call of `embed` names none",
        ),
        Field::new(
            "model_path",
            Kind::Name,
            "",
            "`local`: a GGUF file that the module runs itself",
        ),
        Field::new(
            "context_length",
            Kind::Int(16, 1 << 30),
            "the model's, at most 4096",
            "`model_path`: tokens of prompt and answer",
        ),
        Field::new("threads", Kind::Int(1, 256), "1", "`model_path`: more pay only on idle cores"),
        Field::new("organization", Kind::Text, "", "sent as OpenAI-Organization"),
        Field::new("project", Kind::Text, "", "sent as OpenAI-Project"),
        Field::new(
            "proxy",
            Kind::OneOf(&[Kind::Text, Kind::Bool]),
            "from the environment",
            "URL of a proxy; false = none",
        ),
        Field::new(
            "ca",
            Kind::Text,
            "\"platform\"",
            "whom TLS trusts: \"platform\", \"webpki\" or the path of a PEM file",
        ),
        Field::new("headers", HEADERS, "", "added to every request; their values are not shown"),
        Field::new(
            "extra",
            Kind::Map,
            "",
            "merged verbatim into the request bodies of chats; texts under names like `…key` and `…token` are not shown",
        ),
        PRINTED,
        Field::new(
            "api",
            Kind::Enum(&["chat", "responses", "ollama"]),
            "\"chat\"",
            "the protocol spoken: `responses` with `openai` (which keeps answers there, unless `extra={store=false}`), \
             `ollama` with `local`",
        ),
        Field::new(
            "prices",
            Kind::Map,
            "none",
            "`{[model] = {input=, output=, cached=, cache_write=}}` for a million tokens: what `cost` is \
             computed from; the last two cost as `input` unless they are given",
        ),
        Field::new("api_version", Kind::Name, "per type", "anthropic, azure: the version spoken"),
    ],
    &[&LIMITS, &REACH],
);

/// How to generate, from laid-over options.
pub fn settings(options: &Map<String, Value>) -> Result<Settings> {
    let number = |key: &str| options.get(key).and_then(Value::as_f64);
    let count = |key: &str| number(key).map(|n| n as u32);
    Ok(Settings {
        temperature: number("temperature"),
        top_p: number("top_p"),
        top_k: count("top_k"),
        max_tokens: count("max_tokens"),
        stop: texts(options.get("stop")),
        seed: number("seed").map(|n| n as i64),
        presence_penalty: number("presence_penalty"),
        frequency_penalty: number("frequency_penalty"),
        reasoning: options.get("reasoning").and_then(Value::as_str).map(str::to_owned),
        tool_choice: options.get("tool_choice").and_then(tool_choice),
        parallel_tool_calls: options.get("parallel_tool_calls").and_then(Value::as_bool),
        printed_tool_calls: options.get("printed_tool_calls").and_then(Value::as_bool),
        prompt_cache: options.get("prompt_cache").and_then(cache_of).flatten(),
        format: options.get("response_format").map(format).transpose()?,
        extra: options.get("extra").and_then(Value::as_object).cloned().unwrap_or_default(),
    })
}

fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => {
            items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn tool_choice(value: &Value) -> Option<ToolChoice> {
    match value {
        Value::String(word) => Some(match word.as_str() {
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            _ => ToolChoice::Auto,
        }),
        other => Some(ToolChoice::Named(other.get("name")?.as_str()?.to_owned())),
    }
}

/// "json", `{type="json_schema", …}`, a JSON Schema, or its short form.
fn format(value: &Value) -> Result<Format> {
    match value {
        Value::String(word) if word.eq_ignore_ascii_case("json") => Ok(Format::Json),
        Value::String(word) => named_format(word),
        Value::Object(map) => Ok(in_order(format_of(map))),
        _ => Err(Error::invalid("response_format: expected \"json\" or a JSON Schema")),
    }
}

/// A schema that was a Lua table gets a fixed order.
fn in_order(mut format: Format) -> Format {
    if let Format::Schema { schema, .. } = &mut format {
        settle_order(schema);
    }
    format
}

fn named_format(word: &str) -> Result<Format> {
    let schema = serde_json::from_str(word).ok().filter(Value::is_object);
    let schema = schema.ok_or_else(|| {
        let got = quoted(word);
        Error::invalid(format!("response_format: expected \"json\" or a JSON Schema, got {got}"))
    })?;
    Ok(Format::Schema { name: "response".into(), schema })
}

fn format_of(map: &Map<String, Value>) -> Format {
    match map.get("type").and_then(Value::as_str) {
        Some("json_object") => return Format::Json,
        Some("json_schema") => {
            let inner = map.get("json_schema").and_then(Value::as_object).unwrap_or(map);
            if let Some(schema) = inner.get("schema") {
                let name = inner.get("name").and_then(Value::as_str).unwrap_or("response");
                return Format::Schema { name: name.to_owned(), schema: schema.clone() };
            }
        }
        _ => {}
    }
    let given = Value::Object(map.clone());
    let name = map.get("title").and_then(Value::as_str).unwrap_or("response").to_owned();
    Format::Schema { name, schema: from_shorthand(&given).unwrap_or(given) }
}

/// Limits of one network call, and what else belongs to it.
#[derive(Clone, Debug)]
pub struct Network {
    pub limits: Limits,
    pub max_response_bytes: u64,
    pub retry: Retry,
    pub rate: Option<Rate>,
    pub flush: Duration,
    pub proxy: Proxy,
    pub roots: Roots,
    /// `None` takes out what would be sent otherwise.
    pub headers: Headers,
    /// Texts in `extra` that nobody may see.
    pub secrets: Vec<Secret>,
}

/// From laid-over options; `total` is the end of the whole call.
pub fn network(options: &Map<String, Value>, total: Option<Moment>) -> Network {
    let limit = |key: &str, default: f64| span(options, key, default);
    Network {
        limits: Limits {
            connect: limit("connect_timeout_ms", 10_000.0),
            first_token: limit("first_token_timeout_ms", 120_000.0),
            idle: limit("idle_timeout_ms", 60_000.0),
            total,
        },
        max_response_bytes: options
            .get("max_response_bytes")
            .and_then(Value::as_u64)
            .unwrap_or(64 << 20),
        retry: retry(options),
        rate: options.get("rate_limit").and_then(rate),
        flush: limit("flush_ms", 0.0).unwrap_or_default(),
        proxy: proxy(options.get("proxy")),
        roots: roots(options.get("ca")),
        headers: headers(options.get("headers")),
        secrets: options
            .get("extra")
            .and_then(Value::as_object)
            .map(of_members)
            .unwrap_or_default(),
    }
}

/// The limit of a whole call; `None` is no limit.
pub fn total(options: &Map<String, Value>) -> Option<Duration> {
    span(options, "timeout_ms", 600_000.0)
}

fn span(options: &Map<String, Value>, key: &str, default: f64) -> Option<Duration> {
    let ms = options.get(key).and_then(Value::as_f64).unwrap_or(default);
    (ms > 0.0).then(|| Duration::try_from_secs_f64(ms / 1e3).unwrap_or(Duration::MAX))
}

fn retry(options: &Map<String, Value>) -> Retry {
    let mut retry = Retry::default();
    match options.get("retry") {
        Some(Value::Bool(false)) => retry.max_attempts = 1,
        Some(Value::Object(given)) => {
            let number = |key: &str| given.get(key).and_then(Value::as_f64);
            retry.max_attempts = number("max_attempts").map_or(retry.max_attempts, |n| n as u32);
            retry.initial_delay_ms =
                number("initial_delay_ms").map_or(retry.initial_delay_ms, |n| n as u64);
            retry.max_delay_ms = number("max_delay_ms").map_or(retry.max_delay_ms, |n| n as u64);
            retry.multiplier = number("multiplier").unwrap_or(retry.multiplier);
            retry.jitter = given.get("jitter").and_then(Value::as_bool).unwrap_or(retry.jitter);
        }
        _ => {}
    }
    if let Some(n) = options.get("max_retries").and_then(Value::as_f64) {
        retry.max_attempts = n as u32 + 1;
    }
    retry
}

fn rate(given: &Value) -> Option<Rate> {
    let count = |key: &str| given.get(key).and_then(Value::as_u64);
    let allowed =
        Allowance { requests: count("requests_per_minute"), tokens: count("tokens_per_minute") };
    (allowed != Allowance::default()).then(|| Rate {
        allowed,
        key: given.get("key").and_then(Value::as_str).unwrap_or_default().to_owned(),
        raises: given.get("on_limit").and_then(Value::as_str) == Some("raise"),
        shared: given.get("shared").and_then(Value::as_bool) == Some(true),
    })
}

pub fn proxy(value: Option<&Value>) -> Proxy {
    match value {
        Some(Value::String(url)) if url.is_empty() => Proxy::None,
        Some(Value::String(url)) => Proxy::Url(url.clone()),
        Some(Value::Bool(false)) => Proxy::None,
        _ => Proxy::Environment,
    }
}

fn roots(value: Option<&Value>) -> Roots {
    Roots::of(value.and_then(Value::as_str))
}

/// As they stand in an option.
pub fn headers(value: Option<&Value>) -> Headers {
    let map = value.and_then(Value::as_object);
    let text = |value: &Value| (!value.is_null()).then(|| json::plain(value));
    map.into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn the_nearer_word_on_retries_wins() {
        let provider = map(json!({"retry": {"initial_delay_ms": 7}, "max_retries": 5}));
        let never = retry(&lay([&provider, &map(json!({"retry": false}))]));
        assert_eq!(never.max_attempts, 1);
        let once = retry(&lay([&provider, &map(json!({"max_retries": 1}))]));
        assert_eq!((once.max_attempts, once.initial_delay_ms), (2, 7));
    }

    #[test]
    fn zero_is_no_limit() {
        assert_eq!(total(&map(json!({"timeout_ms": 0}))), None);
        assert_eq!(total(&Map::new()), Some(Duration::from_secs(600)));
    }

    #[test]
    fn every_form_of_structured_output_is_understood() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        let wrapped =
            json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
        let short = json!({"a": "string"});
        for given in [schema.clone(), wrapped, short, Value::from(schema.to_string())] {
            let Format::Schema { schema, .. } = format(&given).unwrap() else { panic!("{given}") };
            assert_eq!(schema["properties"]["a"]["type"], "string");
        }
        assert_eq!(format(&json!("json")).unwrap(), Format::Json);
        assert!(format(&json!("yaml")).is_err());
    }
}
