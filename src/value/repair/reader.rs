//! The reader's place in the text: characters, blanks and comments, the repairs made so far.

use super::fix::Fix;
use super::{Level, Options};
use crate::value::Tape;

/// Why reading ends without a value: the byte, and what is wrong there.
#[derive(Clone, Debug)]
pub struct Stop {
    pub at: usize,
    pub reason: String,
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
    /// The last line break of the text.
    last_line: Option<usize>,
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
            last_line: memchr::memrchr(b'\n', text),
        }
    }

    pub fn best(&self) -> bool {
        self.options.level == Level::BestEffort
    }

    /// Notes a repair, or fails if the level does not allow it.
    pub fn fix(&mut self, fix: Fix, at: usize) -> Read<()> {
        if self.options.level < fix.level() {
            let doc = Fix::ALL.iter().find(|row| row.0 == fix).map_or("", |row| row.3);
            return Err(Stop {
                at,
                reason: format!("{doc} (best_effort mends that: {})", fix.name()),
            });
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
            while here > least && self.fuel > at - here && self.text[here - 1].is_ascii_whitespace()
            {
                here -= 1;
                line |= self.text[here] == b'\n';
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
        memchr::memmem::rfind(&self.text[from..close], b"/*").map(|n| from + n)
    }

    pub fn expected(&self, what: &str) -> Stop {
        let got = match std::str::from_utf8(self.rest(self.at)) {
            Ok(rest) => rest.chars().next(),
            Err(e) => std::str::from_utf8(&self.rest(self.at)[..e.valid_up_to()])
                .ok()
                .and_then(|rest| rest.chars().next()),
        };
        let got = got.map_or("the end of the text".to_owned(), |c| format!("{c:?}"));
        Stop { at: self.at, reason: format!("expected {what}, got {got}") }
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
