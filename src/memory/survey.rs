//! Goes through the entries of a store that are meant, page by page.

use super::{Entry, Selection};
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step, Token, stopped};
use crate::store::{Answer, Pending, Question, Range, Space};
use crate::value::Data;

/// Entries asked for at once.
const PAGE: usize = 500;

pub type See<T> = fn(&mut T, &[u8], Entry);
pub type Finish<T> = fn(T, &mut Runtime) -> Result<Data>;

/// Shows every entry to `see`, which collects; what `finish` makes of that is the end.
pub struct Survey<T> {
    name: &'static str,
    selection: Selection,
    after: Option<Vec<u8>>,
    pending: Option<Pending>,
    collected: Option<T>,
    see: See<T>,
    finish: Finish<T>,
}

impl<T: 'static> Survey<T> {
    pub fn operation(
        name: &'static str,
        selection: Selection,
        collected: T,
        see: See<T>,
        finish: Finish<T>,
    ) -> Operation {
        let survey = Survey {
            name,
            selection,
            after: None,
            pending: None,
            collected: Some(collected),
            see,
            finish,
        };
        Operation { name, subject: String::new(), machine: Box::new(survey), deadline: None }
    }

    fn ask(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let waker = runtime.tasks.waker(me)?;
        let range = Range {
            space: Space::Memory,
            prefix: self.selection.prefix.clone(),
            after: self.after.take(),
            limit: PAGE,
        };
        self.pending = runtime.backing().map(|store| store.ask(Question::Scan(range), waker));
        self.look(runtime, me)
    }

    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        match self.pending.as_ref().map(Pending::take) {
            Some(None) => Ok(Step::Wait(None)),
            Some(Some(answer)) => {
                self.pending = None;
                self.page(runtime, me, answer?)
            }
            None => self.end(runtime),
        }
    }

    fn page(&mut self, runtime: &mut Runtime, me: Token, answer: Answer) -> Result<Step> {
        let Answer::Page(page) = answer else {
            return Err(Error::internal("the store answered something else"));
        };
        let last = page.last().filter(|_| page.len() == PAGE).map(|(key, _)| key.clone());
        for (key, record) in page {
            let entry = Entry::from_bytes(&record.bytes, record.version, record.expires_at)?;
            if let Some(collected) = self.collected.as_mut()
                && self.selection.takes(&key, &entry)
            {
                (self.see)(collected, &key, entry);
            }
        }
        self.after = last;
        if self.after.is_some() { self.ask(runtime, me) } else { self.end(runtime) }
    }

    fn end(&mut self, runtime: &mut Runtime) -> Result<Step> {
        let collected = self.collected.take().ok_or_else(|| Error::internal("ended twice"))?;
        Ok(Step::Done(Output::Data((self.finish)(collected, runtime)?)))
    }
}

impl<T: 'static> Machine for Survey<T> {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Start => self.ask(runtime, me),
            Outcome::Stop(stop) => Err(stopped(&stop, self.name)),
            _ => self.look(runtime, me),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
