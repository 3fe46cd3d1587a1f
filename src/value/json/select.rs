//! Single values out of a text: what nobody asked for is checked and skipped, and only what was is
//! written.

use super::escape;
use super::read::{Nowhere, OnTape, Read, Reader};
use super::scan;
use crate::value::path::Tree;
use crate::value::tape::Tape;

/// Reads the values that the tree wants out of a document that is all of `text`. `found[n]` is
/// where on the tape the value of path `n` stands, if there is one.
pub fn select(
    text: &[u8],
    limit: usize,
    tree: &Tree,
    tape: &mut Tape,
    found: &mut [Option<usize>],
) -> Read<()> {
    let mut selection =
        Selection { reader: Reader::new(text, limit, Nowhere), name: Vec::new(), tape, found };
    selection.reader.space();
    selection.value(tree)?;
    selection.reader.end()
}

struct Selection<'t, 's> {
    reader: Reader<'t, Nowhere>,
    /// A name with escapes.
    name: Vec<u8>,
    tape: &'s mut Tape,
    found: &'s mut [Option<usize>],
}

impl Selection<'_, '_> {
    /// A value in which something is wanted. Recursion is bounded by the length of paths.
    fn value(&mut self, tree: &Tree) -> Read<()> {
        if !tree.ends.is_empty() {
            return self.wanted(tree);
        }
        match self.reader.peek() {
            b'{' => self.object(tree),
            b'[' => self.array(tree),
            _ => self.reader.value(),
        }
    }

    /// A value that is itself wanted goes onto the tape, and what is wanted in it is found there.
    fn wanted(&mut self, tree: &Tree) -> Read<()> {
        let at = self.tape.len();
        let Reader { text, at: from, .. } = self.reader;
        let mut reader = Reader::new(text, self.reader.levels_left(), OnTape::apart(self.tape));
        reader.at = from;
        reader.value()?;
        self.reader.at = reader.at;
        if let Some(value) = self.tape.at(at) {
            let found = &mut *self.found;
            tree.find(value, &mut |number, at| set(found, number, Some(at)));
        }
        Ok(())
    }

    fn object(&mut self, tree: &Tree) -> Read<()> {
        self.reader.deeper(true)?;
        self.reader.space();
        if self.reader.peek() != b'}' {
            self.member(tree)?;
            while self.goes_on(b'}', "\",\" or \"}\"")? {
                self.member(tree)?;
            }
        }
        self.reader.higher();
        Ok(())
    }

    fn array(&mut self, tree: &Tree) -> Read<()> {
        self.reader.deeper(false)?;
        self.reader.space();
        let mut index = 0;
        if self.reader.peek() != b']' {
            self.below(tree.item(index))?;
            while self.goes_on(b']', "\",\" or \"]\"")? {
                index += 1;
                self.below(tree.item(index))?;
            }
        }
        self.reader.higher();
        Ok(())
    }

    /// True behind a comma, false at the closing bracket.
    fn goes_on(&mut self, closing: u8, expected: &'static str) -> Read<bool> {
        self.reader.space();
        match self.reader.peek() {
            b',' => {
                self.reader.at += 1;
                self.reader.space();
                Ok(true)
            }
            byte if byte == closing => Ok(false),
            _ => Err(self.reader.expected(expected)),
        }
    }

    fn member(&mut self, tree: &Tree) -> Read<()> {
        let next = self.name(tree)?;
        self.reader.colon()?;
        if let Some(next) = next {
            // The last of a repeated name counts, also where it lacks what the first had.
            next.all(&mut |number| set(self.found, number, None));
        }
        self.below(next)
    }

    fn below(&mut self, tree: Option<&Tree>) -> Read<()> {
        match tree {
            Some(tree) => self.value(tree),
            None => self.reader.value(),
        }
    }

    /// Reads a name; gives what is wanted under it.
    fn name<'w>(&mut self, tree: &'w Tree) -> Read<Option<&'w Tree>> {
        if self.reader.peek() != b'"' {
            return Err(self.reader.expected("a name in double quotes"));
        }
        let (text, from) = (self.reader.text, self.reader.at + 1);
        let run = scan::plain(text, from);
        if text.get(run.end) != Some(&b'"') {
            self.name.clear();
            let end = escape::unescape(text, from, |bytes| self.name.extend_from_slice(bytes))?;
            self.reader.at = end + 1;
            return Ok(tree.named(&self.name));
        }
        let name = text.get(from..run.end).unwrap_or_default();
        if !run.ascii {
            escape::check(name, from)?;
        }
        self.reader.at = run.end + 1;
        Ok(tree.named(name))
    }
}

fn set(found: &mut [Option<usize>], number: usize, at: Option<usize>) {
    if let Some(place) = found.get_mut(number) {
        *place = at;
    }
}
