//! YAML: any text is read or refused at every level; what we write reads back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zigllms::value::yaml::{self, Documents, Options};
use zigllms::value::{Tape, json};

fuzz_target!(|text: &str| {
    for documents in [Documents::Whole, Documents::First, Documents::All] {
        let options = Options { documents, unique_keys: false, ..Options::default() };
        let mut tape = Tape::default();
        if let Ok(read) = yaml::read(text, &options, &mut tape) {
            round(&tape, read.root);
        }
        for rough in [false, true] {
            let mut tape = Tape::default();
            if let Ok(found) = yaml::read_lenient(text, &options, rough, &mut tape) {
                assert!(found.start <= found.stop && found.stop <= text.len());
                round(&tape, found.root);
            }
        }
    }
});

fn round(tape: &Tape, root: usize) {
    let value = tape.at(root).expect("a value");
    let text = yaml::write(value);
    let mut again = Tape::default();
    let options = Options { unique_keys: false, ..Options::default() };
    let read = yaml::read(&text, &options, &mut again).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let (before, after) =
        (json::to_sorted(value), json::to_sorted(again.at(read.root).expect("a value")));
    assert_eq!(before, after, "\n{text}");
}
