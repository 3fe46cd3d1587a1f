//! Which of the calls in an answer are meant, and not only talked about.
//!
//! A call between tags, or behind a mark, is meant. One without marks of its own (bare or fenced
//! JSON, a list of Python calls), and one that stands inside of a fence, is meant where nothing but
//! calls follows: models stop there, and who goes on writing was giving an example.

use super::hold;
use super::{Call, Scan, Tools, join};

/// The calls of an answer, and what it says beside them; `None` where it asks for nothing. `cut`
/// says that the answer was not allowed to end: a call at its end may lack anything.
pub fn asked(text: &str, tools: &Tools, decided: usize, cut: bool) -> Option<(Vec<Call>, String)> {
    let mut scan = Scan::new(text, tools);
    scan.find();
    scan.taken.sort_unstable();
    drop_mentioned(&mut scan, decided, cut);
    if scan.calls.is_empty() {
        return None;
    }
    scan.calls.sort_by_key(|call| call.start);
    let rest = beside(text, &scan.taken);
    Some((scan.calls, rest))
}

/// Goes from the end to the beginning: what a call is followed by tells what it is.
fn drop_mentioned(scan: &mut Scan<'_>, decided: usize, cut: bool) {
    let end = scan.text.trim_end().len();
    let (mut next, mut last) = (scan.text.len(), true);
    for (start, stop) in std::mem::take(&mut scan.taken).into_iter().rev() {
        last &= scan.part(stop, next).chars().all(between);
        let unmarked = scan.unmarked.contains(&start);
        let meant = !unmarked || hold::starts_like_a_call(scan.from(start), scan.tools);
        let loose = unmarked || in_fence(scan.part(0, start));
        if start < decided || !meant || (loose && !last) || (cut && stop >= end) {
            scan.calls.retain(|call| call.start != start);
            last = false;
        } else {
            scan.taken.push((start, stop));
        }
        next = start;
    }
    scan.taken.reverse();
}

/// What may stand between calls that follow each other.
pub fn between(c: char) -> bool {
    c.is_whitespace() || matches!(c, ';' | ',' | '`')
}

fn in_fence(before: &str) -> bool {
    before.lines().filter(|line| line.trim_start().starts_with("```")).count() % 2 == 1
}

/// The text without the calls. What stands in front of the first one stays to the letter, for it
/// may have been delivered.
fn beside(text: &str, taken: &[(usize, usize)]) -> String {
    let first = taken.first().map_or(text.len(), |(start, _)| *start);
    let mut rest = text.get(..first).unwrap_or_default().trim_end().to_owned();
    let mut at = first;
    for (start, stop) in taken {
        if *start >= at {
            join(&mut rest, text.get(at..*start).unwrap_or_default());
            at = *stop;
        }
    }
    join(&mut rest, text.get(at..).unwrap_or_default());
    rest.truncate(rest.trim_end().len());
    if first == 0 || text.get(..first).is_some_and(|start| start.trim().is_empty()) {
        rest = rest.trim_start().to_owned();
    }
    rest
}
