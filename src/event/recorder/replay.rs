//! Recorded events told again, one after another.

use std::collections::VecDeque;
use std::path::PathBuf;

use super::gather::{Gather, Page, not_found};
use super::reading::Reading;
use super::{Criteria, Recorded, Stamp};
use crate::clock::Moment;
use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;
use crate::step::{Call, Machine, Operation, Outcome, Output, Step, Token, stopped};
use crate::value::{Data, Slot};

/// What is to be told.
pub struct Replaying {
    /// Id or name of a recorder, or a path.
    pub what: String,
    /// The same as the path it would be.
    pub path: PathBuf,
    pub criteria: Criteria,
    /// In the place of all who hear of events.
    pub callback: Option<Slot>,
    pub limit: u64,
    /// How many times as fast as it happened; none: as fast as can be.
    pub speed: Option<f64>,
    pub deadline: Option<Moment>,
}

pub struct Replay {
    asked: Replaying,
    source: Source,
    ready: VecDeque<Recorded>,
    /// When the first event was told, and when it had happened.
    began: Option<(Moment, f64)>,
    /// What happens from now on is not part of it.
    until: Stamp,
    count: u64,
}

enum Source {
    Log(Gather),
    /// It may be a file as well.
    Perhaps(Gather),
    File(Box<Reading>),
}

impl Replay {
    pub fn operation(asked: Replaying) -> Operation {
        let deadline = asked.deadline;
        let replay = Replay {
            asked,
            source: Source::Log(Gather::default()),
            ready: VecDeque::new(),
            began: None,
            until: Stamp::default(),
            count: 0,
        };
        Operation { deadline, ..Operation::new("event_replay", replay) }
    }

    fn begin(&mut self, runtime: &mut Runtime) -> Result<()> {
        let backed = !runtime.store.place().is_memory();
        let recorders = &mut runtime.events.recorders;
        self.until = recorders.stamp(&runtime.clock);
        let Some(number) = recorders.all.find(&self.asked.what)? else {
            self.source = match backed {
                true => Source::Perhaps(Gather::unsure(self.asked.what.clone())),
                false => self.file(),
            };
            return Ok(());
        };
        if let Some(recorder) = recorders.all.get(number) {
            self.ready = recorder.ring.iter().map(|(_, event)| event.clone()).collect();
        }
        let logs = if backed { recorders.logs(&[number]) } else { Vec::new() };
        self.source = Source::Log(Gather::of(logs));
        self.choose()
    }

    fn file(&self) -> Source {
        Source::File(Box::new(Reading::of(self.asked.path.clone())))
    }

    /// Keeps those that are meant.
    fn choose(&mut self) -> Result<()> {
        for event in std::mem::take(&mut self.ready) {
            if self.asked.criteria.take(&event)? {
                self.ready.push_back(event);
            }
        }
        Ok(())
    }

    fn go_on(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        loop {
            if self.count >= self.asked.limit {
                return Ok(self.end());
            }
            if let Some(event) = self.ready.front() {
                let due = self.due(event, runtime.clock.now());
                if due.is_some_and(|due| due > runtime.clock.now()) {
                    return Ok(Step::Wait(due));
                }
                return self.tell(runtime);
            }
            match self.more(runtime, me)? {
                Page::Waits => return Ok(Step::Wait(None)),
                Page::End => return Ok(self.end()),
                Page::Some(events) => {
                    self.ready = events.into();
                    self.choose()?;
                }
            }
        }
    }

    fn more(&mut self, runtime: &mut Runtime, me: Token) -> Result<Page<Vec<Recorded>>> {
        let (perhaps, page) = match &mut self.source {
            Source::File(reading) => {
                let page = reading.next(runtime, me);
                return page.map_err(|error| self.missing(error));
            }
            Source::Log(gather) => (false, gather.next(runtime, me)),
            Source::Perhaps(gather) => (true, gather.next(runtime, me)),
        };
        match page {
            Err(error) if perhaps && error.code() == Code::NotFound => {
                self.source = self.file();
                Ok(Page::Some(Vec::new()))
            }
            Err(error) => Err(error),
            Ok(Page::Waits) => Ok(Page::Waits),
            Ok(Page::End) => Ok(Page::End),
            Ok(Page::Some(found)) => {
                let until = self.until;
                let before = found.events.into_iter().filter(|(stamp, _)| stamp.is_before(until));
                Ok(Page::Some(before.map(|(_, event)| event).collect()))
            }
        }
    }

    /// What is not called as a file is a recorder that is not there.
    fn missing(&self, error: Error) -> Error {
        let reason = error.fields().details.as_ref().and_then(|details| details["reason"].as_str());
        let called = self.asked.what.contains(['/', '.']);
        if reason == Some("not_found") && !called { not_found(&self.asked.what) } else { error }
    }

    /// When an event is to be told.
    fn due(&self, event: &Recorded, now: Moment) -> Option<Moment> {
        let ((began, first), speed) = (self.began?, self.asked.speed?);
        let later = (event.timestamp()? - first) * 1e3 / speed;
        Some(if later > 0.0 { began.after_float_ms(later) } else { now })
    }

    fn tell(&mut self, runtime: &mut Runtime) -> Result<Step> {
        let Some(event) = self.ready.pop_front() else { return Ok(self.end()) };
        if self.began.is_none() && self.asked.speed.is_some() {
            self.began = event.timestamp().map(|first| (runtime.clock.now(), first));
        }
        self.count += 1;
        let emitter = || Error::internal("nobody tells events");
        let function =
            self.asked.callback.clone().or_else(|| runtime.events.recorders.emitter.clone());
        let event = Data::from(event.document(true)?);
        Ok(Step::Call(Call::new(function.ok_or_else(emitter)?, event)))
    }

    fn end(&self) -> Step {
        let results = vec![Data::Bool(true), Data::from(self.count)];
        Step::Done(Output::Data(Data::Many(results)))
    }
}

impl Machine for Replay {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Start => self.begin(runtime)?,
            Outcome::Stop(stop) => return Err(stopped(&stop, "the replay")),
            Outcome::Raised(raised) => return Err(raised.into_error("the callback of the replay")),
            _ => {}
        }
        self.go_on(runtime, me)
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
