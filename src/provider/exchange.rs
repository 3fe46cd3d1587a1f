//! One question to a provider, from the first request through retries to the answer.

use std::task::Poll;

use serde_json::{Map, Value, json};

use super::attempts::{Due, Reader};
use super::fallback::Others;
use super::instance::Ended;
use super::question::{Found, Question};
use super::reach::Reach;
use super::recall;
use super::retried::Retried;
use super::stored::Lookup;
use super::structured;
use super::target::Target;
use super::whom::Whom;
use crate::chat::{Answer, Delta, Finish, Reply, Request, Usage, estimate, kept};
use crate::chunk::{Chunk, End};
use crate::clock::Moment;
use crate::error::{Code, Error, Result};
use crate::meter::{Exchanged, Series};
use crate::optimize::Recall;
use crate::runtime::Runtime;
use crate::step::{
    Given, Machine, Operation, Outcome, Output, Raised, Returned, Step, Stop, Token, stopped,
};
use crate::value::{Data, Record};

mod hooked;
mod spent;

/// What is asked, of whom and how.
#[derive(Clone)]
pub struct Ask {
    pub whom: Whom,
    pub request: Request,
    /// Laid over each other, the provider's own not included.
    pub options: Map<String, Value>,
    /// The same of those that are no plain data.
    pub reach: Reach,
    /// Somebody reads chunks.
    pub follow: bool,
    /// Agent runs: the round. Their streams end with the run, not with the answer.
    pub iteration: Option<u32>,
    /// Structured output that does not fit is an error; otherwise the answer says so.
    pub strict: bool,
}

pub struct Exchange {
    ask: Ask,
    /// Id of the provider that the call names.
    main: String,
    /// The one that is asked now.
    target: Target,
    others: Others,
    /// End of the whole call.
    total: Option<Moment>,
    stage: Stage,
    chunk: Option<Chunk>,
    answer: Option<Box<Answer>>,
    /// As what the answer is kept.
    recall: Option<Recall>,
    /// What the store has.
    lookup: Lookup,
    /// A chunk has gone out.
    delivered: bool,
    /// A chunk is on its way.
    emitting: bool,
    /// In the provider's counts.
    recorded: bool,
    /// Entered as a question with the runs around it.
    stepped: bool,
    /// What requests have used that had to be repeated.
    wasted: Usage,
    started: Moment,
    last_chunk: Option<Moment>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// Asking a server without a configured model which ones it has.
    Listing,
    Asking,
    /// A kept answer is delivered.
    Replaying,
    /// The last chunk is out; the answer follows.
    Ending,
}

impl Exchange {
    /// Checks everything that can be checked without asking anybody.
    pub fn new(runtime: &mut Runtime, mut ask: Ask, total: Option<Moment>) -> Result<Exchange> {
        ask.request.stream = true;
        let reach = runtime.providers.ask(&ask.whom)?.reach.under(&ask.reach);
        let mut others = Others::new(reach.fallback());
        let target = Target::first(runtime, &ask, &mut others, total);
        let target = target.map_err(|error| others.told(error))?;
        let mut exchange = Exchange {
            main: runtime.providers.ask(&ask.whom)?.id.clone(),
            target,
            others,
            total,
            stage: Stage::Asking,
            started: runtime.clock.now(),
            ask,
            chunk: None,
            answer: None,
            recall: None,
            lookup: Lookup::Not,
            delivered: false,
            emitting: false,
            recorded: false,
            stepped: false,
            wasted: Usage::default(),
            last_chunk: None,
        };
        exchange.begin();
        exchange.look_up(runtime)?;
        Ok(exchange)
    }

    /// An answer to the same question may have been kept.
    fn look_up(&mut self, runtime: &mut Runtime) -> Result<()> {
        self.recall = recall::chat(runtime, &self.ask, &self.target)?;
        self.answer = self.recall.as_ref().and_then(|recall| recall::find(runtime, recall));
        if self.answer.is_some() {
            self.stage = Stage::Replaying;
        }
        Ok(())
    }

    /// The store may have the answer; then nobody is asked.
    fn look_in_store(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let found = self.lookup.look(runtime, me, self.recall.as_mut(), kept::read)?;
        let Poll::Ready(found) = found else { return Ok(Step::Wait(self.lookup.end())) };
        let Some(answer) = found else { return self.go_on(runtime, me) };
        self.answer = self.recall.take().map(|recall| recall::adopt(runtime, recall, &answer));
        self.stage = Stage::Replaying;
        self.replay(runtime)
    }

    /// A kept answer goes out in one piece.
    fn replay(&mut self, runtime: &Runtime) -> Result<Step> {
        let Some(answer) = &mut self.answer else {
            return Err(Error::internal("no answer was kept"));
        };
        answer.latency_ms = runtime.clock.now().ms_since(self.started);
        let delta = Delta::from(&answer.reply);
        match self.ask.follow && !self.delivered && !delta.is_empty() {
            true => Ok(self.emit(runtime, delta)),
            false => self.replayed(),
        }
    }

    fn replayed(&mut self) -> Result<Step> {
        let answer = self.answer.take();
        answer.map(|answer| self.conclude(*answer)).ok_or_else(|| Error::internal("no answer"))
    }

    /// What the request says depends on who is asked.
    fn begin(&mut self) {
        let target = &mut self.target;
        self.ask.request.settings = std::mem::take(&mut target.settings);
        self.ask.request.model = target.model.clone();
        let listing = target.model.is_empty() && target.attempts.has_server();
        self.stage = if listing { Stage::Listing } else { Stage::Asking };
        self.recorded = false;
    }

    pub fn operation(self, deadline: Option<Moment>) -> Operation {
        let subject = self.main.clone();
        Operation { name: "provider_request", subject, machine: Box::new(self), deadline }
    }

    /// Sends the request that the stage calls for.
    fn send(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        self.count_step(runtime, me);
        let question = match self.stage {
            Stage::Listing => Question::Models(None),
            Stage::Asking | Stage::Replaying | Stage::Ending => Question::Chat(&self.ask.request),
        };
        let reader = Reader { follows: self.ask.follow, keeps_raw: self.keeps_raw() };
        let sent = self.target.attempts.send(runtime, me, question, reader);
        sent.map_err(|error| self.finish_error(runtime, error))
    }

    fn keeps_raw(&self) -> bool {
        self.ask.options.get("raw") == Some(&json!(true))
    }

    /// Goes on with the provider that is asked now, or else with the next one.
    fn go_on(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        loop {
            match self.proceed(runtime, me) {
                Err(error) => self.pass_on(runtime, error)?,
                step => return step,
            }
        }
    }

    fn proceed(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        match self.target.attempts.due(runtime) {
            Due::Send => self.send(runtime, me),
            Due::Wait(until) => Ok(Step::Wait(Some(until))),
            Due::Look => self.look(runtime, me),
        }
    }

    /// Turns to the next provider; the error if there is none that might do better. A piece that is
    /// out cannot be taken back.
    fn pass_on(&mut self, runtime: &mut Runtime, error: Error) -> Result<()> {
        if self.delivered || !self.others.help(&error) {
            return Err(error);
        }
        self.record(runtime, Ended::Failed(&error));
        self.waste(runtime);
        let why = error.clone();
        let next = self.others.after(error, Some(&self.target.model))?;
        let (provider, model) = (self.target.id.clone(), self.target.model.clone());
        let attempt = self.target.attempts.count;
        // Another provider's answer is no answer of this one.
        self.recall = None;
        self.target = Target::next(runtime, &self.ask, &mut self.others, next, self.total)?;
        self.begin();
        let retried = Retried { provider: &provider, model: &model, attempt, ms: 0 };
        retried.tell(runtime, Some(&self.target.id), || why);
        Ok(())
    }

    /// Looks at what has arrived. A piece goes out before the end is looked at.
    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        if let Some(step) = self.hold_back(runtime) {
            return Ok(step);
        }
        let following = self.follows();
        let (delta, end) = {
            let mut inbox = self.target.attempts.inbox.lock();
            let delta = std::mem::take(&mut inbox.delta);
            let emit = following && !delta.is_empty();
            (delta, if emit { None } else { inbox.end.take() })
        };
        // Only a sink that was full has stopped its producer.
        self.target.attempts.took(delta.bytes());
        if following && !delta.is_empty() {
            return Ok(self.emit(runtime, delta));
        }
        match end {
            None => Ok(Step::Wait(None)),
            Some(Ok(())) => self.arrived(runtime, me),
            Some(Err(error)) => self.failed(runtime, error),
        }
    }

    fn follows(&self) -> bool {
        self.ask.follow && self.stage == Stage::Asking
    }

    /// While a transport of the user's speaks: what came goes out, or more is wanted.
    fn listen(&mut self, runtime: &Runtime) -> Step {
        if self.hold_back(runtime).is_none() {
            let delta = std::mem::take(&mut self.target.attempts.inbox.lock().delta);
            if self.follows() && !delta.is_empty() {
                return self.emit(runtime, delta);
            }
        }
        self.target.attempts.listen()
    }

    /// The transport has returned, or raised an error.
    fn heard_all(
        &mut self,
        runtime: &mut Runtime,
        me: Token,
        said: std::result::Result<Returned, Raised>,
    ) -> Result<Step> {
        self.target.attempts.heard_all(runtime, said);
        self.go_on(runtime, me)
    }

    /// With `flush_ms` chunks come at most once per interval, except for the last one.
    fn hold_back(&self, runtime: &Runtime) -> Option<Step> {
        let next = self.last_chunk?.after(self.target.flush);
        let early = runtime.clock.now() < next && self.target.attempts.inbox.lock().end.is_none();
        // What comes meanwhile goes out with it.
        if early {
            self.target.attempts.took(0);
        }
        early.then_some(Step::Wait(Some(next)))
    }

    fn emit(&mut self, runtime: &Runtime, delta: Delta) -> Step {
        (self.delivered, self.emitting) = (true, true);
        if !self.target.flush.is_zero() {
            self.last_chunk = Some(runtime.clock.now());
        }
        self.chunk = Some(Chunk { delta, iteration: self.ask.iteration, ..Chunk::default() });
        Step::Emit
    }

    fn arrived(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        self.target.attempts.over();
        if self.stage == Stage::Listing {
            return self.listed(runtime, me);
        }
        let answer = self.answer(runtime, None);
        self.record(runtime, Ended::Answered(answer.usage));
        let answer = structured::check(answer, self.ask.request.settings.format.as_ref());
        if let Some(flaw) = answer.flaw.clone().filter(|_| self.ask.strict) {
            return Err(self.complete(flaw, Some(&answer)));
        }
        if let Some(recall) = self.recall.take() {
            recall::keep(runtime, recall, &answer);
        }
        Ok(self.conclude(answer))
    }

    /// The first model the server lists is the one asked.
    fn listed(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let found = self.target.attempts.found().map_err(|e| self.complete(e, None))?;
        let Found::Models(listing) = found else {
            return Err(Error::internal("no models were listed"));
        };
        self.ask.request.model = listing.first().map_err(|e| self.complete(e, None))?;
        self.stage = Stage::Asking;
        self.target.attempts.count = 0;
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
        self.emitting = true;
        Step::Emit
    }

    fn ending(&mut self) -> Result<Step> {
        let answer = self.answer.take().ok_or_else(|| Error::internal("no answer at the end"))?;
        Ok(Step::Done(Output::Answer(answer)))
    }

    /// Asks again if that may help, or fails.
    fn failed(&mut self, runtime: &mut Runtime, error: Error) -> Result<Step> {
        let retried = match self.delivered {
            true => Err(error),
            false => {
                let who = (self.target.id.as_str(), self.ask.request.model.as_str());
                self.target.attempts.again(runtime, who, error)
            }
        };
        if retried.is_ok() {
            self.waste(runtime);
        }
        retried.map_err(|error| self.finish_error(runtime, error))
    }

    /// Counts this exchange, once, if anything was sent at all.
    fn record(&mut self, runtime: &mut Runtime, ended: Ended<'_>) {
        if self.target.attempts.count == 0 || std::mem::replace(&mut self.recorded, true) {
            return;
        }
        let exchanged = self.exchanged(runtime, &ended);
        runtime.meter.exchanged(exchanged);
        if let Some(provider) = runtime.providers.asked(&self.target.whom, &self.target.id) {
            provider.record(ended);
        }
    }

    fn exchanged<'e>(&'e self, runtime: &Runtime, ended: &'e Ended<'e>) -> Exchanged<'e> {
        let model = self.ask.request.model.clone();
        let first_at = self.target.attempts.inbox.lock().first_at;
        Exchanged {
            series: Series { operation: "chat", provider: self.target.kind, model },
            instance: &self.target.id,
            duration_ms: runtime.clock.now().ms_since(self.started),
            first_ms: first_at.map(|at| at.ms_since(self.started)),
            ended: ended.usage(),
        }
    }

    /// The answer as far as it has come; `finish` overrides how it ended.
    fn answer(&self, runtime: &Runtime, finish: Option<Finish>) -> Answer {
        let request_id = self.target.attempts.request_id();
        let reply = self.target.attempts.reply();
        let inbox = self.target.attempts.inbox.lock();
        let finish = finish.or(reply.finish).unwrap_or_default();
        let now = runtime.clock.now();
        let mut answer = Answer {
            usage: reply.usage.unwrap_or_else(|| estimated(&self.ask.request, &reply)),
            finish_reason: finish.name(),
            provider: self.target.id.clone(),
            model: self.ask.request.model.clone(),
            latency_ms: now.ms_since(self.started),
            ttft_ms: inbox.first_at.map(|at| at.ms_since(self.started)),
            attempts: self.others.requests(self.target.attempts.count),
            request_id,
            created: runtime.clock.unix(),
            raw: self.keeps_raw(),
            reply,
            ..Answer::default()
        };
        self.target.attempts.assess(&self.ask.request, &mut answer);
        answer.usage.add(&self.wasted);
        answer
    }

    fn finish_error(&self, runtime: &Runtime, error: Error) -> Error {
        let finish = (error.code() == Code::Cancelled).then_some(Finish::Cancelled);
        let partial =
            Some(self.answer(runtime, finish)).filter(|answer| has_content(&answer.reply));
        self.complete(error, partial.as_ref())
    }

    /// Adds what this call knows to an error.
    fn complete(&self, error: Error, partial: Option<&Answer>) -> Error {
        self.target
            .attempts
            .complete(error, &self.target.id)
            .with(|f| f.partial = f.partial.take().or_else(|| partial.map(Answer::to_data)))
    }

    /// The caller ends it: that is no fault of the provider.
    fn stop(&mut self, runtime: &mut Runtime, error: Error) -> Error {
        self.target.attempts.hang_up();
        let error = self.finish_error(runtime, error);
        self.record(runtime, Ended::Stopped(&error));
        error
    }

    fn time_out(&mut self, runtime: &Runtime) -> Error {
        self.target.attempts.hang_up();
        self.finish_error(runtime, stopped(&Stop::Deadline, "the request"))
    }

    /// The stream callback wants no more: what arrived so far is the answer.
    fn refuse(&mut self, runtime: &mut Runtime) -> Step {
        self.target.attempts.hang_up();
        if let Some(mut answer) = self.answer.take() {
            answer.finish_reason = Finish::Cancelled.name();
            return Step::Done(Output::Answer(answer));
        }
        let answer = self.answer(runtime, Some(Finish::Cancelled));
        self.record(runtime, Ended::Answered(answer.usage));
        Step::Done(Output::Answer(Box::new(answer)))
    }
}

impl Exchange {
    fn advance(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        let emitting = std::mem::take(&mut self.emitting);
        match outcome {
            Outcome::Heard(bytes) => {
                self.target.attempts.hear(runtime, &bytes);
                Ok(self.listen(runtime))
            }
            Outcome::Emitted if self.target.attempts.is_listening() => Ok(self.listen(runtime)),
            Outcome::Emitted if self.stage == Stage::Ending => self.ending(),
            Outcome::Start | Outcome::Emitted if self.stage == Stage::Replaying => {
                self.replay(runtime)
            }
            Outcome::Start => self.look_in_store(runtime, me),
            Outcome::Ready if self.lookup.end().is_some() => self.look_in_store(runtime, me),
            Outcome::Ready | Outcome::Emitted => self.go_on(runtime, me),
            Outcome::Refused => Ok(self.refuse(runtime)),
            Outcome::Stop(Stop::Deadline) => Err(self.time_out(runtime)),
            Outcome::Stop(stop) => Err(self.stop(runtime, stopped(&stop, "the request"))),
            Outcome::Raised(raised) if emitting => {
                Err(self.stop(runtime, raised.into_error("the stream callback")))
            }
            Outcome::Raised(raised) => self.heard_all(runtime, me, Err(raised)),
            Outcome::Returned(returned) => self.heard_all(runtime, me, Ok(returned)),
            Outcome::Finished(_) => Err(Error::internal("nothing was called")),
        }
    }
}

impl Machine for Exchange {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        self.target.attempts.rearm();
        if matches!(outcome, Outcome::Start) {
            self.check_budgets(runtime, me)?;
        }
        let result = self.advance(runtime, me, outcome);
        self.spend(runtime, me, &result);
        let result = result.inspect_err(|error| self.record(runtime, Ended::Failed(error)));
        result.map_err(|error| self.others.told(error))
    }

    fn chunk(&mut self) -> Option<Chunk> {
        self.chunk.take()
    }

    fn about(&self, _: &Runtime) -> Record {
        self.who()
    }

    fn input(&self) -> Data {
        self.neutral()
    }

    fn replace_input(&mut self, runtime: &mut Runtime, given: &Given<'_>) -> Result<()> {
        self.ask_instead(runtime, given)
    }

    fn replace_output(
        &mut self,
        runtime: &mut Runtime,
        given: &Given<'_>,
        own: Option<Output>,
    ) -> Result<Output> {
        self.answer_instead(runtime, given, own)
    }

    fn told_of(&self, output: &Output) -> Record {
        let Output::Answer(answer) = output else { return Record::new() };
        Record::new()
            .set("usage", answer.usage.to_record())
            .set("attempts", answer.attempts)
            .set("finish_reason", answer.finish_reason)
    }

    fn abandon(&mut self, runtime: &mut Runtime, _: Token) {
        self.target.attempts.hang_up();
        let error = Error::new(Code::Cancelled, "the request was abandoned");
        self.record(runtime, Ended::Stopped(&error));
    }
}

fn has_content(reply: &Reply) -> bool {
    !(reply.content.is_empty() && reply.thinking.is_empty() && reply.tool_calls.is_empty())
}

/// What providers that do not count are taken for.
fn estimated(request: &Request, reply: &Reply) -> Usage {
    let answered: usize = reply.tool_calls.iter().map(|c| c.arguments_json.len()).sum::<usize>()
        + reply.content.len()
        + reply.thinking.len();
    Usage {
        prompt_tokens: estimate::of_all(&request.messages, &request.tools),
        completion_tokens: estimate::of_bytes(answered),
        estimated: true,
        ..Usage::default()
    }
}
