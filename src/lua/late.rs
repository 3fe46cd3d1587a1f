//! Functions of memory while somebody watches them: what usually is answered at once becomes a
//! machine, so that hooks can stand around it and events be told.
//!
//! It runs where it was called, also on the main thread and inside a C call: it waits only where
//! the function itself does.

use std::collections::VecDeque;

use crate::error::{Error, Result};
use crate::event::Builtin;
use crate::memory::{Gate, about};
use crate::runtime::Runtime;
use crate::shape::{Check, Kind};
use crate::step::{
    Face, Given, Machine, Operation, Outcome, Output, Ready, Start, Step, Token, stopped,
};
use crate::value::{Data, Document, Record, Ref, Tape};

use super::args::{Args, Place};
use super::bridge::{ENTRIES, Entry, Run};
use super::bridges::watched_memory as watched;
use super::faces::face;
use super::instance::Frame;

/// What hooks may do about a function.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Its second argument may be changed.
    Save,
    /// All values among its first argument may be changed.
    SaveMany,
    /// Its result may be changed.
    Load,
    /// The same of each of its results.
    LoadMany,
    /// Nothing, but it may tell events, and what it runs may be hooked.
    Other,
}

/// Position of the value that `store` keeps.
const VALUE: usize = 1;

impl Work {
    /// `None` for functions that nobody watches.
    fn of(entry: &Entry) -> Option<Work> {
        let name = Some(entry.function.name).filter(|_| entry.bridge.name == "memory")?;
        Some(match name {
            "store" => Work::Save,
            "store_many" => Work::SaveMany,
            "retrieve" => Work::Load,
            "retrieve_many" => Work::LoadMany,
            "delete" | "update" | "increment" | "clear" => Work::Other,
            _ => return None,
        })
    }

    /// The name under which hooks know it.
    fn name(self) -> &'static str {
        match self {
            Work::Save => "memory_save",
            Work::Load => "memory_load",
            Work::SaveMany | Work::LoadMany | Work::Other => "memory_call",
        }
    }
}

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
    /// Entries that are still to be read, one by one.
    loads: VecDeque<(String, Late)>,
    /// Those that were.
    loaded: Record,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Gates,
    Loads,
    Called,
}

/// Whether calls of a function are watched now.
pub fn watches(runtime: &Runtime, entry: &Entry) -> bool {
    is_watched(runtime) && Work::of(entry).is_some()
}

/// Whether calls of memory are.
pub fn is_watched(runtime: &Runtime) -> bool {
    runtime.events.wants(Builtin::MemoryUpdated)
        || runtime.events.wants(Builtin::BatchError)
        || runtime.hooks.is_hooked("memory_save")
        || runtime.hooks.is_hooked("memory_load")
}

/// The call as a machine; its arguments were checked.
pub fn start(runtime: &mut Runtime, entry: &'static Entry, frame: &mut Frame) -> Result<Ready> {
    let (tape, places) = (std::mem::take(&mut frame.tape), std::mem::take(&mut frame.places));
    let mut late = Late::new(entry, tape, places);
    let face = late.face(runtime)?;
    late.look_around(runtime)?;
    Ok(Ready::Waits(Start { operation: late.operation(), face, sink: None }))
}

impl Late {
    fn new(entry: &'static Entry, tape: Tape, places: Vec<Place>) -> Late {
        Late {
            entry,
            tape,
            places,
            work: Work::of(entry).unwrap_or(Work::Other),
            about: Record::new(),
            gates: VecDeque::new(),
            passed: Vec::new(),
            loads: VecDeque::new(),
            loaded: Record::new(),
            stage: Stage::Gates,
        }
    }

    fn operation(self) -> Operation {
        let (name, subject) = (self.work.name(), String::new());
        Operation { name, subject, machine: Box::new(self), deadline: None }
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
        let first = places.first().map(|(key, _)| about(key));
        let gates = if runtime.hooks.is_hooked("memory_save") && self.work == Work::SaveMany {
            let gate = |(key, value): watched::Place<'_>| Gate::new(about(&key), value);
            places.into_iter().map(gate).collect()
        } else {
            VecDeque::new()
        };
        self.about = first.filter(|_| self.work != Work::SaveMany).unwrap_or_default();
        self.gates = gates;
        if self.work == Work::LoadMany && runtime.hooks.is_hooked("memory_load") {
            self.split(runtime)?;
        }
        Ok(())
    }

    /// `retrieve` for each key: so each value passes its hooks.
    fn split(&mut self, runtime: &Runtime) -> Result<()> {
        let single = ENTRIES.iter().find(|entry| Work::of(entry) == Some(Work::Load));
        let single = single.ok_or_else(|| Error::internal("nothing reads one entry"))?;
        let args = self.args(runtime)?;
        let mut loads = VecDeque::new();
        for key in args.get(0).into_iter().flat_map(Ref::items) {
            let name = key.to_text();
            let (tape, places) = pair(key, args.get(1));
            let mut load = Late::new(single, tape, places);
            load.look_around(runtime)?;
            loads.push_back((name, load));
        }
        (self.loads, self.stage) = (loads, Stage::Loads);
        Ok(())
    }

    fn go_on(&mut self, runtime: &mut Runtime) -> Result<Step> {
        if self.stage == Stage::Loads {
            return Ok(self.load());
        }
        match self.gates.pop_front() {
            Some(gate) => Ok(Step::Run(gate.operation())),
            None => self.call(runtime),
        }
    }

    fn load(&mut self) -> Step {
        let Some((name, load)) = self.loads.pop_front() else {
            return Step::Done(Output::Data(std::mem::take(&mut self.loaded).into()));
        };
        self.loaded.fields.push((name.into(), Data::Nil));
        Step::Run(load.operation())
    }

    /// Its value, without what goes with it; what is not there is not in the result.
    fn found(&mut self, output: Output) -> Step {
        let value = match output.into_data() {
            Data::Many(values) => values.into_iter().next().unwrap_or_default(),
            value => value,
        };
        match (value, self.loaded.fields.last_mut()) {
            (Data::Nil, _) => drop(self.loaded.fields.pop()),
            (value, Some((_, place))) => *place = value,
            (_, None) => {}
        }
        self.load()
    }

    fn call(&mut self, runtime: &mut Runtime) -> Result<Step> {
        self.stage = Stage::Called;
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
                _ => tape.copy(old.tape().walk(old.position(), &[])),
            }
        }
        self.tape = tape;
    }

    fn finished(&mut self, runtime: &mut Runtime, outputs: Vec<Result<Output>>) -> Result<Step> {
        if self.stage == Stage::Gates {
            self.passed.push(Gate::passed(outputs)?);
            return self.go_on(runtime);
        }
        let output = outputs.into_iter().next();
        let output = output.unwrap_or_else(|| Err(Error::internal("no output")))?;
        match self.stage {
            Stage::Loads => Ok(self.found(output)),
            _ => Ok(Step::Done(output)),
        }
    }
}

/// Two arguments.
fn pair(first: Ref<'_>, second: Option<Ref<'_>>) -> (Tape, Vec<Place>) {
    let mut tape = Tape::default();
    let places = [Some(first), second].map(|value| {
        let node = value.map(|value| {
            let at = tape.len();
            tape.copy(value.tape().walk(value.position(), &[]));
            at
        });
        Place { node, ..Place::default() }
    });
    (tape, places.into())
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
        self.tape.copy(value.tape().walk(value.position(), &[]));
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
