//! Errors that a script has a service answer with.

use crate::error::{Code, Error, Phase, Result, quoted};
use crate::shape::{Field, Kind as Type, Options, Shape, nearest};
use crate::value::Ref;

pub static REFUSAL: Shape = Shape::new(
    "ScriptedError",
    &[
        Field::new(
            "code",
            Type::Name,
            "by status",
            "auth, permission, not_found, bad_request, context_length, content_filter, \
             rate_limited, quota, overloaded, server_error, network (the connection breaks) or \
             timeout (nothing comes); with a `status` also a word of the vendor's own",
        ),
        Field::new("status", Type::Int(400, 599), "by code", "the HTTP status"),
        Field::new("message", Type::Text, "by code", "the vendor's words"),
        Field::new(
            "retry_after_ms",
            Type::Number(0.0, 1e12),
            "none",
            "how long the server asks to wait",
        ),
    ],
    &[],
);

/// What is wrong, as every vendor knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Auth,
    Permission,
    NotFound,
    BadRequest,
    ContextLength,
    ContentFilter,
    RateLimited,
    Quota,
    Overloaded,
    ServerError,
    Network,
    Timeout,
}

/// A kind, its name, its usual status and what is said of it.
type Row = (Kind, &'static str, u16, &'static str);

const ROWS: [Row; 12] = [
    (Kind::Auth, "auth", 401, "Incorrect API key provided."),
    (Kind::Permission, "permission", 403, "You have no permission to do that."),
    (Kind::NotFound, "not_found", 404, "The model does not exist or you do not have access to it."),
    (Kind::BadRequest, "bad_request", 400, "The request is not valid."),
    (
        Kind::ContextLength,
        "context_length",
        400,
        "This model's maximum context length is exceeded: reduce the length of the messages.",
    ),
    (Kind::ContentFilter, "content_filter", 400, "The content was filtered."),
    (Kind::RateLimited, "rate_limited", 429, "Rate limit reached: please try again later."),
    (Kind::Quota, "quota", 429, "You exceeded your current quota: check your plan and billing."),
    (Kind::Overloaded, "overloaded", 503, "The server is overloaded: please try again later."),
    (Kind::ServerError, "server_error", 500, "The server had an error."),
    (Kind::Network, "network", 0, "the connection broke off"),
    (Kind::Timeout, "timeout", 0, "nothing came in time"),
];

/// Other names for some of them.
const ALIASES: [(&str, Kind); 4] = [
    ("rate_limit", Kind::RateLimited),
    ("insufficient_quota", Kind::Quota),
    ("invalid_request", Kind::BadRequest),
    ("server", Kind::ServerError),
];

impl Kind {
    fn row(self) -> &'static Row {
        ROWS.iter().find(|row| row.0 == self).unwrap_or(&ROWS[9])
    }

    pub fn status(self) -> u16 {
        self.row().2
    }

    fn of(name: &str) -> Option<Kind> {
        let row = ROWS.iter().find(|row| row.1.eq_ignore_ascii_case(name)).map(|row| row.0);
        let alias = || ALIASES.iter().find(|alias| alias.0.eq_ignore_ascii_case(name));
        row.or_else(|| alias().map(|alias| alias.1))
    }

    fn of_status(status: u16) -> Kind {
        match status {
            401 | 498 => Kind::Auth,
            402 => Kind::Quota,
            403 => Kind::Permission,
            404 => Kind::NotFound,
            429 => Kind::RateLimited,
            503 | 529 => Kind::Overloaded,
            400..500 => Kind::BadRequest,
            _ => Kind::ServerError,
        }
    }
}

/// An error that is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub kind: Kind,
    /// Where it is not the usual one.
    pub status: Option<u16>,
    /// The vendor's own word, where the script has one.
    pub word: Option<String>,
    pub message: String,
    pub retry_after_ms: Option<f64>,
}

impl Refusal {
    pub fn new(kind: Kind) -> Refusal {
        let message = kind.row().3.to_owned();
        Refusal { kind, status: None, word: None, message, retry_after_ms: None }
    }

    /// The answer to a request that no vendor has an address for.
    pub fn no_such_address(path: &str) -> Refusal {
        let message = format!("Unknown request URL: {path}");
        Refusal { status: Some(404), message, ..Refusal::new(Kind::BadRequest) }
    }

    /// The answer to a request after the last response of a script.
    pub fn nothing_left(message: String) -> Refusal {
        Refusal { message, ..Refusal::new(Kind::ServerError) }
    }

    /// What stands as `error` in a response, checked; `path` is what the response is called.
    pub fn read(value: Ref<'_>, path: &str) -> Result<Refusal> {
        if let Some(code) = value.as_str() {
            let kind = Kind::of(code).ok_or_else(|| unknown(code, &format!("{path}.error")))?;
            return Ok(Refusal::new(kind));
        }
        let options = Options::new(Some(value), &REFUSAL);
        let status = options.int("status").and_then(|n| u16::try_from(n).ok());
        let code = options.text("code");
        let kind = match (code.as_deref().map(Kind::of), status) {
            (Some(Some(kind)), _) => kind,
            (_, Some(status)) => Kind::of_status(status),
            (Some(None), None) => {
                return Err(unknown(&code.unwrap_or_default(), &format!("{path}.error.code")));
            }
            (None, None) => return Err(nameless(&format!("{path}.error"))),
        };
        let base = Refusal::new(kind);
        Ok(Refusal {
            status,
            word: code.filter(|code| Kind::of(code).is_none()),
            message: options.text("message").unwrap_or_else(|| base.message.clone()),
            retry_after_ms: options.number("retry_after_ms"),
            ..base
        })
    }

    /// What a connection breaks with where there is no answer at all.
    pub fn breaks(&self) -> Option<Error> {
        match self.kind {
            Kind::Network => Some(Error::new(Code::Network, self.message.clone())),
            Kind::Timeout => Some(Error::timeout(Phase::FirstToken, self.message.clone())),
            _ => None,
        }
    }

    /// For vendors without words of their own: what neither status nor message tells.
    pub fn word_beside_status(&self) -> Option<&str> {
        let word = match self.kind {
            Kind::Quota => Some("insufficient_quota"),
            Kind::ContentFilter => Some("content_filter"),
            Kind::ContextLength => Some("context_length_exceeded"),
            _ => None,
        };
        self.word.as_deref().or(word)
    }

    /// The same in a stream, where there is no status.
    pub fn word_alone(&self) -> Option<&str> {
        let word = match self.kind {
            Kind::Auth => Some("unauthorized"),
            Kind::Permission => Some("permission_denied"),
            Kind::NotFound => Some("model_not_found"),
            Kind::BadRequest => Some("invalid_request"),
            Kind::RateLimited => Some("rate_limit"),
            Kind::Overloaded => Some("overloaded"),
            _ => None,
        };
        self.word_beside_status().or(word)
    }

    /// Some clients read whole seconds, some milliseconds.
    pub fn headers(&self) -> Vec<(String, String)> {
        let Some(ms) = self.retry_after_ms else { return Vec::new() };
        vec![
            ("retry-after".into(), format!("{}", (ms / 1e3).ceil())),
            ("retry-after-ms".into(), format!("{ms}")),
        ]
    }
}

fn unknown(code: &str, path: &str) -> Error {
    let names = || ROWS.iter().map(|row| row.1);
    let hint = nearest(code, names()).map(|name| format!(" (did you mean {name:?}?)"));
    let known = names().collect::<Vec<_>>().join(", ");
    Error::invalid(format!(
        "{path}: expected one of {known}, or a status beside it, got {}{}",
        quoted(code),
        hint.unwrap_or_default()
    ))
}

fn nameless(path: &str) -> Error {
    Error::invalid(format!("{path}: expected a code or a status, got neither"))
}
