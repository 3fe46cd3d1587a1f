//! What the tests of every protocol do: ask, and look at what is sent and what an answer becomes.

use serde_json::Value;

use super::wire::{Endpoint, Wire};
use crate::chat::{Delta, Message, Reply, Request, Settings};
use crate::error::{Code, Result};

pub fn asked(messages: Vec<Message>, settings: Settings) -> Request {
    Request { model: "m".into(), messages, settings, ..Request::default() }
}

/// A protocol, a base, and where questions to it must go.
pub struct Tested {
    pub wire: &'static dyn Wire,
    pub base: &'static str,
    pub url: &'static str,
}

impl Tested {
    pub fn try_sent(&self, request: &Request) -> Result<Value> {
        let endpoint = Endpoint { base_url: self.base.into(), ..Endpoint::default() };
        let outgoing = self.wire.chat(&endpoint, request)?;
        assert_eq!(outgoing.url, self.url);
        Ok(serde_json::from_slice(&outgoing.body).unwrap())
    }

    pub fn sent(&self, request: &Request) -> Value {
        self.try_sent(request).unwrap()
    }

    pub fn messages_sent(&self, messages: Vec<Message>) -> Value {
        self.sent(&asked(messages, Settings::default()))["messages"].clone()
    }

    /// That the request is not sent, and that the error tells of `option`.
    pub fn refuses(&self, request: &Request, option: &str) {
        let error = self.try_sent(request).unwrap_err();
        assert_eq!(error.code(), Code::Unsupported);
        assert!(error.message().contains(option), "{error}");
    }

    pub fn answered(&self, body: &str) -> (Result<()>, Reply, Delta) {
        answered(self.wire, [body.as_bytes()])
    }
}

/// The reply to an answer that comes in pieces, and all deltas together.
pub fn answered<'b>(
    wire: &dyn Wire,
    pieces: impl IntoIterator<Item = &'b [u8]>,
) -> (Result<()>, Reply, Delta) {
    let (mut reply, mut delta) = (Reply::default(), Delta::default());
    let mut decoder = wire.decoder(&Request::default());
    let mut pieces = pieces.into_iter();
    let pushed = pieces.try_for_each(|piece| decoder.push(piece, &mut reply, &mut delta).map(drop));
    let result = pushed.and_then(|()| decoder.end(&mut reply, &mut delta));
    (result, reply, delta)
}

/// A stream of events that have no names.
pub fn events(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

/// A stream of events whose name is their `type`.
pub fn named_events(events: &[Value]) -> String {
    let event = |event: &Value| {
        format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
    };
    events.iter().map(event).collect()
}
