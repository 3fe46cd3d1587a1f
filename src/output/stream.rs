//! A JSON document that arrives in pieces: what each piece adds to its value.
//!
//! A [`Machine`] takes bytes, split anywhere, and answers with [`Edit`]s to a value that grows. It
//! does not hold the value. Its cost is linear in the text: an open string is given anew only when
//! it grew by an eighth.
//!
//! What stands before the first `{` or `[` is skipped; comments and commas before a closing bracket
//! are passed over. At anything else that is no JSON the machine stops, and what was built stays.

mod text;

use crate::value::json::{self, Number};
use crate::value::{MAX_DEPTH, tape::Kind};

use self::text::Text;

pub use self::text::Piece;

/// What to do to the growing value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edit {
    /// The container it goes into, counted from 1 at the outermost; 0: it is the outermost value.
    pub level: usize,
    pub place: Place,
    pub value: Piece,
}

/// Where in the container a value goes; the outermost value ignores it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// A name: that range of [`Machine::bytes`].
    Name(usize, usize),
    /// Counted from 1.
    Index(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the document.
    Prose,
    /// In a string that the text begins with: brackets in it open nothing.
    Quoted,
    QuotedEscape,
    /// At a value; the flag tells that a bracket may close instead.
    Value(bool),
    /// At a name, or at a closing bracket.
    Name,
    Colon,
    /// In a string; the flag tells that it is a name.
    String(bool),
    Number,
    Literal,
    /// Behind a value.
    Comma,
    Done,
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comment {
    None,
    Slash,
    Line,
    Block,
    Star,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    object: bool,
    /// Items begun.
    items: usize,
}

#[derive(Debug)]
pub struct Machine {
    state: State,
    comment: Comment,
    levels: Vec<Level>,
    limit: usize,
    name: Vec<u8>,
    /// The string that is open.
    text: Text,
    /// The number or literal that is open.
    word: Vec<u8>,
    begun: bool,
    edits: Vec<Edit>,
    bytes: Vec<u8>,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine::new(MAX_DEPTH)
    }
}

impl Machine {
    pub fn new(max_depth: usize) -> Machine {
        Machine {
            state: State::Prose,
            comment: Comment::None,
            levels: Vec::new(),
            limit: max_depth,
            name: Vec::new(),
            text: Text::default(),
            word: Vec::new(),
            begun: false,
            edits: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// Takes the next bytes of the text. [`Machine::edits`] then holds what they add.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.edits.clear();
        self.bytes.clear();
        let mut rest = chunk;
        while !rest.is_empty() && !self.is_over() {
            let taken = self.step(rest);
            rest = rest.get(taken..).unwrap_or_default();
        }
        if self.state == State::String(false) && self.text.is_due() {
            self.show_text();
        }
    }

    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// What ranges in edits refer to.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the document has ended.
    pub fn is_complete(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the text is no JSON from some point on.
    pub fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Broken)
    }

    /// Takes some of the bytes, of which there is one at least; says how many.
    fn step(&mut self, rest: &[u8]) -> usize {
        let byte = rest.first().copied().unwrap_or_default();
        match self.state {
            State::String(is_name) => return self.string(rest, is_name),
            State::Number => return self.number(byte),
            State::Prose => return self.prose(rest),
            State::Quoted => self.quoted(byte),
            State::QuotedEscape => self.state = State::Quoted,
            State::Literal => self.literal(byte),
            State::Done | State::Broken => {}
            _ if self.comment != Comment::None => self.comment(byte),
            _ => self.structure(byte),
        }
        1
    }

    fn structure(&mut self, byte: u8) {
        match (byte, self.state) {
            (b' ' | b'\n' | b'\r' | b'\t', _) => {}
            (b'/', _) => self.comment = Comment::Slash,
            (b']', State::Value(true)) => self.close(false),
            (_, State::Value(_)) => self.value(byte),
            (b'"', State::Name) => self.open_string(true),
            (b'}', State::Name) => self.close(true),
            (b':', State::Colon) => self.state = State::Value(false),
            (b',', State::Comma) if self.in_object() => self.state = State::Name,
            (b',', State::Comma) => self.state = State::Value(true),
            (b'}', State::Comma) => self.close(true),
            (b']', State::Comma) => self.close(false),
            _ => self.state = State::Broken,
        }
    }

    /// Skips up to the first bracket.
    fn prose(&mut self, rest: &[u8]) -> usize {
        let solid = rest.iter().position(|byte| !byte.is_ascii_whitespace());
        if let Some(at) = solid.filter(|_| !self.begun) {
            self.begun = true;
            if rest.get(at) == Some(&b'"') {
                self.state = State::Quoted;
                return at + 1;
            }
        }
        let Some(at) = memchr::memchr2(b'{', b'[', rest) else { return rest.len() };
        self.state = State::Value(false);
        at
    }

    fn quoted(&mut self, byte: u8) {
        match byte {
            b'\\' => self.state = State::QuotedEscape,
            b'"' => self.state = State::Prose,
            _ => {}
        }
    }

    fn comment(&mut self, byte: u8) {
        self.comment = match (self.comment, byte) {
            (Comment::Slash, b'/') => Comment::Line,
            (Comment::Slash, b'*') => Comment::Block,
            (Comment::Slash, _) => {
                self.state = State::Broken;
                Comment::None
            }
            (Comment::Line, b'\n') => Comment::None,
            (Comment::Block | Comment::Star, b'*') => Comment::Star,
            (Comment::Star, b'/') => Comment::None,
            (Comment::Star, _) => Comment::Block,
            (other, _) => other,
        };
    }

    fn in_object(&self) -> bool {
        self.levels.last().is_some_and(|level| level.object)
    }

    /// The first byte of a value.
    fn value(&mut self, byte: u8) {
        self.count();
        match byte {
            b'{' => self.open(true),
            b'[' => self.open(false),
            b'"' => self.open_string(false),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                let word = matches!(byte, b't' | b'f' | b'n');
                self.state = if word { State::Literal } else { State::Number };
                self.word.clear();
                self.word.push(byte);
            }
            _ => self.state = State::Broken,
        }
    }

    fn count(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.items += 1;
        }
    }

    fn open(&mut self, object: bool) {
        if self.levels.len() >= self.limit {
            self.state = State::Broken;
            return;
        }
        self.edit(Piece::Open(if object { Kind::Object } else { Kind::Array }));
        self.levels.push(Level { object, items: 0 });
        self.state = if object { State::Name } else { State::Value(true) };
    }

    fn close(&mut self, object: bool) {
        match self.levels.pop() {
            Some(level) if level.object == object => self.ended(),
            _ => self.state = State::Broken,
        }
    }

    fn ended(&mut self) {
        self.state = if self.levels.is_empty() { State::Done } else { State::Comma };
    }

    fn open_string(&mut self, is_name: bool) {
        self.text.begin();
        self.state = State::String(is_name);
    }

    fn string(&mut self, rest: &[u8], is_name: bool) -> usize {
        let (taken, ends) = self.text.take(rest);
        if self.text.is_broken() || (ends && !self.text.is_whole()) {
            // What there is of it stays.
            self.state = State::Broken;
        } else if ends && is_name {
            self.name.clear();
            self.name.extend_from_slice(self.text.bytes());
            self.state = State::Colon;
        } else if ends {
            self.show_text();
            self.ended();
        }
        taken
    }

    fn show_text(&mut self) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(self.text.show());
        self.edit(Piece::Text(from, self.bytes.len()));
    }

    fn literal(&mut self, byte: u8) {
        self.word.push(byte);
        let word = self.word.as_slice();
        let piece = match word {
            b"true" => Piece::Bool(true),
            b"false" => Piece::Bool(false),
            b"null" => Piece::Null,
            _ if [&b"true"[..], b"false", b"null"].iter().any(|whole| whole.starts_with(word)) => {
                return;
            }
            _ => return self.state = State::Broken,
        };
        self.edit(piece);
        self.ended();
    }

    /// A number ends at what cannot be of it, and that byte is left to others.
    fn number(&mut self, byte: u8) -> usize {
        if matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-') {
            self.word.push(byte);
            return 1;
        }
        match json::number(&self.word) {
            Some(Number::Int(n)) => self.edit(Piece::Int(n)),
            Some(Number::Float(n)) => self.edit(Piece::Float(n)),
            None => {
                self.state = State::Broken;
                return 0;
            }
        }
        self.ended();
        0
    }

    fn edit(&mut self, value: Piece) {
        let place = match self.levels.last() {
            Some(level) if level.object => {
                let from = self.bytes.len();
                self.bytes.extend_from_slice(&self.name);
                Place::Name(from, self.bytes.len())
            }
            Some(level) => Place::Index(level.items),
            None => Place::Index(1),
        };
        self.edits.push(Edit { level: self.levels.len(), place, value });
    }
}

#[cfg(test)]
mod tests;
