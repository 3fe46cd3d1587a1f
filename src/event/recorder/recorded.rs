//! An event as it is kept: in a ring, in a store, or as a line of a file.
//!
//! Its bytes: a version, the name behind its length, and the other fields as an object in the words
//! of [`crate::value::bytes`]. As a line it is a JSON object in the words of [`crate::value::plain`].
//! Both are stored: never changed.

use std::rc::Rc;

use crate::error::{Code, Error, Result};
use crate::store::lines::DEPTH;
use crate::value::bytes::{Reader, decode, encode, put_text};
use crate::value::{Document, Ref, Tape, json, plain};

const VERSION: u8 = 1;

/// Fields of an event, in the order in which they are written. `name` is `type` again.
const FIELDS: &[&str] = &[
    "id",
    "type",
    "category",
    "priority",
    "timestamp",
    "source",
    "correlation_id",
    "tags",
    "metadata",
    "remote",
    "unrecorded",
    "data",
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded(Rc<[u8]>);

impl Recorded {
    /// Of an event object; `None` if it has no name.
    pub fn of(event: Ref<'_>) -> Option<Recorded> {
        Recorded::put(event, |value, tape| {
            tape.copy(value.walk());
            Some(())
        })
    }

    fn put(event: Ref<'_>, copy: impl Fn(Ref<'_>, &mut Tape) -> Option<()>) -> Option<Recorded> {
        let text = |field: &str| event.get(field).and_then(Ref::as_str);
        let name = text("type").or_else(|| text("name")).filter(|name| !name.is_empty())?;
        let mut tape = Tape::default();
        let (mark, mut count) = (tape.open_object(), 0);
        for field in FIELDS {
            if *field == "type" {
                tape.str(b"type");
                tape.str(name.as_bytes());
                count += 1;
                continue;
            }
            // Null as data is data.
            let value = event.get(field).filter(|value| *field == "data" || !value.is_null());
            let Some(value) = value else { continue };
            tape.str(field.as_bytes());
            copy(value, &mut tape)?;
            count += 1;
        }
        tape.close(mark, count);
        let mut bytes = vec![VERSION];
        put_text(name.as_bytes(), &mut bytes);
        encode(tape.walk(0, &[]), &mut bytes);
        Some(Recorded(bytes.into()))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Of a record in a store.
    pub fn from_bytes(bytes: &[u8]) -> Result<Recorded> {
        let recorded = Recorded(bytes.into());
        match bytes.first() {
            Some(version) if *version > VERSION => Err(Error::unsupported(format!(
                "an event in the store is of version {version}, this zigllms knows {VERSION}"
            ))),
            Some(_) if recorded.split().is_some() => Ok(recorded),
            _ => Err(damaged()),
        }
    }

    fn split(&self) -> Option<(&str, &[u8])> {
        let mut reader = Reader(&self.0);
        reader.byte()?;
        let name = std::str::from_utf8(reader.text()?).ok()?;
        Some((name, reader.0))
    }

    pub fn name(&self) -> &str {
        self.split().map_or("", |(name, _)| name)
    }

    fn fields(&self) -> Result<Tape> {
        let mut tape = Tape::default();
        let whole = self.split().is_some_and(|(_, fields)| decode(fields, &mut tape));
        if whole { Ok(tape) } else { Err(damaged()) }
    }

    /// The event object.
    pub fn document(&self, replayed: bool) -> Result<Document> {
        let fields = self.fields()?;
        let mut tape = Tape::default();
        let (mark, mut count) = (tape.open_object(), 1);
        tape.str(b"name");
        tape.str(self.name().as_bytes());
        for (field, value) in fields.root().into_iter().flat_map(Ref::members) {
            tape.copy(field.walk());
            tape.copy(value.walk());
            count += 1;
        }
        if replayed {
            tape.str(b"replayed");
            tape.bool(true);
            count += 1;
        }
        tape.close(mark, count);
        Ok(Document { tape, root: 0 })
    }

    /// When it happened, in Unix seconds.
    pub fn timestamp(&self) -> Option<f64> {
        self.fields().ok()?.root()?.get("timestamp")?.as_f64()
    }

    /// As a line, with its break.
    pub fn to_line(&self) -> Result<Vec<u8>> {
        let fields = self.fields()?;
        let members = fields.root().into_iter().flat_map(Ref::members);
        let mut tape = Tape::default();
        let (mark, mut count) = (tape.open_object(), 0);
        for (field, value) in members {
            tape.copy(field.walk());
            plain::put(value, &mut tape);
            count += 1;
        }
        tape.close(mark, count);
        let mut line = tape.root().map(json::to_string).unwrap_or_default().into_bytes();
        line.push(b'\n');
        Ok(line)
    }

    /// Of a line; else what is wrong with it.
    pub fn from_line(line: &[u8]) -> std::result::Result<Recorded, String> {
        let mut tape = Tape::default();
        let at = json::parse_within(line, DEPTH, &mut tape);
        let at = at.map_err(|error| error.message().to_owned())?;
        let event = tape.at(at).filter(|event| event.is_object());
        event
            .and_then(|event| Recorded::put(event, plain::read))
            .ok_or_else(|| "it is no event: an object with a text `type`".to_owned())
    }
}

fn damaged() -> Error {
    let details = serde_json::json!({ "reason": "corrupt" });
    Error::new(Code::IoError, "an event in the store is damaged")
        .with(|f| f.details = Some(details))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str) -> Tape {
        let mut tape = Tape::default();
        json::parse(text.as_bytes(), &mut tape).unwrap();
        tape
    }

    fn recorded(text: &str) -> Recorded {
        Recorded::of(event(text).root().unwrap()).unwrap()
    }

    fn shown(recorded: &Recorded, replayed: bool) -> serde_json::Value {
        recorded.document(replayed).unwrap().value().unwrap().to_json()
    }

    #[test]
    fn an_event_comes_back_with_its_fields_and_says_that_it_was_replayed() {
        let one = recorded(
            r#"{"data":{"x":[1,null]},"id":"event_1","name":"a.b","type":"a.b","timestamp":1.5,"stranger":1}"#,
        );
        assert_eq!((one.name(), one.timestamp()), ("a.b", Some(1.5)));
        let all = serde_json::json!({
            "name": "a.b", "id": "event_1", "type": "a.b", "timestamp": 1.5,
            "data": {"x": [1, null]}, "replayed": true,
        });
        assert_eq!(shown(&one, true), all);
        assert_eq!(Recorded::from_bytes(one.bytes()).unwrap(), one);
        assert_eq!(shown(&one, false).get("replayed"), None);
    }

    #[test]
    fn a_line_holds_what_json_has_no_words_for() {
        let mut tape = Tape::default();
        let mark = tape.open_object();
        tape.str(b"type");
        tape.str(b"a");
        tape.str(b"data");
        let inner = tape.open_object();
        tape.str(b"\xff");
        tape.str(b"\xfe\n");
        tape.close(inner, 1);
        tape.close(mark, 2);
        let one = Recorded::of(tape.root().unwrap()).unwrap();
        let line = one.to_line().unwrap();
        assert_eq!(memchr::memchr(b'\n', &line), Some(line.len() - 1), "one line");
        assert_eq!(Recorded::from_line(&line).unwrap(), one);
    }

    #[test]
    fn what_is_no_event_is_refused() {
        assert!(Recorded::of(event("{}").root().unwrap()).is_none());
        assert!(Recorded::of(event(r#"{"name":""}"#).root().unwrap()).is_none());
        for line in ["", "[]", "{}", "1", r#"{"type":1}"#, r#"{"type":"a""#] {
            assert!(Recorded::from_line(line.as_bytes()).is_err(), "{line}");
        }
        let whole = recorded(r#"{"type":"a","data":[1,2]}"#);
        let bytes = whole.bytes();
        for cut in 0..bytes.len() {
            let cut = Recorded::from_bytes(&bytes[..cut]);
            assert!(cut.and_then(|r| r.document(false)).is_err());
        }
        let newer: Vec<u8> = std::iter::once(9).chain(bytes[1..].iter().copied()).collect();
        assert_eq!(Recorded::from_bytes(&newer).unwrap_err().code(), Code::Unsupported);
    }
}
