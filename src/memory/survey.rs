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
    /// What is asked for next.
    range: Range,
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
        let prefix = selection.prefix.clone();
        let survey = Survey {
            name,
            selection,
            range: Range { space: Space::Memory, prefix, after: None, limit: PAGE },
            pending: None,
            collected: Some(collected),
            see,
            finish,
        };
        Operation::new(name, survey)
    }

    fn ask(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        self.pending = Some(runtime.ask_store(me, Question::Scan(self.range.clone()))?);
        self.look(runtime, me)
    }

    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let Some(answer) = self.pending.as_ref().and_then(Pending::take) else {
            return Ok(Step::Wait(None));
        };
        self.pending = None;
        self.page(runtime, me, answer?)
    }

    fn page(&mut self, runtime: &mut Runtime, me: Token, answer: Answer) -> Result<Step> {
        let page = answer.page()?;
        self.range.after = self.range.next(&page);
        for (key, record) in page {
            let entry = Entry::from_record(&record)?;
            if let Some(collected) = self.collected.as_mut()
                && self.selection.takes(&key, &entry)
            {
                (self.see)(collected, &key, entry);
            }
        }
        if self.range.after.is_some() { self.ask(runtime, me) } else { self.end(runtime) }
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
