//! The strict reader: RFC 8259, in one pass, without recursion, onto a tape.

use super::escape;
use super::fault::{Fault, Wrong};
use super::number::{self, Number};
use super::scan::{self, byte, space};
use crate::value::tape::{Kind, Open, Tape};

pub type Read<T> = std::result::Result<T, Fault>;

/// Deepest nesting that any caller may ask for.
pub const DEEPEST: usize = 1000;

/// A text on its way onto a tape. Strings without escapes are parts of the text, which the tape has
/// a copy of or lies over.
///
/// Functions go from the index given to the one behind what they read, and have it in hand all the
/// time: a reader that kept it would store and load it for every byte.
pub struct Reader<'t, 's> {
    text: &'t [u8],
    tape: &'s mut Tape,
    /// Where the text lies on the tape.
    base: usize,
    /// How much of the text is not on the tape.
    outside: usize,
    /// Strings are copied one by one.
    copies: bool,
}

impl<'t, 's> Reader<'t, 's> {
    /// For a tape that stands alone.
    pub fn copying(tape: &'s mut Tape, text: &'t [u8]) -> Reader<'t, 's> {
        let base = tape.source(text);
        Reader { text, tape, base, outside: 0, copies: false }
    }

    /// For a tape that gets a part of the text only: each string is copied by itself.
    pub fn apart(tape: &'s mut Tape, text: &'t [u8]) -> Reader<'t, 's> {
        Reader { text, tape, base: 0, outside: 0, copies: true }
    }

    /// For an empty tape that is read together with the text.
    pub fn over(tape: &'s mut Tape, text: &'t [u8]) -> Reader<'t, 's> {
        Reader { text, tape, base: 0, outside: text.len(), copies: false }
    }

    /// Reads the whole text, which is nested at most `limit` deep.
    pub fn document(&mut self, limit: usize) -> Read<()> {
        let end = self.value(space(self.text, 0), limit)?;
        let end = space(self.text, end);
        if end < self.text.len() {
            Err(Fault::expected(end, "the end of the text"))
        } else {
            Ok(())
        }
    }

    /// Reads one value, which begins at `at`.
    pub fn value(&mut self, mut at: usize, limit: usize) -> Read<usize> {
        let text = self.text;
        let limit = limit.min(DEEPEST);
        let (mut depth, mut open, mut object) = (0, Open::NONE, false);
        loop {
            let first = byte(text, at);
            match first {
                b'"' => at = self.string(at + 1)?,
                b'{' | b'[' => {
                    if depth == limit {
                        return Err(Fault { at, wrong: Wrong::TooDeep(limit) });
                    }
                    depth += 1;
                    object = first == b'{';
                    open = self.tape.enter(if object { Kind::Object } else { Kind::Array }, open);
                    at = space(text, at + 1);
                    if byte(text, at) != closing(object) {
                        open.len = 1;
                        at = if object { self.name(at)? } else { at };
                        continue;
                    }
                }
                b'-' | b'0'..=b'9' => at = self.number(at)?,
                _ => at = self.literal(at)?,
            }
            // Behind a value, or at the bracket that closes an empty container.
            loop {
                if depth == 0 {
                    return Ok(at);
                }
                at = space(text, at);
                let next = byte(text, at);
                if next == b',' {
                    open.len += 1;
                    at = space(text, at + 1);
                    at = if object { self.name(at)? } else { at };
                    break;
                }
                if next != closing(object) {
                    return Err(Fault::expected(at, separator(object)));
                }
                at += 1;
                depth -= 1;
                (open, object) = self.tape.leave(open);
            }
        }
    }

    /// From a name to the value that it names.
    #[inline(always)]
    fn name(&mut self, at: usize) -> Read<usize> {
        if byte(self.text, at) != b'"' {
            return Err(Fault::expected(at, "a name in double quotes"));
        }
        let end = self.string(at + 1)?;
        let at = space(self.text, end);
        if byte(self.text, at) != b':' {
            return Err(Fault::expected(at, "\":\""));
        }
        Ok(space(self.text, at + 1))
    }

    /// A string whose bytes begin at `from`.
    #[inline(always)]
    fn string(&mut self, from: usize) -> Read<usize> {
        match scan::quote(self.text, from) {
            Some(end) => {
                self.plain(from, end);
                Ok(end + 1)
            }
            None => self.long_string(from),
        }
    }

    #[cold]
    #[inline(never)]
    fn long_string(&mut self, from: usize) -> Read<usize> {
        let run = scan::plain(self.text, from);
        let bytes = self.text.get(from..run.end).unwrap_or_default();
        if !run.ascii {
            escape::check(bytes, from)?;
        }
        if byte(self.text, run.end) != b'"' {
            return self.escaped(bytes, run.end);
        }
        self.plain(from, run.end);
        Ok(run.end + 1)
    }

    #[inline(always)]
    fn plain(&mut self, from: usize, to: usize) {
        if self.copies {
            self.tape.str(self.text.get(from..to).unwrap_or_default());
        } else {
            self.tape.part(self.base + from, to - from);
        }
    }

    /// A string that begins with plain bytes, and has an escape behind them.
    fn escaped(&mut self, begins: &[u8], from: usize) -> Read<usize> {
        let (text, mut end) = (self.text, from);
        self.tape.written(self.outside, |out| {
            out.extend_from_slice(begins);
            end = escape::unescape(text, from, |bytes| out.extend_from_slice(bytes))?;
            Ok(())
        })?;
        Ok(end + 1)
    }

    #[inline(always)]
    fn number(&mut self, at: usize) -> Read<usize> {
        let (value, end) = number::read(self.text, at).map_err(|wrong| match wrong {
            number::Wrong::Digit(at) => Fault::expected(at, "a digit"),
            number::Wrong::Range => Fault { at, wrong: Wrong::Range },
        })?;
        match value {
            Number::Int(n) => self.tape.int(n),
            Number::Float(n) => self.tape.float(n),
        }
        Ok(end)
    }

    fn literal(&mut self, at: usize) -> Read<usize> {
        let rest = self.text.get(at..).unwrap_or_default();
        if rest.starts_with(b"true") {
            self.tape.bool(true);
            return Ok(at + 4);
        }
        if rest.starts_with(b"false") {
            self.tape.bool(false);
            return Ok(at + 5);
        }
        if rest.starts_with(b"null") {
            self.tape.null();
            return Ok(at + 4);
        }
        Err(no_value(rest, at))
    }
}

#[inline(always)]
fn closing(object: bool) -> u8 {
    if object { b'}' } else { b']' }
}

fn separator(object: bool) -> &'static str {
    if object { "\",\" or \"}\"" } else { "\",\" or \"]\"" }
}

/// What is wrong where a value should begin: a word is wrong where it ceases to be one of JSON's.
#[cold]
fn no_value(rest: &[u8], at: usize) -> Fault {
    let words: [&[u8]; 3] = [b"true", b"false", b"null"];
    let same = |word: &[u8]| rest.iter().zip(word).take_while(|(a, b)| a == b).count();
    match words.into_iter().map(same).max() {
        Some(same @ 1..) => Fault::expected(at + same, "true, false or null"),
        _ => Fault::expected(at, "a value"),
    }
}
