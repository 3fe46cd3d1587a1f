//! Reads the body of an answer: events, lines or one document, whichever the server sends. What the
//! pieces mean is said by a [`Dialect`]; how they are cut, kept and judged is the same for all.

use serde_json::{Value, json};

use super::failure;
use super::sse::{BOM, Event, LIMIT, Sse, without_bom};
use super::wire::Decoder;
use crate::chat::{Delta, Growing, Reply};
use crate::error::{Error, Result};
use crate::value::{Kind, Ref, Tape, json as text};

/// What many servers say at the end.
const DONE: &[u8] = b"[DONE]";

/// What one protocol makes of the documents that an answer consists of.
pub trait Dialect: Default + Send {
    /// Under which its blocks are kept.
    const NAME: &'static str;
    /// A streamed answer is a document on each line.
    const LINES: bool = false;
    /// Nothing follows what makes it complete.
    const ENDS: bool = true;
    /// What is said of a document that is no answer.
    const MISSING: &'static str;

    /// One document of a stream; `name` is that of its event.
    fn event(&mut self, name: &str, event: Ref<'_>, growing: &mut Growing<'_>) -> Result<()>;

    /// A whole answer; false if it is none.
    fn document(&mut self, document: Ref<'_>, growing: &mut Growing<'_>) -> Result<bool>;

    /// Whether the provider has said how the answer ended.
    fn is_complete(&self) -> bool;

    /// The body has ended as it should. Gives what must come back in the next request.
    fn finish(&mut self, growing: &mut Growing<'_>) -> Option<Value>;
}

/// What a body turned out to be.
enum Body {
    /// Nothing but blanks so far.
    Unknown(Vec<u8>),
    Events(Sse),
    /// The rest of a line, and whether there was one before it.
    Lines(Vec<u8>, bool),
    Document(Vec<u8>),
}

/// Decodes one answer.
pub struct Reading<D> {
    body: Body,
    pieces: Pieces<D>,
}

#[derive(Default)]
struct Pieces<D> {
    dialect: D,
    tape: Tape,
    /// `[DONE]` was said.
    done: bool,
    /// The first event that was no JSON. What follows is read nevertheless, for the sake of those
    /// who get it as the partial answer.
    broken: Option<Error>,
}

impl<D: Dialect> Default for Reading<D> {
    fn default() -> Reading<D> {
        Reading { body: Body::Unknown(Vec::new()), pieces: Pieces::default() }
    }
}

impl<D: Dialect> Decoder for Reading<D> {
    fn push(&mut self, bytes: &[u8], reply: &mut Reply, delta: &mut Delta) -> Result<bool> {
        let mut growing = Growing::new(reply, delta);
        self.take(bytes, &mut growing)?;
        Ok(growing.moved)
    }

    fn is_over(&self) -> bool {
        self.pieces.done || (D::ENDS && self.pieces.dialect.is_complete())
    }

    fn end(&mut self, reply: &mut Reply, delta: &mut Delta) -> Result<()> {
        let mut growing = Growing::new(reply, delta);
        self.close(&mut growing)?;
        let kept = self.pieces.dialect.finish(&mut growing);
        reply.blocks = kept.map(|kept| json!({ D::NAME: kept }));
        Ok(())
    }
}

impl<D: Dialect> Reading<D> {
    fn take(&mut self, bytes: &[u8], growing: &mut Growing<'_>) -> Result<()> {
        let pieces = &mut self.pieces;
        match &mut self.body {
            Body::Document(document) => document.extend_from_slice(bytes),
            Body::Events(sse) => return sse.push(bytes, |event| pieces.event(event, growing)),
            Body::Lines(rest, _) => {
                rest.extend_from_slice(bytes);
                // What was looked through before holds no line end.
                let ended = memchr::memchr(b'\n', bytes).is_some();
                return if ended || rest.len() > LIMIT { self.lines(growing) } else { Ok(()) };
            }
            Body::Unknown(start) => {
                start.extend_from_slice(bytes);
                let start = std::mem::take(start);
                return self.begin(start, growing);
            }
        }
        Ok(())
    }

    /// Tells events from documents by the first byte: servers ignore `stream` in both directions.
    fn begin(&mut self, start: Vec<u8>, growing: &mut Growing<'_>) -> Result<()> {
        let inside = without_bom(&start).trim_ascii_start();
        self.body = match inside.first() {
            None => Body::Unknown(start),
            Some(_) if BOM.starts_with(&start) => Body::Unknown(start),
            Some(b'd' | b'e' | b'i' | b'r' | b':') => {
                self.body = Body::Events(Sse::default());
                return self.take(&start, growing);
            }
            Some(b'{') if D::LINES => {
                self.body = Body::Lines(inside.to_vec(), false);
                return self.lines(growing);
            }
            Some(_) => Body::Document(start),
        };
        Ok(())
    }

    /// Reads the lines that are complete.
    fn lines(&mut self, growing: &mut Growing<'_>) -> Result<()> {
        let Body::Lines(rest, begun) = &mut self.body else { return Ok(()) };
        let bytes = std::mem::take(rest);
        let mut from = 0;
        while let Some(length) = memchr::memchr(b'\n', &bytes[from..]) {
            let line = bytes[from..from + length].trim_ascii();
            // A document that was printed prettily does not end with its first line.
            if !*begun && is_cut(line) {
                self.body = Body::Document(bytes);
                return Ok(());
            }
            self.pieces.line(line, growing)?;
            *begun = true;
            from += length + 1;
        }
        if bytes.len() - from > LIMIT {
            return Err(failure::not_understood("a line of the answer is too long", b""));
        }
        *rest = bytes[from..].to_vec();
        Ok(())
    }

    fn close(&mut self, growing: &mut Growing<'_>) -> Result<()> {
        let pieces = &mut self.pieces;
        match &mut self.body {
            Body::Unknown(_) => return Err(failure::ended_early()),
            Body::Document(document) => return pieces.document(document, growing),
            Body::Lines(rest, _) => {
                let rest = std::mem::take(rest);
                let last = rest.trim_ascii();
                if is_cut(last) && !last.is_empty() {
                    return Err(failure::ended_early());
                }
                pieces.line(last, growing)?;
            }
            Body::Events(sse) => sse.end(|event| pieces.last(event, growing))?,
        }
        match pieces.broken.take() {
            Some(error) => Err(error),
            None if pieces.done || pieces.dialect.is_complete() => Ok(()),
            None => Err(failure::ended_early()),
        }
    }
}

/// Whether a text stops before its document does.
pub fn is_cut(text: &[u8]) -> bool {
    let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(text) else { return false };
    let last_line = text.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    // A number without its last digits counts as wrong, not as cut.
    let in_number = matches!(last_line, [.., b'0'..=b'9' | b':' | b',' | b'[', b'-' | b'.'])
        || matches!(last_line, [.., b'0'..=b'9', b'e' | b'E'])
        || matches!(last_line, [.., b'e' | b'E', b'-' | b'+']);
    error.is_eof() || (in_number && error.column() >= last_line.len())
}

impl<D: Dialect> Pieces<D> {
    fn event(&mut self, event: Event<'_>, growing: &mut Growing<'_>) -> Result<()> {
        let data = event.data.trim_ascii();
        if data == DONE {
            self.done = true;
            return Ok(());
        }
        self.piece(event.name, data, growing)
    }

    /// The event that the end of the body completed; half of one says nothing.
    fn last(&mut self, event: Event<'_>, growing: &mut Growing<'_>) -> Result<()> {
        let data = event.data.trim_ascii();
        if is_cut(data) || DONE.starts_with(data) && data != DONE {
            return Ok(());
        }
        self.event(event, growing)
    }

    fn line(&mut self, line: &[u8], growing: &mut Growing<'_>) -> Result<()> {
        self.piece("", line, growing)
    }

    fn piece(&mut self, name: &str, data: &[u8], growing: &mut Growing<'_>) -> Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        let mut tape = std::mem::take(&mut self.tape);
        tape.clear();
        let read = match text::parse(data, &mut tape) {
            Ok(at) => {
                keep(tape.view(at), growing);
                self.dialect.event(name, tape.view(at), growing)
            }
            Err(_) if name == "error" => {
                let said = String::from_utf8_lossy(data);
                Err(failure::from_document(&json!({ "error": said })))
            }
            Err(_) => {
                let broken = || failure::not_understood("an event of the stream is no JSON", data);
                self.broken.get_or_insert_with(broken);
                Ok(())
            }
        };
        self.tape = tape;
        read
    }

    fn document(&mut self, body: &[u8], growing: &mut Growing<'_>) -> Result<()> {
        let body = without_bom(body).trim_ascii();
        let mut tape = Tape::default();
        let root = match text::parse(body, &mut tape) {
            Ok(at) => tape.view(at),
            Err(_) if is_cut(body) => return Err(failure::ended_early()),
            Err(_) => return Err(failure::not_understood("the answer is no JSON", body)),
        };
        if !self.dialect.document(root, growing)? {
            return Err(failure::not_understood(D::MISSING, body));
        }
        growing.reply.raw = Some(root.to_json());
        Ok(())
    }
}

/// The events of a stream as they came, for those who want to see them.
fn keep(event: Ref<'_>, growing: &mut Growing<'_>) {
    if !growing.reply.keep_raw {
        return;
    }
    match &mut growing.reply.raw {
        Some(Value::Array(events)) => events.push(event.to_json()),
        raw => *raw = Some(Value::Array(vec![event.to_json()])),
    }
}

/// A member that is a text and not empty.
pub fn text_of<'t>(value: Ref<'t>, key: &str) -> Option<&'t str> {
    value.get(key)?.as_str().filter(|text| !text.is_empty())
}

/// What is more is no count: sums of counts do not overflow.
const MOST: f64 = (1u64 << 40) as f64;

/// A count; some servers give it as a fraction.
pub fn count(value: Option<Ref<'_>>) -> Option<u64> {
    let number = value?.as_f64()?;
    (0.0..=MOST).contains(&number).then_some(number as u64)
}

/// The count that a member is.
pub fn number(value: Option<Ref<'_>>, key: &str) -> Option<u64> {
    count(value?.get(key))
}

/// Whether a document reports an error: `error` is there, and is something.
pub fn has_error(part: Ref<'_>) -> bool {
    part.get("error").is_some_and(|error| match error.kind() {
        Kind::Null => false,
        Kind::Bool => error.as_bool() == Some(true),
        Kind::Str => error.as_bytes() != Some(b""),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_count_is_one_that_can_be_added_to_others() {
        let read = |given: Value| {
            let mut tape = Tape::default();
            let root = text::parse(given.to_string().as_bytes(), &mut tape).unwrap();
            count(tape.at(root))
        };
        assert_eq!((read(json!(3)), read(json!(2.5))), (Some(3), Some(2)));
        for none in [json!(-1), json!(1e30), json!(u64::MAX), json!("3"), json!(null)] {
            assert_eq!(read(none.clone()), None, "{none}");
        }
    }
}
