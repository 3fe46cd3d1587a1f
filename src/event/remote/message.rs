//! An event as the bytes of a message: one byte, the version of the format, and the event object as
//! `value/bytes.rs` has it. So any string of bytes arrives as it was.

use crate::value::bytes::{decode as read, encode as write};
use crate::value::{Document, Ref};

const VERSION: u8 = 1;

pub fn encode(event: Ref<'_>) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    write(event.walk(), &mut bytes);
    bytes
}

/// None if it is not one.
pub fn decode(bytes: &[u8]) -> Option<Document> {
    let (version, bytes) = bytes.split_first()?;
    let mut event = Document::default();
    let whole = *version == VERSION && read(bytes, &mut event.tape);
    (whole && name(&event).is_some()).then_some(event)
}

/// The full name of an event.
pub fn name(event: &Document) -> Option<&str> {
    event.value()?.get("type")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Tape, json};

    fn event(text: &str) -> Tape {
        let mut tape = Tape::default();
        assert!(json::parse(text.as_bytes(), &mut tape).is_ok());
        tape
    }

    #[test]
    fn an_event_comes_back() {
        let sent = event(r#"{"id":"e1","type":"a.b","data":{"n":[1,2.5,null,"ä"]}}"#);
        let came = decode(&encode(sent.root().unwrap())).unwrap();
        assert_eq!(came.value().unwrap().to_json(), sent.root().unwrap().to_json());
        assert_eq!(name(&came), Some("a.b"));
    }

    #[test]
    fn what_is_no_event_is_told() {
        let bytes = encode(event(r#"{"type":"a"}"#).root().unwrap());
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_none());
        }
        let newer: Vec<u8> = [2].into_iter().chain(bytes[1..].iter().copied()).collect();
        assert!(decode(&newer).is_none());
        for other in ["1", "[]", r#"{"type":1}"#, "{}"] {
            assert!(decode(&encode(event(other).root().unwrap())).is_none(), "{other}");
        }
    }
}
