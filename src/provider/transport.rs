//! A user's own HTTP client: a Lua function that makes the request instead of the network's threads.
//!
//! It gets the request and returns the answer. Meanwhile it may hand over pieces as they arrive;
//! they are read as those of the network are, and the limits of size and time hold for it as well.
//! A function that does not come back in time is told at its next piece, else when it returns.

use super::inbox::Shared;
use crate::clock::Moment;
use crate::error::{Code, Error, Phase, Result};
use crate::net::{Failure, Flow, Head, Limits, Request, Sink};
use crate::step::{Call, Raised, Returned};
use crate::value::{Document, Record, Ref, Slot};

/// Bytes that are kept of what was streamed: only the status, which comes last, tells whether they
/// were an answer or the text of an error.
const KEPT: usize = 64 << 10;

/// What the function has said so far.
pub struct Hearing {
    body: Box<dyn Sink>,
    inbox: Shared,
    limits: Limits,
    began: Moment,
    /// When content came last.
    content_at: Option<Moment>,
    most: u64,
    left: u64,
    start: Vec<u8>,
    streamed: bool,
    /// Nothing more is read.
    enough: bool,
    failure: Option<Failure>,
    /// It is no client of the user's, but a test that plays a server.
    mock: bool,
}

impl Hearing {
    /// The call of `function` that makes the request, and what listens to it.
    pub fn of(
        function: Slot,
        mut argument: Record,
        request: Request,
        (body, inbox): (Box<dyn Sink>, Shared),
    ) -> (Hearing, Call) {
        let hearing = Hearing {
            inbox,
            body,
            limits: request.limits,
            began: request.clock.now(),
            content_at: None,
            most: request.max_response_bytes,
            left: request.max_response_bytes,
            start: Vec::new(),
            streamed: false,
            enough: false,
            failure: None,
            mock: false,
        };
        let limit = hearing.until();
        let left = limit.map(|limit| hearing.began.until(limit));
        argument.put("timeout_ms", left.map(|left| left.as_millis() as u64));
        (hearing, Call { limit, listens: true, ..Call::new(function, argument.into()) })
    }

    /// The same for a mock.
    pub fn of_mock(
        function: Slot,
        argument: Record,
        request: Request,
        heard: (Box<dyn Sink>, Shared),
    ) -> (Hearing, Call) {
        let (hearing, call) = Hearing::of(function, argument, request, heard);
        (Hearing { mock: true, ..hearing }, call)
    }

    /// Until when content must come; once nothing more is read there is nothing to wait for.
    pub fn until(&self) -> Option<Moment> {
        if self.enough {
            return Some(self.began);
        }
        let next = match self.content_at {
            None => self.limits.first_token.map(|span| self.began.after(span)),
            Some(at) => self.limits.idle.map(|span| at.after(span)),
        };
        [next, self.limits.total].into_iter().flatten().min()
    }

    /// The limit that has been reached.
    fn late(&self, now: Moment) -> Option<Failure> {
        self.until().filter(|until| !self.enough && now >= *until)?;
        let phase = match self.content_at {
            _ if self.limits.total.is_some_and(|total| now >= total) => Phase::Total,
            None => Phase::FirstToken,
            Some(_) => Phase::Idle,
        };
        Some(Failure::Timeout(phase))
    }

    /// Whether more is wanted.
    pub fn goes_on(&self) -> bool {
        !self.enough && self.failure.is_none()
    }

    pub fn hear(&mut self, now: Moment, bytes: &[u8]) {
        self.failure = self.failure.take().or_else(|| self.late(now));
        if !self.goes_on() {
            return;
        }
        self.streamed = true;
        let room = KEPT.saturating_sub(self.start.len());
        self.start.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.read(now, bytes);
    }

    fn read(&mut self, now: Moment, bytes: &[u8]) {
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            self.failure = Some(Failure::TooLarge(self.most));
            return;
        };
        self.left = left;
        match self.body.data(bytes) {
            Flow::Content | Flow::Full => self.content_at = Some(now),
            Flow::Over => (self.content_at, self.enough) = (Some(now), true),
            Flow::Stop => self.enough = true,
            Flow::Quiet => {}
        }
    }

    /// The function has returned.
    pub fn returned(mut self, now: Moment, returned: Returned) {
        self.failure = self.failure.take().or_else(|| self.late(now));
        if let Some(failure) = self.failure.take() {
            return self.body.end(Err(failure));
        }
        match answer(returned) {
            Err(error) => self.broke_off(error),
            Ok((head, body)) if head.status >= 300 => self.refused(head, body),
            Ok((head, body)) => self.answered(now, head, body),
        }
    }

    /// The function has raised an error: perhaps because its time was over, or it need not wait.
    pub fn raised(mut self, now: Moment, raised: Raised) {
        if self.enough && raised.code == Some(Code::Timeout) {
            return self.body.end(Ok(()));
        }
        match self.failure.take().or_else(|| self.late(now)) {
            Some(failure) => self.body.end(Err(failure)),
            None if self.mock => self.break_as(raised),
            None => self.fail(raised.into_error("the transport")),
        }
    }

    /// What breaks for a mock breaks as it does on the way to a server.
    fn break_as(self, raised: Raised) {
        let idle = self.content_at.is_some();
        let error = match raised.code {
            Some(Code::Network) => Error::new(Code::Network, raised.text),
            Some(Code::Timeout) if idle => Error::timeout(Phase::Idle, raised.text),
            Some(Code::Timeout) => Error::timeout(Phase::FirstToken, raised.text),
            _ => return self.fail(raised.into_error("the mock")),
        };
        self.broke_off(error);
    }

    fn fail(self, error: Error) {
        self.inbox.lock().end = Some(Err(error));
    }

    /// What breaks after the last word does not harm the answer.
    fn broke_off(self, error: Error) {
        let inbox = self.inbox.clone();
        self.body.end(Err(Failure::Broken(String::new())));
        let mut inbox = inbox.lock();
        if matches!(inbox.end, Some(Err(_))) {
            inbox.end = Some(Err(error));
        }
    }

    fn answered(mut self, now: Moment, head: Head, body: Vec<u8>) {
        self.body.head(head);
        if !self.streamed {
            self.read(now, &body);
        }
        let failure = self.failure.take();
        self.body.end(failure.map_or(Ok(()), Err));
    }

    /// What was read as an answer was none.
    fn refused(mut self, head: Head, body: Vec<u8>) {
        let mut inbox = self.inbox.lock();
        (inbox.end, inbox.delta) = (None, Default::default());
        drop(inbox);
        self.body.head(head);
        let text = if self.streamed { std::mem::take(&mut self.start) } else { body };
        self.body.data(&text);
        self.body.end(Ok(()));
    }
}

/// What the function gets, besides `timeout_ms`, the time until something must have come.
pub fn argument(request: &Request) -> Record {
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let mut headers = Record::new();
    if !body.is_empty() {
        headers.put("content-length", body.len().to_string());
    }
    for (name, value) in &request.headers {
        headers.put(name.clone(), value.as_str());
    }
    Record::new()
        .set("method", request.method)
        .set("url", request.url.as_str())
        .set("headers", headers)
        .set("body", Some(body).filter(|body| !body.is_empty()))
}

/// Head and body of what the function returned.
fn answer(returned: Returned) -> Result<(Head, Vec<u8>)> {
    if let Some(refusal) = returned.refusal {
        return Err(failed(&refusal.text));
    }
    let document = returned.document.ok_or_else(|| failed("it returned nothing"))?;
    read(&document).ok_or_else(|| Error::internal("the transport's answer was not kept"))?
}

/// The form that `listen.lua` gives it: what is wrong with it, or its parts.
fn read(document: &Document) -> Option<Result<(Head, Vec<u8>)>> {
    let answer = document.value()?;
    if let Some(flaw) = answer.get("flaw").and_then(Ref::as_str) {
        return Some(Err(failed(flaw)));
    }
    let status = answer.get("status").and_then(Ref::as_f64).filter(|n| (100.0..1000.0).contains(n));
    let Some(status) = status else { return Some(Err(failed("it returned no HTTP status"))) };
    let body = answer.get("body").and_then(Ref::as_bytes).unwrap_or_default().to_vec();
    Some(Ok((Head { status: status as u16, headers: headers(answer.get("headers")?) }, body)))
}

/// Names and values follow each other. How the body was packed is the function's own affair: what
/// it gives is unpacked.
fn headers(list: Ref<'_>) -> Vec<(String, String)> {
    let text =
        |item: Ref<'_>| String::from_utf8_lossy(item.as_bytes().unwrap_or_default()).into_owned();
    let mut all = list.items().map(text);
    let pairs = std::iter::from_fn(|| all.next().zip(all.next()));
    pairs.filter(|(name, _)| !name.eq_ignore_ascii_case("content-encoding")).collect()
}

fn failed(why: &str) -> Error {
    Error::new(Code::Network, format!("the transport failed: {why}"))
}
