//! A result that is a whole document: a tape of its own and where on it the value stands.

use super::{Ref, Tape};

#[derive(Clone, Debug, Default)]
pub struct Document {
    pub tape: Tape,
    /// Position of the value, as [`Tape::len`] gave it before it was written.
    pub root: usize,
}

impl Document {
    /// A value with a tape of its own.
    pub fn copy(value: Ref<'_>) -> Document {
        let mut tape = Tape::default();
        tape.copy(value.walk());
        Document { tape, root: 0 }
    }

    /// The same, with functions and all else that passes by reference.
    pub fn copy_whole(value: Ref<'_>) -> Document {
        let mut tape = Tape::default();
        tape.copy_whole(value);
        Document { tape, root: 0 }
    }

    pub fn value(&self) -> Option<Ref<'_>> {
        self.tape.at(self.root)
    }
}
