//! The strict reader: RFC 8259, in one pass, without recursion.
//!
//! It walks the grammar and tells a [`Sink`] what it finds. One sink writes a tape; another does
//! nothing, which is how what nobody asked for is checked and skipped.

use super::escape;
use super::fault::{Fault, Wrong};
use super::number::{self, Number};
use super::scan;
use crate::value::tape::{Kind, Open, Tape};

pub type Read<T> = std::result::Result<T, Fault>;

/// Deepest nesting that any caller may ask for.
pub const DEEPEST: usize = 1000;

/// Who is told what a text says.
pub trait Sink {
    fn null(&mut self);
    fn bool(&mut self, value: bool);
    fn number(&mut self, value: Number);
    /// A string or key without escapes: the bytes from `from` to `to`.
    fn plain(&mut self, text: &[u8], from: usize, to: usize);
    /// A string or key with escapes, whose bytes begin at `from`; gives the index of its closing quote.
    fn escaped(&mut self, text: &[u8], from: usize) -> Read<usize>;
    fn enter(&mut self, kind: Kind);
    /// An item or a member begins.
    fn item(&mut self);
    fn leave(&mut self);
}

pub struct Reader<'t, S> {
    pub text: &'t [u8],
    pub at: usize,
    pub sink: S,
    depth: usize,
    limit: usize,
    /// A bit for each open container: whether it is an object.
    objects: [u64; DEEPEST / 64 + 1],
}

impl<'t, S: Sink> Reader<'t, S> {
    pub fn new(text: &'t [u8], limit: usize, sink: S) -> Reader<'t, S> {
        let limit = limit.min(DEEPEST);
        Reader { text, at: 0, sink, depth: 0, limit, objects: [0; DEEPEST / 64 + 1] }
    }

    /// Reads the whole text.
    pub fn document(&mut self) -> Read<()> {
        self.space();
        self.value()?;
        self.end()
    }

    /// Only space may follow.
    pub fn end(&mut self) -> Read<()> {
        self.space();
        if self.at < self.text.len() { Err(self.expected("the end of the text")) } else { Ok(()) }
    }

    /// Reads one value, at whose first byte the reader stands.
    pub fn value(&mut self) -> Read<()> {
        let floor = self.depth;
        loop {
            if self.begin()? {
                continue;
            }
            if self.close(floor)? {
                return Ok(());
            }
        }
    }

    /// The byte here; 0, which stands nowhere in JSON, behind the end.
    #[inline(always)]
    pub fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    #[inline(always)]
    pub fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    /// Begins a value; true if it is a container that is not empty, and the reader stands at its
    /// first value.
    #[inline(always)]
    fn begin(&mut self) -> Read<bool> {
        match self.peek() {
            b'"' => self.string()?,
            b'{' => return self.open(Kind::Object, b'}'),
            b'[' => return self.open(Kind::Array, b']'),
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.literal(b"true", |sink| sink.bool(true))?,
            b'f' => self.literal(b"false", |sink| sink.bool(false))?,
            b'n' => self.literal(b"null", S::null)?,
            _ => return Err(self.expected("a value")),
        }
        Ok(false)
    }

    #[inline(always)]
    fn open(&mut self, kind: Kind, closing: u8) -> Read<bool> {
        self.deeper(kind == Kind::Object)?;
        self.sink.enter(kind);
        self.space();
        if self.peek() == closing {
            self.shut();
            return Ok(false);
        }
        self.item(kind == Kind::Object)?;
        Ok(true)
    }

    /// After a value: closes what ends here. True when the container the reading began in is
    /// reached; false at the next value of one that goes on.
    #[inline(always)]
    fn close(&mut self, floor: usize) -> Read<bool> {
        while self.depth > floor {
            self.space();
            let object = self.in_object();
            match (self.peek(), object) {
                (b',', _) => {
                    self.at += 1;
                    self.space();
                    return self.item(object).map(|()| false);
                }
                (b'}', true) | (b']', false) => self.shut(),
                (_, true) => return Err(self.expected("\",\" or \"}\"")),
                (_, false) => return Err(self.expected("\",\" or \"]\"")),
            }
        }
        Ok(true)
    }

    /// Up to the value of an item or member.
    #[inline(always)]
    fn item(&mut self, object: bool) -> Read<()> {
        self.sink.item();
        if object {
            self.key()?;
        }
        Ok(())
    }

    #[inline(always)]
    fn key(&mut self) -> Read<()> {
        if self.peek() != b'"' {
            return Err(self.expected("a name in double quotes"));
        }
        self.string()?;
        self.colon()
    }

    #[inline(always)]
    pub fn colon(&mut self) -> Read<()> {
        self.space();
        if self.peek() != b':' {
            return Err(self.expected("\":\""));
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    #[inline(always)]
    fn string(&mut self) -> Read<()> {
        let from = self.at + 1;
        let run = scan::plain(self.text, from);
        if self.text.get(run.end) != Some(&b'"') {
            self.at = self.sink.escaped(self.text, from)? + 1;
            return Ok(());
        }
        if !run.ascii {
            escape::check(self.text.get(from..run.end).unwrap_or_default(), from)?;
        }
        self.sink.plain(self.text, from, run.end);
        self.at = run.end + 1;
        Ok(())
    }

    #[inline(always)]
    fn number(&mut self) -> Read<()> {
        let (value, end) = number::read(self.text, self.at).map_err(|wrong| match wrong {
            number::Wrong::Digit(at) => Fault::expected(at, "a digit"),
            number::Wrong::Range => Fault { at: self.at, wrong: Wrong::Range },
        })?;
        self.sink.number(value);
        self.at = end;
        Ok(())
    }

    #[inline(always)]
    fn literal(&mut self, word: &'static [u8], tell: impl FnOnce(&mut S)) -> Read<()> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            let same = rest.iter().zip(word).take_while(|(a, b)| a == b).count();
            return Err(Fault::expected(self.at + same, "true, false or null"));
        }
        tell(&mut self.sink);
        self.at += word.len();
        Ok(())
    }

    /// Enters a container, at whose bracket the reader stands.
    pub fn deeper(&mut self, object: bool) -> Read<()> {
        if self.depth >= self.limit {
            return Err(Fault { at: self.at, wrong: Wrong::TooDeep(self.limit) });
        }
        if let Some(word) = self.objects.get_mut(self.depth / 64) {
            let bit = 1 << (self.depth % 64);
            *word = if object { *word | bit } else { *word & !bit };
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// How much deeper a value here may be nested.
    pub fn levels_left(&self) -> usize {
        self.limit - self.depth
    }

    /// Leaves a container without telling the sink.
    pub fn higher(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    #[inline(always)]
    fn shut(&mut self) {
        self.sink.leave();
        self.higher();
    }

    #[inline(always)]
    fn in_object(&self) -> bool {
        let top = self.depth.wrapping_sub(1);
        self.objects.get(top / 64).is_some_and(|word| word >> (top % 64) & 1 == 1)
    }

    pub fn expected(&self, what: &'static str) -> Fault {
        Fault::expected(self.at, what)
    }
}

/// Writes a tape. Strings without escapes are parts of the text, which the tape has a copy of or
/// lies over.
pub struct OnTape<'t> {
    tape: &'t mut Tape,
    /// Where the text lies on the tape.
    base: usize,
    /// How much of the text is not on the tape.
    outside: usize,
    /// Strings are copied one by one.
    copies: bool,
    open: Open,
}

impl<'t> OnTape<'t> {
    /// For a tape that stands alone.
    pub fn with_copy(tape: &'t mut Tape, text: &[u8]) -> OnTape<'t> {
        let base = tape.source(text);
        OnTape { tape, base, outside: 0, copies: false, open: Open::NONE }
    }

    /// For a tape that gets a part of the text only: each string is copied by itself.
    pub fn apart(tape: &'t mut Tape) -> OnTape<'t> {
        OnTape { tape, base: 0, outside: 0, copies: true, open: Open::NONE }
    }

    /// For an empty tape that is read together with the text.
    pub fn over(tape: &'t mut Tape, text: &[u8]) -> OnTape<'t> {
        OnTape { tape, base: 0, outside: text.len(), copies: false, open: Open::NONE }
    }
}

impl Sink for OnTape<'_> {
    #[inline(always)]
    fn null(&mut self) {
        self.tape.null();
    }

    #[inline(always)]
    fn bool(&mut self, value: bool) {
        self.tape.bool(value);
    }

    #[inline(always)]
    fn number(&mut self, value: Number) {
        match value {
            Number::Int(n) => self.tape.int(n),
            Number::Float(n) => self.tape.float(n),
        }
    }

    #[inline(always)]
    fn plain(&mut self, text: &[u8], from: usize, to: usize) {
        if self.copies {
            self.tape.str(text.get(from..to).unwrap_or_default());
        } else {
            self.tape.part(self.base + from, to - from);
        }
    }

    fn escaped(&mut self, text: &[u8], from: usize) -> Read<usize> {
        let mut end = from;
        self.tape.written(self.outside, |out| {
            end = escape::unescape(text, from, |bytes| out.extend_from_slice(bytes))?;
            Ok(())
        })?;
        Ok(end)
    }

    #[inline(always)]
    fn enter(&mut self, kind: Kind) {
        self.open = self.tape.enter(kind, self.open);
    }

    #[inline(always)]
    fn item(&mut self) {
        self.open.len += 1;
    }

    #[inline(always)]
    fn leave(&mut self) {
        self.open = self.tape.leave(self.open);
    }
}

/// Checks and forgets.
pub struct Nowhere;

impl Sink for Nowhere {
    fn null(&mut self) {}
    fn bool(&mut self, _: bool) {}
    fn number(&mut self, _: Number) {}
    fn plain(&mut self, _: &[u8], _: usize, _: usize) {}

    fn escaped(&mut self, text: &[u8], from: usize) -> Read<usize> {
        escape::unescape(text, from, |_| {})
    }

    fn enter(&mut self, _: Kind) {}
    fn item(&mut self) {}
    fn leave(&mut self) {}
}
