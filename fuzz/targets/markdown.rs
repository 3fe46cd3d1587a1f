//! Markdown, and what a text is: any text has parts, which lie in it; any text is some format.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zigllms::output::markdown::{self, Wanted};
use zigllms::output::{self, Format, Reading, Recovery};
use zigllms::value::Tape;

fuzz_target!(|text: &str| {
    let mut tape = Tape::default();
    let root = markdown::extract(text, &Wanted::default(), &mut tape).expect("parts");
    let parts = tape.at(root).expect("a table");
    let lines = text.lines().count().max(1) as i64;
    for block in parts.get("code_blocks").expect("code blocks").items() {
        let line = block.get("line").and_then(|line| line.as_i64()).expect("a line");
        assert!(line >= 1 && line <= lines);
    }
    for section in parts.get("sections").expect("sections").items() {
        let content = section.get("content").and_then(|content| content.as_str()).expect("text");
        assert!(text.contains(content));
    }
    let detected = output::detect(text);
    assert!((0.0..=1.0).contains(&detected.confidence));
    for recovery in [Recovery::Strict, Recovery::Lenient, Recovery::BestEffort] {
        let reading = Reading { recovery, ..Reading::default() };
        if let Ok(parsed) = output::parse(text, &reading, &mut Tape::default()) {
            assert!(matches!(
                parsed.format,
                Format::Json | Format::Yaml | Format::Xml | Format::Plain
            ));
            assert!(parsed.start <= parsed.stop && parsed.stop <= text.len());
        }
    }
});
