//! Recorded events that fit, in their order, each once.

use super::gather::{Gather, Page};
use super::{Criteria, Recorded, Stamp};
use crate::error::Result;
use crate::runtime::Runtime;
use crate::step::{Face, Machine, Operation, Outcome, Output, Ready, Step, Token, stopped};
use crate::value::Data;

struct Query {
    criteria: Criteria,
    limit: usize,
    gather: Gather,
    found: Vec<(Stamp, Recorded)>,
}

/// Asks one recorder, by its id or name, or all of this instance.
pub fn query(
    runtime: &mut Runtime,
    recorder: Option<&str>,
    criteria: Criteria,
    limit: usize,
    face: Face,
) -> Result<Ready> {
    let backed = !runtime.store.place().is_memory();
    let recorders = &runtime.events.recorders;
    let (numbers, gather) = recorders.reach(recorder, backed)?;
    let mut query = Query { criteria, limit, gather, found: Vec::new() };
    let all = numbers.into_iter().filter_map(|n| recorders.all.get(n));
    for (stamp, event) in all.flat_map(|recorder| &recorder.ring) {
        query.see(*stamp, event)?;
    }
    if query.gather.is_done() {
        return Ok(Ready::now("event_filter", face, query.result()?));
    }
    Ok(Ready::waits(Operation::new("event_filter", query), face))
}

impl Query {
    fn see(&mut self, stamp: Stamp, event: &Recorded) -> Result<()> {
        if self.criteria.take(event)? {
            self.found.push((stamp, event.clone()));
        }
        Ok(())
    }

    fn result(&mut self) -> Result<Data> {
        self.found.sort_by_key(|(stamp, _)| *stamp);
        self.found.dedup_by_key(|(stamp, _)| *stamp);
        let first = self.found.iter().take(self.limit);
        let all = first.map(|(_, event)| event.document(false).map(Data::from));
        all.collect::<Result<_>>().map(Data::List)
    }

    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        loop {
            match self.gather.next(runtime, me)? {
                Page::Waits => return Ok(Step::Wait(None)),
                Page::End => return Ok(Step::Done(Output::Data(self.result()?))),
                Page::Some(page) => {
                    for (stamp, event) in &page.events {
                        self.see(*stamp, event)?;
                    }
                }
            }
        }
    }
}

impl Machine for Query {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Stop(stop) => Err(stopped(&stop, "looking for recorded events")),
            _ => self.look(runtime, me),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
