//! XML: any text is read or refused at every level; what is valid needs no fixes; what we write
//! reads back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zigllms::value::xml::{self, Level, Options};
use zigllms::value::{Tape, json};

fuzz_target!(|text: &str| {
    let mut valid = None;
    for level in [Level::Strict, Level::Lenient, Level::BestEffort] {
        for all in [false, true] {
            let mut tape = Tape::default();
            let options = Options { level, all, ..Options::default() };
            let Ok(read) = xml::read(text, &options, &mut tape) else { continue };
            assert!(read.start <= read.stop && read.stop <= text.len());
            let value = tape.at(read.root).expect("a value");
            let shown = json::to_string(value);
            if level == Level::Strict && !all {
                round(value);
                valid = Some(shown);
            } else if let (Some(valid), false) = (&valid, all) {
                assert_eq!(*valid, shown);
            }
        }
    }
});

fn round(value: zigllms::value::Ref<'_>) {
    // Attributes and elements may have equal names: what is written then has them merged.
    let Ok(text) = xml::write(value, None) else { return };
    let mut again = Tape::default();
    let read =
        xml::read(&text, &Options::default(), &mut again).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let after = json::to_sorted(again.at(read.root).expect("a value"));
    assert_eq!(json::to_sorted(value), after, "\n{text}");
}
