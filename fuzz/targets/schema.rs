//! Schemas: the first line is a schema, the rest a value. Any schema compiles or is refused; a value
//! is valid if and only if nothing is wrong with it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zigllms::schema::Schema;
use zigllms::value::{Tape, json};

fuzz_target!(|text: &str| {
    let Some((schema, value)) = text.split_once('\n') else { return };
    let Ok(schema) = serde_json::from_str(schema) else { return };
    let Ok(schema) = Schema::compile(&schema) else { return };
    let mut tape = Tape::default();
    let Ok(root) = json::parse(value.as_bytes(), &mut tape) else { return };
    let value = tape.at(root).expect("a value");
    let wrong = schema.check(value);
    assert_eq!(schema.is_valid(value), wrong.is_empty());
    wrong.iter().for_each(|violation| assert!(!violation.to_string().is_empty()));
});
