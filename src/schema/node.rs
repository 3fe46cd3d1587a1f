//! A tape as the validator sees it: nothing is converted, and only what a schema asks for is read.

use std::borrow::Cow;
use std::cell::Cell;
use std::ptr;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, JsonNumber, Node, NodeIdentity, Object};
use jsonschema_value::LazyInstance;
use serde_json::{Number, Value};

use crate::value::tape::{Items, Members};
use crate::value::{Kind, Ref, Tape};

/// From here on floats hold integers only; JSON text wrote them as integers.
const INTEGRAL: f64 = 9_223_372_036_854_775_808.0;

thread_local! {
    /// Looks into objects and arrays that are left.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// What `listing` finds wrong with a value; `None` if that takes more looks into its objects and
/// arrays. An alternative that fails is explained by what is wrong inside it: four that describe
/// themselves are four times as many explanations for each level of the value. Whether a value fits
/// at all is known soon.
pub fn patiently<T>(looks: usize, listing: impl FnOnce() -> T) -> Option<T> {
    LEFT.set(looks);
    let found = listing();
    let left = LEFT.replace(usize::MAX);
    (left > 0).then_some(found)
}

/// Without patience nothing has an inside any more, so that a listing ends.
fn looks() -> bool {
    let left = LEFT.get();
    LEFT.set(left.saturating_sub(1));
    left > 0
}

/// The representation. Its nodes are [`Ref`]s.
pub struct OnTape;

impl Json for OnTape {
    type Node<'a> = Ref<'a>;
    type PreparedKey = String;
    type StringBuffer = Tape;

    /// A lookup compares keys one by one, so one pass over the members pays early.
    const KEYS_PER_LOOKUP: usize = 8;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>(buffer: &mut Tape, string: &str, f: impl FnOnce(Ref<'_>) -> T) -> T {
        buffer.clear();
        buffer.str(string.as_bytes());
        f(buffer.view(0))
    }
}

/// Functions, threads and userdata have no JSON type: they answer no question at all, and
/// `json_type` calls them numbers that have no value, which satisfies no `type`.
impl<'a> Node<'a, OnTape> for Ref<'a> {
    type Object = Ref<'a>;
    type Array = Ref<'a>;
    type Number = Num;

    fn as_object(&self) -> Option<Ref<'a>> {
        (self.is_object() && looks()).then_some(*self)
    }

    /// An empty table is an object here; `check` gives its second reading when this one fails.
    fn as_array(&self) -> Option<Ref<'a>> {
        (self.kind() == Kind::Array && looks()).then_some(*self)
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        self.as_bytes().map(String::from_utf8_lossy)
    }

    fn as_number(&self) -> Option<Num> {
        match self.kind() {
            Kind::Int => self.as_i64().map(Num::Int),
            Kind::Float => self.as_f64().map(Num::Float),
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        self.as_bool()
    }

    fn is_null(&self) -> bool {
        Ref::is_null(*self)
    }

    fn is_number(&self) -> bool {
        matches!(self.kind(), Kind::Int | Kind::Float)
    }

    fn json_type(&self) -> JsonType {
        match self.kind() {
            Kind::Null => JsonType::Null,
            Kind::Bool => JsonType::Boolean,
            Kind::Str => JsonType::String,
            Kind::Array => JsonType::Array,
            Kind::Object | Kind::Empty => JsonType::Object,
            Kind::Int | Kind::Float | Kind::Function | Kind::Opaque => JsonType::Number,
        }
    }

    fn equals_value(&self, expected: &Value) -> bool {
        equals(*self, expected)
    }

    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Owned(Ref::to_json(*self))
    }

    /// Reports look the instance up by its path, so that no error copies a large document.
    fn lazy_value(&self) -> LazyInstance<'a> {
        LazyInstance::Ready(Cow::Borrowed(&Value::Null))
    }

    /// Nodes do not move while their tape is borrowed.
    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::tagged(ptr::from_ref(self.tape()) as usize, self.position() as u32))
    }
}

fn equals(left: Ref<'_>, right: &Value) -> bool {
    match (left.kind(), right) {
        (Kind::Null, Value::Null) => true,
        (Kind::Bool, Value::Bool(value)) => left.as_bool() == Some(*value),
        (Kind::Str, Value::String(text)) => left.as_bytes() == Some(text.as_bytes()),
        (Kind::Int | Kind::Float, Value::Number(_)) => {
            jsonschema::json::cmp::equal(&left.to_json(), right)
        }
        (Kind::Array, Value::Array(items)) => {
            left.len() == items.len() && left.items().zip(items).all(|(a, b)| equals(a, b))
        }
        (Kind::Object | Kind::Empty, Value::Object(members)) => {
            let same = |(key, value): (&String, &Value)| {
                left.get(key).is_some_and(|found| equals(found, value))
            };
            left.len() == members.len() && members.iter().all(same)
        }
        _ => false,
    }
}

pub enum Num {
    Int(i64),
    Float(f64),
}

impl JsonNumber for Num {
    fn as_u64(&self) -> Option<u64> {
        self.as_i64().and_then(|int| u64::try_from(int).ok())
    }

    fn as_i64(&self) -> Option<i64> {
        match self {
            Num::Int(int) => Some(*int),
            Num::Float(_) => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        match self {
            Num::Int(int) => Some(*int as f64),
            Num::Float(float) => Some(*float),
        }
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_number().to_string())
    }

    fn to_number(&self) -> Cow<'_, Number> {
        Cow::Owned(match self {
            Num::Int(int) => Number::from(*int),
            Num::Float(float) => Number::from_f64(*float).unwrap_or_else(|| Number::from(0)),
        })
    }

    fn is_integer(&self) -> bool {
        match self {
            Num::Int(_) => true,
            Num::Float(float) => float.fract() == 0.0,
        }
    }

    fn is_written_as_integer(&self) -> bool {
        match self {
            Num::Int(_) => true,
            Num::Float(float) => float.fract() == 0.0 && float.abs() >= INTEGRAL,
        }
    }
}

impl<'a> Object<'a, OnTape> for Ref<'a> {
    type Node = Ref<'a>;
    type MemberName = Cow<'a, str>;
    type MembersIter = Named<'a>;

    fn len(&self) -> usize {
        Ref::len(*self)
    }

    fn get(&self, key: &String) -> Option<Ref<'a>> {
        Ref::get(*self, key)
    }

    fn members(&self) -> Named<'a> {
        Named(Ref::members(*self))
    }
}

pub struct Named<'a>(Members<'a>);

impl<'a> Iterator for Named<'a> {
    type Item = (Cow<'a, str>, Ref<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.0.next()?;
        Some((String::from_utf8_lossy(key.as_bytes().unwrap_or_default()), value))
    }
}

impl<'a> Array<'a, OnTape> for Ref<'a> {
    type Node = Ref<'a>;
    type ElementsIter = Items<'a>;

    fn len(&self) -> usize {
        Ref::len(*self)
    }

    fn elements(&self) -> Items<'a> {
        self.items()
    }
}

#[cfg(test)]
mod tests {
    use jsonschema::json::conformance;

    use super::*;
    use crate::value::json;

    #[test]
    fn the_tape_fulfils_what_the_validator_relies_on() {
        let mut tape = Tape::default();
        json::put(&conformance::document(), &mut tape);
        conformance::assert_conformance::<OnTape>(&tape.root().unwrap());
    }

    #[test]
    fn numbers_compare_by_value() {
        let mut tape = Tape::default();
        tape.float(1.0);
        assert!(tape.root().unwrap().equals_value(&serde_json::json!(1)));
        assert!(!tape.root().unwrap().equals_value(&serde_json::json!(true)));
    }
}
