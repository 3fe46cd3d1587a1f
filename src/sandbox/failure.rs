//! Why sandboxed code has no result.

use serde_json::json;

use crate::error::{Cause, Code, Error, Phase};
use crate::value::{Data, Document};

#[derive(Debug)]
pub enum Failure {
    /// It ran into its time limit.
    Late,
    Cancelled,
    /// It ran into its memory limit, of so many bytes.
    Memory(usize),
    /// Its calls nest too deep.
    Stack,
    /// The keys of a table were chosen so that they collide.
    Keys,
    /// The result has more than so many bytes.
    TooLarge(usize),
    /// The result, or what was to be passed in, is no plain data: where, and what stands there.
    NotPlain(String),
    /// The text is no Lua; Lua's message.
    Syntax(String),
    /// The chunk returned something of this type instead of a function.
    NoFunction(&'static str),
    /// It raised, or returned nil and a message; what it raised, if that is plain data.
    Raised(String, Option<Document>),
    /// There is no room to run it in.
    NoRoom(Error),
}

impl Failure {
    pub fn reason(&self) -> &'static str {
        match self {
            Failure::Late => "timeout",
            Failure::Cancelled => "cancelled",
            Failure::Memory(_) => "memory",
            Failure::Stack => "stack_overflow",
            Failure::Keys => "colliding_keys",
            Failure::TooLarge(_) => "result_too_large",
            Failure::NotPlain(_) => "not_plain_data",
            Failure::Syntax(_) => "syntax",
            Failure::NoFunction(_) => "no_function",
            Failure::Raised(..) => "raised",
            Failure::NoRoom(_) => "no_room",
        }
    }

    pub fn into_error(self) -> Error {
        let details = json!({ "reason": self.reason() });
        let told = |message: String| {
            Error::new(Code::ToolError, message).with(|f| f.details = Some(details))
        };
        match self {
            Failure::Late => Error::timeout(Phase::Tool, "sandboxed code ran into its time limit"),
            Failure::Cancelled => Error::new(Code::Cancelled, "sandboxed code was cancelled"),
            Failure::Memory(limit) => told(format!("it needs more than {limit} bytes of memory")),
            Failure::Stack => told("stack overflow: its calls nest too deep".into()),
            Failure::Keys => told("the number keys of a table collide: it cannot grow".into()),
            Failure::TooLarge(limit) => told(format!("its result has more than {limit} bytes")),
            Failure::NotPlain(what) => told(format!("its result is no plain data: {what}")),
            Failure::Syntax(message) => told(message),
            Failure::NoFunction(found) => {
                told(format!("its source returned {found}, and not the function to call"))
            }
            // Calling it again may do better: that is what retries are for.
            Failure::Raised(message, cause) => told(message).with(|f| {
                f.retryable = Some(true);
                f.cause = cause.map(|cause| Cause::Data(Box::new(Data::from(cause))));
            }),
            Failure::NoRoom(error) => error,
        }
    }
}
