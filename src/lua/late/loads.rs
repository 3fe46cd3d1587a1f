//! `retrieve_many` while hooks are to see what is read: `retrieve` for each key, one by one.

use std::collections::VecDeque;

use crate::error::{Error, Result};
use crate::lua::args::{Args, Place};
use crate::runtime::Runtime;
use crate::step::{Machine, Outcome, Output, Step, Token, stopped};
use crate::value::{Data, Record, Ref, Tape};

use super::{Late, Work};

pub struct Loads {
    /// Entries that are still to be read.
    left: VecDeque<(String, Late)>,
    /// Those that were.
    loaded: Record,
}

impl Loads {
    /// Of the arguments of `retrieve_many`.
    pub fn of(runtime: &Runtime, args: &Args<'_>) -> Result<Loads> {
        let single = Work::Load.entry();
        let single = single.ok_or_else(|| Error::internal("nothing reads one entry"))?;
        let mut left = VecDeque::new();
        for key in args.get(0).into_iter().flat_map(Ref::items) {
            let (tape, places) = pair(key, args.get(1));
            let load = Late::new(runtime, single, tape, places)?;
            left.push_back((key.to_text(), load));
        }
        Ok(Loads { left, loaded: Record::new() })
    }

    fn load(&mut self) -> Step {
        let Some((name, load)) = self.left.pop_front() else {
            return Step::Done(Output::Data(std::mem::take(&mut self.loaded).into()));
        };
        self.loaded.fields.push((name.into(), Data::Nil));
        Step::Run(load.operation())
    }

    /// Its value, without what goes with it; what is not there is not in the result.
    fn found(&mut self, output: Output) {
        let value = match output.into_data() {
            Data::Many(values) => values.into_iter().next().unwrap_or_default(),
            value => value,
        };
        match (value, self.loaded.fields.last_mut()) {
            (Data::Nil, _) => drop(self.loaded.fields.pop()),
            (value, Some((_, place))) => *place = value,
            (_, None) => {}
        }
    }
}

/// Two arguments.
fn pair(first: Ref<'_>, second: Option<Ref<'_>>) -> (Tape, Vec<Place>) {
    let mut tape = Tape::default();
    let places = [Some(first), second].map(|value| {
        let node = value.map(|value| {
            let at = tape.len();
            tape.copy(value.walk());
            at
        });
        Place { node, ..Place::default() }
    });
    (tape, places.into())
}

impl Machine for Loads {
    fn step(&mut self, _: &mut Runtime, _: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Start => Ok(self.load()),
            Outcome::Finished(outputs) => {
                outputs.into_iter().try_for_each(|output| output.map(|found| self.found(found)))?;
                Ok(self.load())
            }
            Outcome::Stop(stop) => Err(stopped(&stop, "the call")),
            _ => Err(Error::internal("nothing was called")),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
