//! All records of a space of the store, page by page, for a machine that runs this one.

use std::cell::RefCell;
use std::rc::Rc;

use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step, Token, stopped};
use crate::store::{Answer, Pending, Question, Range, Record, Space};
use crate::value::Data;

/// Records asked for at once.
const PAGE: usize = 500;

/// What was found, for who asked.
pub type Found = Rc<RefCell<Vec<(Vec<u8>, Record)>>>;

pub struct Pages {
    space: Space,
    prefix: Vec<u8>,
    after: Option<Vec<u8>>,
    pending: Option<Pending>,
    found: Found,
}

impl Pages {
    pub fn operation(space: Space, prefix: Vec<u8>, found: &Found) -> Operation {
        let (after, pending, found) = (None, None, found.clone());
        let machine = Box::new(Pages { space, prefix, after, pending, found });
        Operation { name: "memory_load", subject: String::new(), machine, deadline: None }
    }

    fn ask(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let waker = runtime.tasks.waker(me)?;
        let (space, prefix) = (self.space, self.prefix.clone());
        let range = Range { space, prefix, after: self.after.take(), limit: PAGE };
        self.pending = runtime.backing().map(|store| store.ask(Question::Scan(range), waker));
        self.look(runtime, me)
    }

    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let Some(pending) = &self.pending else { return Ok(Step::Done(Output::Data(Data::Nil))) };
        let Some(answer) = pending.take() else { return Ok(Step::Wait(None)) };
        self.pending = None;
        let Answer::Page(page) = answer? else {
            return Err(Error::internal("the store answered something else"));
        };
        self.after = page.last().filter(|_| page.len() == PAGE).map(|(key, _)| key.clone());
        self.found.borrow_mut().extend(page);
        match self.after {
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
