//! A server behind HTTP: each message is a request of its own, whose answer is a document or a
//! stream of them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::LONGEST;
use super::document;
use super::mailbox::{Mailbox, Trouble, Whose};
use super::outline::Outline;
use crate::clock::Clock;
use crate::error::{Code, Error};
use crate::guard::guarded;
use crate::net::{
    Call, Failure, Flow, Guard, Head, Limits, Proxy, Request, Roots, Sink, Transport,
};
use crate::provider::options;
use crate::provider::sse::{self, Sse};
use crate::runtime::Runtime;
use crate::tool::builtin::http::url::Url;

/// Redirects that are followed, all to where the server is.
const MOST_REDIRECTS: u32 = 5;

/// A server that says nothing to an announcement is asked all the same after that.
const HEARING: Duration = Duration::from_secs(5);

/// Ours: who sets them himself would say something else than what is sent.
const OURS: [&str; 6] =
    ["accept", "content-type", "content-length", "host", "mcp-protocol-version", "mcp-session-id"];

/// How requests get there.
pub struct Way {
    transport: Arc<dyn Transport>,
    connect: Option<Duration>,
    proxy: Proxy,
    roots: Roots,
    clock: Clock,
}

impl Way {
    pub fn of(runtime: &Runtime) -> Way {
        let network = options::network(&runtime.config.http, None);
        Way {
            transport: runtime.transport.clone(),
            connect: network.limits.connect,
            proxy: network.proxy,
            roots: network.roots,
            clock: runtime.clock.clone(),
        }
    }
}

pub struct Web {
    url: Url,
    headers: Vec<(String, String)>,
    way: Way,
    mailbox: Mailbox,
    /// As it was agreed on.
    pub version: Option<String>,
    redirects: u32,
    /// What the server says of its own accord.
    listening: Option<Box<dyn Call>>,
}

impl Web {
    pub fn new(url: Url, headers: &[(String, String)], way: Way, mailbox: Mailbox) -> Web {
        let ours = |name: &str| OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name));
        let headers = headers.iter().filter(|(name, _)| !ours(name)).cloned().collect();
        Web { url, headers, way, mailbox, version: None, redirects: 0, listening: None }
    }

    /// Sends a message; `id` if it is a request, whose answer comes to the mailbox.
    pub fn post(&self, id: Option<u64>, message: String) -> Box<dyn Call> {
        let request = self.request("POST", message.into_bytes());
        let sink = Reading { id, ..self.reading() };
        self.way.transport.start(request, Box::new(sink))
    }

    /// Sends a message that has no answer; the mailbox hears as `id` that the server has taken it, or
    /// will not. Requests are on their way side by side, so that is how one comes before another.
    pub fn announce(&self, id: u64, message: String) -> Box<dyn Call> {
        let mut request = self.request("POST", message.into_bytes());
        request.limits.first_token = Some(HEARING);
        let sink = Reading { id: Some(id), announces: true, ..self.reading() };
        self.way.transport.start(request, Box::new(sink))
    }

    /// Goes on with the answer to a request after what was `seen` of it.
    pub fn resume(&self, id: u64, seen: &str) -> Box<dyn Call> {
        let mut request = self.request("GET", Vec::new());
        request.headers.push(("last-event-id".into(), seen.into()));
        let sink = Reading { id: Some(id), ..self.reading() };
        self.way.transport.start(request, Box::new(sink))
    }

    /// Hears what the server says of its own accord, if it does.
    pub fn listen(&mut self) {
        let mut request = self.request("GET", Vec::new());
        request.limits.first_token = Some(Duration::from_secs(30));
        request.clock = Clock::default(); // it is there for what may come, and holds up nobody
        let sink = Reading { listens: true, ..self.reading() };
        self.listening = Some(self.way.transport.start(request, Box::new(sink)));
    }

    pub fn speaks_by(&self, transport: &Arc<dyn Transport>) -> bool {
        Arc::ptr_eq(&self.way.transport, transport)
    }

    fn reading(&self) -> Reading {
        let host = self.url.host.clone();
        let in_session = self.mailbox.lock().session.is_some();
        Reading {
            mailbox: self.mailbox.clone(),
            id: None,
            listens: false,
            announces: false,
            host,
            in_session,
            head: Head::default(),
            body: Vec::new(),
            events: None,
            is_too_long: false,
        }
    }

    fn request(&self, method: &'static str, body: Vec<u8>) -> Request {
        let mut headers = self.headers.clone();
        let mut put = |name: &str, value: &str| headers.push((name.into(), value.into()));
        match method {
            "POST" => {
                put("content-type", "application/json");
                put("accept", "application/json, text/event-stream");
            }
            "GET" => put("accept", "text/event-stream"),
            _ => {}
        }
        if let Some(session) = &self.mailbox.lock().session {
            put("mcp-session-id", session);
        }
        if let Some(version) = &self.version {
            put("mcp-protocol-version", version);
        }
        Request {
            method,
            url: self.url.to_string(),
            headers,
            body,
            limits: Limits { connect: self.way.connect, ..Limits::default() },
            max_response_bytes: u64::MAX,
            proxy: self.way.proxy.clone(),
            roots: self.way.roots.clone(),
            guard: Guard::default(),
            clock: self.way.clock.clone(),
        }
    }

    /// Goes where a redirect leads, if that is the same origin.
    pub fn lead_to(&mut self, location: &str) -> Result<(), Error> {
        self.redirects += 1;
        let refused = |why: String| Error::new(Code::Network, format!("{}: {why}", self.url.host));
        let next = self.url.join(location);
        let next = next.map_err(|why| refused(format!("the URL it redirects to {why}")))?;
        if !next.has_origin_of(&self.url) {
            let why =
                format!("it redirects to another origin ({}), which is not followed", next.host);
            return Err(refused(why));
        }
        if self.redirects > MOST_REDIRECTS {
            return Err(refused(format!("more than {MOST_REDIRECTS} redirects")));
        }
        self.url = next;
        Ok(())
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.cancel();
        }
        if self.mailbox.lock().session.is_some() {
            let mut request = self.request("DELETE", Vec::new());
            request.limits.first_token = Some(Duration::from_secs(5));
            self.way.transport.start(request, Box::new(Nobody));
        }
    }
}

/// Hears the answer to a farewell.
struct Nobody;

impl Sink for Nobody {
    fn head(&mut self, _: Head) {}

    fn data(&mut self, _: &[u8]) -> Flow {
        Flow::Stop
    }

    fn end(self: Box<Self>, _: Result<(), Failure>) {}
}

/// Reads an answer.
struct Reading {
    mailbox: Mailbox,
    /// Of the request.
    id: Option<u64>,
    /// To what the server says of its own accord.
    listens: bool,
    /// To a message that has none: it is enough that it is there.
    announces: bool,
    host: String,
    in_session: bool,
    head: Head,
    body: Vec<u8>,
    /// The answer is a stream of events.
    events: Option<Sse>,
    /// More than an event may hold.
    is_too_long: bool,
}

impl Sink for Reading {
    fn head(&mut self, head: Head) {
        let is =
            |kind: &str| head.header("content-type").is_some_and(|given| given.starts_with(kind));
        self.events = (head.status == 200 && is("text/event-stream")).then(Sse::default);
        if let (Some(session), Some(_)) = (head.header("mcp-session-id"), self.id) {
            self.mailbox.lock().session = Some(session.to_owned());
        }
        self.head = head;
        self.settle_announced();
    }

    fn data(&mut self, bytes: &[u8]) -> Flow {
        let Some(events) = &mut self.events else {
            self.body.extend_from_slice(bytes);
            return if self.body.len() > LONGEST { Flow::Stop } else { Flow::Content };
        };
        let (mailbox, host, whose) = (&self.mailbox, &self.host, whose(self.id));
        let pushed = events.push(bytes, |event| {
            hear(mailbox, host, whose, event.data);
            Ok(())
        });
        self.is_too_long = pushed.is_err();
        match self.id {
            _ if self.is_too_long => Flow::Stop,
            Some(id) if mailbox.lock().is_settled(id) => Flow::Over,
            _ => Flow::Content,
        }
    }

    fn end(self: Box<Self>, outcome: Result<(), Failure>) {
        let trouble = guarded(|| Ok(self.trouble(outcome))).unwrap_or_else(Trouble::Failed);
        if self.listens && self.events.is_some() {
            self.mailbox.lock().went_deaf();
        }
        self.settle_announced();
        // What was answered is answered; this is for who has none.
        if let Some(id) = self.id {
            self.mailbox.fail(id, trouble);
        }
    }
}

/// Where the server does not say when to come back, and at least.
const PAUSE_MS: [u64; 2] = [1000, 50];

/// On a stream that belongs to a request nobody else's answer is expected.
fn whose(id: Option<u64>) -> Whose {
    id.map_or(Whose::Nobodys, Whose::Only)
}

/// An event of a stream.
fn hear(mailbox: &Mailbox, host: &str, whose: Whose, text: &[u8]) {
    match document::read(text) {
        Ok(document) => mailbox.receive(document, text),
        Err(why) => {
            let error = Error::new(Code::BadResponse, unreadable(host, &why));
            let is_loss = mailbox.misheard(Outline::of(text), whose, error);
            if !is_loss && !text.trim_ascii().is_empty() {
                mailbox.note("message", text);
            }
        }
    }
}

fn unreadable(host: &str, why: &str) -> String {
    format!("{host}: the answer cannot be read: {why}")
}

impl Reading {
    fn settle_announced(&self) {
        if let Some(id) = self.id.filter(|_| self.announces) {
            self.mailbox.lock().answered(id, Ok(Value::Null));
        }
    }

    fn trouble(&self, outcome: Result<(), Failure>) -> Trouble {
        if self.is_too_long {
            let why = format!("an event of more than {} MB", sse::LIMIT >> 20);
            return Trouble::Failed(Error::new(Code::BadResponse, unreadable(&self.host, &why)));
        }
        match (self.paused(), outcome) {
            (Some(paused), Ok(()) | Err(Failure::Broken(_))) => paused,
            (_, Ok(())) => self.ended(),
            (_, Err(failure)) => Trouble::Failed(self.broken(&failure)),
        }
    }

    /// A stream whose events have ids can be gone on with.
    fn paused(&self) -> Option<Trouble> {
        let events = self.events.as_ref()?;
        let seen = events.last_id.clone().filter(|id| !id.is_empty() && !id.contains('\0'))?;
        let ms = events.retry_ms.unwrap_or(PAUSE_MS[0]).max(PAUSE_MS[1]);
        Some(Trouble::Paused { seen, ms })
    }

    fn ended(&self) -> Trouble {
        let status = self.head.status;
        let error = |code, why: String| {
            let text = format!("{}: {why}", self.host);
            Trouble::Failed(Error::new(code, text).with(|f| f.status = Some(status)))
        };
        if self.body.len() > LONGEST {
            return error(Code::BadResponse, "an answer of more than 10 MB".into());
        }
        let read = document::read(&self.body);
        if let Ok(document) = &read {
            // An error without the id of its request belongs to this one all the same.
            let refused = (status >= 400).then(|| document.get("error").cloned()).flatten();
            self.mailbox.receive(document.clone(), &self.body);
            if let Some(refused) = refused.filter(|_| !matches!(status, 401 | 403 | 404)) {
                let why = refused["message"].as_str().unwrap_or("no reason given");
                return error(code_of(status), format!("answered with status {status}: {why}"));
            }
        }
        match (status, self.head.header("location")) {
            (301 | 302 | 307 | 308, Some(location)) => Trouble::Moved(location.to_owned()),
            (401 | 403, _) => error(Code::Auth, self.denied()),
            (404, _) if self.in_session => Trouble::Expired,
            (200..=299, _) if self.events.is_some() => {
                error(Code::Network, "the stream ended without an answer".into())
            }
            (200..=299, _) => error(Code::BadResponse, self.no_answer(read.err())),
            _ => error(code_of(status), format!("answered with status {status}")),
        }
    }

    fn no_answer(&self, unread: Option<String>) -> String {
        match unread.filter(|_| document::looks_like_one(&self.body)) {
            Some(why) => format!("the answer cannot be read: {why}"),
            None => "no answer of JSON-RPC".into(),
        }
    }

    fn denied(&self) -> String {
        let status = self.head.status;
        let hint = match self.head.header("www-authenticate") {
            Some(_) => "give a token in headers={Authorization=…}; OAuth is not done here",
            None => "check what headers={…} holds",
        };
        format!("access was denied with status {status}: {hint}")
    }

    fn broken(&self, failure: &Failure) -> Error {
        let text = format!("{}: {failure}", self.host);
        match failure {
            Failure::Cancelled => Error::new(Code::Cancelled, text),
            Failure::Timeout(phase) => Error::timeout(*phase, text),
            Failure::Malformed(_) | Failure::TooLarge(_) => Error::new(Code::BadResponse, text),
            Failure::Invalid(_) => Error::invalid(text),
            Failure::Unrecorded(what) => what.error(),
            _ => Error::new(Code::Network, text),
        }
    }
}

/// The server may do better another time, or it may not.
fn code_of(status: u16) -> Code {
    match status {
        408 | 429 | 500.. => Code::Network,
        _ => Code::BadResponse,
    }
}
