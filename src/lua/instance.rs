//! One loaded module: the runtime, and the reusable frames of its native calls.

use std::collections::HashMap;

use crate::clock::Moment;
use crate::error::Error;
use crate::runtime::Runtime;
use crate::step::Token;
use crate::value::Tape;

use super::args::Place;
use super::bridge::Entry;
use super::drive::Action;
use super::metrics::Metrics;
use super::push::Origin;
use super::push::strings::Strings;
use super::read::{Address, Segment};
use super::short::Scratches;

/// Frames kept for reuse; deeper nesting allocates.
const KEPT_FRAMES: usize = 8;

pub struct Instance {
    pub runtime: Runtime,
    pub metrics: Metrics,
    pub pushing: Pushing,
    /// What is raised where the Lua stack is full.
    pub overflow: Error,
    pub strings: Strings,
    pub scratches: Scratches,
    /// What machines go on with once events were told.
    pub kept: HashMap<Token, Action>,
    #[allow(clippy::vec_box)] // they leave and come back as raw pointers, so they must not move
    frames: Vec<Box<Frame>>,
}

/// What is being pushed: the results of a function, if of a known one.
#[derive(Default)]
pub struct Pushing {
    pub entry: Option<&'static Entry>,
    /// Slots that it is likely to need.
    pub hint: usize,
    /// Slots that its documents asked Lua for.
    pub used: usize,
    /// Where it was called, if that has to be said.
    pub origin: Origin,
}

impl Default for Instance {
    fn default() -> Instance {
        Instance {
            runtime: Runtime::default(),
            metrics: Metrics::default(),
            pushing: Pushing::default(),
            overflow: Error::state("stack overflow"),
            strings: Strings::default(),
            scratches: Scratches::default(),
            kept: HashMap::new(),
            frames: Vec::new(),
        }
    }
}

/// The Rust side of one native call. It is owned by the instance's free list or, during the call,
/// by nobody but a raw pointer: so a Lua error that leaves the call leaks a frame at worst.
#[derive(Default)]
pub struct Frame {
    pub tape: Tape,
    pub places: Vec<Place>,
    /// Tables on the way to the value being read.
    pub visiting: Vec<Address>,
    /// Keys from the failing value outwards.
    pub path: Vec<Segment>,
    pub error: Option<Error>,
    pub action: Action,
    pub origin: Origin,
    /// Whose results it ends with, if of a public function.
    pub entry: Option<&'static Entry>,
}

impl Instance {
    /// When a call begins, if it is one that is measured.
    pub fn begins(&mut self) -> Option<Moment> {
        let measured = self.metrics.measures(self.runtime.config.profiling);
        measured.then(|| self.runtime.clock.now())
    }

    /// A call that is measured ends.
    pub fn took(&mut self, number: usize, since: Option<Moment>) {
        if let Some(since) = since {
            let ms = self.runtime.clock.now().ms_since(since);
            self.metrics.took(number, ms, self.runtime.clock.unix());
        }
    }

    /// The results of a function come next.
    #[inline]
    pub fn expect(&mut self, entry: Option<&'static Entry>) {
        let (switches, stack) = (self.runtime.config.stack, &self.metrics.stack);
        let known = entry.filter(|_| switches.enabled);
        self.pushing.hint = known.map_or(0, |entry| stack.predict(entry.number, switches));
        (self.pushing.entry, self.pushing.used) = (entry, 0);
    }

    /// They are there, and needed so many slots of the stack.
    #[inline]
    pub fn pushed(&mut self, slots: usize) {
        if let Some(entry) = self.pushing.entry {
            let slots = slots.max(self.pushing.used);
            self.metrics.stack.used(entry.number, slots, self.runtime.config.stack);
        }
    }

    pub fn forget_counts(&mut self) {
        let calls: Vec<u64> = self.metrics.calls().collect();
        self.runtime.coverage.note(|count| count.calls.keep(&calls));
        self.metrics.reset();
        self.runtime.meter = Default::default();
        self.runtime.cache.reset_counts();
        self.runtime.store.reset_counters();
        self.runtime.events.recorders.reset_counters();
    }

    pub fn take_frame(&mut self) -> *mut Frame {
        Box::into_raw(self.frames.pop().unwrap_or_default())
    }

    pub fn keep_frame(&mut self, mut frame: Box<Frame>) {
        frame.clear();
        if self.frames.len() < KEPT_FRAMES {
            self.frames.push(frame);
        }
    }
}

impl Frame {
    fn clear(&mut self) {
        self.tape.clear();
        self.places.clear();
        self.visiting.clear();
        self.path.clear();
        self.error = None;
        self.action = Action::default();
        self.origin = Origin::default();
        self.entry = None;
    }
}
