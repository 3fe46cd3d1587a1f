//! A string of JSON that arrives in pieces.

use crate::value::json;
use crate::value::tape::Kind;

/// What a value is set to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Piece {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// A string, or what has arrived of it: that range of the machine's bytes.
    Text(usize, usize),
    /// An empty array or object, to be filled.
    Open(Kind),
}

/// The share by which an open string must grow to be shown anew: one in so many.
const GROWTH: usize = 8;

#[derive(Debug, Default)]
pub struct Text {
    bytes: Vec<u8>,
    /// Bytes known to be UTF-8.
    valid: usize,
    /// Bytes shown last; `None` before the first time.
    shown: Option<usize>,
    /// An escape that has not ended, from its backslash on.
    escape: Vec<u8>,
    broken: bool,
}

impl Text {
    pub fn begin(&mut self) {
        self.bytes.clear();
        self.escape.clear();
        (self.valid, self.shown, self.broken) = (0, None, false);
    }

    /// Takes bytes up to the closing quote; says how many, and whether it was there.
    pub fn take(&mut self, rest: &[u8]) -> (usize, bool) {
        if !self.escape.is_empty() {
            return (self.unescape(rest), false);
        }
        let end = json::plain_end(rest, 0);
        self.bytes.extend_from_slice(rest.get(..end).unwrap_or_default());
        match rest.get(end) {
            None => (end, false),
            Some(b'"') => (end + 1, true),
            Some(b'\\') => {
                self.escape.push(b'\\');
                (end + 1, false)
            }
            Some(_) => {
                self.broken = true;
                (end, false)
            }
        }
    }

    /// One more byte of an escape.
    fn unescape(&mut self, rest: &[u8]) -> usize {
        self.escape.extend(rest.first());
        match json::escape(&self.escape) {
            json::Escape::Open => {}
            json::Escape::Wrong => self.broken = true,
            json::Escape::Char(character) => {
                self.bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                self.escape.clear();
            }
        }
        1
    }

    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether all of it is UTF-8.
    pub fn is_whole(&mut self) -> bool {
        self.validate();
        self.valid == self.bytes.len()
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it grew enough to be shown.
    pub fn is_due(&mut self) -> bool {
        self.shown.is_none_or(|shown| self.bytes.len() > shown + shown / GROWTH)
    }

    /// What there is of it, without half a character at its end.
    pub fn show(&mut self) -> &[u8] {
        self.validate();
        self.shown = Some(self.bytes.len());
        self.bytes.get(..self.valid).unwrap_or_default()
    }

    fn validate(&mut self) {
        let rest = self.bytes.get(self.valid..).unwrap_or_default();
        match std::str::from_utf8(rest) {
            Ok(_) => self.valid = self.bytes.len(),
            Err(error) => {
                self.valid += error.valid_up_to();
                self.broken |= error.error_len().is_some();
            }
        }
    }
}
