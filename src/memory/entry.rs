//! What memory knows of a key: the value, and what goes with it.

use std::sync::Arc;

use super::{Kind, Value, corrupt};
use crate::error::{Error, Result};
use crate::store::{Record, UnixMs};
use crate::value::bytes::{Reader, put_number, put_text};

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub value: Value,
    pub kind: Kind,
    /// From then on it is gone.
    pub expires_at: Option<UnixMs>,
    /// Another one after each change.
    pub version: u64,
    pub extra: Option<Box<Extra>>,
}

/// What few entries have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extra {
    pub tags: Vec<String>,
    pub metadata: Option<Value>,
    /// What makes it searchable.
    pub embedding: Option<Arc<[f32]>>,
}

/// Layout of the bytes that [`Entry::to_bytes`] gives.
const FORMAT: u8 = 1;

impl Entry {
    pub fn new(value: Value, kind: Kind) -> Entry {
        Entry { value, kind, expires_at: None, version: 0, extra: None }
    }

    pub fn is_live(&self, now: UnixMs) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }

    /// Bytes it holds, about.
    pub fn size(&self) -> usize {
        self.value.size() + self.extra.as_ref().map_or(0, |extra| extra.size())
    }

    pub fn tags(&self) -> &[String] {
        self.extra.as_ref().map_or(&[], |extra| &extra.tags)
    }

    pub fn embedding(&self) -> Option<&[f32]> {
        self.extra.as_ref()?.embedding.as_deref()
    }

    /// What a store holds of it; version and expiry are the store's own.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        let none = Extra::default();
        self.extra.as_deref().unwrap_or(&none).encode(&mut out);
        self.value.encode(&mut out);
        out
    }

    pub fn from_record(record: &Record) -> Result<Entry> {
        Entry::from_bytes(&record.bytes, record.version, record.expires_at)
    }

    /// The entry that a store held.
    pub fn from_bytes(bytes: &[u8], version: u64, expires_at: Option<UnixMs>) -> Result<Entry> {
        let mut reader = Reader(bytes);
        match reader.byte() {
            Some(FORMAT) => {}
            Some(newer) if newer > FORMAT => {
                return Err(Error::unsupported(format!(
                    "the store holds an entry of format {newer}, this version reads {FORMAT}"
                )));
            }
            _ => return Err(damaged()),
        }
        let extra = Extra::decode(&mut reader).ok_or_else(damaged)?;
        let value = Value::decode(reader.0).ok_or_else(damaged)?;
        let extra = (extra != Extra::default()).then(|| Box::new(extra));
        Ok(Entry { value, kind: Kind::Persistent, expires_at, version, extra })
    }
}

fn damaged() -> Error {
    corrupt("the store holds a damaged entry")
}

impl Extra {
    fn size(&self) -> usize {
        self.tags.iter().map(String::len).sum::<usize>()
            + self.metadata.as_ref().map_or(0, Value::size)
            + self.embedding.as_ref().map_or(0, |numbers| numbers.len() * 4)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_number(self.tags.len() as u64, out);
        self.tags.iter().for_each(|tag| put_text(tag.as_bytes(), out));
        let mut metadata = Vec::new();
        if let Some(value) = &self.metadata {
            value.encode(&mut metadata);
        }
        put_text(&metadata, out);
        let numbers = self.embedding.as_deref().unwrap_or_default();
        put_number(numbers.len() as u64, out);
        numbers.iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Extra> {
        let count = usize::try_from(reader.number()?).ok()?;
        let mut extra = Extra::default();
        for _ in 0..count {
            extra.tags.push(String::from_utf8(reader.text()?.to_vec()).ok()?);
        }
        let metadata = reader.text()?;
        if !metadata.is_empty() {
            extra.metadata = Some(Value::decode(metadata)?);
        }
        let count = usize::try_from(reader.number()?).ok()?;
        if count > 0 {
            let bytes = reader.take(count.checked_mul(4)?)?;
            let (numbers, _) = bytes.as_chunks::<4>();
            extra.embedding = Some(numbers.iter().map(|n| f32::from_le_bytes(*n)).collect());
        }
        Some(extra)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn entry() -> Entry {
        let extra = Extra {
            tags: vec!["a".into(), "ä".into()],
            metadata: Some(Value::Int(7)),
            embedding: Some([0.5, -1.0].into()),
        };
        let value = Value::Text(b"\xff\0".as_slice().into());
        Entry {
            extra: Some(Box::new(extra)),
            expires_at: Some(5),
            version: 3,
            ..Entry::new(value, Kind::Persistent)
        }
    }

    #[test]
    fn an_entry_comes_back_from_its_bytes() {
        assert_eq!(Entry::from_bytes(&entry().to_bytes(), 3, Some(5)).unwrap(), entry());
        let plain = Entry::new(Value::Float(1.0), Kind::Persistent);
        assert_eq!(Entry::from_bytes(&plain.to_bytes(), 0, None).unwrap(), plain);
    }

    #[test]
    fn damaged_entries_are_refused_and_newer_ones_named() {
        let bytes = entry().to_bytes();
        for cut in 0..bytes.len() {
            let error = Entry::from_bytes(&bytes[..cut], 0, None).unwrap_err();
            assert_eq!(error.code(), Code::IoError);
        }
        let newer = [&[FORMAT + 1], &bytes[1..]].concat();
        assert_eq!(Entry::from_bytes(&newer, 0, None).unwrap_err().code(), Code::Unsupported);
    }
}
