//! Server-sent events, wherever the bytes were split.
//!
//! ```
//! use zigllms::provider::sse::Sse;
//! let (mut sse, mut seen) = (Sse::default(), Vec::new());
//! for bytes in [&b"data: a\ndat"[..], b"a: b\r", b"\n\r\n"] {
//!     sse.push(bytes, |event| Ok(seen.push(event.data.to_vec()))).unwrap();
//! }
//! assert_eq!(seen, [b"a\nb"]);
//! ```

use memchr::{memchr, memchr2};

use crate::error::{Code, Error, Result};

/// Longest line and largest event.
pub const LIMIT: usize = 8 << 20;

/// Some put it in front of a text.
pub const BOM: &[u8] = b"\xEF\xBB\xBF";

pub fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix(BOM).unwrap_or(body)
}

/// One event that was dispatched. Events without data are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Empty where the server gave none.
    pub name: &'a str,
    /// The `data` lines, joined by line feeds.
    pub data: &'a [u8],
}

/// A parser that takes bytes as they come.
#[derive(Debug, Default)]
pub struct Sse {
    /// A line whose end has not arrived.
    line: Vec<u8>,
    name: String,
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    after_cr: bool,
    /// Some byte was seen, so that no byte order mark can follow.
    begun: bool,
    /// What a reader that comes back says to have seen.
    pub last_id: Option<String>,
    /// When it is to come back.
    pub retry_ms: Option<u64>,
}

impl Sse {
    /// Reads bytes and hands on the events they complete. After an error the parser is done for.
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(Event<'_>) -> Result<()>,
    ) -> Result<()> {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = memchr2(b'\n', b'\r', bytes) {
            self.ended(&bytes[..end], &mut each)?;
            bytes = match &bytes[end..] {
                [b'\r', b'\n', rest @ ..] => rest,
                [b'\r'] => {
                    self.after_cr = true;
                    &[]
                }
                rest => &rest[1..],
            };
        }
        room_for(self.line.len() + bytes.len())?;
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    /// The stream has ended: what was not yet dispatched is.
    pub fn end(&mut self, mut each: impl FnMut(Event<'_>) -> Result<()>) -> Result<()> {
        self.ended(&[], &mut each)?;
        self.dispatch(&mut each)
    }

    /// A line is complete; `rest` is what arrived of it last.
    fn ended(&mut self, rest: &[u8], each: &mut impl FnMut(Event<'_>) -> Result<()>) -> Result<()> {
        if self.line.is_empty() {
            return self.read(rest, each);
        }
        room_for(self.line.len() + rest.len())?;
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(rest);
        let done = self.read(&line, each);
        line.clear();
        self.line = line;
        done
    }

    fn read(
        &mut self,
        mut line: &[u8],
        each: &mut impl FnMut(Event<'_>) -> Result<()>,
    ) -> Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            line = without_bom(line);
        }
        if line.is_empty() {
            return self.dispatch(each);
        }
        let (field, value) = split(line);
        match field {
            b"data" => self.add(value),
            b"event" => {
                self.name = String::from_utf8_lossy(value).into_owned();
                Ok(())
            }
            b"id" => {
                self.last_id = Some(String::from_utf8_lossy(value).into_owned());
                Ok(())
            }
            b"retry" => {
                self.retry_ms = std::str::from_utf8(value).ok().and_then(|ms| ms.parse().ok());
                Ok(())
            }
            // Not in the standard: older llama.cpp servers report errors in such a line.
            b"error" => each(Event { name: "error", data: value }),
            _ => Ok(()),
        }
    }

    fn add(&mut self, value: &[u8]) -> Result<()> {
        room_for(self.data.len() + value.len())?;
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
        Ok(())
    }

    fn dispatch(&mut self, each: &mut impl FnMut(Event<'_>) -> Result<()>) -> Result<()> {
        let done = match self.data.is_empty() {
            true => Ok(()),
            false => each(Event { name: &self.name, data: &self.data }),
        };
        self.name.clear();
        self.data.clear();
        self.has_data = false;
        done
    }
}

/// A field's name and its value without the one space that may stand before it.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let Some(colon) = memchr(b':', line) else { return (line, &[]) };
    let value = &line[colon + 1..];
    (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
}

fn room_for(bytes: usize) -> Result<()> {
    if bytes <= LIMIT {
        return Ok(());
    }
    let message = format!("an event of the stream is larger than {} MiB", LIMIT >> 20);
    Err(Error::new(Code::BadResponse, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = Vec<(String, String)>;

    fn events(parts: &[&[u8]]) -> Seen {
        let mut seen = Seen::new();
        let mut keep = |event: Event<'_>| {
            seen.push((event.name.into(), String::from_utf8_lossy(event.data).into()));
            Ok(())
        };
        let mut sse = Sse::default();
        parts.iter().for_each(|part| sse.push(part, &mut keep).unwrap());
        sse.end(&mut keep).unwrap();
        seen
    }

    fn named(name: &str, data: &str) -> (String, String) {
        (name.to_owned(), data.to_owned())
    }

    const STREAM: &str = "\u{feff}: hello\n\nevent: a\ndata: 1\ndata:2\ndata:  3\nid: 7\n\n\
                          event: nothing\n\ndata\n\ndata: ä€😀\n\ndata: last";

    #[test]
    fn the_same_events_come_out_wherever_the_bytes_are_split() {
        let expected = [named("a", "1\n2\n 3"), named("", "ä€😀"), named("", "last")];
        for ends in ["\n", "\r\n", "\r"] {
            let text = STREAM.replace('\n', ends);
            let bytes = text.as_bytes();
            assert_eq!(events(&[bytes]), expected, "{ends:?}");
            for size in 1..8 {
                let parts: Vec<_> = bytes.chunks(size).collect();
                assert_eq!(events(&parts), expected, "{ends:?} by {size}");
            }
            for at in 0..bytes.len() {
                assert_eq!(events(&[&bytes[..at], &[], &bytes[at..]]), expected);
            }
        }
    }

    #[test]
    fn an_error_line_is_an_event() {
        let seen = events(&[b"data: 1\n\nerror: {\"code\":500}\n\n"]);
        assert_eq!(seen, [named("", "1"), named("error", "{\"code\":500}")]);
    }

    #[test]
    fn endless_lines_and_events_are_refused() {
        let mut sse = Sse::default();
        let chunk = vec![b'x'; 1 << 20];
        let line = (0..9).find_map(|_| sse.push(&chunk, |_| Ok(())).err());
        assert_eq!(line.unwrap().code(), Code::BadResponse);
        let mut sse = Sse::default();
        let lines = [b"data: ".as_slice(), &chunk, b"\n"].concat();
        let event = (0..9).find_map(|_| sse.push(&lines, |_| Ok(())).err());
        assert_eq!(event.unwrap().code(), Code::BadResponse);
    }

    #[test]
    fn an_error_of_the_reader_ends_the_parse() {
        let mut sse = Sse::default();
        let refuse = |_: Event<'_>| Err(Error::internal("no"));
        assert!(sse.push(b"data: 1\n\ndata: 2\n\n", refuse).is_err());
    }
}
