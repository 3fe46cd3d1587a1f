//! A question as bytes: equal bytes, equal question.
//!
//! Kinds and lengths stand before contents, and members of objects in the order of their names, so
//! that different values never have equal bytes and equal ones always do. Integers and floats differ,
//! and an empty table that may be a list or an object is neither `[]` nor `{}`.

use serde_json::Value;

use crate::value::{Kind, Ref};

/// How a value of Lua that is no data, but stands for something, begins on a tape: never a key.
const STANDS_FOR: &[u8] = b"\x01zigllms.";

mod tag {
    pub const NOTHING: u8 = 0;
    pub const FALSE: u8 = 1;
    pub const TRUE: u8 = 2;
    pub const INT: u8 = 3;
    pub const FLOAT: u8 = 4;
    pub const TEXT: u8 = 5;
    pub const ARRAY: u8 = 6;
    pub const OBJECT: u8 = 7;
    pub const EMPTY: u8 = 8;
    pub const UNSIGNED: u8 = 9;
}

#[derive(Clone, Debug)]
pub struct Key {
    bytes: Vec<u8>,
    /// Everything in it is data.
    whole: bool,
    function: u16,
}

impl Key {
    /// The beginning of a question to that function, by its place in
    /// [`FUNCTIONS`](super::functions::FUNCTIONS).
    pub fn of(function: usize) -> Key {
        let function = function as u16;
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&function.to_le_bytes());
        Key { bytes, whole: true, function }
    }

    pub fn function(&self) -> u16 {
        self.function
    }

    /// The bytes, if everything in the question is data.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.whole.then_some(&self.bytes)
    }

    pub fn into_bytes(self) -> Box<[u8]> {
        self.bytes.into_boxed_slice()
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Something that is no data: the question has no key.
    pub fn refuse(&mut self) {
        self.whole = false;
    }

    pub fn nothing(&mut self) {
        self.bytes.push(tag::NOTHING);
    }

    pub fn bool(&mut self, value: bool) {
        self.bytes.push(if value { tag::TRUE } else { tag::FALSE });
    }

    pub fn int(&mut self, value: i64) {
        self.bytes.push(tag::INT);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub fn float(&mut self, value: f64) {
        self.bytes.push(tag::FLOAT);
        self.bytes.extend_from_slice(&value.to_bits().to_le_bytes());
    }

    pub fn text(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        self.whole &= !text.starts_with(STANDS_FOR);
        self.bytes.push(tag::TEXT);
        self.length(text.len());
        self.bytes.extend_from_slice(text);
    }

    /// So many values follow.
    pub fn list(&mut self, len: usize) {
        self.bytes.push(tag::ARRAY);
        self.length(len);
    }

    fn length(&mut self, len: usize) {
        self.bytes.extend_from_slice(&(len as u64).to_le_bytes());
    }

    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Key, T)) {
        match value {
            None => self.nothing(),
            Some(value) => write(self, value),
        }
    }

    /// A value that was read.
    pub fn value(&mut self, value: Ref<'_>) {
        self.on_tape(value, &mut Vec::new());
    }

    /// `members` is used for the objects on the way, one behind the other.
    fn on_tape<'t>(&mut self, value: Ref<'t>, members: &mut Vec<(&'t [u8], Ref<'t>)>) {
        match value.kind() {
            Kind::Null => self.nothing(),
            Kind::Bool => self.bool(value.as_bool() == Some(true)),
            Kind::Int => self.int(value.as_i64().unwrap_or_default()),
            Kind::Float => self.float(value.as_f64().unwrap_or_default()),
            Kind::Str => self.text(value.as_bytes().unwrap_or_default()),
            Kind::Array => {
                self.list(value.len());
                value.items().for_each(|item| self.on_tape(item, members));
            }
            Kind::Object => self.object(value, members),
            Kind::Empty => self.bytes.push(tag::EMPTY),
            Kind::Function | Kind::Opaque => self.refuse(),
        }
    }

    fn object<'t>(&mut self, value: Ref<'t>, members: &mut Vec<(&'t [u8], Ref<'t>)>) {
        self.bytes.push(tag::OBJECT);
        self.length(value.len());
        let start = members.len();
        members.extend(value.members().map(|(k, v)| (k.as_bytes().unwrap_or_default(), v)));
        if let Some(own) = members.get_mut(start..) {
            own.sort_unstable_by(|a, b| a.0.cmp(b.0));
        }
        for at in start..members.len() {
            let Some((name, value)) = members.get(at).copied() else { break };
            self.text(name);
            self.on_tape(value, members);
        }
        members.truncate(start);
    }

    /// A document.
    pub fn json(&mut self, value: &Value) {
        match value {
            Value::Null => self.nothing(),
            Value::Bool(value) => self.bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(n), _) => self.int(n),
                (None, Some(n)) => {
                    self.bytes.push(tag::UNSIGNED);
                    self.bytes.extend_from_slice(&n.to_le_bytes());
                }
                _ => self.float(number.as_f64().unwrap_or_default()),
            },
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                self.list(items.len());
                items.iter().for_each(|item| self.json(item));
            }
            Value::Object(members) => {
                self.bytes.push(tag::OBJECT);
                self.length(members.len());
                let mut members: Vec<_> = members.iter().collect();
                members.sort_unstable_by_key(|(name, _)| name.as_bytes());
                members.iter().for_each(|(name, value)| {
                    self.text(name);
                    self.json(value);
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::value::{Tape, json as text};

    fn bytes(value: &Value) -> Vec<u8> {
        let mut key = Key::of(3);
        key.json(value);
        let mut tape = Tape::default();
        let at = text::put(value, &mut tape);
        let mut same = Key::of(3);
        same.value(tape.view(at));
        assert_eq!(key.bytes(), same.bytes(), "{value}");
        key.bytes().unwrap().to_vec()
    }

    #[test]
    fn different_values_have_different_keys_wherever_they_were_read() {
        let all = [
            json!(null),
            json!(false),
            json!(true),
            json!(0),
            json!(0.0),
            json!(-0.0),
            json!(1),
            json!(1.0),
            json!(""),
            json!("a"),
            json!("\u{0}"),
            json!([]),
            json!({}),
            json!([[]]),
            json!([1, 2]),
            json!([[1], 2]),
            json!([1, [2]]),
            json!(["1", "2"]),
            json!(["12"]),
            json!({"a": 1}),
            json!({"a": {"b": 1}}),
            json!({"a": {}, "b": 1}),
            json!({"ab": 1}),
            json!({"a": "b"}),
            json!(["a", "b"]),
            json!({"a": null}),
            json!({"1": 1}),
        ];
        let keys: std::collections::HashSet<Vec<u8>> = all.iter().map(bytes).collect();
        assert_eq!(keys.len(), all.len());
    }

    #[test]
    fn members_may_come_in_any_order() {
        let one = json!({"b": [1], "a": {"y": 1, "x": {"q": 2, "p": 1}}, "c": 3});
        let other = json!({"c": 3, "a": {"x": {"p": 1, "q": 2}, "y": 1}, "b": [1]});
        assert_eq!(bytes(&one), bytes(&other));
        assert_ne!(bytes(&json!([1, 2])), bytes(&json!([2, 1])));
    }

    #[test]
    fn an_empty_table_is_neither_list_nor_object() {
        let mut tape = Tape::default();
        tape.empty();
        let mut key = Key::of(0);
        key.value(tape.view(0));
        let other = |value: &Value| {
            let mut key = Key::of(0);
            key.json(value);
            key.bytes().unwrap().to_vec()
        };
        assert_ne!(key.bytes().unwrap(), other(&json!([])));
        assert_ne!(key.bytes().unwrap(), other(&json!({})));
    }

    #[test]
    fn what_is_no_data_has_no_key() {
        let mut key = Key::of(0);
        key.json(&json!({"a": ["\u{1}zigllms.schema:4"]}));
        assert_eq!(key.bytes(), None);
        let mut tape = Tape::default();
        let slot = crate::value::Slots::default().take();
        tape.slot(Kind::Function, slot);
        let mut key = Key::of(0);
        key.value(tape.view(0));
        assert_eq!(key.bytes(), None);
    }
}
