//! Our reader and writer of JSON against serde_json's, over documents made at random and over such
//! with bytes changed at random.

mod common;

use serde_json::{Map, Number, Value};
use zigllms::value::json::{self, Style};
use zigllms::value::{MAX_DEPTH, Tape};

use common::Random;

const DOCUMENTS: u64 = 3_000;
const CHANGES: usize = 12;

#[test]
fn both_read_every_document_alike() {
    let mut random = Random::new(1);
    for _ in 0..DOCUMENTS {
        let value = document(&mut random, 5);
        let text = match random.below(2) {
            0 => value.to_string(),
            _ => serde_json::to_string_pretty(&value).unwrap(),
        };
        compare(text.as_bytes());
    }
}

#[test]
fn both_take_and_refuse_the_same_changed_documents() {
    let mut random = Random::new(2);
    let (mut taken, mut refused) = (0u32, 0u32);
    for _ in 0..DOCUMENTS {
        let text = document(&mut random, 4).to_string().into_bytes();
        for _ in 0..CHANGES {
            match compare(&changed(&text, &mut random)) {
                true => taken += 1,
                false => refused += 1,
            }
        }
    }
    println!("taken {taken}, refused {refused}");
    assert!(taken > 1000 && refused > 1000, "the changes test both sides");
}

#[test]
fn both_write_every_document_alike() {
    let mut random = Random::new(3);
    for _ in 0..DOCUMENTS {
        let value = document(&mut random, 5);
        let mut tape = Tape::default();
        let at = json::put(&value, &mut tape);
        let root = tape.at(at).unwrap();
        assert_eq!(json::to_string(root), value.to_string());
        let style = Style { indent: Some(2), sort_keys: true };
        let mut sorted = value.clone();
        sorted.sort_all_objects();
        assert_eq!(json::to_styled(root, style), serde_json::to_string_pretty(&sorted).unwrap());
        assert_eq!(json::to_sorted(root), sorted.to_string());
    }
}

/// Whether both took it; fails where they differ.
fn compare(text: &[u8]) -> bool {
    let mut tape = Tape::default();
    let ours = json::parse(text, &mut tape).map(|at| tape.at(at).unwrap().to_json().to_string());
    let theirs = serde_json::from_slice::<Value>(text).map(|value| narrowed(value).to_string());
    let shown = String::from_utf8_lossy(text);
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "{shown}"),
        (Err(_), Err(_)) => return false,
        (ours, theirs) => panic!("{shown}\nours: {ours:?}\ntheirs: {theirs:?}"),
    }
    true
}

/// Integers beyond 64 bits with a sign are floats with us.
fn narrowed(value: Value) -> Value {
    match value {
        Value::Number(n) if n.as_i64().is_none() => Value::from(n.as_f64()),
        Value::Array(items) => items.into_iter().map(narrowed).collect(),
        Value::Object(members) => members.into_iter().map(|(k, v)| (k, narrowed(v))).collect(),
        other => other,
    }
}

fn changed(text: &[u8], random: &mut Random) -> Vec<u8> {
    const BYTES: &[u8] =
        b"\"\\{}[],:0123456789.eE+-tfnu \n\t\x00\x1f\x7f\x80\xc3\xa4\xed\xa0\xff/bD8dC";
    let mut text = text.to_vec();
    for _ in 0..=random.below(2) {
        let (at, byte) = (random.below(text.len() + 1), BYTES[random.below(BYTES.len())]);
        match random.below(4) {
            0 if at < text.len() => text[at] = byte,
            1 if at < text.len() => drop(text.remove(at)),
            2 => text.truncate(at),
            _ => text.insert(at.min(text.len()), byte),
        }
    }
    text
}

fn document(random: &mut Random, depth: usize) -> Value {
    assert!(depth < MAX_DEPTH);
    match random.below(if depth == 0 { 6 } else { 10 }) {
        0 => Value::Null,
        1 => Value::from(random.below(2) == 0),
        2 => Value::from(random.next() as i64 >> random.below(64)),
        3 => float(random),
        4 | 5 => Value::from(string(random)),
        6 | 7 => (0..random.below(6)).map(|_| document(random, depth - 1)).collect(),
        _ => {
            let members = 0..random.below(6);
            let member = |_| (string(random), document(random, depth - 1));
            Value::Object(members.map(member).collect::<Map<_, _>>())
        }
    }
}

fn float(random: &mut Random) -> Value {
    let value = match random.below(3) {
        0 => f64::from_bits(random.next()),
        1 => random.below(1_000_000) as f64 / 1000.0,
        _ => {
            (random.next() as i64 >> random.below(60)) as f64
                * 10f64.powi(random.below(40) as i32 - 20)
        }
    };
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

fn string(random: &mut Random) -> String {
    const PIECES: &[&str] = &[
        "a",
        "name",
        "content",
        "ä",
        "日本",
        "😀",
        "\"",
        "\\",
        "\n",
        "\u{1}",
        "\u{7f}",
        "/",
        " ",
        "{",
        "0",
        "a longer piece of plain text without anything special in it",
    ];
    (0..random.below(8)).map(|_| PIECES[random.below(PIECES.len())]).collect()
}
