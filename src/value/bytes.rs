//! Values as bytes, exact: what memory keeps and stores hold.
//!
//! Stored for good, so a tag is never given another meaning. One byte says what follows:
//!
//! | tag | value |
//! |---|---|
//! | 0, 1, 2 | null, false, true |
//! | 3 | an integer: varint of its zigzag form |
//! | 4 | a float: 8 bytes, little endian |
//! | 5 | a string: varint of its length, its bytes |
//! | 6 | an array: varint of the count, the items |
//! | 7 | an object: varint of the count, then length and bytes of a name and a value, each |
//! | 8 | an empty table that is neither |

use super::tape::{Token, Walk};
use super::{MAX_DEPTH, Tape};

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const FLOAT: u8 = 4;
const TEXT: u8 = 5;
const ARRAY: u8 = 6;
const OBJECT: u8 = 7;
const EMPTY: u8 = 8;

/// Appends a value. Values that pass by reference are null.
pub fn encode(mut value: Walk<'_>, out: &mut Vec<u8>) {
    // Members of objects still to come, of the innermost container outwards: before each member
    // that stands in an object comes its name.
    let mut open: Vec<(usize, bool)> = Vec::new();
    loop {
        if let Some((left, true)) = open.last()
            && *left > 0
        {
            put_text(value.name(), out);
        }
        match put_one(value.take(), out) {
            Some(container) => open.push(container),
            None => finish_one(&mut open),
        }
        while let Some((0, _)) = open.last() {
            open.pop();
            finish_one(&mut open);
        }
        if open.is_empty() {
            return;
        }
    }
}

fn finish_one(open: &mut [(usize, bool)]) {
    if let Some((left, _)) = open.last_mut() {
        *left = left.saturating_sub(1);
    }
}

/// Writes a node; of a container how many members follow, and whether they have names.
fn put_one(token: Token<'_>, out: &mut Vec<u8>) -> Option<(usize, bool)> {
    match token {
        Token::Null => out.push(NULL),
        Token::Bool(value) => out.push(if value { TRUE } else { FALSE }),
        Token::Int(n) => {
            out.push(INT);
            put_number(((n << 1) ^ (n >> 63)) as u64, out);
        }
        Token::Float(n) => {
            out.push(FLOAT);
            out.extend_from_slice(&n.to_le_bytes());
        }
        Token::Str(bytes) => {
            out.push(TEXT);
            put_text(bytes, out);
        }
        Token::Array(len) => {
            out.push(ARRAY);
            put_number(len as u64, out);
            return Some((len, false));
        }
        Token::Object(len) => {
            out.push(OBJECT);
            put_number(len as u64, out);
            return Some((len, true));
        }
        Token::Empty => out.push(EMPTY),
    }
    None
}

/// Appends the length of some bytes and the bytes.
pub fn put_text(bytes: &[u8], out: &mut Vec<u8>) {
    put_number(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends seven bits a byte, the lowest first; the high bit says that more follow.
pub fn put_number(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Reads from the front of bytes that may be damaged.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'b>(pub &'b [u8]);

impl<'b> Reader<'b> {
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub fn number(&mut self) -> Option<u64> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(n);
            }
        }
        None
    }

    pub fn take(&mut self, len: usize) -> Option<&'b [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    pub fn text(&mut self) -> Option<&'b [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        self.take(len)
    }

    pub fn float(&mut self) -> Option<f64> {
        Some(f64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    /// Reads one value onto the tape; `None` if the bytes are no value, and then the tape holds a
    /// part of it.
    pub fn value(&mut self, tape: &mut Tape) -> Option<()> {
        self.nested(tape, MAX_DEPTH)
    }

    fn nested(&mut self, tape: &mut Tape, depth: usize) -> Option<()> {
        match self.byte()? {
            NULL => tape.null(),
            FALSE => tape.bool(false),
            TRUE => tape.bool(true),
            INT => {
                let n = self.number()?;
                tape.int((n >> 1) as i64 ^ -((n & 1) as i64));
            }
            FLOAT => tape.float(self.float()?),
            TEXT => tape.str(self.text()?),
            ARRAY => {
                let (len, mark) = (self.count()?, tape.open_array());
                (0..len).try_for_each(|_| self.nested(tape, depth.checked_sub(1)?))?;
                tape.close(mark, len);
            }
            OBJECT => {
                let (len, mark) = (self.count()?, tape.open_object());
                (0..len).try_for_each(|_| {
                    tape.str(self.text()?);
                    self.nested(tape, depth.checked_sub(1)?)
                })?;
                tape.close(mark, len);
            }
            EMPTY => tape.empty(),
            _ => return None,
        }
        Some(())
    }

    /// Members take at least a byte each: a damaged count asks for no memory.
    fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.0.len()).then_some(count)
    }
}

/// Reads a whole value onto the end of the tape; false if the bytes are not exactly one.
pub fn decode(bytes: &[u8], tape: &mut Tape) -> bool {
    let mut reader = Reader(bytes);
    reader.value(tape).is_some() && reader.0.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::json;

    fn tape(text: &str) -> Tape {
        let mut tape = Tape::default();
        assert!(json::parse(text.as_bytes(), &mut tape).is_ok(), "{text}");
        tape
    }

    fn encoded(tape: &Tape) -> Vec<u8> {
        let mut out = Vec::new();
        encode(tape.walk(0, &[]), &mut out);
        out
    }

    #[test]
    fn every_value_comes_back() {
        for text in [
            "null",
            "true",
            "0",
            "-1",
            "9223372036854775807",
            "-9223372036854775808",
            "1.5",
            "-0.0",
            r#""ä""#,
            "[]",
            "{}",
            "[[],{}]",
            r#"{"a":[1,{"b":null}],"c":"","d":[[],[2.5e300]]}"#,
        ] {
            let (before, mut after) = (tape(text), Tape::default());
            assert!(decode(&encoded(&before), &mut after), "{text}");
            assert_eq!(encoded(&after), encoded(&before), "{text}");
            assert_eq!(after.root().unwrap().to_json(), before.root().unwrap().to_json());
        }
    }

    #[test]
    fn damaged_bytes_are_refused_and_never_panic() {
        let bytes = encoded(&tape(r#"{"a":[1,2,{"b":"text","c":1.5}],"d":true}"#));
        for cut in 0..bytes.len() {
            assert!(!decode(&bytes[..cut], &mut Tape::default()));
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                let _ = decode(&damaged, &mut Tape::default());
            }
        }
        assert!(!decode(
            &[INT, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &mut Tape::default()
        ));
    }

    #[test]
    fn depth_is_bounded() {
        let mut deep = [ARRAY, 1].repeat(MAX_DEPTH);
        deep.push(NULL);
        assert!(decode(&deep, &mut Tape::default()));
        let mut deeper = [ARRAY, 1].repeat(MAX_DEPTH + 1);
        deeper.push(NULL);
        assert!(!decode(&deeper, &mut Tape::default()));
    }
}
