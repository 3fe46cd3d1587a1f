//! The reader's place in the text: characters, blanks and comments, the repairs made so far.

use super::fix::Fix;
use super::{Level, Options};
use crate::value::Tape;

/// Why reading ends without a value: the byte, and what is wrong there.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    pub at: usize,
    pub wrong: Wrong,
}

#[derive(Clone, Copy, Debug)]
pub enum Wrong {
    /// It takes a repair that the level does not allow.
    Needs(Fix),
    Expected(&'static str),
    TooDeep(usize),
    Nothing,
}

impl Stop {
    /// The sentence for it.
    pub fn reason(self, text: &[u8]) -> String {
        match self.wrong {
            Wrong::Needs(fix) => {
                let doc = Fix::ALL.iter().find(|row| row.0 == fix).map_or("", |row| row.3);
                format!("{doc}: that takes {}", fix.level().name())
            }
            Wrong::Expected(what) => format!("expected {what}, got {}", got(text, self.at)),
            Wrong::TooDeep(limit) => format!("nested deeper than {limit}"),
            Wrong::Nothing => "no document in the text".to_owned(),
        }
    }
}

/// The character at a place, as messages show it.
fn got(text: &[u8], at: usize) -> String {
    let rest = text.get(at..text.len().min(at + 4)).unwrap_or_default();
    let character = rest.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
    character.map_or_else(|| "the end of the text".to_owned(), |c| format!("{c:?}"))
}

pub type Read<T> = std::result::Result<T, Stop>;

/// What a container is closed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    Object,
    Array,
    /// A tuple or the arguments of a call.
    Paren,
}

impl Inside {
    pub fn closer(self) -> u8 {
        match self {
            Inside::Object => b'}',
            Inside::Array => b']',
            Inside::Paren => b')',
        }
    }
}

pub struct Reader<'r> {
    pub text: &'r [u8],
    pub at: usize,
    /// Where the document must end: the end of the text or of a fence.
    pub end: usize,
    pub options: &'r Options,
    pub tape: &'r mut Tape,
    pub fixes: Vec<Fix>,
    /// The containers around the place.
    pub stack: Vec<Inside>,
    /// The last string that was read.
    pub word: Vec<u8>,
    /// Steps that looking ahead and looking again may still take. They are a multiple of the
    /// text's length, so that reading stays linear; without them the simplest reading is taken.
    pub fuel: usize,
    /// Inside of a document in quotes; these do not nest.
    pub embedded: bool,
    /// The last line break of the text.
    last_line: Option<usize>,
    /// The last line that begins with a fence.
    last_fence: Option<usize>,
}

impl<'r> Reader<'r> {
    pub fn new(text: &'r [u8], options: &'r Options, tape: &'r mut Tape) -> Reader<'r> {
        Reader {
            text,
            at: 0,
            end: text.len(),
            options,
            tape,
            fixes: Vec::new(),
            stack: Vec::new(),
            word: Vec::new(),
            fuel: 4096 + 8 * text.len(),
            embedded: false,
            last_line: memchr::memrchr(b'\n', text),
            last_fence: memchr::memmem::rfind(text, b"\n```"),
        }
    }

    pub fn best(&self) -> bool {
        self.options.level == Level::BestEffort
    }

    /// Notes a repair, or fails if the level does not allow it.
    pub fn fix(&mut self, fix: Fix, at: usize) -> Read<()> {
        if self.options.level < fix.level() {
            return Err(Stop { at, wrong: Wrong::Needs(fix) });
        }
        self.note(fix);
        Ok(())
    }

    /// Notes a repair that the level allows anyway.
    pub fn note(&mut self, fix: Fix) {
        if !self.fixes.contains(&fix) {
            self.fixes.push(fix);
        }
    }

    /// Takes steps off the fuel; whether there were enough.
    pub fn spend(&mut self, steps: usize) -> bool {
        let enough = self.fuel >= steps;
        self.fuel = self.fuel.saturating_sub(steps);
        enough
    }

    pub fn byte(&self, at: usize) -> u8 {
        if at < self.end { self.text.get(at).copied().unwrap_or(0) } else { 0 }
    }

    pub fn peek(&self) -> u8 {
        self.byte(self.at)
    }

    pub fn rest(&self, at: usize) -> &'r [u8] {
        self.text.get(at..self.end).unwrap_or_default()
    }

    pub fn starts(&self, at: usize, with: &str) -> bool {
        self.rest(at).starts_with(with.as_bytes())
    }

    pub fn part(&self, from: usize, to: usize) -> &'r [u8] {
        self.text.get(from..to).unwrap_or_default()
    }

    /// The document is over: the end, or the closing fence.
    pub fn over(&self, at: usize) -> bool {
        at >= self.end || self.starts(at, "```")
    }

    /// Whether a container of this kind is open.
    pub fn within(&self, inside: Inside) -> bool {
        self.stack.contains(&inside)
    }

    /// Skips white space and comments.
    pub fn blank(&mut self) -> Read<()> {
        loop {
            let from = self.at;
            self.space()?;
            if let Some(end) = self.comment_end(self.at) {
                self.fix(Fix::Comment, self.at)?;
                self.at = end;
            }
            if self.at == from {
                return Ok(());
            }
        }
    }

    fn space(&mut self) -> Read<()> {
        loop {
            match self.peek() {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                0x0B | 0x0C | 0xC2 | 0xE1 | 0xE2 | 0xE3 | 0xEF => {
                    let len = wide_space(self.rest(self.at));
                    if len == 0 {
                        return Ok(());
                    }
                    self.fix(Fix::Space, self.at)?;
                    self.at += len;
                }
                _ => return Ok(()),
            }
        }
    }

    /// Where a comment that starts here ends.
    pub fn comment_end(&self, at: usize) -> Option<usize> {
        match self.byte(at) {
            b'/' if self.byte(at + 1) == b'*' => {
                let close = memchr::memmem::find(self.rest(at + 2), b"*/");
                Some(close.map_or(self.end, |n| at + 2 + n + 2))
            }
            b'/' if self.byte(at + 1) == b'/' => Some(self.line_comment_end(at)),
            b'#' => Some(self.line_comment_end(at)),
            _ => None,
        }
    }

    /// The end of the line. Where no line follows, a best effort lets the comment end before the
    /// first bracket that closes something: `{"a": 1 // note }`.
    fn line_comment_end(&self, at: usize) -> usize {
        let rest = self.rest(at);
        let lines = self.last_line.is_some_and(|last| last >= at);
        if let Some(n) = lines.then(|| memchr::memchr(b'\n', rest)).flatten() {
            return at + n;
        }
        let inner = self.best() && !self.stack.is_empty();
        let close = if inner { memchr::memchr2(b'}', b']', rest) } else { None };
        close.map_or(self.end, |n| at + n)
    }

    /// The next place from `at` on that is neither blank nor comment, without moving there.
    pub fn after_blank(&mut self, at: usize) -> usize {
        let mut here = at;
        while self.fuel > 0 {
            let from = here;
            while matches!(self.byte(here), b' ' | b'\t' | b'\n' | b'\r') && here < self.end {
                here += 1;
            }
            here += wide_space(self.rest(here));
            here = self.comment_end(here).unwrap_or(here);
            self.spend(1 + here - from);
            if here == from {
                break;
            }
        }
        here
    }

    /// The last place before `at` that is not blank, and whether a line ends in between.
    pub fn before_blank(&mut self, at: usize, least: usize) -> (usize, bool) {
        let (mut here, mut line) = (at, false);
        loop {
            while here > least && self.fuel > at - here && self.byte(here - 1).is_ascii_whitespace()
            {
                here -= 1;
                line |= self.byte(here) == b'\n';
            }
            let comment = here >= least + 4 && self.text[..here].ends_with(b"*/");
            let open = if comment { self.comment_start(here - 2, least) } else { None };
            match open {
                Some(open) => here = open,
                None => {
                    self.spend(1 + at - here);
                    return (here, line);
                }
            }
        }
    }

    /// Comments longer than this are not skipped backwards.
    fn comment_start(&self, close: usize, least: usize) -> Option<usize> {
        const LONGEST: usize = 200;
        let from = close.saturating_sub(LONGEST).max(least);
        memchr::memmem::rfind(self.part(from, close), b"/*").map(|n| from + n)
    }

    pub fn expected(&self, what: &'static str) -> Stop {
        Stop { at: self.at, wrong: Wrong::Expected(what) }
    }

    /// Where a fence that stands at the beginning of a line ends what is in it.
    pub fn closing_fence(&mut self, at: usize) -> Option<usize> {
        if self.last_fence.is_none_or(|last| last < at) || self.fuel == 0 {
            return None;
        }
        let found = memchr::memmem::find(self.rest(at), b"\n```").map(|n| at + n + 1);
        self.spend(found.unwrap_or(self.end).saturating_sub(at));
        found
    }
}

/// Length of a white space character that JSON does not know; 0 if there is none.
pub fn wide_space(text: &[u8]) -> usize {
    match text {
        [0x0B | 0x0C, ..] => 1,
        [0xC2, 0xA0 | 0x85, ..] => 2,
        [0xE2, 0x80, 0x80..=0x8B | 0xA8 | 0xA9 | 0xAF, ..]
        | [0xE2, 0x81, 0x9F | 0xA0, ..]
        | [0xE1, 0x9A, 0x80, ..]
        | [0xE3, 0x80, 0x80, ..]
        | [0xEF, 0xBB, 0xBF, ..] => 3,
        _ => 0,
    }
}

pub fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

pub fn is_word(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'-'
}
