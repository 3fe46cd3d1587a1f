//! The buffers of one connection under ureq: as small as what passes through allows, because a
//! thousand quiet streams each keep theirs.

use std::mem::take;

use ureq::unversioned::transport::Buffers;

/// Input starts with this much and doubles whenever one read fills it.
const FIRST: usize = 2048;
/// What ureq wants to copy a request body through.
const SCRATCH: usize = 10 * 1024;

/// `input[consumed..filled]` has come and was not used yet.
#[derive(Debug)]
pub struct Lean {
    input: Vec<u8>,
    consumed: usize,
    filled: usize,
    output: Vec<u8>,
    most_input: usize,
    output_size: usize,
    progress: bool,
}

impl Lean {
    /// Nothing is allocated until it is needed.
    pub fn new(most_input: usize, output_size: usize) -> Lean {
        Lean {
            input: Vec::new(),
            consumed: 0,
            filled: 0,
            output: Vec::new(),
            most_input,
            output_size,
            progress: false,
        }
    }

    /// Nothing is being sent any more: what that took is given back, the scratch included.
    pub fn end_output(&mut self) {
        let sent = !take(&mut self.output).is_empty();
        if sent && self.consumed == self.filled {
            take(&mut self.input);
            (self.consumed, self.filled) = (0, 0);
        }
    }

    /// Moves what is unused to the front, and makes room behind it if there is none.
    fn make_room(&mut self) {
        self.input.copy_within(self.consumed..self.filled, 0);
        (self.consumed, self.filled) = (0, self.filled - self.consumed);
        if self.filled == self.input.len() {
            let larger = (self.input.len() * 2).clamp(FIRST, self.most_input);
            self.input.resize(larger, 0);
        }
    }
}

impl Buffers for Lean {
    fn output(&mut self) -> &mut [u8] {
        self.output.resize(self.output_size, 0);
        &mut self.output
    }

    fn input(&self) -> &[u8] {
        &self.input[self.consumed..self.filled]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.make_room();
        &mut self.input[self.filled..]
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.output.resize(self.output_size, 0);
        self.make_room();
        self.input.resize(self.input.len().max(self.filled + SCRATCH), 0);
        (&mut self.input[self.filled..], &mut self.output)
    }

    fn input_appended(&mut self, amount: usize) {
        self.filled += amount;
    }

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        self.consumed += amount;
    }

    fn can_use_input(&self) -> bool {
        self.consumed < self.filled && self.progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(buffers: &mut Lean, bytes: &[u8]) -> usize {
        let room = buffers.input_append_buf();
        let amount = room.len().min(bytes.len());
        room[..amount].copy_from_slice(&bytes[..amount]);
        buffers.input_appended(amount);
        amount
    }

    #[test]
    fn input_keeps_its_order_and_grows_up_to_the_most() {
        let mut buffers = Lean::new(5000, 100);
        let bytes: Vec<u8> = (0..20_000u32).map(|i| i as u8).collect();
        let mut came = 0;
        while buffers.input().len() < 5000 {
            came += receive(&mut buffers, &bytes[came..]);
        }
        assert_eq!(buffers.input(), &bytes[..5000]);
        assert!(buffers.input_append_buf().is_empty());
        buffers.input_consume(4999);
        assert!(buffers.can_use_input());
        came += receive(&mut buffers, &bytes[came..]);
        assert_eq!(buffers.input(), &bytes[4999..came]);
    }

    #[test]
    fn output_is_given_back_and_comes_again() {
        let mut buffers = Lean::new(5000, 100);
        assert_eq!(buffers.output().len(), 100);
        buffers.end_output();
        assert_eq!(buffers.output.capacity(), 0);
        let (scratch, output) = buffers.tmp_and_output();
        assert!(scratch.len() >= SCRATCH && output.len() == 100);
    }
}
