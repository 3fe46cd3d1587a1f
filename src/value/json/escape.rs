//! Escapes in strings.

use super::fault::{Fault, Wrong};
use super::scan;

/// Reads the rest of a string from `from`, where plain bytes or an escape stand, and hands every
/// run of bytes to `take`; gives the index of the closing quote.
pub fn unescape(
    text: &[u8],
    from: usize,
    mut take: impl FnMut(&[u8]),
) -> std::result::Result<usize, Fault> {
    let mut at = from;
    loop {
        // Escapes often come in pairs, as the ends of two lines do.
        if scan::byte(text, at) != b'\\' {
            at = plain(text, at, &mut take)?;
        }
        match text.get(at) {
            Some(b'"') => return Ok(at),
            Some(b'\\') => at = one(text, at, &mut take)?,
            Some(_) => return Err(Fault { at, wrong: Wrong::Control }),
            None => return Err(Fault::expected(at, "a closing double quote")),
        }
    }
}

/// A run of plain bytes, which may be empty; gives the index behind it.
#[inline(always)]
fn plain(
    text: &[u8],
    at: usize,
    take: &mut impl FnMut(&[u8]),
) -> std::result::Result<usize, Fault> {
    let run = scan::plain(text, at);
    let bytes = text.get(at..run.end).unwrap_or_default();
    if !run.ascii {
        check(bytes, at)?;
    }
    take(bytes);
    Ok(run.end)
}

/// Fails unless the bytes, which stand at `at`, are UTF-8.
pub fn check(bytes: &[u8], at: usize) -> std::result::Result<(), Fault> {
    std::str::from_utf8(bytes)
        .map(drop)
        .map_err(|error| Fault { at: at + error.valid_up_to(), wrong: Wrong::NotUtf8 })
}

/// One escape, whose backslash stands at `at`; gives the index behind it.
fn one(text: &[u8], at: usize, take: &mut impl FnMut(&[u8])) -> std::result::Result<usize, Fault> {
    let Some(letter) = text.get(at + 1) else {
        return Err(Fault::expected(at + 1, "an escape"));
    };
    match simple(*letter) {
        Some(byte) => take(&[byte]),
        None if *letter == b'u' => return unicode(text, at, take),
        None => return Err(Fault { at, wrong: Wrong::Escape }),
    }
    Ok(at + 2)
}

/// What a backslash and this letter stand for.
pub fn simple(letter: u8) -> Option<u8> {
    Some(match letter {
        b'"' | b'\\' | b'/' => letter,
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 0x08,
        b'f' => 0x0c,
        _ => return None,
    })
}

/// `\u00e4`, or two of them that make one character.
fn unicode(
    text: &[u8],
    at: usize,
    take: &mut impl FnMut(&[u8]),
) -> std::result::Result<usize, Fault> {
    let first = hex(text, at + 2)?;
    let (character, end) = match first {
        0xD800..=0xDBFF if text.get(at + 6..at + 8) == Some(b"\\u") => {
            (pair(first, hex(text, at + 8)?), at + 12)
        }
        _ => (char::from_u32(first), at + 6),
    };
    let character = character.ok_or(Fault { at, wrong: Wrong::Surrogate })?;
    take(character.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(end)
}

/// The character of two halves of a surrogate pair.
pub fn pair(high: u32, low: u32) -> Option<char> {
    if !matches!((high, low), (0xD800..=0xDBFF, 0xDC00..=0xDFFF)) {
        return None;
    }
    char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
}

fn hex(text: &[u8], at: usize) -> std::result::Result<u32, Fault> {
    (at..at + 4).try_fold(0, |value, i| match char::from(scan::byte(text, i)).to_digit(16) {
        Some(digit) => Ok(value << 4 | digit),
        None => Err(Fault::expected(i, "a hexadecimal digit")),
    })
}

/// An escape, or the beginning of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// More bytes are needed.
    Open,
    Wrong,
    Char(char),
}

/// Reads `text`, which begins with a backslash: where strings arrive in pieces, byte after byte.
pub fn escape(text: &[u8]) -> Escape {
    match text.get(1) {
        None => Escape::Open,
        Some(b'u') => surrogates(text),
        Some(letter) => {
            simple(*letter).map_or(Escape::Wrong, |byte| Escape::Char(char::from(byte)))
        }
    }
}

fn surrogates(text: &[u8]) -> Escape {
    let all = text.get(2..).unwrap_or_default();
    let (first, rest) = all.split_at(all.len().min(4));
    if !first.iter().all(u8::is_ascii_hexdigit) {
        return Escape::Wrong;
    }
    let Some(high) = (first.len() == 4).then(|| hex(text, 2).unwrap_or_default()) else {
        return Escape::Open;
    };
    if !matches!(high, 0xD800..=0xDBFF) {
        return char::from_u32(high).map_or(Escape::Wrong, Escape::Char);
    }
    let (mark, second) = rest.split_at(rest.len().min(2));
    if !b"\\u".starts_with(mark) || !second.iter().all(u8::is_ascii_hexdigit) {
        return Escape::Wrong;
    }
    if second.len() < 4 {
        return Escape::Open;
    }
    pair(high, hex(text, 8).unwrap_or_default()).map_or(Escape::Wrong, Escape::Char)
}
