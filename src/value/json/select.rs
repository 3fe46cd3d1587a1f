//! Single values out of a text: what nobody asked for is checked and skipped, and only what was is
//! written.

use super::escape;
use super::read::Reader;
use super::scan::{self, byte, space};
use super::skip;
use crate::value::path::Tree;
use crate::value::tape::Tape;

/// Reads the values that the tree wants out of a document that is all of `text`. `found[n]` is
/// where on the tape the value of path `n` stands, if there is one. `None` if the text is no
/// document, or is nested deeper than `levels`.
pub fn select(
    text: &[u8],
    levels: usize,
    tree: &Tree,
    tape: &mut Tape,
    found: &mut [Option<usize>],
) -> Option<()> {
    let mut selection = Selection { text, tape, found, any: false };
    let end = selection.value(tree, space(text, 0), levels)?;
    (space(text, end) == text.len()).then_some(())
}

struct Selection<'t, 's> {
    text: &'t [u8],
    tape: &'s mut Tape,
    found: &'s mut [Option<usize>],
    /// Something was found.
    any: bool,
}

/// Every function goes from the index given to the one behind what it reads.
impl Selection<'_, '_> {
    /// A value in which something is wanted. Recursion is bounded by the length of paths.
    fn value(&mut self, tree: &Tree, at: usize, levels: usize) -> Option<usize> {
        if !tree.ends.is_empty() {
            return self.wanted(tree, at, levels);
        }
        match byte(self.text, at) {
            b'{' => self.object(tree, at + 1, levels.checked_sub(1)?),
            b'[' => self.array(tree, at + 1, levels.checked_sub(1)?),
            _ => skip::value(self.text, at, levels),
        }
    }

    /// A value that is itself wanted goes onto the tape, and what is wanted in it is found there.
    fn wanted(&mut self, tree: &Tree, at: usize, levels: usize) -> Option<usize> {
        let root = self.tape.len();
        let end = Reader::apart(self.tape, self.text).value(at, levels).ok()?;
        self.any = true;
        if tree.below.is_empty() {
            tree.ends.iter().for_each(|number| set(self.found, *number, Some(root)));
        } else {
            let found = &mut *self.found;
            tree.find(self.tape.at(root)?, &mut |number, at| set(found, number, Some(at)));
        }
        Some(end)
    }

    fn object(&mut self, tree: &Tree, at: usize, levels: usize) -> Option<usize> {
        let mut at = space(self.text, at);
        if byte(self.text, at) == b'}' {
            return Some(at + 1);
        }
        loop {
            at = space(self.text, self.member(tree, at, levels)?);
            match byte(self.text, at) {
                b',' => at = space(self.text, at + 1),
                b'}' => return Some(at + 1),
                _ => return None,
            }
        }
    }

    fn array(&mut self, tree: &Tree, at: usize, levels: usize) -> Option<usize> {
        let mut at = space(self.text, at);
        if byte(self.text, at) == b']' {
            return Some(at + 1);
        }
        for index in 0.. {
            at = space(self.text, self.below(tree.item(index), at, levels)?);
            match byte(self.text, at) {
                b',' => at = space(self.text, at + 1),
                b']' => return Some(at + 1),
                _ => return None,
            }
        }
        None
    }

    fn member(&mut self, tree: &Tree, at: usize, levels: usize) -> Option<usize> {
        let (next, at) = self.name(tree, at)?;
        let at = skip::colon(self.text, at)?;
        let Some(next) = next else { return skip::simply(self.text, at, levels) };
        if self.any {
            self.forget(next);
        }
        self.value(next, at, levels)
    }

    /// The last of a repeated name counts, also where it lacks what the first had.
    #[cold]
    fn forget(&mut self, tree: &Tree) {
        tree.all(&mut |number| set(self.found, number, None));
    }

    fn below(&mut self, tree: Option<&Tree>, at: usize, levels: usize) -> Option<usize> {
        match tree {
            Some(tree) => self.value(tree, at, levels),
            None => skip::value(self.text, at, levels),
        }
    }

    /// What is wanted below a name, and the index behind its closing quote.
    #[inline(always)]
    fn name<'w>(&self, tree: &'w Tree, at: usize) -> Option<(Option<&'w Tree>, usize)> {
        if byte(self.text, at) != b'"' {
            return None;
        }
        let from = at + 1;
        match scan::quote(self.text, from) {
            Some(end) => Some((tree.named(self.text.get(from..end)?), end + 1)),
            None => self.escaped_name(tree, from),
        }
    }

    #[cold]
    #[inline(never)]
    fn escaped_name<'w>(&self, tree: &'w Tree, from: usize) -> Option<(Option<&'w Tree>, usize)> {
        let mut name = Vec::new();
        let end = escape::unescape(self.text, from, |bytes| name.extend_from_slice(bytes)).ok()?;
        Some((tree.named(&name), end + 1))
    }
}

fn set(found: &mut [Option<usize>], number: usize, at: Option<usize>) {
    if let Some(place) = found.get_mut(number) {
        *place = at;
    }
}
