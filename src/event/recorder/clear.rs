//! Recorded events are forgotten.

use std::collections::BTreeSet;

use super::gather::{Found, Gather, Page, ask};
use super::{Criteria, Recorders, Stamp, stamp};
use crate::error::Result;
use crate::event::{Events, Pattern, Subscriptions};
use crate::runtime::Runtime;
use crate::step::{Face, Machine, Operation, Outcome, Output, Ready, Step, Token, stopped};
use crate::store::{Durability, Pending, Question};
use crate::value::Data;

/// What goes besides recorded events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Widened {
    pub subscriptions: bool,
    pub filters: bool,
    pub recorders: bool,
}

pub struct Clear {
    criteria: Criteria,
    gather: Gather,
    committing: Option<Pending>,
    widened: Widened,
    /// Every event once, whoever had it.
    gone: BTreeSet<Stamp>,
}

impl Clear {
    /// Of one recorder, by its id or name, or of all of this instance.
    pub fn ready(
        runtime: &mut Runtime,
        recorder: Option<&str>,
        pattern: Option<Pattern>,
        widened: Widened,
        face: Face,
    ) -> Result<Ready> {
        let backed = !runtime.store.place().is_memory();
        let recorders = &mut runtime.events.recorders;
        let (numbers, gather) = recorders.reach(recorder, backed)?;
        let criteria = Criteria::of(pattern);
        let gone = recorders.forget(&numbers, &criteria)?;
        let mut clear = Clear { criteria, gather, committing: None, widened, gone };
        if clear.gather.is_done() {
            return Ok(Ready::now("event_clear", face, clear.result(runtime)));
        }
        Ok(Ready::waits(Operation::new("event_clear", clear), face))
    }

    fn result(&mut self, runtime: &mut Runtime) -> Data {
        let others = runtime.events.forget(self.criteria.pattern.as_ref(), self.widened);
        let count = self.gone.len() as u64 + others;
        Data::Many(vec![Data::Bool(true), Data::from(count)])
    }

    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        loop {
            if let Some(committing) = &self.committing {
                let Some(done) = committing.take() else { return Ok(Step::Wait(None)) };
                self.committing = None;
                done?;
            }
            match self.gather.next(runtime, me)? {
                Page::Waits => return Ok(Step::Wait(None)),
                Page::End => return Ok(Step::Done(Output::Data(self.result(runtime)))),
                Page::Some(page) => self.remove(runtime, me, &page)?,
            }
        }
    }

    fn remove(&mut self, runtime: &mut Runtime, me: Token, page: &Found) -> Result<()> {
        let mut writes = Vec::new();
        for (stamp, event) in &page.events {
            if self.criteria.take(event)? {
                self.gone.insert(*stamp);
                writes.push(stamp::remove(&page.log, *stamp));
            }
        }
        if !writes.is_empty() {
            runtime.events.recorders.removed(&page.log, &self.gone);
            let question = Question::Commit { writes, durability: Durability::Batched };
            self.committing = Some(ask(runtime, me, question)?);
        }
        Ok(())
    }
}

/// Whether a pattern covers another one, as it was said; none covers all.
fn covers(pattern: Option<&Pattern>, said: &str) -> bool {
    pattern.is_none_or(|pattern| pattern.matches(said))
}

fn remove(from: &mut Subscriptions, pattern: Option<&Pattern>) -> u64 {
    let covered = from.iter().filter(|(_, one)| covers(pattern, &one.pattern));
    let numbers: Vec<u64> = covered.map(|(number, _)| number).collect();
    numbers.into_iter().filter_map(|number| from.remove(number)).count() as u64
}

impl Events {
    /// Those go whose pattern is covered by the one given; gives how many.
    fn forget(&mut self, pattern: Option<&Pattern>, what: Widened) -> u64 {
        let mut count = self.recorders.tidy(pattern, what.recorders);
        if what.subscriptions {
            count += remove(&mut self.subscriptions, pattern);
        }
        if what.filters {
            count += remove(&mut self.filters, pattern);
        }
        if count > 0 {
            self.changed();
        }
        count
    }
}

impl Recorders {
    /// Takes events out of rings.
    fn forget(&mut self, numbers: &[u64], criteria: &Criteria) -> Result<BTreeSet<Stamp>> {
        let mut gone = BTreeSet::new();
        for number in numbers {
            let Some(recorder) = self.all.get_mut(*number) else { continue };
            for (stamp, event) in std::mem::take(&mut recorder.ring) {
                if criteria.take(&event)? {
                    gone.insert(stamp);
                } else {
                    recorder.ring.push_back((stamp, event));
                }
            }
        }
        Ok(gone)
    }

    /// A log has these no more.
    fn removed(&mut self, log: &str, gone: &BTreeSet<Stamp>) {
        let numbers: Vec<u64> = self.all.iter().map(|(number, _)| number).collect();
        for number in numbers {
            let recorder = self.all.get_mut(number);
            let own = recorder.and_then(|recorder| recorder.log.as_mut());
            if let Some(own) = own.filter(|own| own.name == log) {
                own.stamps.retain(|stamp| !gone.contains(stamp));
            }
        }
    }

    /// Those go that have stopped and hold nothing; and `all` whose pattern is covered by the one
    /// given. Gives how many went because that was wanted.
    fn tidy(&mut self, pattern: Option<&Pattern>, all: bool) -> u64 {
        let mut removed = 0;
        let gone: Vec<(u64, bool)> = self
            .all
            .iter()
            .map(|(number, recorder)| (number, recorder, all && covers(pattern, &recorder.said)))
            .filter(|(_, recorder, wanted)| *wanted || recorder.is_empty())
            .map(|(number, _, wanted)| (number, wanted))
            .collect();
        for (number, wanted) in gone {
            self.remove(number);
            removed += u64::from(wanted);
        }
        removed
    }
}

impl super::Recorder {
    /// It has stopped, and holds nothing that is known here.
    fn is_empty(&self) -> bool {
        let logged = self.log.as_ref().is_some_and(|log| !log.stamps.is_empty());
        !self.running && self.ring.is_empty() && !logged
    }
}

impl Machine for Clear {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Stop(stop) => Err(stopped(&stop, "forgetting recorded events")),
            _ => self.look(runtime, me),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
