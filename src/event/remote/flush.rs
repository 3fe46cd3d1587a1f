//! A flush: what was published has left, and then what is queued for the store.

use crate::clock::Busy;
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step, Token, stopped};
use crate::store::Flushing;

use super::Barrier;

struct Flush {
    barriers: Vec<Barrier>,
    _busy: Busy,
}

/// `zigllms.flush`. Its result is the number of writes to the store.
pub fn flush(runtime: &mut Runtime) -> Operation {
    let store = writes(runtime);
    let links = runtime.events.links.all.values();
    let barriers: Vec<Barrier> = links.filter_map(|link| link.barrier()).collect();
    if barriers.is_empty() {
        return store;
    }
    let machine = Box::new(Flush { barriers, _busy: runtime.clock.busy() });
    Operation { machine, ..store }
}

/// Of the store and of recorders' files.
fn writes(runtime: &Runtime) -> Operation {
    Flushing::operation("flush", runtime.events.recorders.files())
}

impl Flush {
    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let waker = runtime.tasks.waker(me)?;
        while let Some(barrier) = self.barriers.last() {
            let link = runtime.events.links.get_mut(barrier.link);
            match link.map_or(Some(Ok(())), |link| link.passed(barrier, &waker)) {
                None => return Ok(Step::Wait(None)),
                Some(passed) => passed?,
            }
            self.barriers.pop();
        }
        Ok(Step::Run(writes(runtime)))
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
