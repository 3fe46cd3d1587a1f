//! Strict JSON: what we accept is what serde_json accepts, with the same value; what we write reads
//! back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use zigllms::value::{MAX_DEPTH, Tape, json};

fuzz_target!(|text: &[u8]| {
    let mut tape = Tape::default();
    let ours = json::parse(text, &mut tape);
    let theirs = serde_json::from_slice::<Value>(text);
    match (&ours, &theirs) {
        (Ok(root), Ok(value)) => {
            let read = tape.at(*root).expect("a value").to_json();
            assert!(same(&read, value), "{read}\n{value}");
            let written = json::to_string(tape.at(*root).expect("a value"));
            let mut again = Tape::default();
            let root = json::parse(written.as_bytes(), &mut again).expect("what we wrote");
            assert!(same(&again.at(root).expect("a value").to_json(), &read), "{written}");
        }
        (Err(_), Err(_)) => {}
        // It refuses numbers that are too large for a float, and nests a little deeper.
        (Ok(_), Err(error)) => assert!(error.to_string().contains("out of range"), "{error}"),
        (Err(error), Ok(_)) => {
            let nested = error.message().contains(&format!("nested deeper than {MAX_DEPTH}"));
            assert!(nested || error.message().contains("range"), "{error}");
        }
    }
});

/// Integers beyond 64 bit are floats with us.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || a.as_f64() == b.as_f64() && !(a.is_i64() && b.is_i64())
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        (a, b) => a == b,
    }
}
