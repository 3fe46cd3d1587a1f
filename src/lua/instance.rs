//! One loaded module: the runtime, and the reusable frames of its native calls.

use crate::error::Error;
use crate::runtime::Runtime;
use crate::value::Tape;

use super::args::Place;
use super::drive::Action;
use super::metrics::Metrics;
use super::push::Origin;
use super::push::strings::Strings;
use super::read::{Address, Segment};
use super::short::Scratches;

/// Frames kept for reuse; deeper nesting allocates.
const KEPT_FRAMES: usize = 8;

#[derive(Default)]
pub struct Instance {
    pub runtime: Runtime,
    pub metrics: Metrics,
    pub strings: Strings,
    pub scratches: Scratches,
    #[allow(clippy::vec_box)] // they leave and come back as raw pointers, so they must not move
    frames: Vec<Box<Frame>>,
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
}

impl Instance {
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
    }
}
