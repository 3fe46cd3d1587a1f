//! Questions whose answers are documents, as one machine: asked, repeated where that may help, and
//! asked on until everything is known.

use serde_json::{Map, Value};

use super::attempts::{Attempts, Due, Reader};
use super::instance::Ended;
use super::options;
use super::question::{Found, Question};
use super::reach::Reach;
use super::whom::Whom;
use crate::chat::Usage;
use crate::clock::Moment;
use crate::error::{Code, Error, Result};
use crate::meter::{Exchanged, Series};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Raised, Returned, Step, Token, stopped};
use crate::value::{Data, Record};

/// What there is to find out.
pub trait Subject {
    /// How the operation is called.
    const NAME: &'static str;

    /// What it asks which model, where times and tokens of that are counted.
    fn metered(&self) -> Option<(&'static str, &str)> {
        None
    }

    /// The next question; none: everything is known.
    fn question(&self) -> Option<Question<'_>>;

    /// Looks for the answers in the store; the moment until which that is to be waited for.
    fn look_in_store(&mut self, _: &mut Runtime, _: Token) -> Result<Option<Moment>> {
        Ok(None)
    }

    /// Takes the answer to it.
    fn learn(&mut self, found: Found) -> Result<()>;

    /// Takes a failure for an answer, if it can do without one.
    fn excuse(&mut self, error: Error) -> Result<()> {
        Err(error)
    }

    /// What is known where the rest fails.
    fn partial(&mut self) -> Option<Data> {
        None
    }

    /// What the answers cost.
    fn used(&self) -> Usage {
        Usage::default()
    }

    /// Everything is known.
    fn result(&mut self, runtime: &mut Runtime) -> Data;
}

pub struct Inquiry<S> {
    subject: S,
    whom: Whom,
    provider: String,
    kind: &'static str,
    started: Moment,
    /// None where nobody has to be asked.
    attempts: Option<Box<Attempts>>,
    /// Something was sent, which counts once it has ended.
    open: bool,
}

impl<S: Subject + 'static> Inquiry<S> {
    pub fn new(
        runtime: &mut Runtime,
        whom: Whom,
        subject: S,
        call: &Map<String, Value>,
        reach: &Reach,
        total: Option<Moment>,
    ) -> Result<Inquiry<S>> {
        let provider = runtime.providers.ask(&whom)?;
        let (mut attempts, started) = (None, runtime.clock.now());
        if subject.question().is_some() {
            let all = options::lay([&runtime.config.http, &provider.options, call]);
            let network = options::network(&all, total);
            let clock = &runtime.clock;
            attempts = Some(Box::new(Attempts::of(provider, &network, reach, clock)?));
        }
        let (provider, kind) = (provider.id.clone(), provider.row.name);
        Ok(Inquiry { provider, kind, started, subject, whom, attempts, open: false })
    }

    pub fn operation(self, deadline: Option<Moment>) -> Operation {
        let subject = self.provider.clone();
        Operation { name: S::NAME, subject, machine: Box::new(self), deadline }
    }

    fn go_on(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let Some(attempts) = &mut self.attempts else { return Ok(self.conclude(runtime)) };
        attempts.rearm();
        if let Some(until) = self.subject.look_in_store(runtime, me)? {
            return Ok(Step::Wait(Some(until)));
        }
        match attempts.due(runtime) {
            Due::Send => self.ask(runtime, me),
            Due::Wait(until) => Ok(Step::Wait(Some(until))),
            Due::Look => self.look(runtime, me),
        }
    }

    /// Asks what is still to be asked.
    fn ask(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        match (&mut self.attempts, self.subject.question()) {
            (Some(attempts), Some(question)) => {
                let step = attempts.send(runtime, me, question, Reader::default())?;
                // Who waits for a turn has sent nothing yet.
                self.open |= attempts.count > 0;
                Ok(step)
            }
            _ => Ok(self.conclude(runtime)),
        }
    }

    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let Some(attempts) = &mut self.attempts else { return Ok(Step::Wait(None)) };
        let end = attempts.inbox.lock().end.take();
        match end {
            None => Ok(Step::Wait(None)),
            Some(Err(error)) => match self.subject.excuse(error) {
                Err(error) => {
                    let model = self.subject.metered().map_or("", |(_, model)| model);
                    attempts.again(runtime, (&self.provider, model), error)
                }
                Ok(()) => {
                    attempts.over();
                    self.ask(runtime, me)
                }
            },
            Some(Ok(())) => {
                attempts.over();
                self.subject.learn(attempts.found()?)?;
                attempts.count = 0;
                self.ask(runtime, me)
            }
        }
    }

    /// A transport of the user's has said something.
    fn heard(&mut self, runtime: &Runtime, bytes: &[u8]) -> Step {
        let Some(attempts) = &mut self.attempts else { return Step::Wait(None) };
        attempts.hear(runtime, bytes);
        attempts.listen()
    }

    fn heard_all(
        &mut self,
        runtime: &mut Runtime,
        me: Token,
        said: std::result::Result<Returned, Raised>,
    ) -> Result<Step> {
        if let Some(attempts) = &mut self.attempts {
            attempts.heard_all(runtime, said);
        }
        self.go_on(runtime, me)
    }

    /// Counts what was sent, once.
    fn record(&mut self, runtime: &mut Runtime, ended: Ended<'_>) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        if let Some((operation, model)) = self.subject.metered() {
            let series = Series { operation, provider: self.kind, model: model.to_owned() };
            let duration_ms = runtime.clock.now().ms_since(self.started);
            let instance = &self.provider;
            let ended = ended.usage();
            let first_ms = None;
            runtime.meter.exchanged(Exchanged { series, instance, duration_ms, first_ms, ended });
        }
        if let Some(provider) = runtime.providers.asked(&self.whom, &self.provider) {
            provider.record(ended);
        }
    }

    fn conclude(&mut self, runtime: &mut Runtime) -> Step {
        self.record(runtime, Ended::Answered(self.subject.used()));
        Step::Done(Output::Data(self.subject.result(runtime)))
    }

    /// The caller ends it: that is no fault of the provider.
    fn stop(&mut self, runtime: &mut Runtime, error: &Error) {
        if let Some(attempts) = &mut self.attempts {
            attempts.hang_up();
        }
        self.record(runtime, Ended::Stopped(error));
    }

    fn complete(&mut self, error: Error) -> Error {
        let Some(attempts) = &self.attempts else { return error };
        let partial = self.subject.partial();
        attempts.complete(error, &self.provider).with(|f| f.partial = f.partial.take().or(partial))
    }
}

impl<S: Subject + 'static> Machine for Inquiry<S> {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        let result = match outcome {
            Outcome::Start | Outcome::Ready => self.go_on(runtime, me),
            Outcome::Heard(bytes) => Ok(self.heard(runtime, &bytes)),
            Outcome::Returned(returned) => self.heard_all(runtime, me, Ok(returned)),
            Outcome::Raised(raised) => self.heard_all(runtime, me, Err(raised)),
            Outcome::Stop(stop) => {
                let error = stopped(&stop, "the request");
                self.stop(runtime, &error);
                Err(error)
            }
            _ => Err(Error::internal("nothing was called")),
        };
        if matches!(result, Ok(Step::Done(_))) {
            runtime.tasks.spend(me, &self.subject.used());
        }
        result.map_err(|error| {
            let error = self.complete(error);
            self.record(runtime, Ended::Failed(&error));
            error
        })
    }

    fn about(&self, _: &Runtime) -> Record {
        let model = self.subject.metered().map(|(_, model)| model);
        Record::new()
            .set("provider", self.provider.as_str())
            .set("model", model.filter(|model| !model.is_empty()))
            .set("operation", S::NAME.trim_start_matches("provider_"))
    }

    fn told_of(&self, _: &Output) -> Record {
        let attempts = self.attempts.as_ref().map(|attempts| attempts.count);
        Record::new().set("usage", self.subject.used().to_record()).set("attempts", attempts)
    }

    fn abandon(&mut self, runtime: &mut Runtime, _: Token) {
        self.stop(runtime, &Error::new(Code::Cancelled, "the request was abandoned"));
    }
}
