//! Strings: which bytes lie between the quotes, and what they say.
//!
//! A strict or lenient string ends at the first quote that is not escaped. With a best effort each
//! quote is judged by what follows it (`quote.rs`), so that `"a 24" screen"` and `"Oslo, "n": 2`
//! come out as they were meant.

use super::fix::Fix;
use super::reader::{Read, Reader};

/// Where a string stands decides what may follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Key,
    /// Of a member.
    Value,
    /// Of an array.
    Item,
    /// Of a tuple or a call.
    Arg,
    /// Of the text.
    Top,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Double,
    Single,
    Backtick,
    SmartDouble,
    SmartSingle,
}

#[derive(Clone, Copy, Debug)]
pub struct Quote {
    pub style: Style,
    pub len: usize,
}

/// The bytes of a string, and where reading goes on.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub from: usize,
    pub to: usize,
    pub next: usize,
    /// Its end was found, not guessed.
    pub closed: bool,
}

pub fn quote_at(text: &[u8]) -> Option<Quote> {
    let (style, len) = match text {
        [b'"', ..] => (Style::Double, 1),
        [b'\'', ..] => (Style::Single, 1),
        [b'`', ..] => (Style::Backtick, 1),
        [0xE2, 0x80, 0x9C..=0x9F, ..] => (Style::SmartDouble, 3),
        [0xE2, 0x80, 0x98..=0x9B, ..] => (Style::SmartSingle, 3),
        [0xC2, 0xB4, ..] => (Style::SmartSingle, 2),
        _ => return None,
    };
    Some(Quote { style, len })
}

impl Style {
    /// Length of a quote that ends a string of this style; 0 if there is none.
    pub fn closes(self, text: &[u8]) -> usize {
        use Style::{Backtick, Double, Single, SmartDouble, SmartSingle};
        let Some(quote) = quote_at(text) else { return 0 };
        let fits = match self {
            Double => quote.style == Double,
            Single => quote.style == Single,
            Backtick | SmartSingle => matches!(quote.style, Backtick | Single | SmartSingle),
            SmartDouble => matches!(quote.style, SmartDouble | Double),
        };
        if fits { quote.len } else { 0 }
    }

    /// The next byte that may be a quote of this style, or a backslash.
    fn find(self, text: &[u8]) -> Option<usize> {
        match self {
            Style::Double => memchr::memchr2(b'"', b'\\', text),
            Style::Single => memchr::memchr2(b'\'', b'\\', text),
            _ => text.iter().position(|b| matches!(b, b'"' | b'\'' | b'`' | b'\\' | 0xE2 | 0xC2)),
        }
    }
}

impl Reader<'_> {
    /// The next quote from `at` on that is not escaped: where it is, and its length.
    pub fn next_quote(&self, style: Style, at: usize) -> Option<(usize, usize)> {
        let mut here = at;
        loop {
            here += style.find(self.rest(here))?;
            if self.byte(here) == b'\\' {
                here += 2;
                continue;
            }
            match style.closes(self.rest(here)) {
                0 => here += 1,
                len => return Some((here, len)),
            }
        }
    }

    /// Reads the string that starts here into `word`; `false` if there is none.
    pub fn string(&mut self, role: Role) -> Read<bool> {
        let Some(quote) = quote_at(self.rest(self.at)) else { return Ok(false) };
        if quote.style != Style::Double {
            self.fix(Fix::Quotes, self.at)?;
        }
        let span = if self.best() { self.locate(quote, role)? } else { self.simple(quote)? };
        self.decode(span)?;
        self.at = span.next;
        Ok(true)
    }

    fn simple(&mut self, quote: Quote) -> Read<Span> {
        let from = self.at + quote.len;
        match self.next_quote(quote.style, from) {
            Some((to, len)) => Ok(Span { from, to, next: to + len, closed: true }),
            None => {
                self.fix(Fix::TruncatedString, self.at)?;
                Ok(Span { from, to: self.end, next: self.end, closed: false })
            }
        }
    }

    /// What the bytes of a string say, into `word`.
    pub fn decode(&mut self, span: Span) -> Read<()> {
        let mut out = std::mem::take(&mut self.word);
        out.clear();
        let done = self.decode_into(span, &mut out);
        self.word = out;
        done
    }

    fn decode_into(&mut self, span: Span, out: &mut Vec<u8>) -> Read<()> {
        let (mut at, mut raw_break) = (span.from, false);
        let text = self.part(0, span.to);
        while at < span.to {
            let plain = self.part(at, span.to).iter().position(|b| *b == b'\\' || *b < 0x20);
            let stop = plain.map_or(span.to, |n| at + n);
            self.plain(at, stop, out)?;
            raw_break &= stop == at;
            at = match text.get(stop) {
                None => stop,
                Some(b'\\') => {
                    raw_break = false;
                    self.escape(stop, span, out)?
                }
                Some(byte) => {
                    self.fix(Fix::ControlCharacter, stop)?;
                    raw_break |= *byte == b'\n';
                    out.push(*byte);
                    stop + 1
                }
            };
        }
        if raw_break && self.best() {
            out.truncate(out.trim_ascii_end().len());
        }
        Ok(())
    }

    fn plain(&mut self, from: usize, to: usize, out: &mut Vec<u8>) -> Read<()> {
        let bytes = self.part(from, to);
        if std::str::from_utf8(bytes).is_ok() {
            out.extend_from_slice(bytes);
            return Ok(());
        }
        self.fix(Fix::InvalidUtf8, from)?;
        out.extend_from_slice(String::from_utf8_lossy(bytes).as_bytes());
        Ok(())
    }

    /// The escape at `at`; gives where the text goes on.
    fn escape(&mut self, at: usize, span: Span, out: &mut Vec<u8>) -> Read<usize> {
        let text = self.part(0, span.to);
        let byte = match text.get(at + 1) {
            Some(b'"') => b'"',
            Some(b'\\') => b'\\',
            Some(b'/') => b'/',
            Some(b'b') => 0x08,
            Some(b'f') => 0x0C,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.unicode(at, span, out),
            Some(other) => return self.unknown_escape(at, *other, out),
            // A backslash at the very end: the escape was cut off.
            None => return Ok(at + 1),
        };
        out.push(byte);
        Ok(at + 2)
    }

    /// An escape JSON does not know keeps its backslash where that may be meant: before letters,
    /// digits and what regular expressions escape. Otherwise it is dropped.
    fn unknown_escape(&mut self, at: usize, byte: u8, out: &mut Vec<u8>) -> Read<usize> {
        self.fix(Fix::InvalidEscape, at)?;
        if byte == b'\n' || byte == b'\r' {
            let two = byte == b'\r' && self.byte(at + 2) == b'\n';
            return Ok(at + 2 + usize::from(two));
        }
        if byte.is_ascii_alphanumeric() || b".()[]{}*+?|^- ".contains(&byte) {
            out.push(b'\\');
        }
        Ok(at + 1)
    }

    fn unicode(&mut self, at: usize, span: Span, out: &mut Vec<u8>) -> Read<usize> {
        let text = self.part(0, span.to);
        let Some(first) = hex4(text.get(at + 2..)) else {
            let cut_off = at + 6 > span.to && !span.closed;
            if cut_off && text[at + 2..].iter().all(u8::is_ascii_hexdigit) {
                return Ok(span.to);
            }
            self.fix(Fix::InvalidEscape, at)?;
            out.extend_from_slice(b"\\u");
            return Ok(at + 2);
        };
        let (code, next) = match text.get(at + 6..at + 8) {
            Some(b"\\u") if (0xD800..0xDC00).contains(&first) => match hex4(text.get(at + 8..)) {
                Some(low) if (0xDC00..0xE000).contains(&low) => {
                    (0x10000 + ((first - 0xD800) << 10) + (low - 0xDC00), at + 12)
                }
                _ => (first, at + 6),
            },
            _ => (first, at + 6),
        };
        if char::from_u32(code).is_none() {
            // Half of a pair at the very end was cut off with the rest of it.
            let pair = (0xD800..0xDC00).contains(&code);
            if pair && !span.closed && span.to - next < 6 {
                return Ok(span.to);
            }
            self.fix(Fix::InvalidUtf8, at)?;
        }
        let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(next)
    }
}

fn hex4(text: Option<&[u8]>) -> Option<u32> {
    let digits = text?.get(..4)?;
    digits.iter().try_fold(0, |sum, b| Some(sum * 16 + char::from(*b).to_digit(16)?))
}
