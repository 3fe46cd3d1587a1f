//! JSON by models: whatever is read is a valid value, from bytes that are there; a valid text is
//! read as it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zigllms::value::repair::{self, Level, Options};
use zigllms::value::{Tape, json};

fuzz_target!(|text: &[u8]| {
    let mut strict = Tape::default();
    let valid = json::parse(text, &mut strict).ok();
    for level in [Level::Lenient, Level::BestEffort] {
        for all in [false, true] {
            let mut tape = Tape::default();
            let options = Options { all, ..Options::at(level) };
            let Ok(found) = repair::read(text, &options, &mut tape) else { continue };
            assert!(found.start <= found.stop && found.stop <= text.len());
            let value = tape.at(found.root).expect("a value");
            let written = json::to_string(value);
            json::parse(written.as_bytes(), &mut Tape::default()).expect("a valid value");
            if let (Some(root), false) = (valid, all) {
                assert_eq!(written, json::to_string(strict.at(root).expect("a value")));
                assert!(found.fixes.is_empty());
            }
        }
    }
});
