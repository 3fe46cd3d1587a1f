//! A value on a tape as JSON text.

use super::scan;
use crate::value::tape::{Kind, Ref, Token, Walk};

/// How a document is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Spaces for each level; `None`: all on one line, without any space.
    pub indent: Option<usize>,
    /// Members in the order of their names' bytes, else as they stand.
    pub sort_keys: bool,
}

/// The text of a value. Integers are exact, floats as short as they can be while reading back the
/// same. Values that are no data (functions, threads, userdata) become null and bytes that are not
/// UTF-8 are replaced: producers of documents have refused both before.
pub fn text(value: Ref<'_>, style: Style) -> String {
    let mut writer = Writer { out: Vec::with_capacity(value.text_size()), style };
    match style.sort_keys {
        true => writer.sorted(value, 0),
        false => writer.value(&mut value.walk(), 0),
    }
    // SAFETY: besides ASCII of its own, the writer copies runs of bytes that lie between ASCII
    // bytes, and each of them is ASCII or has been checked (`run`).
    unsafe { String::from_utf8_unchecked(writer.out) }
}

struct Writer {
    out: Vec<u8>,
    style: Style,
}

impl Writer {
    /// No tape is nested so deeply that this recursion matters: its producers saw to that.
    fn value(&mut self, walk: &mut Walk<'_>, level: usize) {
        match walk.take() {
            Token::Null => self.out.extend_from_slice(b"null"),
            Token::Bool(value) => self.bool(value),
            Token::Int(n) => put_int(&mut self.out, n),
            Token::Float(n) => {
                put_float(&mut self.out, n);
            }
            Token::Str(bytes) => self.string(bytes),
            Token::Array(len) => self.array(walk, len, level),
            Token::Object(len) => self.object(walk, len, level),
            Token::Empty => self.out.extend_from_slice(b"{}"),
        }
    }

    fn array(&mut self, walk: &mut Walk<'_>, len: usize, level: usize) {
        self.out.push(b'[');
        for i in 0..len {
            self.next(i, level + 1);
            self.value(walk, level + 1);
        }
        self.end(b']', len == 0, level);
    }

    fn object(&mut self, walk: &mut Walk<'_>, len: usize, level: usize) {
        self.out.push(b'{');
        for i in 0..len {
            self.next(i, level + 1);
            self.name(walk.name());
            self.value(walk, level + 1);
        }
        self.end(b'}', len == 0, level);
    }

    /// As [`Writer::value`], where members are to be sorted.
    fn sorted(&mut self, value: Ref<'_>, level: usize) {
        match value.kind() {
            Kind::Array => {
                self.out.push(b'[');
                for (i, item) in value.items().enumerate() {
                    self.next(i, level + 1);
                    self.sorted(item, level + 1);
                }
                self.end(b']', value.is_empty(), level);
            }
            Kind::Object => self.sorted_object(value, level),
            _ => self.value(&mut value.walk(), level),
        }
    }

    /// Of a repeated name only the last is written: side by side, the others would read as a mistake.
    fn sorted_object(&mut self, value: Ref<'_>, level: usize) {
        let mut members: Vec<_> = value.members().collect();
        members.reverse();
        members.sort_by_key(|(name, _)| name.as_bytes());
        members.dedup_by_key(|(name, _)| name.as_bytes());
        self.out.push(b'{');
        for (i, (name, value)) in members.iter().enumerate() {
            self.next(i, level + 1);
            self.name(name.as_bytes().unwrap_or_default());
            self.sorted(*value, level + 1);
        }
        self.end(b'}', members.is_empty(), level);
    }

    fn name(&mut self, name: &[u8]) {
        self.string(name);
        self.out.extend_from_slice(if self.style.indent.is_some() { b": " } else { b":" });
    }

    fn bool(&mut self, value: bool) {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn next(&mut self, i: usize, level: usize) {
        if i > 0 {
            self.out.push(b',');
        }
        self.line(level);
    }

    fn end(&mut self, bracket: u8, empty: bool, level: usize) {
        if !empty {
            self.line(level);
        }
        self.out.push(bracket);
    }

    fn line(&mut self, level: usize) {
        if let Some(indent) = self.style.indent {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + indent * level, b' ');
        }
    }

    fn string(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        let mut at = 0;
        loop {
            let run = scan::plain(bytes, at);
            self.run(bytes.get(at..run.end).unwrap_or_default(), run.ascii);
            let Some(byte) = bytes.get(run.end) else { break };
            escape(&mut self.out, *byte);
            at = run.end + 1;
        }
        self.out.push(b'"');
    }

    fn run(&mut self, bytes: &[u8], ascii: bool) {
        if ascii || std::str::from_utf8(bytes).is_ok() {
            self.out.extend_from_slice(bytes);
        } else {
            self.out.extend_from_slice(String::from_utf8_lossy(bytes).as_bytes());
        }
    }
}

/// A string, in quotes; false, with a part of it written, if it is not UTF-8.
#[inline]
pub fn put_text(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    put_short(out, bytes) || put_long(out, bytes)
}

#[inline(never)]
fn put_long(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let done = put_runs(out, bytes);
    out.push(b'"');
    done
}

/// Writes a text of up to 32 bytes, with its quotes, if nothing in it needs a second look. Nearly all
/// names and many values are such texts.
#[inline]
fn put_short(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    match bytes.len() {
        16..=32 => put_halves::<16>(out, bytes, |first, last| {
            scan::is_plain_block(first) && scan::is_plain_block(last)
        }),
        8..16 => put_halves::<8>(out, bytes, |first, last| {
            let both = u128::from(u64::from_le_bytes(*first)) << 64;
            let both = both | u128::from(u64::from_le_bytes(*last));
            scan::is_plain_block(&both.to_le_bytes())
        }),
        4..8 => put_halves::<4>(out, bytes, |first, last| {
            is_plain(u32::from_le_bytes(*first), u32::from_le_bytes(*last))
        }),
        2..4 => put_halves::<2>(out, bytes, |first, last| {
            let (first, last) = (u16::from_le_bytes(*first), u16::from_le_bytes(*last));
            let both = u32::from(first) << 16 | u32::from(last);
            is_plain(both, both)
        }),
        _ => false,
    }
}

/// Whether all bytes of two words are plain: a block is told at once, so they are looked at twice.
#[inline(always)]
fn is_plain(first: u32, last: u32) -> bool {
    let both = u64::from(first) << 32 | u64::from(last);
    scan::is_plain_block(&(u128::from(both) << 64 | u128::from(both)).to_le_bytes())
}

/// Two halves that overlap: to copy a size that is known where this is compiled takes one instruction.
#[inline(always)]
fn put_halves<const SIZE: usize>(
    out: &mut Vec<u8>,
    bytes: &[u8],
    are_plain: impl Fn(&[u8; SIZE], &[u8; SIZE]) -> bool,
) -> bool {
    let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) else { return false };
    if !are_plain(first, last) {
        return false;
    }
    out.reserve(bytes.len() + 2);
    // SAFETY: there is room for the text and two quotes, and behind it the length says what was
    // written: the halves are no longer than the text, and together as long at least.
    unsafe {
        let quote = out.as_mut_ptr().add(out.len());
        let text = quote.add(1);
        quote.write(b'"');
        text.cast::<[u8; SIZE]>().write(*first);
        text.add(bytes.len() - SIZE).cast::<[u8; SIZE]>().write(*last);
        text.add(bytes.len()).write(b'"');
        out.set_len(out.len() + bytes.len() + 2);
    }
    true
}

fn put_runs(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let mut at = 0;
    loop {
        let run = scan::plain(bytes, at);
        let plain = bytes.get(at..run.end).unwrap_or_default();
        if !run.ascii && std::str::from_utf8(plain).is_err() {
            return false;
        }
        out.extend_from_slice(plain);
        let Some(byte) = bytes.get(run.end) else { return true };
        escape(out, *byte);
        at = run.end + 1;
    }
}

#[inline]
pub fn put_int(out: &mut Vec<u8>, n: i64) {
    match u8::try_from(n) {
        Ok(digit @ 0..10) => out.push(b'0' + digit),
        _ => number(out, &n),
    }
}

/// What is not finite is null.
pub fn put_float(out: &mut Vec<u8>, n: f64) -> bool {
    number(out, &n);
    true
}

/// serde_json's formatting. Writing to memory does not fail.
fn number(out: &mut Vec<u8>, number: &impl serde::Serialize) {
    let _ = serde_json::to_writer(out, number);
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\t' => b't',
        b'\r' => b'r',
        0x08 => b'b',
        0x0c => b'f',
        _ => return out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
    };
    out.extend_from_slice(&[b'\\', letter]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_of_any_length_with_any_byte_is_written_as_serde_json_writes_it() {
        for len in 0..40 {
            for at in 0..len {
                for character in ['"', '\\', '\u{1}', '\n', '\u{7f}', 'z', ' '] {
                    let mut text = "abcdefghij".repeat(4)[..len].to_owned();
                    text.replace_range(at..=at, &character.to_string());
                    let mut out = b"before".to_vec();
                    assert!(put_text(&mut out, text.as_bytes()));
                    let expected = serde_json::to_string(&text).unwrap();
                    assert_eq!(out[6..], *expected.as_bytes());
                }
            }
        }
    }

    #[test]
    fn what_is_not_utf8_is_not_written() {
        for len in 1..40 {
            for at in 0..len {
                let mut text = vec![b'a'; len];
                text[at] = 0xff;
                assert!(!put_text(&mut Vec::new(), &text), "{at} of {len}");
            }
        }
        let mut out = Vec::new();
        assert!(put_text(&mut out, "naïve – ä".as_bytes()));
        assert_eq!(out, "\"naïve – ä\"".as_bytes());
    }
}
