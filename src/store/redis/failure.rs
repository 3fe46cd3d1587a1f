//! What can go wrong with a server, as the store says it. No message holds a password.

use ::redis::{ErrorKind, RedisError, ServerErrorKind};
use serde_json::{Value, json};

use crate::error::{Code, Error};

/// What a server, or the way to it, said.
#[derive(Debug)]
pub struct Failure {
    pub cause: RedisError,
    /// The connection never stood.
    pub connecting: bool,
    /// The question may have been heard although no answer came.
    pub heard: bool,
}

impl Failure {
    pub fn connecting(cause: RedisError) -> Failure {
        Failure { cause, connecting: true, heard: false }
    }

    pub fn asking(cause: RedisError) -> Failure {
        let heard = matches!(cause.kind(), ErrorKind::Io | ErrorKind::Parse);
        Failure { cause, connecting: false, heard }
    }

    /// The connection is of no use any more, though it was.
    pub fn is_broken(&self) -> bool {
        !self.connecting && self.cause.is_connection_dropped()
    }

    /// Whether another question can follow on the same connection.
    pub fn leaves_connection(&self) -> bool {
        matches!(self.cause.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
    }

    /// The server heard the question, did nothing, and may soon do it.
    pub fn may_pass(&self) -> bool {
        matches!(self.cause.code(), Some("BUSY" | "LOADING"))
    }

    /// The server looked at the question and says why it does nothing.
    pub fn is_answer(&self) -> bool {
        self.leaves_connection() && !self.may_pass()
    }

    pub fn lacks_script(&self) -> bool {
        self.cause.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
    }

    pub fn error(&self, store: &str) -> Error {
        let code = self.cause.code().unwrap_or_default();
        if code == "ZFORMAT" {
            return newer(store, self.cause.detail().unwrap_or_default());
        }
        let (reason, what) = self.words(code);
        io(store, reason, &what)
    }

    /// Of a commit: whether it was made may be unknown.
    pub fn error_of_commit(&self, store: &str) -> Error {
        self.error(store).with(|fields| {
            if let (true, Some(Value::Object(details))) = (self.heard, &mut fields.details) {
                details.insert("unknown".to_owned(), Value::Bool(true));
            }
        })
    }

    /// The reason in a word, and in a sentence.
    fn words(&self, code: &str) -> (&'static str, String) {
        let cause = &self.cause;
        match cause.kind() {
            ErrorKind::AuthenticationFailed => {
                return ("auth", "the server does not accept this user and password".to_owned());
            }
            ErrorKind::Io if self.connecting && cause.is_timeout() => {
                return ("connect", "cannot connect: the server did not answer in time".to_owned());
            }
            ErrorKind::Io if self.connecting => {
                return ("connect", format!("cannot connect: {cause}"));
            }
            ErrorKind::Io if cause.is_timeout() => {
                return ("timeout", "the server did not answer in time".to_owned());
            }
            ErrorKind::Io => return ("connect", format!("the connection is broken: {cause}")),
            ErrorKind::Parse => return ("foreign", "what answers is no Redis server".to_owned()),
            _ => {}
        }
        let said =
            cause.detail().map_or_else(|| cause.to_string(), |text| format!("{code} {text}"));
        (reason(code, &said), format!("the server says: {said}"))
    }
}

fn reason(code: &str, said: &str) -> &'static str {
    match code {
        "NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED" => "auth",
        "OOM" => "full",
        "READONLY" => "readonly",
        "LOADING" => "loading",
        "BUSY" => "busy",
        "MISCONF" | "NOREPLICAS" | "MASTERDOWN" => "refused",
        "WRONGTYPE" => "foreign",
        "MOVED" | "ASK" | "CROSSSLOT" | "CLUSTERDOWN" => "cluster",
        _ if said.contains("WRONGTYPE") => "foreign",
        _ => "server",
    }
}

pub fn io(store: &str, reason: &str, what: &str) -> Error {
    Error::new(Code::IoError, format!("store {store}: {what}"))
        .with(|fields| fields.details = Some(json!({ "reason": reason })))
}

pub fn newer(store: &str, format: &str) -> Error {
    Error::unsupported(format!(
        "store {store}: its data have format {format}, this version of zigllms reads 1"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(kind: ServerErrorKind, text: &str) -> Failure {
        Failure::asking((ErrorKind::Server(kind), "said", text.to_owned()).into())
    }

    #[test]
    fn reasons_are_words() {
        let reason = |failure: &Failure| failure.error("redis://h:1/0").fields().details.clone();
        let readonly = server(ServerErrorKind::ReadOnly, "You can't write against a replica");
        assert_eq!(reason(&readonly), Some(json!({ "reason": "readonly" })));
        let io = std::io::Error::from(std::io::ErrorKind::WouldBlock);
        let late = Failure::asking(io.into());
        assert_eq!(reason(&late), Some(json!({ "reason": "timeout" })));
        let unknown = late.error_of_commit("redis://h:1/0").fields().details.clone();
        assert_eq!(unknown, Some(json!({ "reason": "timeout", "unknown": true })));
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let refused = Failure::connecting(refused.into());
        assert_eq!(reason(&refused), Some(json!({ "reason": "connect" })));
    }
}
