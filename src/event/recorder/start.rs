//! A recorder is made.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use super::gather::{Gather, Page};
use super::{Log, Recorder, stamp};
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::event::Pattern;
use crate::runtime::Runtime;
use crate::step::{Face, Machine, Operation, Outcome, Output, Ready, Step, Token, stopped};
use crate::store::filing::failed;
use crate::value::Data;

/// Of a path: longer ones name no file anywhere.
const LONGEST: usize = 1 << 16;

/// What is to be recorded, and where.
#[derive(Debug)]
pub struct Plan {
    pub name: String,
    pub pattern: String,
    pub duration_ms: Option<f64>,
    pub max_events: usize,
    pub file: Option<PathBuf>,
    pub store: bool,
}

/// The path as one that stays the same wherever the process goes; `name` is how messages call it.
pub fn absolute(path: &str, name: &str) -> Result<PathBuf> {
    if path.len() > LONGEST {
        return Err(Error::invalid(format!("{name}: a path of {} bytes", path.len())));
    }
    if path.contains('\0') {
        return Err(Error::invalid(format!("{name}: a path with a zero byte in it")));
    }
    std::path::absolute(path).map_err(|error| failed(Path::new(path), &error))
}

/// Answers with the id; waits where the store must be asked what it has.
pub fn start(runtime: &mut Runtime, plan: Plan, face: Face) -> Result<Ready> {
    let pattern = Pattern::parse(&plan.pattern)?;
    let recorders = &mut runtime.events.recorders;
    let file = plan.file.map(|path| recorders.open(&path, &runtime.clock)).transpose()?;
    let id = recorders.all.id(recorders.all.next());
    let name = if plan.name.is_empty() { id.clone() } else { plan.name.clone() };
    let log = plan.store.then(|| Log { name: name.clone(), ..Log::default() });
    let number = recorders.all.insert(Recorder {
        name: plan.name,
        pattern,
        said: plan.pattern,
        running: false,
        until: None,
        max_events: plan.max_events,
        ring: VecDeque::new(),
        file,
        log,
    });
    let mut starting =
        Starting { number, duration_ms: plan.duration_ms, gather: Gather::default() };
    if !plan.store || runtime.store.place().is_memory() {
        let id = starting.run(runtime)?;
        return Ok(Ready::now("event_record", face, id));
    }
    starting.gather = Gather::of(vec![name]);
    Ok(Ready::waits(Operation::new("event_record", starting), face))
}

struct Starting {
    number: u64,
    duration_ms: Option<f64>,
    gather: Gather,
}

impl Starting {
    fn recorder<'r>(&self, runtime: &'r mut Runtime) -> Result<&'r mut Recorder> {
        let gone = || Error::state("the recorder was removed before it began");
        runtime.events.recorders.all.get_mut(self.number).ok_or_else(gone)
    }

    fn run(&self, runtime: &mut Runtime) -> Result<Data> {
        let now = runtime.clock.now();
        let recorder = self.recorder(runtime)?;
        recorder.until = self.duration_ms.map(|ms| Moment::after_float_ms(now, ms));
        recorder.running = true;
        runtime.events.changed();
        Ok(Data::from(runtime.events.recorders.all.id(self.number)))
    }

    /// What the log has already counts too.
    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        loop {
            match self.gather.next(runtime, me)? {
                Page::Waits => return Ok(Step::Wait(None)),
                Page::End => return self.log(runtime),
                Page::Some(found) => {
                    let place = runtime.store.place().clone();
                    let log = self.recorder(runtime)?.log.get_or_insert_default();
                    log.place = Some(place);
                    log.stamps.extend(found.events.iter().map(|(stamp, _)| *stamp));
                }
            }
        }
    }

    /// Others find the log from now on.
    fn log(&self, runtime: &mut Runtime) -> Result<Step> {
        let recorder = self.recorder(runtime)?;
        let name = recorder.log.as_ref().map(|log| log.name.clone()).unwrap_or_default();
        let policy = runtime.config.batch.policy;
        runtime.store.shared(&runtime.clock).queue(vec![stamp::found(&name)], policy)?;
        Ok(Step::Done(Output::Data(self.run(runtime)?)))
    }

    fn give_up(&self, runtime: &mut Runtime) {
        runtime.events.recorders.remove(self.number);
    }
}

impl Machine for Starting {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        let step = match outcome {
            Outcome::Stop(stop) => Err(stopped(&stop, "the start of the recorder")),
            _ => self.look(runtime, me),
        };
        step.inspect_err(|_| self.give_up(runtime))
    }

    fn abandon(&mut self, runtime: &mut Runtime, _: Token) {
        self.give_up(runtime);
    }
}
