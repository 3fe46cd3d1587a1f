//! Values as JSON, exact: what JSON has no words for stands in an object with one member whose name
//! begins with `$`.
//!
//! | member | value |
//! |---|---|
//! | `$bytes` | a string that is not UTF-8, in base64 |
//! | `$object` | an object as an array of pairs of a name and a value: where names are not UTF-8, where it looks like one of these, and where it is empty and marked as an object |
//!
//! | `$f32` | floats of 32 bits, little endian, in base64: only as an embedding |
//!
//! `{}` is an empty table that may be either, `[]` an empty array.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::value::tape::Kind;
use crate::value::{MAX_DEPTH, Ref, Tape};

const BYTES: &str = "$bytes";
const OBJECT: &str = "$object";
const FLOATS: &str = "$f32";

/// Writes a value in JSON's words onto the end of a tape.
pub fn put(value: Ref<'_>, out: &mut Tape) {
    match value.kind() {
        Kind::Str => text(value.as_bytes().unwrap_or_default(), out),
        Kind::Array => {
            let mark = out.open_array();
            value.items().for_each(|item| put(item, out));
            out.close(mark, value.len());
        }
        Kind::Object => object(value, out),
        Kind::Empty => {
            let mark = out.open_object();
            out.close(mark, 0);
        }
        _ => out.copy(value.walk()),
    }
}

/// Writes a string of any bytes.
pub fn text(bytes: &[u8], out: &mut Tape) {
    match std::str::from_utf8(bytes) {
        Ok(text) => out.str(text.as_bytes()),
        Err(_) => tagged(BYTES, out, |out| out.str(STANDARD.encode(bytes).as_bytes())),
    }
}

fn tagged(tag: &str, out: &mut Tape, value: impl FnOnce(&mut Tape)) {
    let mark = out.open_object();
    out.str(tag.as_bytes());
    value(out);
    out.close(mark, 1);
}

fn object(value: Ref<'_>, out: &mut Tape) {
    let plain = value.members().all(|(name, _)| name.as_str().is_some());
    if plain && !value.is_empty() && tag(value).is_none() {
        let mark = out.open_object();
        for (name, member) in value.members() {
            out.str(name.as_bytes().unwrap_or_default());
            put(member, out);
        }
        return out.close(mark, value.len());
    }
    tagged(OBJECT, out, |out| pairs(value, out));
}

fn pairs(value: Ref<'_>, out: &mut Tape) {
    let all = out.open_array();
    for (name, member) in value.members() {
        let pair = out.open_array();
        text(name.as_bytes().unwrap_or_default(), out);
        put(member, out);
        out.close(pair, 2);
    }
    out.close(all, value.len());
}

/// Name and value of the only member, if the name begins with `$`.
fn tag(value: Ref<'_>) -> Option<(&[u8], Ref<'_>)> {
    let (name, member) = value.members().next().filter(|_| value.len() == 1)?;
    let name = name.as_bytes()?;
    name.starts_with(b"$").then_some((name, member))
}

/// Reads what [`put`] wrote onto the end of a tape; `None` if it is nothing that it writes.
pub fn read(value: Ref<'_>, out: &mut Tape) -> Option<()> {
    nested(value, out, MAX_DEPTH)
}

fn nested(value: Ref<'_>, out: &mut Tape, depth: usize) -> Option<()> {
    match value.kind() {
        Kind::Array => {
            let inner = depth.checked_sub(1)?;
            let mark = out.open_array();
            for item in value.items() {
                nested(item, out, inner)?;
            }
            out.close(mark, value.len());
        }
        Kind::Object if value.is_empty() => out.empty(),
        Kind::Object => match tag(value) {
            Some((name, member)) if name == OBJECT.as_bytes() => unpaired(member, out, depth)?,
            Some(_) => out.str(&bytes(value)?),
            None => members(value, out, depth)?,
        },
        _ => out.copy(value.walk()),
    }
    Some(())
}

fn members(value: Ref<'_>, out: &mut Tape, depth: usize) -> Option<()> {
    let inner = depth.checked_sub(1)?;
    let mark = out.open_object();
    for (name, member) in value.members() {
        out.str(name.as_bytes()?);
        nested(member, out, inner)?;
    }
    out.close(mark, value.len());
    Some(())
}

fn unpaired(pairs: Ref<'_>, out: &mut Tape, depth: usize) -> Option<()> {
    let inner = depth.checked_sub(1)?;
    let mark = out.open_object();
    for pair in Some(pairs).filter(|pairs| pairs.is_array())?.items() {
        let (name, member) = (pair.items().next()?, pair.items().nth(1)?);
        out.str(&bytes(name)?);
        nested(member, out, inner)?;
    }
    out.close(mark, pairs.len());
    Some(())
}

/// The bytes of a string, in either form.
pub fn bytes(value: Ref<'_>) -> Option<Vec<u8>> {
    if let Some(bytes) = value.as_bytes() {
        return Some(bytes.to_vec());
    }
    let (name, member) = tag(value)?;
    let base64 = Some(member).filter(|_| name == BYTES.as_bytes())?;
    STANDARD.decode(base64.as_bytes()?).ok()
}

/// Writes an embedding.
pub fn put_floats(numbers: &[f32], out: &mut Tape) {
    let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    tagged(FLOATS, out, |out| out.str(STANDARD.encode(bytes).as_bytes()));
}

/// Reads an embedding; it may also be an array of numbers.
pub fn floats(value: Ref<'_>) -> Option<Box<[f32]>> {
    if value.is_array() && !value.is_object() {
        return value.items().map(|n| Some(n.as_f64()? as f32)).collect();
    }
    let (name, member) = tag(value)?;
    let base64 = Some(member).filter(|_| name == FLOATS.as_bytes())?;
    let bytes = STANDARD.decode(base64.as_bytes()?).ok()?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| numbers.iter().map(|n| f32::from_le_bytes(*n)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::bytes::encode;
    use crate::value::json;

    /// An array of everything there is.
    fn everything() -> Tape {
        let mut tape = Tape::default();
        let all = tape.open_array();
        tape.null();
        tape.bool(true);
        tape.int(i64::MIN);
        tape.int(1);
        tape.float(1.0);
        tape.float(-0.0);
        tape.float(1e300);
        tape.str("ä".as_bytes());
        tape.str(b"\xff\0");
        tape.empty();
        let array = tape.open_array();
        tape.close(array, 0);
        let object = tape.open_object();
        tape.close(object, 0);
        for name in [&b"$bytes"[..], b"$object", b"$", b"\xfe", b"plain"] {
            let object = tape.open_object();
            tape.str(name);
            tape.str(b"$bytes");
            tape.close(object, 1);
        }
        tape.close(all, 17);
        tape
    }

    fn encoded(tape: &Tape) -> Vec<u8> {
        let mut out = Vec::new();
        encode(tape.walk(0, &[]), &mut out);
        out
    }

    #[test]
    fn every_value_comes_back_through_text() {
        let (before, mut written) = (everything(), Tape::default());
        put(before.root().unwrap(), &mut written);
        let text = json::to_string(written.root().unwrap());
        let (mut parsed, mut after) = (Tape::default(), Tape::default());
        json::parse(text.as_bytes(), &mut parsed).unwrap();
        read(parsed.root().unwrap(), &mut after).unwrap();
        assert_eq!(encoded(&after), encoded(&before), "{text}");
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for text in [
            r#"{"$bytes":"*"}"#,
            r#"{"$bytes":1}"#,
            r#"{"$object":1}"#,
            r#"{"$object":[1]}"#,
            r#"{"$object":[["a"]]}"#,
            r#"{"$other":1}"#,
            r#"[{"$":1}]"#,
        ] {
            let mut parsed = Tape::default();
            json::parse(text.as_bytes(), &mut parsed).unwrap();
            assert!(read(parsed.root().unwrap(), &mut Tape::default()).is_none(), "{text}");
        }
    }
}
