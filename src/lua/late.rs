//! Functions of memory while somebody watches them: what usually is answered at once becomes a
//! machine, so that hooks can stand around it and events be told.
//!
//! It runs where it was called, also on the main thread and inside a C call: it waits only where
//! the function itself does.

use std::collections::VecDeque;

use crate::error::{Error, Result};
use crate::memory::{self, Gate};
use crate::runtime::Runtime;
use crate::shape::{Check, Kind};
use crate::step::{Face, Given, Machine, Operation, Outcome, Output, Ready, Step, Token, stopped};
use crate::value::{Data, Document, Record, Tape};

use super::args::{Args, Place};
use super::bridge::{Entry, Run};
use super::bridges::watched_memory as watched;
use super::faces::face;
use super::instance::Frame;

mod loads;
mod work;

use loads::Loads;
use work::Work;
pub use work::{is_watched, watches};

/// Position of the value that `store` keeps.
const VALUE: usize = 1;

/// A call whose arguments are its own.
pub struct Late {
    entry: &'static Entry,
    tape: Tape,
    places: Vec<Place>,
    work: Work,
    about: Record,
    /// Values that hooks are still to see.
    gates: VecDeque<Gate>,
    /// What the hooks made of those they have seen.
    passed: Vec<Document>,
    /// The hooks have seen all there was to see.
    called: bool,
}

/// The call as a machine; its arguments were checked.
pub fn start(runtime: &mut Runtime, entry: &'static Entry, frame: &mut Frame) -> Result<Ready> {
    let (tape, places) = (std::mem::take(&mut frame.tape), std::mem::take(&mut frame.places));
    let late = Late::new(runtime, entry, tape, places)?;
    let face = late.face(runtime)?;
    let operation = match late.work {
        Work::LoadMany if runtime.hooks.is_hooked("memory_load") => {
            Operation::new(late.work.name(), Loads::of(runtime, &late.args(runtime)?)?)
        }
        _ => late.operation(),
    };
    Ok(Ready::waits(operation, face))
}

impl Late {
    fn new(
        runtime: &Runtime,
        entry: &'static Entry,
        tape: Tape,
        places: Vec<Place>,
    ) -> Result<Late> {
        let mut late = Late {
            entry,
            tape,
            places,
            work: Work::of(entry).unwrap_or(Work::Other),
            about: Record::new(),
            gates: VecDeque::new(),
            passed: Vec::new(),
            called: false,
        };
        late.look_around(runtime)?;
        Ok(late)
    }

    fn operation(self) -> Operation {
        Operation::new(self.work.name(), self)
    }

    fn args(&self, runtime: &Runtime) -> Result<Args<'_>> {
        let check = Check { strict: runtime.config.strict };
        Args::check(self.entry.function.params, &self.tape, &self.places, check)
    }

    /// Its options are the last argument.
    fn face(&self, runtime: &Runtime) -> Result<Face> {
        let last = self.entry.function.params.len().saturating_sub(1);
        match self.entry.function.params.get(last).map(|param| &param.kind) {
            Some(Kind::Table(shape)) => Ok(face(&self.args(runtime)?.options(last, shape))),
            _ => Ok(Face::Plain),
        }
    }

    /// What the call is about, and which values hooks are to see.
    fn look_around(&mut self, runtime: &Runtime) -> Result<()> {
        let places = watched::places(runtime, self.entry.function.name, &self.args(runtime)?)?;
        let (mut about, mut gates) = (Record::new(), VecDeque::new());
        if self.work != Work::SaveMany {
            about = places.first().map(|(key, _)| memory::about(key)).unwrap_or_default();
        } else if runtime.hooks.is_hooked("memory_save") {
            let gate = |(key, value): watched::Place<'_>| Gate::new(memory::about(&key), value);
            gates = places.into_iter().map(gate).collect();
        }
        (self.about, self.gates) = (about, gates);
        Ok(())
    }

    fn go_on(&mut self, runtime: &mut Runtime) -> Result<Step> {
        match self.gates.pop_front() {
            Some(gate) => Ok(Step::Run(gate.operation())),
            None => self.call(runtime),
        }
    }

    fn call(&mut self, runtime: &mut Runtime) -> Result<Step> {
        self.called = true;
        self.take_over();
        let Run::Perhaps(_, run) = self.entry.function.run else {
            return Err(Error::internal("called as if it might wait"));
        };
        let ready = run(runtime, &self.args(runtime)?)?;
        runtime.tell_failures();
        match ready {
            Ready::Now(data) => Ok(Step::Done(Output::Data(data))),
            Ready::Waits(start) => Ok(Step::Run(start.operation)),
        }
    }

    /// What the hooks made of the entries takes their place.
    fn take_over(&mut self) {
        if self.passed.is_empty() {
            return;
        }
        let mut tape = Tape::default();
        for (i, place) in self.places.iter_mut().enumerate() {
            let Some(old) = place.node.and_then(|node| self.tape.at(node)) else { continue };
            place.node = Some(tape.len());
            match i {
                0 => watched::with_values(old, &self.passed, &mut tape),
                _ => tape.copy(old.walk()),
            }
        }
        self.tape = tape;
    }

    fn finished(&mut self, runtime: &mut Runtime, outputs: Vec<Result<Output>>) -> Result<Step> {
        if !self.called {
            self.passed.push(Gate::passed(outputs)?);
            return self.go_on(runtime);
        }
        let output = outputs.into_iter().next();
        output.unwrap_or_else(|| Err(Error::internal("no output"))).map(Step::Done)
    }
}

impl Machine for Late {
    fn step(&mut self, runtime: &mut Runtime, _: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Start => self.go_on(runtime),
            Outcome::Finished(outputs) => self.finished(runtime, outputs),
            Outcome::Stop(stop) => Err(stopped(&stop, "the call")),
            _ => Err(Error::internal("nothing was called")),
        }
    }

    fn about(&self, _: &Runtime) -> Record {
        self.about.clone()
    }

    fn input(&self) -> Data {
        let node = self.places.get(VALUE).and_then(|place| place.node);
        match node.and_then(|node| self.tape.at(node)) {
            Some(value) if self.work == Work::Save => Document::copy(value).into(),
            _ => Data::Nil,
        }
    }

    fn replace_input(&mut self, _: &mut Runtime, given: &Given<'_>) -> Result<()> {
        let Some(document) = given.document()?.filter(|_| self.work == Work::Save) else {
            return Ok(());
        };
        let Some(value) = document.value() else { return Ok(()) };
        let node = self.tape.len();
        self.tape.copy(value.walk());
        while self.places.len() <= VALUE {
            self.places.push(Place::default());
        }
        if let Some(place) = self.places.get_mut(VALUE) {
            place.node = Some(node);
        }
        Ok(())
    }

    /// Of what `retrieve` returns the value is replaced, and what goes with it stays.
    fn replace_output(
        &mut self,
        _: &mut Runtime,
        given: &Given<'_>,
        own: Option<Output>,
    ) -> Result<Output> {
        let value = given.slot.clone().map_or(Data::Nil, Data::Slot);
        Ok(Output::Data(match own {
            Some(Output::Data(Data::Many(mut values))) if !values.is_empty() => {
                if let Some(first) = values.first_mut() {
                    *first = value;
                }
                Data::Many(values)
            }
            _ => value,
        }))
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
