//! Any pattern against any text: it ends when its meter says so, and what it captures lies in the
//! text. The first byte says how long the pattern is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zigllms::sandbox::pattern::{Capture, Search, Trouble, replace};

fuzz_target!(|input: &[u8]| {
    let Some((length, rest)) = input.split_first() else { return };
    let (pattern, text) = rest.split_at(usize::from(*length).min(rest.len()));
    let mut left = 20;
    let mut meter = || {
        left -= 1;
        left > 0
    };
    let mut search = Search::new(text, pattern, &mut meter);
    if let Ok(Some((start, end))) = search.find(0) {
        assert!(start <= end && end <= text.len());
        for index in 0..search.values() {
            match search.capture(index, start, end) {
                Ok(Capture::Text(part)) => assert!(part.len() <= text.len()),
                Ok(Capture::Position(at)) => assert!((1..=text.len() + 1).contains(&at)),
                Err(trouble) => assert!(matches!(trouble, Trouble::Malformed(_))),
            }
        }
    }
    let mut out = Vec::new();
    let _ = replace(&mut search, b"<%1%%%0>", u64::MAX, 1 << 16, &mut out);
});
