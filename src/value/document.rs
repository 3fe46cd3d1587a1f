//! A result that is a whole document: a tape of its own and where on it the value stands.

use super::{Data, Ref, Tape};

#[derive(Clone, Debug, Default)]
pub struct Document {
    pub tape: Tape,
    /// Position of the value, as [`Tape::len`] gave it before it was written.
    pub root: usize,
    /// The tape lies over the text that is the call's first argument: see `json::parse_over`.
    pub over: bool,
}

impl Document {
    pub fn value(&self) -> Option<Ref<'_>> {
        self.tape.at(self.root)
    }
}

/// Documents that were results and can be used again: their tapes have room.
#[derive(Debug, Default)]
pub struct Documents {
    #[allow(clippy::vec_box)] // a result holds the box, so that other results stay small
    spare: Vec<Box<Document>>,
}

impl Documents {
    /// Documents kept; a call has one or two.
    const KEPT: usize = 4;

    /// An empty one.
    pub fn take(&mut self) -> Box<Document> {
        self.spare.pop().unwrap_or_default()
    }

    pub fn give(&mut self, mut document: Box<Document>) {
        if self.spare.len() < Documents::KEPT {
            document.tape.clear();
            self.spare.push(document);
        }
    }

    /// Takes the documents out of a result that Lua has got.
    pub fn reclaim(&mut self, data: Data) {
        match data {
            Data::Document(document) | Data::Valid(document) => self.give(document),
            Data::Many(values) => values.into_iter().for_each(|value| self.reclaim(value)),
            _ => {}
        }
    }
}
