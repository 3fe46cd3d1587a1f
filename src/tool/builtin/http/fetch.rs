//! The request as a machine, with the redirects it is led along.

use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

use super::super::put_bytes;
use super::address::Private;
use super::url::Url;
use super::{MOST_BYTES, wrong};
use crate::clock::Moment;
use crate::error::{Code, Error, Phase, Result};
use crate::net::{
    self, Call, Failure, Flow, Guard, Head, Limits, Proxy, Request, Sink, Waker, lock,
};
use crate::runtime::Runtime;
use crate::step::{Machine, Outcome, Output, Step, Token, stopped};
use crate::value::Data;

const MOST_REDIRECTS: u32 = 5;

/// Headers that go on to another origin: none that could tell who asks.
const HARMLESS: [&str; 4] = ["accept", "accept-language", "content-type", "user-agent"];

/// One request, checked.
pub struct Ask {
    pub url: Url,
    pub method: &'static str,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

pub struct Fetch {
    ask: Ask,
    private: Arc<Private>,
    ms: u64,
    until: Moment,
    redirects: u32,
    under_way: Option<UnderWay>,
}

struct UnderWay {
    call: Box<dyn Call>,
    desk: Arc<Mutex<Desk>>,
    waker: Waker,
}

/// Where the answer gathers.
#[derive(Default)]
struct Desk {
    head: Head,
    body: Vec<u8>,
    end: Option<std::result::Result<(), Failure>>,
}

struct Collector {
    desk: Arc<Mutex<Desk>>,
    waker: Waker,
}

impl Sink for Collector {
    fn head(&mut self, head: Head) {
        lock(&self.desk).head = head;
    }

    fn data(&mut self, bytes: &[u8]) -> Flow {
        lock(&self.desk).body.extend_from_slice(bytes);
        Flow::Content
    }

    fn end(self: Box<Self>, outcome: std::result::Result<(), Failure>) {
        lock(&self.desk).end = Some(outcome);
        self.waker.wake();
    }
}

impl Fetch {
    pub fn new(runtime: &Runtime, ask: Ask, ms: u64) -> Fetch {
        let until = runtime.clock.now().after_ms(ms);
        let private = Arc::new(runtime.config.tools.private.clone());
        Fetch { ask, private, ms, until, redirects: 0, under_way: None }
    }

    fn send(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let waker = runtime.tasks.waker(me)?;
        let desk = Arc::new(Mutex::default());
        let sink = Box::new(Collector { desk: Arc::clone(&desk), waker: waker.clone() });
        let call = runtime.transport.start(self.request(runtime)?, sink);
        self.under_way = Some(UnderWay { call, desk, waker });
        self.look(runtime, me)
    }

    fn request(&self, runtime: &Runtime) -> Result<Request> {
        let private = Arc::clone(&self.private);
        let Ask { url, method, headers, body } = &self.ask;
        Ok(Request {
            method,
            url: url.to_string(),
            headers: headers.clone(),
            body: body.clone(),
            limits: Limits { total: Some(self.until), ..Limits::default() },
            max_response_bytes: MOST_BYTES,
            proxy: Proxy::None,
            roots: roots(runtime),
            guard: Guard::new(move |host, address| private.admits(host, address)),
            clock: runtime.clock.clone(),
        })
    }

    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let Some(UnderWay { desk, waker, .. }) = &self.under_way else {
            return self.send(runtime, me);
        };
        waker.rearm();
        let mut desk = lock(desk);
        let Some(end) = desk.end.take() else { return Ok(Step::Wait(None)) };
        let (head, body) = (std::mem::take(&mut desk.head), std::mem::take(&mut desk.body));
        drop(desk);
        self.under_way = None;
        end.map_err(|failure| self.failed(failure))?;
        match redirect(&head) {
            Some(location) => self.follow(runtime, me, head.status, location),
            None => Ok(Step::Done(Output::Data(Data::Json(self.answer(&head, body))))),
        }
    }

    fn follow(
        &mut self,
        runtime: &mut Runtime,
        me: Token,
        status: u16,
        location: &str,
    ) -> Result<Step> {
        self.redirects += 1;
        if self.redirects > MOST_REDIRECTS {
            let why = format!("more than {MOST_REDIRECTS} redirects");
            return Err(refused("too_many_redirects", why));
        }
        let next = self.ask.url.join(location);
        let next =
            next.map_err(|why| refused("bad_redirect", format!("the redirect's URL {why}")))?;
        self.ask.lead_to(next, status);
        self.send(runtime, me)
    }

    fn answer(&self, head: &Head, body: Vec<u8>) -> Value {
        let mut headers = Map::new();
        for (name, value) in &head.headers {
            let name = name.to_ascii_lowercase();
            let all = match headers.get(&name).and_then(Value::as_str) {
                Some(before) => format!("{before}, {value}"),
                None => value.clone(),
            };
            headers.insert(name, all.into());
        }
        let mut answer = json!({
            "status": head.status, "headers": headers, "url": self.ask.url.to_string(),
            "redirects": self.redirects, "bytes": body.len(),
        });
        put_bytes(&mut answer, "body", body);
        answer
    }

    /// No message shows the URL: it may hold a key.
    fn failed(&self, failure: Failure) -> Error {
        let host = &self.ask.url.host;
        let network = |why: String| Error::new(Code::Network, format!("{host}: {why}"));
        match failure {
            Failure::Timeout(_) => {
                let what = format!("{host}: no whole answer within {} ms", self.ms);
                Error::timeout(Phase::Total, what)
            }
            Failure::Cancelled => Error::new(Code::Cancelled, "the request was cancelled"),
            Failure::Forbidden(address) => refused(
                "forbidden_address",
                format!(
                    "{host}: {address} is no public address; configure{{tools={{http={{allow_private=…}}}}}} can allow it"
                ),
            ),
            Failure::TooLarge(most) => {
                refused("too_large", format!("{host}: the answer is larger than {most} bytes"))
            }
            Failure::Invalid(why) => wrong(why),
            Failure::Unrecorded(what) => what.error(),
            other => network(other.to_string()),
        }
    }
}

impl Ask {
    /// As browsers follow redirects. Another origin learns nothing that was meant for this one.
    fn lead_to(&mut self, url: Url, status: u16) {
        let becomes_get = match status {
            303 => self.method != "HEAD",
            301 | 302 => self.method == "POST",
            _ => false,
        };
        if becomes_get {
            (self.method, self.body) = ("GET", Vec::new());
            self.headers.retain(|(name, _)| !name.to_ascii_lowercase().starts_with("content-"));
        }
        if !url.has_origin_of(&self.url) {
            let harmless =
                |name: &str| HARMLESS.iter().any(|known| known.eq_ignore_ascii_case(name));
            self.headers.retain(|(name, _)| harmless(name));
        }
        self.url = url;
    }
}

/// Where to, if the answer says so.
fn redirect(head: &Head) -> Option<&str> {
    matches!(head.status, 301 | 302 | 303 | 307 | 308).then(|| head.header("location")).flatten()
}

/// The authorities that all calls trust.
fn roots(runtime: &Runtime) -> net::Roots {
    net::Roots::of(runtime.config.http.get("ca").and_then(Value::as_str))
}

pub fn refused(reason: &str, why: String) -> Error {
    Error::new(Code::ToolError, why).with(|f| f.details = Some(json!({ "reason": reason })))
}

impl Machine for Fetch {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Stop(stop) => Err(stopped(&stop, "the request")),
            _ => self.look(runtime, me),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {
        if let Some(under_way) = self.under_way.take() {
            under_way.call.cancel();
        }
    }
}
