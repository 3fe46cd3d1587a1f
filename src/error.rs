//! The one error type: a code to match on, a sentence to read, the source kept.
//!
//! Codes, texts and fields are those of the Lua error object; `lua/error.rs` turns one into it.

use std::fmt;

use serde_json::Value;

use crate::value::{Data, Slot};

pub type Result<T> = std::result::Result<T, Error>;

/// One word to match on. The strings are part of the public interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    InvalidArgument,
    NotFound,
    AlreadyExists,
    InvalidState,
    ValidationFailed,
    ParseFailed,
    ConversionError,
    TemplateError,
    Unsupported,
    Timeout,
    Cancelled,
    AbortedByHook,
    BudgetExceeded,
    MaxIterations,
    VersionMismatch,
    Auth,
    RateLimited,
    Overloaded,
    ContextLength,
    ContentFilter,
    BadRequest,
    ServerError,
    Network,
    BadResponse,
    ToolError,
    HookError,
    CallbackError,
    IoError,
    AssertionFailed,
    Internal,
}

impl Code {
    /// Every code with its public string, in the order of the documentation.
    pub const ALL: &'static [(Code, &'static str)] = &[
        (Code::InvalidArgument, "invalid_argument"),
        (Code::NotFound, "not_found"),
        (Code::AlreadyExists, "already_exists"),
        (Code::InvalidState, "invalid_state"),
        (Code::ValidationFailed, "validation_failed"),
        (Code::ParseFailed, "parse_failed"),
        (Code::ConversionError, "conversion_error"),
        (Code::TemplateError, "template_error"),
        (Code::Unsupported, "unsupported"),
        (Code::Timeout, "timeout"),
        (Code::Cancelled, "cancelled"),
        (Code::AbortedByHook, "aborted_by_hook"),
        (Code::BudgetExceeded, "budget_exceeded"),
        (Code::MaxIterations, "max_iterations"),
        (Code::VersionMismatch, "version_mismatch"),
        (Code::Auth, "auth"),
        (Code::RateLimited, "rate_limited"),
        (Code::Overloaded, "overloaded"),
        (Code::ContextLength, "context_length"),
        (Code::ContentFilter, "content_filter"),
        (Code::BadRequest, "bad_request"),
        (Code::ServerError, "server_error"),
        (Code::Network, "network"),
        (Code::BadResponse, "bad_response"),
        (Code::ToolError, "tool_error"),
        (Code::HookError, "hook_error"),
        (Code::CallbackError, "callback_error"),
        (Code::IoError, "io_error"),
        (Code::AssertionFailed, "assertion_failed"),
        (Code::Internal, "internal"),
    ];

    pub fn name(self) -> &'static str {
        Code::ALL.iter().find(|(c, _)| *c == self).map_or("internal", |(_, s)| s)
    }

    pub fn parse(name: &str) -> Option<Code> {
        Code::ALL.iter().find(|(_, s)| *s == name).map(|(c, _)| *c)
    }
}

/// Which limit a `timeout` error ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Connect,
    FirstToken,
    Idle,
    Total,
    Tool,
}

impl Phase {
    const ALL: [Phase; 5] =
        [Phase::Connect, Phase::FirstToken, Phase::Idle, Phase::Total, Phase::Tool];

    pub fn parse(name: &str) -> Option<Phase> {
        Phase::ALL.into_iter().find(|phase| phase.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Phase::Connect => "connect",
            Phase::FirstToken => "first_token",
            Phase::Idle => "idle",
            Phase::Total => "total",
            Phase::Tool => "tool",
        }
    }
}

/// What an error was caused by.
#[derive(Clone, Debug)]
pub enum Cause {
    /// The very Lua value that user code raised.
    Raised(Slot),
    Error(Error),
    /// What code raised that runs in another Lua state.
    Data(Box<Data>),
}

/// A failed operation. Boxed, so that `Result<T>` stays small on the paths that succeed.
#[derive(Clone, Debug)]
pub struct Error(Box<Repr>);

#[derive(Clone, Debug)]
struct Repr {
    code: Code,
    message: String,
    fields: Fields,
}

/// Optional parts of an error; absent ones are absent from the Lua error object.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    pub details: Option<Value>,
    pub cause: Option<Cause>,
    /// HTTP status of the provider's answer.
    pub status: Option<u16>,
    pub provider: Option<String>,
    pub request_id: Option<String>,
    /// Requests made for the failed call, the last one included.
    pub attempts: Option<u32>,
    pub retry_after_ms: Option<u64>,
    pub phase: Option<Phase>,
    /// What had arrived, in the shape of the call's result.
    pub partial: Option<Data>,
    /// Overrides the default that goes with the code.
    pub retryable: Option<bool>,
    /// Set when user code raised a zigllms error that passes through as it is.
    pub rethrow: Option<Slot>,
}

impl Error {
    pub fn new(code: Code, message: impl Into<String>) -> Error {
        Error(Box::new(Repr { code, message: message.into(), fields: Fields::default() }))
    }

    pub fn invalid(message: impl Into<String>) -> Error {
        Error::new(Code::InvalidArgument, message)
    }

    /// `agent not found: "agent_7"`
    pub fn not_found(what: &str, id: &str) -> Error {
        Error::new(Code::NotFound, format!("{what} not found: {}", quoted(id)))
    }

    pub fn unsupported(message: impl Into<String>) -> Error {
        Error::new(Code::Unsupported, message)
    }

    pub fn state(message: impl Into<String>) -> Error {
        Error::new(Code::InvalidState, message)
    }

    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(Code::Internal, message)
    }

    pub fn timeout(phase: Phase, message: impl Into<String>) -> Error {
        Error::new(Code::Timeout, message).with(|f| f.phase = Some(phase))
    }

    pub fn code(&self) -> Code {
        self.0.code
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn fields(&self) -> &Fields {
        &self.0.fields
    }

    /// Sets optional fields: `error.with(|f| f.status = Some(503))`.
    #[must_use]
    pub fn with(mut self, set: impl FnOnce(&mut Fields)) -> Error {
        set(&mut self.0.fields);
        self
    }

    /// What the fields of an error object of Lua say beside its code and message.
    #[must_use]
    pub fn with_fields(self, given: &Value) -> Error {
        let number = |name: &str| given.get(name).and_then(Value::as_u64);
        let text = |name: &str| given.get(name).and_then(Value::as_str).map(str::to_owned);
        self.with(|f| {
            f.details = given.get("details").cloned().or(f.details.take());
            f.status = number("status").and_then(|n| u16::try_from(n).ok());
            f.attempts = number("attempts").and_then(|n| u32::try_from(n).ok());
            f.retry_after_ms = number("retry_after_ms");
            (f.provider, f.request_id) = (text("provider"), text("request_id"));
            f.phase = text("phase").and_then(|name| Phase::parse(&name));
            f.retryable = given.get("retryable").and_then(Value::as_bool);
        })
    }

    /// The members of its details.
    pub fn members(&self) -> serde_json::Map<String, Value> {
        match self.fields().details.clone() {
            Some(Value::Object(members)) => members,
            Some(other) => [("details".to_owned(), other)].into_iter().collect(),
            None => serde_json::Map::new(),
        }
    }

    /// Puts what the caller knows in front of the message: `config.tools[2]: not a tool`.
    #[must_use]
    pub fn at(mut self, place: &str) -> Error {
        self.0.message = format!("{place}: {}", self.0.message);
        self
    }

    #[must_use]
    pub fn caused_by(self, error: Error) -> Error {
        self.with(|f| f.cause = Some(Cause::Error(error)))
    }

    pub fn retryable(&self) -> bool {
        self.0.fields.retryable.unwrap_or(match self.0.code {
            Code::RateLimited | Code::Overloaded | Code::ServerError | Code::Network => true,
            Code::Timeout => {
                matches!(self.0.fields.phase, Some(Phase::Connect | Phase::FirstToken))
            }
            _ => false,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.0.message, self.0.code.name())
    }
}

impl std::error::Error for Error {}

/// A value as an error message shows it: quoted, escaped and cut to a readable length.
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut shown: String = text.chars().take(LONGEST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_name_and_is_found_by_it() {
        for (code, name) in Code::ALL {
            assert_eq!(code.name(), *name);
            assert_eq!(Code::parse(name), Some(*code));
        }
        assert_eq!(Code::ALL.len(), 30);
    }

    #[test]
    fn retryable_follows_the_code_and_the_phase() {
        assert!(Error::new(Code::Overloaded, "x").retryable());
        assert!(Error::timeout(Phase::Connect, "x").retryable());
        assert!(!Error::timeout(Phase::Total, "x").retryable());
        let exhausted = Error::new(Code::RateLimited, "x").with(|f| f.retryable = Some(false));
        assert!(!exhausted.retryable());
    }

    #[test]
    fn long_values_are_cut_on_a_character_boundary() {
        let shown = quoted(&"ä".repeat(500));
        assert!(shown.ends_with("…\""));
        assert!(shown.chars().count() < 90);
    }
}
