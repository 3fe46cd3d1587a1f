use std::fmt::Write;

use serde_json::{Value, json};

use super::*;

/// What the edge does, on documents that are owned.
#[derive(Default)]
struct Live {
    machine: Machine,
    value: Option<Value>,
    path: Vec<String>,
}

impl Live {
    fn feed(&mut self, chunk: &[u8]) {
        self.machine.feed(chunk);
        let bytes = self.machine.bytes().to_vec();
        for edit in self.machine.edits().to_vec() {
            self.set(edit, &bytes);
        }
    }

    fn set(&mut self, edit: Edit, bytes: &[u8]) {
        let text = |from: usize, to: usize| String::from_utf8(bytes[from..to].to_vec()).unwrap();
        let value = match edit.value {
            Piece::Null => Value::Null,
            Piece::Bool(value) => json!(value),
            Piece::Int(n) => json!(n),
            Piece::Float(n) => json!(n),
            Piece::Text(from, to) => json!(text(from, to)),
            Piece::Open(Kind::Array) => json!([]),
            Piece::Open(_) => json!({}),
        };
        if edit.level == 0 {
            return self.value = Some(value);
        }
        self.path.truncate(edit.level - 1);
        let pointer = self.path.iter().fold(String::new(), |mut all, step| {
            write!(all, "/{}", step.replace('~', "~0").replace('/', "~1")).unwrap();
            all
        });
        let holder = self.value.as_mut().unwrap().pointer_mut(&pointer).unwrap();
        match (edit.place, holder) {
            (Place::Name(from, to), Value::Object(members)) => {
                self.path.push(text(from, to));
                members.insert(text(from, to), value);
            }
            (Place::Index(at), Value::Array(items)) => {
                self.path.push((at - 1).to_string());
                assert!(at == items.len() || at == items.len() + 1, "items come in order");
                items.truncate(at - 1);
                items.push(value);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn fed(text: &str) -> Live {
    let mut live = Live::default();
    live.feed(text.as_bytes());
    live
}

#[test]
fn a_value_grows_with_its_text() {
    for (text, expected) in [
        ("", Value::Null),
        ("{", json!({})),
        ("{\"a", json!({})),
        ("{\"a\":", json!({})),
        ("{\"a\":\"", json!({"a": ""})),
        ("{\"a\":\"x\\u00e", json!({"a": "x"})),
        ("{\"a\":\"x\\ud83d", json!({"a": "x"})),
        ("{\"a\":\"x\\ud83d\\ude00", json!({"a": "x😀"})),
        ("{\"a\":tru", json!({})),
        ("{\"a\":true", json!({"a": true})),
        ("{\"a\":12", json!({})),
        ("{\"a\":12,", json!({"a": 12})),
        ("{\"a\":[1,[", json!({"a": [1, []]})),
        (
            "{\"a\":[1,[],{\"b\":null}],\"c\":-1.5e1}",
            json!({"a": [1, [], {"b": null}], "c": -15.0}),
        ),
    ] {
        assert_eq!(fed(text).value.unwrap_or_default(), expected, "{text}");
    }
}

#[test]
fn half_a_character_is_not_shown() {
    let mut live = Live::default();
    for (i, byte) in "[\"日本\"]".bytes().enumerate() {
        live.feed(&[byte]);
        assert!(!live.machine.is_broken(), "{i}");
    }
    assert_eq!(live.value.unwrap(), json!(["日本"]));
    assert!(live.machine.is_complete());
}

#[test]
fn what_stands_around_the_document_is_passed_over() {
    for text in [
        "\u{feff} {\"a\":[1]}",
        "Here it is:\n```json\n{\"a\":[1]}\n```\nDone: {}",
        "\"[x]\" is no document {\"a\":[1]}",
        "{\"a\":[1, // one\n /* none **/ ],}",
    ] {
        let live = fed(text);
        assert!(live.machine.is_complete(), "{text}");
        assert_eq!(live.value.unwrap(), json!({"a": [1]}), "{text}");
    }
}

#[test]
fn what_is_no_json_stops_it_and_stays() {
    for text in [
        "{\"a\":1,}x",
        "{\"a\":[1,2}",
        "{a:1}",
        "[01]",
        "[1 2]",
        "[\"\\x\"]",
        "[\"a\nb\"]",
        "[nul]",
        "[\"\\ud83dx\"]",
    ] {
        let live = fed(text);
        assert!(live.machine.is_broken() != live.machine.is_complete(), "{text}");
        assert!(live.value.is_some(), "{text}");
    }
    assert!(fed("{\"a\":1 x").machine.is_broken());
    let mut live = Live::default();
    live.feed(b"[\"\xff\"]");
    assert!(live.machine.is_broken());
    live.feed(b"[1]");
    assert_eq!(live.value.unwrap(), json!([]));
}

#[test]
fn nesting_stops_at_the_limit() {
    let live = fed(&"[".repeat(1_000_000));
    assert!(live.machine.is_broken());
}

/// Bytes that edits held, all told.
fn cost(length: usize, chunk: usize) -> usize {
    let mut machine = Machine::default();
    let text = format!("{{\"content\":\"{}\"}}", "x".repeat(length));
    let mut bytes = 0;
    for chunk in text.as_bytes().chunks(chunk) {
        machine.feed(chunk);
        bytes += machine.bytes().len();
    }
    assert!(machine.is_complete());
    bytes
}

#[test]
fn an_open_string_costs_what_is_linear_in_its_length() {
    let (small, large) = (cost(100_000, 10), cost(1_000_000, 10));
    assert!(large < 12 * small, "{small} {large}");
    assert!(large < 12 * 1_000_000, "{large}");
}

/// Whether a value that is not complete may become `whole`: only what came last is open.
fn is_prefix(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Array(part), Value::Array(whole)) => {
            let settled = part.len().saturating_sub(1);
            part.len() <= whole.len()
                && part[..settled] == whole[..settled]
                && part.iter().zip(whole).skip(settled).all(|(a, b)| is_prefix(a, b))
        }
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().enumerate().all(|(i, (name, a))| {
                let last = i + 1 == part.len();
                whole.get(name).is_some_and(|b| if last { is_prefix(a, b) } else { a == b })
            })
        }
        (Value::String(part), Value::String(whole)) => whole.starts_with(part.as_str()),
        _ => part == whole,
    }
}

/// A repeated name is set anew, which no prefix can foresee.
fn repeats_a_name(text: &str, value: &Value) -> bool {
    let mut tape = crate::value::Tape::default();
    json::parse(text.as_bytes(), &mut tape).unwrap();
    let mut kept = crate::value::Tape::default();
    json::put(value, &mut kept);
    tape.len() != kept.len()
}

fn documents() -> Vec<(String, Value)> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpora");
    let root = std::env::var("ZIGLLMS_CORPORA").unwrap_or_else(|_| beside.to_owned());
    let suite = std::fs::read_to_string(format!("{root}/json_conformance.jsonl"));
    let Ok(suite) = suite else {
        println!("SKIP: no corpora; set ZIGLLMS_CORPORA");
        return Vec::new();
    };
    let cases = suite.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let accepted = cases.filter(|case| case["expect"] == "accept");
    let mut texts: Vec<String> =
        accepted.filter_map(|case| case["input"].as_str().map(str::to_owned)).collect();
    texts.extend(suite.lines().map(str::to_owned));
    let read = |text: String| serde_json::from_str(&text).ok().map(|value| (text, value));
    let whole = texts.into_iter().filter_map(read);
    whole.filter(|(text, value)| !repeats_a_name(text, value)).collect()
}

#[test]
fn every_prefix_of_a_document_gives_a_prefix_of_its_value() {
    let documents = documents();
    for (text, whole) in &documents {
        if !(whole.is_object() || whole.is_array()) {
            assert!(fed(text).value.is_none(), "{text}");
            continue;
        }
        let mut live = Live::default();
        for byte in text.bytes() {
            live.feed(&[byte]);
            if let Some(value) = &live.value {
                assert!(is_prefix(value, whole), "{text}: {value}");
            }
        }
        assert!(live.machine.is_complete(), "{text}");
        assert_eq!(live.value.unwrap().to_string(), narrowed(whole).to_string(), "{text}");
    }
    println!("{} documents", documents.len());
}

fn narrowed(value: &Value) -> Value {
    match value {
        Value::Number(n) if n.as_i64().is_none() => json!(n.as_f64()),
        Value::Array(items) => items.iter().map(narrowed).collect(),
        Value::Object(members) => members.iter().map(|(k, v)| (k.clone(), narrowed(v))).collect(),
        other => other.clone(),
    }
}
