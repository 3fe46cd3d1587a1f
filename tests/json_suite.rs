//! JSONTestSuite: what a strict parser must take and must refuse.

mod common;

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zigllms::value::{Tape, json};

#[test]
fn strict_json_is_taken_and_everything_else_refused() {
    let Some(file) = common::corpus("json_conformance.jsonl") else { return };
    let (mut passed, mut failed) = (0, Vec::new());
    for line in fs::read_to_string(file).unwrap().lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let input = bytes_of(&case);
        let mut tape = Tape::default();
        let taken = json::parse(&input, &mut tape).is_ok();
        let right = match case["expect"].as_str().unwrap() {
            "accept" => taken,
            "reject" => !taken,
            _ => true,
        };
        match right {
            true => passed += 1,
            false => failed.push(case["id"].to_string()),
        }
    }
    println!("JSONTestSuite: {passed} of {}", passed + failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Inputs that are no text are kept as base64.
fn bytes_of(case: &Value) -> Vec<u8> {
    if let Some(encoded) = case["input_b64"].as_str() {
        return STANDARD.decode(encoded).unwrap();
    }
    case["input"].as_str().unwrap_or_default().as_bytes().to_vec()
}

/// Deep nesting is refused without using up the stack.
#[test]
fn a_hundred_thousand_brackets_are_refused() {
    for open in ["[", "{\"\":"] {
        let text = open.repeat(100_000);
        let error = json::parse(text.as_bytes(), &mut Tape::default()).unwrap_err();
        assert!(error.message().contains("nested deeper"), "{error}");
    }
}
