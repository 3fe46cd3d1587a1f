//! What a script says in neutral words, as the bytes of a vendor's server.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::reply::{Body, Reply};
use super::request::Request;
use super::script::Response;
use crate::clock::Clock;
use crate::error::Code;
use crate::mock::{Answer, Asked, Dialect, Refusal, Said, answer, refuse};

/// Where a request names no model.
const MODEL: &str = "mock-1";

pub struct Rendering<'r> {
    pub dialect: Dialect,
    pub request: &'r Request,
    /// Of the request in the journal.
    pub number: u64,
    pub clock: &'r Clock,
}

impl Rendering<'_> {
    pub fn of(&self, response: Response) -> Arc<Reply> {
        match response {
            Response::Scripted(reply) => reply,
            Response::Said(said, changes) => Arc::new(changes.over(self.said(&said))),
            Response::Asked => Arc::new(Reply::failure(500, "nobody answers for a function")),
        }
    }

    fn said(&self, said: &Said) -> Reply {
        let reply = self.answered(|asked| answer(self.dialect, asked, said));
        Reply { delay: of_ms(said.delay_ms), chunk_delay: of_ms(said.chunk_delay_ms), ..reply }
    }

    /// After the last response, whatever is asked. No client tries this again.
    pub fn nothing_left(&self, count: usize) -> Arc<Reply> {
        let plural = if count == 1 { "" } else { "s" };
        let message = format!(
            "the mock has {count} response{plural}, and each was given once: it needs more of \
             them, or repeat_last=true"
        );
        let refusal = Refusal { status: Some(410), ..Refusal::nothing_left(message) };
        Arc::new(self.answered(|asked| refuse(self.dialect, asked, &refusal)))
    }

    fn answered(&self, answer: impl FnOnce(&Asked<'_>) -> Answer) -> Reply {
        let body: Value = serde_json::from_slice(&self.request.body).unwrap_or_default();
        reply(answer(&Asked {
            path: &self.request.path,
            body: &body,
            number: self.number,
            created: self.clock.unix() as u64,
            model: MODEL,
        }))
    }
}

fn of_ms(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1e3)
}

fn reply(answer: Answer) -> Reply {
    let silent = answer.chunks.is_empty();
    let length = answer.chunks.iter().map(Vec::len).sum();
    let broken = answer.breaks.map(|error| error.code());
    Reply {
        status: answer.status,
        headers: answer.headers,
        body: body(answer.chunks),
        // Silence lasts until the client has had enough.
        stall: if broken == Some(Code::Timeout) { Duration::MAX } else { Duration::ZERO },
        close_after: broken.is_some().then_some(length),
        silent,
        ..Reply::default()
    }
}

/// A document is one piece, and so its length is known.
fn body(mut chunks: Vec<Vec<u8>>) -> Body {
    match chunks.len() {
        1 => Body::Whole(chunks.remove(0)),
        _ => Body::Chunks(chunks),
    }
}
