//! What an operation answers with: plain data, Lua values by reference, and records of both.
//!
//! Null members of a [`Record`] are left out, as in every result of the API; [`Data::Json`] is a
//! document, so its nulls stay and its arrays carry the array mark.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::{Document, Slot};
use crate::error::Error;

#[derive(Clone, Debug, Default)]
pub enum Data {
    #[default]
    Nil,
    Bool(bool),
    Int(i64),
    Num(f64),
    Text(String),
    /// A document: objects, arrays and nulls exactly as they are.
    Json(Value),
    /// A document that was read: as `Json`, from its tape. As a whole, null is nil.
    Document(Box<Document>),
    /// A Lua value, handed on uncopied.
    Slot(Slot),
    List(Vec<Data>),
    /// A list of floats.
    Numbers(Vec<f64>),
    Record(Record),
    /// A Lua table with members added; the table itself is not written.
    Patched(Slot, Vec<Patch>),
    /// Several results of one call.
    Many(Vec<Data>),
    /// Kept by somebody else, too.
    Shared(Arc<Data>),
    /// An error object.
    Error(Box<Failure>),
}

/// An error, and the function that failed by its full name.
#[derive(Clone, Debug)]
pub struct Failure {
    pub error: Error,
    pub function: &'static str,
}

impl Data {
    /// Bytes it takes, about; `None` if it holds a Lua value, which cannot be kept.
    pub fn weight(&self) -> Option<usize> {
        let inner = match self {
            Data::Nil | Data::Bool(_) | Data::Int(_) | Data::Num(_) => 0,
            Data::Text(text) => text.len(),
            Data::Json(value) => weight_of(value),
            Data::Document(document) => document.tape.weight()?,
            Data::Slot(_) | Data::Patched(..) | Data::Error(_) => return None,
            Data::List(items) | Data::Many(items) => sum(items.iter())?,
            Data::Numbers(numbers) => size_of_val(numbers.as_slice()),
            Data::Record(record) => {
                let names: usize = record.fields.iter().map(|(name, _)| 24 + name.len()).sum();
                names + sum(record.fields.iter().map(|(_, value)| value))?
            }
            Data::Shared(data) => data.weight()?,
        };
        Some(size_of::<Data>() + inner)
    }
}

fn sum<'d>(mut items: impl Iterator<Item = &'d Data>) -> Option<usize> {
    items.try_fold(0, |sum, item| Some(sum + item.weight()?))
}

fn weight_of(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight_of).sum(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| 56 + name.len() + weight_of(value)).sum()
            }
            _ => 0,
        }
}

/// A member to add somewhere inside a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    pub path: Vec<Key>,
    pub value: Value,
}

/// One step of a path. Indices count from 0, as in JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    Name(String),
    Index(usize),
}

/// A result table with named fields, in the order they were set.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub fields: Vec<(Cow<'static, str>, Data)>,
    /// `tostring` and `..` use the field `content`.
    pub is_response: bool,
}

impl Record {
    pub fn new() -> Record {
        Record::default()
    }

    /// With room for so many fields.
    pub fn sized(fields: usize) -> Record {
        Record { fields: Vec::with_capacity(fields), is_response: false }
    }

    /// Adds a field; [`Data::Nil`] adds nothing.
    #[must_use]
    pub fn set(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Data>) -> Record {
        self.put(name, value);
        self
    }

    pub fn put(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Data>) {
        match value.into() {
            Data::Nil => {}
            value => self.fields.push((name.into(), value)),
        }
    }

    #[must_use]
    pub fn response(mut self) -> Record {
        self.is_response = true;
        self
    }

    pub fn get(&self, name: &str) -> Option<&Data> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

impl From<Record> for Data {
    fn from(record: Record) -> Data {
        Data::Record(record)
    }
}

impl From<bool> for Data {
    fn from(value: bool) -> Data {
        Data::Bool(value)
    }
}

impl From<i64> for Data {
    fn from(value: i64) -> Data {
        Data::Int(value)
    }
}

impl From<u64> for Data {
    fn from(value: u64) -> Data {
        i64::try_from(value).map_or(Data::Num(value as f64), Data::Int)
    }
}

impl From<usize> for Data {
    fn from(value: usize) -> Data {
        Data::from(value as u64)
    }
}

impl From<u32> for Data {
    fn from(value: u32) -> Data {
        Data::Int(i64::from(value))
    }
}

impl From<f64> for Data {
    fn from(value: f64) -> Data {
        Data::Num(value)
    }
}

impl From<&str> for Data {
    fn from(value: &str) -> Data {
        Data::Text(value.to_owned())
    }
}

impl From<String> for Data {
    fn from(value: String) -> Data {
        Data::Text(value)
    }
}

impl From<Value> for Data {
    fn from(value: Value) -> Data {
        Data::Json(value)
    }
}

impl From<Document> for Data {
    fn from(document: Document) -> Data {
        Data::Document(Box::new(document))
    }
}

impl From<Slot> for Data {
    fn from(slot: Slot) -> Data {
        Data::Slot(slot)
    }
}

impl<T: Into<Data>> From<Option<T>> for Data {
    fn from(value: Option<T>) -> Data {
        value.map_or(Data::Nil, Into::into)
    }
}

impl<T: Into<Data>> From<Vec<T>> for Data {
    fn from(items: Vec<T>) -> Data {
        Data::List(items.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nil_fields_are_left_out() {
        let record = Record::new().set("id", "a").set("model", None::<String>).set("n", 3u64);
        assert_eq!(record.fields.len(), 2);
        assert!(matches!(record.get("n"), Some(Data::Int(3))));
    }
}
