//! One question to a provider, from the first request through retries to the answer.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::inbox::Shared;
use super::instance::Provider;
use super::openai::OpenAi;
use super::options::{self, Network};
use super::retry::Verdict;
use super::source::{Going, Source};
use super::structured;
use super::whom::Whom;
use super::wire::Wire;
use crate::chat::{Answer, Delta, Finish, Format, Reply, Request, Usage};
use crate::chunk::{Chunk, End};
use crate::clock::Moment;
use crate::error::{Code, Error, Result};
use crate::net::Waker;
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step, Stop, Token, stopped};

/// What is asked, of whom and how.
pub struct Ask {
    pub whom: Whom,
    pub request: Request,
    /// Laid over each other, the provider's own not included.
    pub options: Map<String, Value>,
    /// Somebody reads chunks.
    pub follow: bool,
    /// Agent runs: the round. Their streams end with the run, not with the answer.
    pub iteration: Option<u32>,
    /// Structured output that does not fit is an error; otherwise the answer says so.
    pub strict: bool,
}

pub struct Exchange {
    ask: Ask,
    provider: String,
    model: String,
    source: Source,
    network: Network,
    stage: Stage,
    inbox: Shared,
    waker: Option<Waker>,
    going: Option<Going>,
    chunk: Option<Chunk>,
    answer: Option<Box<Answer>>,
    attempts: u32,
    delivered: bool,
    started: Moment,
    last_chunk: Option<Moment>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// Asking a server without a configured model which ones it has.
    Listing,
    Asking,
    /// Before the next attempt.
    Pausing(Moment),
    /// The last chunk is out; the answer follows.
    Ending,
}

/// Everything a call needs to know of a provider, so that it may be destroyed meanwhile.
struct Known {
    id: String,
    model: String,
    options: Map<String, Value>,
    path: Option<String>,
}

impl Known {
    fn of(provider: &Provider) -> Known {
        Known {
            id: provider.id.clone(),
            model: provider.model(),
            options: provider.options.clone(),
            path: provider.model_path(),
        }
    }
}

impl Exchange {
    /// Checks everything that can be checked without asking anybody.
    pub fn new(runtime: &mut Runtime, mut ask: Ask, total: Option<Moment>) -> Result<Exchange> {
        let provider = runtime.providers.ask(&ask.whom)?;
        let known = Known::of(provider);
        let (endpoint, key) = provider.endpoint()?;
        let all = options::lay([&runtime.config.http, &known.options, &ask.options]);
        ask.request.settings = options::settings(&all)?;
        if ask.request.model.is_empty() {
            ask.request.model = known.model.clone();
        }
        ask.request.stream = true;
        let network = options::network(&all, total);
        let source = Source::new(&known.options, known.path.as_deref(), endpoint, key, &network)?;
        let listing = ask.request.model.is_empty() && source.is_server();
        Ok(Exchange {
            provider: known.id,
            model: ask.request.model.clone(),
            stage: if listing { Stage::Listing } else { Stage::Asking },
            started: runtime.clock.now(),
            inbox: Shared::default(),
            source,
            network,
            ask,
            waker: None,
            going: None,
            chunk: None,
            answer: None,
            attempts: 0,
            delivered: false,
            last_chunk: None,
        })
    }

    pub fn operation(self, deadline: Option<Moment>) -> Operation {
        let subject = self.provider.clone();
        Operation { name: "provider_request", subject, machine: Box::new(self), deadline }
    }

    /// Sends the request that the stage calls for.
    fn send(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        self.attempts += 1;
        self.inbox = Arc::new(Mutex::default());
        self.inbox.lock().reply.keep_raw = self.keeps_raw();
        let waker = runtime.tasks.waker(me)?;
        self.waker = Some(waker.clone());
        let request = (self.stage == Stage::Asking).then_some(&self.ask.request);
        self.going = Some(self.source.start(runtime, request, self.inbox.clone(), waker)?);
        Ok(Step::Wait(None))
    }

    fn keeps_raw(&self) -> bool {
        self.ask.options.get("raw") == Some(&json!(true))
    }

    /// Looks at what has arrived.
    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        if let Some(step) = self.hold_back(runtime) {
            return Ok(step);
        }
        let following = self.ask.follow && self.stage == Stage::Asking;
        let (delta, end) = {
            let mut inbox = self.inbox.lock();
            let delta = std::mem::take(&mut inbox.delta);
            let emit = following && !delta.is_empty();
            (delta, if emit { None } else { inbox.end.take() })
        };
        if let Some(going) = &self.going {
            going.resume();
        }
        if following && !delta.is_empty() {
            return Ok(self.emit(runtime, delta));
        }
        match end {
            None => Ok(Step::Wait(None)),
            Some(Ok(())) => self.arrived(runtime, me),
            Some(Err(error)) => self.failed(runtime, error),
        }
    }

    /// With `flush_ms` chunks come at most once per interval, except for the last one.
    fn hold_back(&self, runtime: &Runtime) -> Option<Step> {
        let next = self.last_chunk?.after(self.network.flush);
        let early = runtime.clock.now() < next && self.inbox.lock().end.is_none();
        early.then_some(Step::Wait(Some(next)))
    }

    fn emit(&mut self, runtime: &Runtime, delta: Delta) -> Step {
        self.delivered = true;
        if !self.network.flush.is_zero() {
            self.last_chunk = Some(runtime.clock.now());
        }
        self.chunk = Some(Chunk { delta, iteration: self.ask.iteration, ..Chunk::default() });
        Step::Emit
    }

    fn arrived(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        self.going = None;
        if self.stage == Stage::Listing {
            return self.listed(runtime, me);
        }
        let answer = self.answer(runtime, None);
        self.record(runtime, Ok(answer.usage));
        let answer = structured::check(answer, self.ask.request.settings.format.as_ref());
        if let Some(flaw) = answer.flaw.clone().filter(|_| self.ask.strict) {
            return Err(self.complete(flaw, Some(&answer)));
        }
        Ok(self.conclude(answer))
    }

    /// The first model the server lists is the one asked.
    fn listed(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let body = std::mem::take(&mut self.inbox.lock().reply.content);
        let models = OpenAi.parse_models(body.as_bytes()).map_err(|e| self.complete(e, None))?;
        let Some(first) = models.first() else {
            return Err(self
                .complete(Error::invalid("model: none is named and the server lists none"), None));
        };
        self.model = first.id.clone();
        self.ask.request.model = first.id.clone();
        self.stage = Stage::Asking;
        self.attempts = 0;
        self.send(runtime, me)
    }

    /// Ends with the answer; a followed stream of its own gets its last chunk first.
    fn conclude(&mut self, answer: Answer) -> Step {
        if !self.ask.follow || self.ask.iteration.is_some() {
            return Step::Done(Output::Answer(Box::new(answer)));
        }
        let end = End { finish_reason: answer.finish_reason.to_owned(), usage: Some(answer.usage) };
        self.chunk = Some(Chunk { end: Some(end), ..Chunk::default() });
        self.answer = Some(Box::new(answer));
        self.stage = Stage::Ending;
        Step::Emit
    }

    fn ending(&mut self) -> Result<Step> {
        let answer = self.answer.take().ok_or_else(|| Error::internal("no answer at the end"))?;
        Ok(Step::Done(Output::Answer(answer)))
    }

    /// Tries again if that may help, or fails.
    fn failed(&mut self, runtime: &mut Runtime, error: Error) -> Result<Step> {
        self.going = None;
        let head = self.inbox.lock().head.clone();
        if !self.delivered && self.stage != Stage::Ending {
            let verdict = self.network.retry.decide(self.attempts, &error, Some(&head), random());
            if let Verdict::After(after_ms) = verdict {
                return Ok(self.pause(runtime, after_ms));
            }
        }
        let error = self.finish_error(runtime, error);
        self.record(runtime, Err(&error));
        Err(error)
    }

    fn pause(&mut self, runtime: &Runtime, after_ms: u64) -> Step {
        let until = runtime.clock.now().after_ms(after_ms);
        self.stage = Stage::Pausing(until);
        Step::Wait(Some(until))
    }

    fn resume_after_pause(
        &mut self,
        runtime: &mut Runtime,
        me: Token,
        until: Moment,
    ) -> Result<Step> {
        if runtime.clock.now() < until {
            return Ok(Step::Wait(Some(until)));
        }
        let listing = self.ask.request.model.is_empty() && self.source.is_server();
        self.stage = if listing { Stage::Listing } else { Stage::Asking };
        self.send(runtime, me)
    }

    fn record(&self, runtime: &mut Runtime, outcome: std::result::Result<Usage, &Error>) {
        if let Ok(usage) = &outcome {
            runtime.usage.add(usage);
        }
        if let Some(provider) = runtime.providers.asked(&self.ask.whom, &self.provider) {
            provider.record(outcome);
        }
    }

    /// The answer as far as it has come; `finish` overrides how it ended.
    fn answer(&self, runtime: &Runtime, finish: Option<Finish>) -> Answer {
        let inbox = self.inbox.lock();
        let reply = inbox.reply.clone();
        let finish = finish.or(reply.finish).unwrap_or_default();
        let now = runtime.clock.now();
        Answer {
            usage: reply.usage.unwrap_or_else(|| estimate(&self.ask.request, &reply)),
            finish_reason: finish.name(),
            provider: self.provider.clone(),
            model: self.model.clone(),
            latency_ms: now.ms_since(self.started),
            ttft_ms: inbox.first_at.map(|at| at.ms_since(self.started)),
            attempts: self.attempts,
            request_id: request_id(&inbox.head),
            created: runtime.clock.unix(),
            raw: self.keeps_raw(),
            reply,
            ..Answer::default()
        }
    }

    fn finish_error(&self, runtime: &Runtime, error: Error) -> Error {
        let finish = (error.code() == Code::Cancelled).then_some(Finish::Cancelled);
        let partial =
            Some(self.answer(runtime, finish)).filter(|answer| has_content(&answer.reply));
        self.complete(error, partial.as_ref())
    }

    /// Adds what this call knows to an error.
    fn complete(&self, error: Error, partial: Option<&Answer>) -> Error {
        let request_id = request_id(&self.inbox.lock().head);
        self.source.clean(error).with(|f| {
            f.provider = Some(self.provider.clone());
            f.attempts = Some(self.attempts).filter(|n| *n > 0);
            f.request_id = f.request_id.take().or(request_id);
            f.partial = f.partial.take().or_else(|| partial.map(Answer::to_data));
        })
    }

    fn stop(&mut self, runtime: &mut Runtime, stop: &Stop) -> Error {
        self.hang_up();
        let error = self.finish_error(runtime, stopped(stop, "the request"));
        self.record(runtime, Err(&error));
        error
    }

    fn hang_up(&mut self) {
        if let Some(going) = self.going.take() {
            going.cancel();
        }
    }

    /// The stream callback wants no more: what arrived so far is the answer.
    fn refuse(&mut self, runtime: &mut Runtime) -> Step {
        self.hang_up();
        let answer = self.answer(runtime, Some(Finish::Cancelled));
        self.record(runtime, Ok(answer.usage));
        Step::Done(Output::Answer(Box::new(answer)))
    }
}

impl Machine for Exchange {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        if let Some(waker) = &self.waker {
            waker.rearm();
        }
        match (outcome, self.stage) {
            (Outcome::Start, _) => self.send(runtime, me),
            (Outcome::Ready, Stage::Pausing(until)) => self.resume_after_pause(runtime, me, until),
            (Outcome::Emitted, Stage::Ending) => self.ending(),
            (Outcome::Ready | Outcome::Emitted, _) => self.look(runtime, me),
            (Outcome::Refused, _) => Ok(self.refuse(runtime)),
            (Outcome::Stop(stop), _) => Err(self.stop(runtime, &stop)),
            (Outcome::Raised(raised), _) => {
                self.hang_up();
                let error = raised.into_error("the stream callback");
                Err(self.finish_error(runtime, error))
            }
            (Outcome::Returned(_) | Outcome::Finished(_), _) => {
                Err(Error::internal("nothing was called"))
            }
        }
    }

    fn chunk(&mut self) -> Option<Chunk> {
        self.chunk.take()
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {
        self.hang_up();
    }
}

fn has_content(reply: &Reply) -> bool {
    !(reply.content.is_empty() && reply.thinking.is_empty() && reply.tool_calls.is_empty())
}

fn request_id(head: &crate::net::Head) -> Option<String> {
    head.header("x-request-id").or_else(|| head.header("request-id")).map(str::to_owned)
}

/// Four bytes a token: what providers that do not count are taken for.
fn estimate(request: &Request, reply: &Reply) -> Usage {
    let tokens = |bytes: usize| bytes.div_ceil(4) as u64;
    let asked: u64 = request.messages.iter().map(|m| tokens(m.content.text().len())).sum();
    let answered: usize = reply.tool_calls.iter().map(|c| c.arguments_json.len()).sum::<usize>()
        + reply.content.len()
        + reply.thinking.len();
    Usage {
        prompt_tokens: asked,
        completion_tokens: tokens(answered),
        estimated: true,
        ..Usage::default()
    }
}

/// A number in 0..1 that differs between calls: jitter needs no more.
fn random() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    (RandomState::new().hash_one(0u8) >> 11) as f64 / (1u64 << 53) as f64
}

/// Whether a request asks for structured output, and by which schema.
pub fn schema_of(format: Option<&Format>) -> Option<&Value> {
    match format {
        Some(Format::Schema { schema, .. }) => Some(schema),
        _ => None,
    }
}
