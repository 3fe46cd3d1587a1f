//! All records of a space of the store, page by page, for a machine that runs this one.

use std::cell::RefCell;
use std::rc::Rc;

use crate::error::Result;
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step, Token, stopped};
use crate::store::{Pending, Question, Range, Record, Space};
use crate::value::Data;

/// Records asked for at once.
const PAGE: usize = 500;

/// What was found, for who asked.
pub type Found = Rc<RefCell<Vec<(Vec<u8>, Record)>>>;

pub struct Pages {
    /// What is asked for next.
    range: Range,
    pending: Option<Pending>,
    found: Found,
}

impl Pages {
    pub fn operation(space: Space, prefix: Vec<u8>, found: &Found) -> Operation {
        let range = Range { space, prefix, after: None, limit: PAGE };
        Operation::new("memory_read", Pages { range, pending: None, found: found.clone() })
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
        let page = answer?.page()?;
        self.range.after = self.range.next(&page);
        self.found.borrow_mut().extend(page);
        match self.range.after {
            Some(_) => self.ask(runtime, me),
            None => Ok(Step::Done(Output::Data(Data::Nil))),
        }
    }
}

impl Machine for Pages {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Start => self.ask(runtime, me),
            Outcome::Stop(stop) => Err(stopped(&stop, "reading the store")),
            _ => self.look(runtime, me),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
