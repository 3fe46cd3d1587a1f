//! What lies in logs of the store, page by page, for a machine that goes on with it.

use std::collections::VecDeque;

use super::{Recorded, Recorders, Stamp, stamp};
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::Token;
use crate::store::{Pending, Question, Range, Record, Space};

/// Events asked for at once.
const PAGE: usize = 500;

pub enum Page<T> {
    /// To be asked again when the machine is woken.
    Waits,
    Some(T),
    End,
}

/// What a log has, with where it lies.
pub struct Found {
    pub log: String,
    pub events: Vec<(Stamp, Recorded)>,
}

#[derive(Default)]
pub struct Gather {
    logs: VecDeque<String>,
    asked: Option<Pending>,
    /// Where the next page begins.
    after: Option<Vec<u8>>,
    /// The log is not known to be there.
    unsure: bool,
}

impl Gather {
    pub fn of(logs: Vec<String>) -> Gather {
        Gather { logs: logs.into(), ..Gather::default() }
    }

    /// A log that nobody may have written.
    pub fn unsure(log: String) -> Gather {
        Gather { unsure: true, ..Gather::of(vec![log]) }
    }

    /// There is nothing to ask for.
    pub fn is_done(&self) -> bool {
        self.logs.is_empty()
    }

    pub fn next(&mut self, runtime: &mut Runtime, me: Token) -> Result<Page<Found>> {
        let Some(log) = self.logs.front().cloned() else { return Ok(Page::End) };
        if self.asked.is_none() {
            self.asked = Some(ask(runtime, me, self.question(&log))?);
        }
        let Some(answer) = self.asked.as_ref().and_then(Pending::take) else {
            return Ok(Page::Waits);
        };
        self.asked = None;
        if std::mem::take(&mut self.unsure) {
            let found = answer?.records()?.into_iter().flatten().next();
            found.ok_or_else(|| not_found(&log))?;
            return self.next(runtime, me);
        }
        self.found(log, answer?.page()?).map(Page::Some)
    }

    fn found(&mut self, log: String, page: Vec<(Vec<u8>, Record)>) -> Result<Found> {
        self.after = self.range(&log).next(&page);
        if self.after.is_none() {
            self.logs.pop_front();
        }
        let event = |(key, record): (Vec<u8>, Record)| {
            let stamp = Stamp::of(&key).unwrap_or_default();
            Recorded::from_bytes(&record.bytes).map(|event| (stamp, event))
        };
        let events = page.into_iter().map(event).collect::<Result<_>>()?;
        Ok(Found { log, events })
    }

    fn question(&self, log: &str) -> Question {
        match self.unsure {
            true => Question::Get { space: Space::Events, keys: vec![stamp::log_key(log)] },
            false => Question::Scan(self.range(log)),
        }
    }

    fn range(&self, log: &str) -> Range {
        let (prefix, after) = (stamp::prefix(log), self.after.clone());
        Range { space: Space::Events, prefix, after, limit: PAGE }
    }
}

impl Recorders {
    /// What was recorded by the one of that id or name, or by all of this instance: numbers of those
    /// that are here, and what is to be looked for in the store.
    pub(super) fn reach(&self, key: Option<&str>, backed: bool) -> Result<(Vec<u64>, Gather)> {
        let found = match key {
            Some(key) => self.all.find(key)?.map(|number| vec![number]),
            None => Some(self.all.iter().map(|(number, _)| number).collect()),
        };
        match (found, key) {
            (Some(numbers), _) if backed => {
                let logs = self.logs(&numbers);
                Ok((numbers, Gather::of(logs)))
            }
            (Some(numbers), _) => Ok((numbers, Gather::default())),
            (None, Some(name)) if backed => Ok((Vec::new(), Gather::unsure(name.to_owned()))),
            (None, name) => Err(not_found(name.unwrap_or_default())),
        }
    }
}

pub fn not_found(recorder: &str) -> Error {
    Error::not_found("recorder", recorder)
}

/// Asks the store, which `configure` may have taken away since somebody saw one.
pub fn ask(runtime: &mut Runtime, me: Token, question: Question) -> Result<Pending> {
    let waker = runtime.tasks.waker(me)?;
    if runtime.store.place().is_memory() {
        return Err(Error::state(
            "configure{store=} took the store away in the middle of the call",
        ));
    }
    Ok(runtime.store.shared(&runtime.clock).ask(question, waker))
}
