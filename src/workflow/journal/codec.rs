//! Records of the journal as bytes. Stored for good: what is here is never given another meaning.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | xxh3 of all that follows, seeded with that of the key; little endian, in every version |
//! | 1 | the version, in every version |
//! | rest | an object with named members, as [`crate::value::bytes`] has it |
//!
//! A member that is not there is nil; one that this version does not know is passed over.

use serde_json::{Value, json};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::Plain;
use crate::error::{Code, Error, Result, quoted};
use crate::value::bytes::{decode, encode};
use crate::value::{Document, Ref, Tape, json as text};

/// Grows when earlier versions of the module could no longer read what a later one writes.
pub const VERSION: u8 = 1;

fn sum(key: &[u8], rest: &[u8]) -> [u8; 8] {
    xxh3_64_with_seed(rest, xxh3_64(key)).to_le_bytes()
}

/// Members on their way into a record.
pub struct Writing {
    tape: Tape,
    mark: crate::value::tape::Mark,
    len: usize,
}

impl Writing {
    pub fn new() -> Writing {
        let mut tape = Tape::default();
        let mark = tape.open_object();
        Writing { tape, mark, len: 0 }
    }

    fn member(mut self, name: &str, write: impl FnOnce(&mut Tape)) -> Writing {
        self.tape.str(name.as_bytes());
        write(&mut self.tape);
        self.len += 1;
        self
    }

    pub fn text(self, name: &str, value: &str) -> Writing {
        self.member(name, |tape| tape.str(value.as_bytes()))
    }

    pub fn maybe_text(self, name: &str, value: Option<&str>) -> Writing {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// All 64 bits of it.
    pub fn number(self, name: &str, value: u64) -> Writing {
        self.member(name, |tape| tape.int(value as i64))
    }

    pub fn float(self, name: &str, value: Option<f64>) -> Writing {
        match value {
            Some(value) => self.member(name, |tape| tape.float(value)),
            None => self,
        }
    }

    pub fn plain(self, name: &str, value: &Plain) -> Writing {
        if value.is_nil() { self } else { self.member(name, |tape| value.put(tape)) }
    }

    /// JSON's null stays apart from what is not there.
    pub fn json(self, name: &str, value: Option<&Value>) -> Writing {
        match value {
            Some(value) => self.member(name, |tape| {
                text::put(value, tape);
            }),
            None => self,
        }
    }

    /// The record, for its key.
    pub fn seal(mut self, key: &[u8]) -> Vec<u8> {
        self.tape.close(self.mark, self.len);
        let mut all = vec![0; 8];
        all.push(VERSION);
        encode(self.tape.walk(0, &[]), &mut all);
        let sum = sum(key, all.get(8..).unwrap_or_default());
        all.splice(..8, sum);
        all
    }
}

/// A record that was read.
pub struct Reading<'k> {
    document: Document,
    /// What it was found under.
    key: &'k [u8],
}

impl<'k> Reading<'k> {
    pub fn open(key: &'k [u8], bytes: &[u8]) -> Result<Reading<'k>> {
        let (given, rest) = bytes.split_at_checked(8).ok_or_else(|| corrupt(key))?;
        if given != sum(key, rest) {
            return Err(corrupt(key));
        }
        match rest.split_first() {
            Some((&VERSION, value)) => Reading::value(key, value),
            Some((&newer, _)) if newer > VERSION => Err(too_new(key, newer)),
            _ => Err(corrupt(key)),
        }
    }

    fn value(key: &'k [u8], bytes: &[u8]) -> Result<Reading<'k>> {
        let mut document = Document::default();
        let whole = decode(bytes, &mut document.tape);
        let fits = whole && document.value().is_some_and(Ref::is_object);
        if fits { Ok(Reading { document, key }) } else { Err(corrupt(key)) }
    }

    fn get(&self, name: &str) -> Option<Ref<'_>> {
        self.document.value()?.get(name)
    }

    fn wrong(&self) -> Error {
        corrupt(self.key)
    }

    pub fn text(&self, name: &str) -> Result<String> {
        self.maybe_text(name)?.ok_or_else(|| self.wrong())
    }

    pub fn maybe_text(&self, name: &str) -> Result<Option<String>> {
        let text = |value: Ref<'_>| value.as_str().map(str::to_owned).ok_or_else(|| self.wrong());
        self.get(name).map(text).transpose()
    }

    pub fn number(&self, name: &str) -> Result<u64> {
        let value = self.get(name).and_then(Ref::as_i64).ok_or_else(|| self.wrong())?;
        Ok(value as u64)
    }

    pub fn count(&self, name: &str) -> Result<u32> {
        u32::try_from(self.number(name)?).map_err(|_| self.wrong())
    }

    pub fn float(&self, name: &str) -> Result<f64> {
        self.maybe_float(name)?.ok_or_else(|| self.wrong())
    }

    pub fn maybe_float(&self, name: &str) -> Result<Option<f64>> {
        self.get(name).map(|value| value.as_f64().ok_or_else(|| self.wrong())).transpose()
    }

    pub fn plain(&self, name: &str) -> Plain {
        self.get(name).map(Plain::read).unwrap_or_default()
    }

    pub fn json(&self, name: &str) -> Option<Value> {
        self.get(name).map(Ref::to_json)
    }

    /// A word of which only some have a meaning.
    pub fn word<T>(&self, name: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        read(&self.text(name)?).ok_or_else(|| self.wrong())
    }
}

/// What lies there is not what was written.
pub fn corrupt(key: &[u8]) -> Error {
    let shown = quoted(&String::from_utf8_lossy(key));
    Error::new(Code::IoError, format!("the journal's record {shown} is damaged"))
        .with(|f| f.details = Some(json!({ "reason": "corrupt" })))
}

fn too_new(key: &[u8], version: u8) -> Error {
    let shown = quoted(&String::from_utf8_lossy(key));
    Error::unsupported(format!(
        "the journal's record {shown} has version {version}, this module reads version {VERSION}: \
         a newer one wrote it"
    ))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The same record as a later version would write it.
    pub fn newer(key: &[u8], bytes: &[u8]) -> Vec<u8> {
        let rest = [&[VERSION + 1], &bytes[9..]].concat();
        [&sum(key, &rest)[..], &rest].concat()
    }

    fn sealed(key: &[u8]) -> Vec<u8> {
        let value = json!({"a": [null, 1]});
        let writing = Writing::new().text("t", "ä").number("n", u64::MAX).float("f", Some(0.5));
        writing.json("j", Some(&value)).json("null", Some(&Value::Null)).seal(key)
    }

    #[test]
    fn a_record_comes_back() {
        let bytes = sealed(b"k");
        let record = Reading::open(b"k", &bytes).unwrap();
        assert_eq!(
            (record.text("t").unwrap().as_str(), record.number("n").unwrap()),
            ("ä", u64::MAX)
        );
        assert_eq!(record.json("j"), Some(json!({"a": [null, 1]})));
        assert_eq!((record.json("null"), record.json("none")), (Some(Value::Null), None));
        assert_eq!(record.maybe_float("f").unwrap(), Some(0.5));
        assert_eq!(record.maybe_float("none").unwrap(), None);
        assert_eq!(record.text("n").unwrap_err().code(), Code::IoError);
    }

    #[test]
    fn every_damage_is_found_and_newer_ones_are_named() {
        let bytes = sealed(b"k");
        let reason = |bytes: &[u8], key: &[u8]| {
            let error = Reading::open(key, bytes).map(drop).unwrap_err();
            error.members().get("reason").cloned()
        };
        let corrupt = Some(Value::from("corrupt"));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert_eq!(reason(&damaged, b"k"), corrupt, "{at}");
            assert_eq!(reason(&bytes[..at], b"k"), corrupt, "{at}");
        }
        assert_eq!(reason(&bytes, b"another"), corrupt);
        let newer = newer(b"k", &bytes);
        assert_eq!(Reading::open(b"k", &newer).map(drop).unwrap_err().code(), Code::Unsupported);
    }
}
