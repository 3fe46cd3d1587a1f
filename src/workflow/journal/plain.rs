//! Plain data of a record: what steps were given and gave.

use serde_json::Value;

use crate::error::Error;
use crate::value::bytes::{decode, encode};
use crate::value::tape::Kind;
use crate::value::{Data, Document, Ref, Tape, json};

/// A value as [`crate::value::bytes`] has it; no bytes are nil.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plain(Box<[u8]>);

impl Plain {
    pub fn read(value: Ref<'_>) -> Plain {
        let mut out = Vec::new();
        encode(value.walk(), &mut out);
        Plain(out.into())
    }

    pub fn document(document: Option<&Document>) -> Plain {
        document.and_then(Document::value).map(Plain::read).unwrap_or_default()
    }

    pub fn json(value: &Value) -> Plain {
        let mut tape = Tape::default();
        json::put(value, &mut tape);
        tape.root().map(Plain::read).unwrap_or_default()
    }

    /// None if it holds a Lua value. An error becomes a table of what it says.
    pub fn of(data: &Data) -> Option<Plain> {
        let mut tape = Tape::default();
        if matches!(data, Data::Nil) {
            return Some(Plain::default());
        }
        put(data, &mut tape)?;
        tape.root().map(Plain::read)
    }

    pub fn is_nil(&self) -> bool {
        self.0.is_empty()
    }

    pub fn to_data(&self) -> Data {
        match self.document_of() {
            Some(document) => Data::Document(Box::new(document)),
            None => Data::Nil,
        }
    }

    pub fn to_json(&self) -> Value {
        let document = self.document_of();
        document.as_ref().and_then(Document::value).map(Ref::to_json).unwrap_or_default()
    }

    /// Whether the two mean the same, however their members are ordered. A number is what it counts,
    /// and a table without members any of the kinds there are: engines of Lua differ in both.
    pub fn same(&self, other: &Plain) -> bool {
        match (self.document_of(), other.document_of()) {
            (Some(one), Some(other)) => match (one.value(), other.value()) {
                (Some(one), Some(other)) => same(one, other),
                _ => false,
            },
            (one, other) => one.is_none() && other.is_none(),
        }
    }

    fn document_of(&self) -> Option<Document> {
        let mut document = Document::default();
        decode(&self.0, &mut document.tape).then_some(document)
    }

    /// Of a record that has it as one of its members.
    pub(super) fn put(&self, tape: &mut Tape) {
        let start = tape.len();
        if !decode(&self.0, tape) {
            tape.truncate(start);
            tape.null();
        }
    }
}

/// None: it holds a Lua value, and the tape a part of it.
fn put(data: &Data, tape: &mut Tape) -> Option<()> {
    match data {
        Data::Nil => tape.null(),
        Data::Bool(value) => tape.bool(*value),
        Data::Int(n) => tape.int(*n),
        Data::Num(n) => tape.float(*n),
        Data::Text(text) => tape.str(text.as_bytes()),
        Data::Json(value) => {
            json::put(value, tape);
        }
        Data::Document(document) => tape.copy(whole(document)?.walk()),
        Data::List(items) | Data::Many(items) => {
            let mark = tape.open_array();
            items.iter().try_for_each(|item| put(item, tape))?;
            tape.close(mark, items.len());
        }
        Data::Numbers(numbers) => {
            let mark = tape.open_array();
            numbers.iter().for_each(|n| tape.float(*n));
            tape.close(mark, numbers.len());
        }
        Data::Record(record) => {
            let mark = tape.open_object();
            for (name, value) in &record.fields {
                tape.str(name.as_bytes());
                put(value, tape)?;
            }
            tape.close(mark, record.fields.len());
        }
        Data::Shared(data) => put(data, tape)?,
        Data::Error(failure) => {
            json::put(&told(&failure.error), tape);
        }
        Data::Slot(_) | Data::Patched(..) => return None,
    }
    Some(())
}

fn whole(document: &Document) -> Option<Ref<'_>> {
    document.value().filter(|_| !document.tape.has_slots())
}

/// What an error says, without values of Lua.
pub(super) fn told(error: &Error) -> Value {
    let fields = error.fields();
    let mut all = serde_json::Map::new();
    all.insert("code".into(), error.code().name().into());
    all.insert("message".into(), error.message().into());
    let members = [
        ("details", fields.details.clone()),
        ("status", fields.status.map(Value::from)),
        ("attempts", fields.attempts.map(Value::from)),
        ("retry_after_ms", fields.retry_after_ms.map(Value::from)),
        ("provider", fields.provider.clone().map(Value::from)),
        ("request_id", fields.request_id.clone().map(Value::from)),
        ("phase", fields.phase.map(|phase| phase.name().into())),
        ("retryable", fields.retryable.map(Value::from)),
    ];
    let given = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    all.extend(given);
    all.into()
}

fn same(one: Ref<'_>, other: Ref<'_>) -> bool {
    use Kind::{Array, Empty, Float, Int, Object};
    match (one.kind(), other.kind()) {
        (Int, Float) => equal(one.as_i64(), other.as_f64()),
        (Float, Int) => equal(other.as_i64(), one.as_f64()),
        (Int, Int) => one.as_i64() == other.as_i64(),
        (Float, Float) => one.as_f64() == other.as_f64(),
        (Array | Object | Empty, Array | Object | Empty) if one.is_empty() => other.is_empty(),
        (Array, Array) => {
            one.len() == other.len() && one.items().zip(other.items()).all(|(a, b)| same(a, b))
        }
        (Object, Object) => one.len() == other.len() && same_members(one, other),
        (a, b) => a == b && one.as_bytes() == other.as_bytes() && one.as_bool() == other.as_bool(),
    }
}

/// As Lua compares them: no integer is a float that it was rounded to.
fn equal(int: Option<i64>, float: Option<f64>) -> bool {
    let (Some(int), Some(float)) = (int, float) else { return false };
    int as f64 == float && float as i128 == i128::from(int)
}

fn same_members(one: Ref<'_>, other: Ref<'_>) -> bool {
    let mut both = sorted(one).into_iter().zip(sorted(other));
    both.all(|((a, x), (b, y))| a == b && same(x, y))
}

fn sorted<'t>(value: Ref<'t>) -> Vec<(Option<&'t [u8]>, Ref<'t>)> {
    let mut all: Vec<_> = value.members().map(|(name, v)| (name.as_bytes(), v)).collect();
    all.sort_by_key(|(name, _)| *name);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Record;
    use serde_json::json;

    fn plain(text: &str) -> Plain {
        let mut tape = Tape::default();
        json::parse(text.as_bytes(), &mut tape).unwrap();
        Plain::read(tape.root().unwrap())
    }

    #[test]
    fn a_value_comes_back_and_nil_is_none() {
        let value = json!({"a": [1, 2.5, null, "ä"], "b": {}});
        assert_eq!(Plain::json(&value).to_json(), value);
        assert!(Plain::default().is_nil() && Plain::of(&Data::Nil).unwrap().is_nil());
        assert!(matches!(Plain::default().to_data(), Data::Nil));
        let record = Record::new().set("n", 1i64).set("list", Data::List(vec!["x".into()]));
        let data = Plain::of(&record.into()).unwrap();
        assert_eq!(data.to_json(), json!({"n": 1, "list": ["x"]}));
    }

    #[test]
    fn the_same_is_told_from_another() {
        for (one, other) in [
            (r#"{"a":1,"b":[2]}"#, r#"{"b":[2.0],"a":1}"#),
            ("[]", "{}"),
            (r#"{"a":{}}"#, r#"{"a":[]}"#),
            (r#""x""#, r#""x""#),
            ("-0.0", "0.0"),
            ("-0.0", "0"),
        ] {
            assert!(plain(one).same(&plain(other)), "{one} {other}");
        }
        for (one, other) in [
            (r#"{"a":1}"#, r#"{"a":2}"#),
            (r#"{"a":1}"#, r#"{"b":1}"#),
            ("[1,2]", "[2,1]"),
            ("[1]", "[]"),
            ("true", "false"),
            ("null", "false"),
            ("1", r#""1""#),
            ("9007199254740993", "9007199254740992.0"),
        ] {
            assert!(!plain(one).same(&plain(other)), "{one} {other}");
        }
        assert!(Plain::default().same(&Plain::default()));
        assert!(!Plain::default().same(&plain("null")));
    }
}
