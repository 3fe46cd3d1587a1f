//! What a vendor's words are: how a reply is said in them.

use serde_json::Value;

use super::asked::Asked;
use super::refusal::{Kind, Refusal};
use super::stream::Stream;
use super::talk::Talk;

pub trait Vendor: Sync {
    /// How the path of a chat ends.
    fn chat_path(&self) -> &'static str;

    /// The header that carries the id of a request.
    fn id_header(&self) -> &'static str {
        "x-request-id"
    }

    /// The type of a streamed body.
    fn stream_type(&self) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    /// Whether a request that does not say so is answered by a stream.
    fn streams_unasked(&self) -> bool {
        false
    }

    /// The vendor's word for how a reply ended.
    fn finish(&self, neutral: &str) -> &'static str;

    /// What the id of a tool call begins with.
    fn call_prefix(&self) -> &'static str {
        "call"
    }

    /// The reply as one document.
    fn document(&self, talk: &Talk<'_>) -> Value;

    /// The reply as events, up to its end.
    fn say(&self, talk: &Talk<'_>, stream: &mut Stream);

    /// The events that end it.
    fn end(&self, talk: &Talk<'_>, stream: &mut Stream);

    /// The event that breaks it off.
    fn fail(&self, talk: &Talk<'_>, refusal: &Refusal, stream: &mut Stream);

    /// The body of an answer that is an error.
    fn refusal(&self, asked: &Asked<'_>, refusal: &Refusal) -> Value;

    /// The status of an error that names none.
    fn status(&self, kind: Kind) -> u16 {
        kind.status()
    }
}
