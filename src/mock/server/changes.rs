//! What a script says of an answer: its bytes, and what goes wrong with them. Over an answer that
//! somebody else has made it changes what it names.

use std::time::Duration;

use super::reply::{Body, Reply};
use crate::error::{Error, Result};
use crate::net::check_headers;
use crate::shape::{Check, Field, Kind, Options, Shape};
use crate::value::{Ref, json};

const MS: Kind = Kind::Number(0.0, 1e12);

pub static ANSWER: Shape = Shape::new(
    "ScriptedAnswer",
    &[
        Field::new("status", Kind::Int(200, 999), "200", "of HTTP"),
        Field::new(
            "headers",
            Kind::MapOf(&Kind::OneOf(&[
                Kind::Text,
                Kind::Number(-1e15, 1e15),
                Kind::List(&Kind::Text),
            ])),
            "",
            "as they are sent; the length, the chunks and a type are added where they are missing. A `Content-Length` is \
             sent also where it is wrong",
        ),
        Field::new(
            "body",
            Kind::OneOf(&[Kind::Text, Kind::Any]),
            "\"\"",
            "any bytes; a table is sent as JSON",
        ),
        Field::new(
            "chunks",
            Kind::List(&Kind::Text),
            "",
            "the body in the pieces in which it is sent, each a chunk of its own; any bytes",
        ),
        Field::new("delay_ms", MS, "0", "time that passes before the head"),
        Field::new("chunk_delay_ms", MS, "0", "time that passes between the pieces"),
        Field::new("stall_ms", MS, "0", "silence before the end, or where `close_after` cuts"),
        Field::new(
            "reset",
            Kind::Bool,
            "false",
            "a TCP reset in place of the end; where there is neither status, nor headers, nor body: of an answer",
        ),
        Field::new(
            "close_after",
            Kind::Int(0, 1 << 40),
            "never",
            "the connection ends behind so many bytes of the body",
        ),
    ],
    &[],
);

#[derive(Clone, Debug, Default)]
pub struct Changes {
    status: Option<u16>,
    headers: Vec<(String, String)>,
    body: Option<Body>,
    /// Where the headers name none.
    content_type: Option<&'static str>,
    delay: Option<Duration>,
    chunk_delay: Option<Duration>,
    stall: Option<Duration>,
    reset: Option<bool>,
    close_after: Option<usize>,
}

impl Changes {
    /// `path` is how messages call the table.
    pub fn read(value: Ref<'_>, path: &str) -> Result<Changes> {
        static KIND: Kind = Kind::Table(&ANSWER);
        Check { strict: true }.value(value, &KIND, path)?;
        let options = Options::new(Some(value), &ANSWER);
        let (body, content_type) = body(&options, path)?;
        let duration =
            |name: &str| options.number(name).map(|ms| Duration::from_secs_f64(ms / 1e3));
        Ok(Changes {
            status: options.int("status").and_then(|status| u16::try_from(status).ok()),
            headers: headers(&options, path)?,
            body,
            content_type,
            delay: duration("delay_ms"),
            chunk_delay: duration("chunk_delay_ms"),
            stall: duration("stall_ms"),
            reset: options.bool("reset"),
            close_after: options.int("close_after").and_then(|bytes| usize::try_from(bytes).ok()),
        })
    }

    /// The answer where nobody else has made one.
    pub fn alone(self) -> Reply {
        let says_nothing = self.status.is_none() && self.headers.is_empty() && self.body.is_none();
        let breaks = self.reset == Some(true) || self.close_after.is_some() || self.stall.is_some();
        Reply { silent: says_nothing && breaks, ..self.over(Reply::default()) }
    }

    pub fn over(self, made: Reply) -> Reply {
        let mut reply = Reply {
            status: self.status.unwrap_or(made.status),
            body: self.body.unwrap_or(made.body),
            delay: self.delay.unwrap_or(made.delay),
            chunk_delay: self.chunk_delay.unwrap_or(made.chunk_delay),
            stall: self.stall.unwrap_or(made.stall),
            reset: self.reset.unwrap_or(made.reset),
            close_after: self.close_after.or(made.close_after),
            headers: made.headers,
            silent: made.silent,
        };
        let is_named =
            |name: &str| self.headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        reply.headers.retain(|(name, _)| !is_named(name));
        reply.headers.extend(self.headers);
        if let Some(content_type) = self.content_type
            && reply.header("content-type").is_none()
        {
            reply.headers.push(("content-type".to_owned(), content_type.to_owned()));
        }
        reply
    }
}

fn bytes(value: Ref<'_>) -> Vec<u8> {
    value.as_bytes().unwrap_or_default().to_vec()
}

fn body(options: &Options<'_>, path: &str) -> Result<(Option<Body>, Option<&'static str>)> {
    match (options.get("body"), options.get("chunks")) {
        (Some(_), Some(_)) => {
            Err(Error::invalid(format!("{path}: has both body and chunks: it can have only one")))
        }
        (None, None) => Ok((None, None)),
        (None, Some(chunks)) => {
            let chunks = chunks.items().map(bytes).collect();
            Ok((Some(Body::Chunks(chunks)), Some("text/event-stream")))
        }
        (Some(text), None) if text.as_bytes().is_some() => {
            let text = bytes(text);
            let content_type = type_of(&text);
            Ok((Some(Body::Whole(text)), Some(content_type)))
        }
        (Some(document), None) => {
            let text = json::to_string(document).into_bytes();
            Ok((Some(Body::Whole(text)), Some("application/json")))
        }
    }
}

fn type_of(body: &[u8]) -> &'static str {
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{' | b'[') => "application/json",
        Some(b'<') => "text/html",
        _ => "text/plain",
    }
}

fn headers(options: &Options<'_>, path: &str) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for (name, value) in options.get("headers").into_iter().flat_map(Ref::members) {
        let values: Vec<Ref<'_>> =
            if value.is_array() { value.items().collect() } else { vec![value] };
        all.extend(values.into_iter().map(|value| (name.to_text(), text_of(value))));
    }
    check_headers(&all).map_err(|why| Error::invalid(format!("{path}.headers: {why}")))?;
    Ok(all)
}

fn text_of(value: Ref<'_>) -> String {
    value.as_f64().map_or_else(|| value.to_text(), |number| number.to_string())
}
