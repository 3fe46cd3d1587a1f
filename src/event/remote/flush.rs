//! A flush: what was published has left, and then what is queued for the store.

use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step, Token, stopped};
use crate::store::Asking;

/// The links, and up to which event of each.
struct Flush(Vec<(u64, u64)>);

/// `zigllms.flush`. Its result is the number of writes to the store.
pub fn flush(runtime: &mut Runtime) -> Operation {
    let store = Asking::flush("flush");
    let links = &runtime.events.links.all;
    let queued = links.iter().map(|(number, link)| (*number, link.queued()));
    let queued: Vec<(u64, u64)> = queued.filter(|(_, events)| *events > 0).collect();
    if queued.is_empty() {
        return store;
    }
    Operation { machine: Box::new(Flush(queued)), ..store }
}

impl Flush {
    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let waker = runtime.tasks.waker(me)?;
        while let Some((number, events)) = self.0.last() {
            let link = runtime.events.links.get_mut(*number);
            match link.and_then(|link| link.sent(*events, &waker)) {
                None if runtime.events.links.has(*number) => return Ok(Step::Wait(None)),
                Some(Err(error)) => return Err(error),
                None | Some(Ok(())) => self.0.pop(),
            };
        }
        Ok(Step::Run(Asking::flush("flush")))
    }
}

impl Machine for Flush {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Start | Outcome::Ready => self.look(runtime, me),
            Outcome::Finished(mut ended) => match ended.pop() {
                Some(output) => output.map(Output::into_data).map(|d| Step::Done(Output::Data(d))),
                None => Err(Error::internal("the flush of the store has no result")),
            },
            Outcome::Stop(stop) => Err(stopped(&stop, "flush (events may still leave)")),
            _ => Err(Error::internal("nothing was called")),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
