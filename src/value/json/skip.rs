//! Values that nobody asked for: checked as strictly as any, and forgotten.
//!
//! It takes no note of what it passes and tells no reason when a text is wrong, which makes it
//! several times as fast as reading: whoever wants the reason reads the text again.

use super::scan::{self, byte, space};
use super::{escape, number as numbers};

/// Deepest nesting: the open containers are bits of a word. What is deeper has to be read.
const DEEPEST: usize = u64::BITS as usize - 1;

/// Digits of a number that is no larger than any float, whatever they are.
const SMALL: usize = 300;

/// As [`value`], without a call for what members mostly are.
#[inline(always)]
pub fn simply(text: &[u8], at: usize, levels: usize) -> Option<usize> {
    match byte(text, at) {
        b'"' => string(text, at + 1),
        b'0'..=b'9' => number(text, at),
        _ => value(text, at, levels),
    }
}

/// The index behind the value at `at`, if there is a valid one that is nested at most `levels` deep.
pub fn value(text: &[u8], mut at: usize, levels: usize) -> Option<usize> {
    let levels = levels.min(DEEPEST);
    let mut open = Open::NONE;
    loop {
        let opens = match byte(text, at) {
            b'"' => {
                at = string(text, at + 1)?;
                None
            }
            b'{' => Some((true, b'}')),
            b'[' => Some((false, b']')),
            b'-' | b'0'..=b'9' => {
                at = number(text, at)?;
                None
            }
            _ => {
                at = literal(text, at)?;
                None
            }
        };
        if let Some((object, closing)) = opens {
            open = open.deeper(object, levels)?;
            at = space(text, at + 1);
            if byte(text, at) != closing {
                at = if object { name(text, at)? } else { at };
                continue;
            }
        }
        // Behind a value, or at the bracket that closes an empty container.
        loop {
            if open == Open::NONE {
                return Some(at);
            }
            at = space(text, at);
            let byte = byte(text, at);
            at += 1;
            if byte == b',' {
                at = space(text, at);
                at = if open.object() { name(text, at)? } else { at };
                break;
            }
            if byte != if open.object() { b'}' } else { b']' } {
                return None;
            }
            open = open.higher();
        }
    }
}

/// The open containers: a bit for each, whether it is an object, below a bit that marks the end.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Open(u64);

impl Open {
    const NONE: Open = Open(1);

    #[inline(always)]
    fn deeper(self, object: bool, levels: usize) -> Option<Open> {
        (self.0 >> levels == 0).then_some(Open(self.0 << 1 | u64::from(object)))
    }

    #[inline(always)]
    fn higher(self) -> Open {
        Open(self.0 >> 1)
    }

    #[inline(always)]
    fn object(self) -> bool {
        self.0 & 1 == 1
    }
}

/// From a name to the value that it names.
#[inline(always)]
fn name(text: &[u8], at: usize) -> Option<usize> {
    if byte(text, at) != b'"' {
        return None;
    }
    colon(text, string(text, at + 1)?)
}

/// From behind a name to its value.
#[inline(always)]
pub fn colon(text: &[u8], at: usize) -> Option<usize> {
    let at = space(text, at);
    (byte(text, at) == b':').then(|| space(text, at + 1))
}

/// The index behind the closing quote of a string whose bytes begin at `from`.
#[inline(always)]
fn string(text: &[u8], from: usize) -> Option<usize> {
    scan::quote(text, from).or_else(|| long_string(text, from)).map(|end| end + 1)
}

#[cold]
#[inline(never)]
fn long_string(text: &[u8], from: usize) -> Option<usize> {
    let run = scan::plain(text, from);
    if run.ascii && byte(text, run.end) == b'"' {
        return Some(run.end);
    }
    escape::unescape(text, from, |_| {}).ok()
}

#[inline(always)]
fn number(text: &[u8], from: usize) -> Option<usize> {
    let start = from + usize::from(byte(text, from) == b'-');
    let zero = byte(text, start) == b'0';
    let mut at = if zero { start + 1 } else { some_digits(text, start)? };
    if byte(text, at) == b'.' {
        at = some_digits(text, at + 1)?;
    }
    let simple = at - start < SMALL && !matches!(byte(text, at), b'e' | b'E');
    if simple { Some(at) } else { numbers::read(text, from).ok().map(|(_, end)| end) }
}

#[inline(always)]
fn some_digits(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while byte(text, at).is_ascii_digit() {
        at += 1;
    }
    (at > from).then_some(at)
}

fn literal(text: &[u8], at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let words: [&[u8]; 3] = [b"true", b"false", b"null"];
    words.into_iter().find(|word| rest.starts_with(word)).map(|word| at + word.len())
}

#[cfg(test)]
mod tests {
    use super::super::read::Reader;
    use super::*;
    use crate::value::tape::Tape;

    /// What the reader says of a value at the beginning of a text.
    fn read(text: &[u8], levels: usize) -> Option<usize> {
        let mut tape = Tape::default();
        Reader::copying(&mut tape, text).value(0, levels).ok()
    }

    #[track_caller]
    fn agree(text: &[u8], levels: usize) {
        let shown = String::from_utf8_lossy(text);
        assert_eq!(value(text, 0, levels), read(text, levels), "{shown}");
    }

    const DOCUMENT: &str = r#"{ "a" : [1, -0.5e-3 , true,false ,null,[],{}], "b\n\u00e4":{"ü":"\ud83d\ude00 x", "":[[[ ]]]},
        "long string without an end of any kind, which is more than a block":12345678901234567890123}"#;

    #[test]
    fn what_is_skipped_is_what_would_be_read() {
        for text in [
            DOCUMENT,
            "01",
            "-",
            "1.",
            "1.e3",
            "1e",
            "1e999",
            "0.10",
            "-0",
            "00.1",
            "tru",
            "\"\\u12\"",
            "\"\\ud800\"",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{,}",
            "[1 2]",
            "[1}",
            "{\"a\":1]",
            "",
            "]",
            "[\"\t\"]",
        ] {
            agree(text.as_bytes(), 100);
        }
        agree(b"\"\xff\"", 100);
        agree(format!("{}1{}", "9".repeat(400), ".5").as_bytes(), 100);
    }

    #[test]
    fn one_byte_changed_is_judged_alike() {
        for at in 0..DOCUMENT.len() {
            for byte in b"\"\\{}[]:,0.eE- \n\x01\x80tn" {
                let mut text = DOCUMENT.as_bytes().to_vec();
                text[at] = *byte;
                agree(&text, 100);
                agree(&text[..at], 100);
            }
        }
    }

    #[test]
    fn it_goes_as_deep_as_allowed() {
        for depth in [1, 2, 31, 32, 62, 63] {
            let text = "[".repeat(depth) + &"]".repeat(depth);
            for levels in [depth - 1, depth, depth + 1] {
                let expected = (levels >= depth).then_some(text.len());
                assert_eq!(value(text.as_bytes(), 0, levels), expected, "{depth} {levels}");
            }
        }
        let deep = "[".repeat(64) + &"]".repeat(64);
        assert_eq!(value(deep.as_bytes(), 0, 1000), None);
    }
}
