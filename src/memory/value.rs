//! One value as memory keeps it: scalars as they are, so that the usual ones need no allocation.

use crate::value::bytes::{decode, encode};
use crate::value::tape::Token;
use crate::value::{Data, Document, Ref, Tape};

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
    /// A string of any bytes.
    Text(Box<[u8]>),
    /// Anything else, as [`crate::value::bytes`] has it.
    Bytes(Box<[u8]>),
}

impl Value {
    pub fn of(value: Ref<'_>) -> Value {
        let walk = value.walk();
        match walk.clone().take() {
            Token::Bool(value) => Value::Bool(value),
            Token::Int(n) => Value::Int(n),
            Token::Float(n) => Value::Float(n),
            Token::Str(bytes) => Value::Text(bytes.into()),
            _ => {
                let mut out = Vec::new();
                encode(walk, &mut out);
                Value::Bytes(out.into())
            }
        }
    }

    /// Appends the value's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Bytes(bytes) => out.extend_from_slice(bytes),
            scalar => {
                let mut tape = Tape::default();
                scalar.put(&mut tape);
                encode(tape.walk(0, &[]), out);
            }
        }
    }

    /// The value of bytes that are known to be one.
    pub fn decode(bytes: &[u8]) -> Option<Value> {
        let mut tape = Tape::default();
        let whole = decode(bytes, &mut tape);
        whole.then(|| tape.root().map(Value::of)).flatten()
    }

    /// Writes it onto the end of a tape.
    pub fn put(&self, tape: &mut Tape) {
        match self {
            Value::Bool(value) => tape.bool(*value),
            Value::Int(n) => tape.int(*n),
            Value::Float(n) => tape.float(*n),
            Value::Text(bytes) => tape.str(bytes),
            Value::Bytes(bytes) => {
                let start = tape.len();
                if !decode(bytes, tape) {
                    tape.truncate(start);
                    tape.null();
                }
            }
        }
    }

    pub fn to_data(&self) -> Data {
        match self {
            Value::Bool(value) => Data::Bool(*value),
            Value::Int(n) => Data::Int(*n),
            Value::Float(n) => Data::Num(*n),
            value => {
                let mut document = Document::default();
                value.put(&mut document.tape);
                Data::Document(Box::new(document))
            }
        }
    }

    /// Bytes it holds, about.
    pub fn size(&self) -> usize {
        match self {
            Value::Text(bytes) | Value::Bytes(bytes) => bytes.len(),
            _ => 8,
        }
    }

    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Text(_) => "a string",
            Value::Bytes(_) => "a table",
        }
    }

    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Int(n) => Some(*n as f64),
            Value::Float(n) => Some(*n),
            _ => None,
        }
    }
}
