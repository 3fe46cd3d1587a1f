//! Under which keys what is recorded of a run lies. Stored for good: never given another meaning.
//!
//! | key | record |
//! |---|---|
//! | `h` run | the head, which is the fence |
//! | `l` run | the lease; it expires |
//! | `w` run | what another process wishes |
//! | `i` run | input and options |
//! | `e` run | how the run stopped |
//! | `r` run NUL part NUL kind path | what is known of a step, or of a part of the run |
//!
//! The run itself is the part "". A workflow called at a path of a part is the part `part path SOH`,
//! so that all within a called workflow begins alike. In paths the three lowest bytes are escaped.

use crate::error::{Error, Result};
use crate::store::{Change, Space, UnixMs, Write};

/// Of a detail: which record lies under the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Step = b's' as isize,
    Decided = b'd' as isize,
    Boundary = b'b' as isize,
    Child = b'c' as isize,
    Waiting = b'p' as isize,
}

impl Kind {
    /// All that belong to the path of a step.
    pub const OF_STEPS: [Kind; 4] = [Kind::Step, Kind::Decided, Kind::Child, Kind::Waiting];

    fn of(byte: u8) -> Option<Kind> {
        let all = Kind::OF_STEPS.into_iter().chain([Kind::Boundary]);
        all.into_iter().find(|kind| *kind as u8 == byte)
    }
}

const MOST_BYTES: usize = 200;

/// Fails unless it may be the id of a run.
pub fn check_run(run: &str) -> Result<()> {
    if run.is_empty() || run.len() > MOST_BYTES || run.chars().any(char::is_control) {
        let expected = format!("expected 1 to {MOST_BYTES} bytes without control characters");
        return Err(Error::invalid(format!("{expected}, got {}", crate::error::quoted(run))));
    }
    Ok(())
}

pub const HEADS: &[u8] = b"h";
pub const LEASES: &[u8] = b"l";
pub const WISHES: &[u8] = b"w";

fn under(letter: &[u8], run: &str) -> Vec<u8> {
    [letter, run.as_bytes()].concat()
}

pub fn head(run: &str) -> Vec<u8> {
    under(HEADS, run)
}

pub fn lease(run: &str) -> Vec<u8> {
    under(LEASES, run)
}

pub fn wish(run: &str) -> Vec<u8> {
    under(WISHES, run)
}

pub fn input(run: &str) -> Vec<u8> {
    under(b"i", run)
}

pub fn ending(run: &str) -> Vec<u8> {
    under(b"e", run)
}

/// The run of a head, a lease or a wish.
pub fn run_of(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.get(1..)?).ok()
}

/// What the keys of all details begin with.
pub fn details(run: &str) -> Vec<u8> {
    let mut key = under(b"r", run);
    key.push(0);
    key
}

pub fn detail(run: &str, part: &str, kind: Kind, path: &str) -> Vec<u8> {
    let mut key = details(run);
    key.extend_from_slice(part.as_bytes());
    key.extend([0, kind as u8]);
    key.extend_from_slice(escaped(path).as_bytes());
    key
}

/// What the keys begin with of all that was called at paths of a part that begin so.
pub fn called(run: &str, part: &str, place: &str) -> Vec<u8> {
    let mut key = details(run);
    key.extend_from_slice(part.as_bytes());
    key.extend_from_slice(escaped(place).as_bytes());
    key
}

/// What the keys begin with of all that was called at one path.
pub fn called_at(run: &str, part: &str, path: &str) -> Vec<u8> {
    [details(run), self::part(part, path).into_bytes()].concat()
}

/// The name of the part that is called at a path.
pub fn part(part: &str, path: &str) -> String {
    format!("{part}{}\u{1}", escaped(path))
}

/// Takes the key of a detail apart: the part, the kind and the path.
pub fn parse<'k>(run: &str, key: &'k [u8]) -> Option<(&'k str, Kind, String)> {
    let rest = std::str::from_utf8(key.get(run.len() + 2..)?).ok()?;
    let (part, rest) = rest.split_once('\0')?;
    let kind = Kind::of(*rest.as_bytes().first()?)?;
    Some((part, kind, unescaped(rest.get(1..)?)?))
}

fn escaped(path: &str) -> String {
    if !path.bytes().any(|byte| byte <= 2) {
        return path.to_owned();
    }
    path.replace('\u{2}', "\u{2}2").replace('\u{1}', "\u{2}1").replace('\0', "\u{2}0")
}

fn unescaped(text: &str) -> Option<String> {
    let (mut path, mut chars) = (String::with_capacity(text.len()), text.chars());
    while let Some(char) = chars.next() {
        path.push(match char {
            '\u{2}' => char::from(u8::try_from(chars.next()?.to_digit(3)?).ok()?),
            char => char,
        });
    }
    Some(path)
}

pub fn write(key: Vec<u8>, change: Change) -> Write {
    Write { space: Space::Journal, key, change, only_if: None }
}

/// `seal` makes the record for its key.
pub fn put(key: Vec<u8>, expires_at: Option<UnixMs>, seal: impl FnOnce(&[u8]) -> Vec<u8>) -> Write {
    let bytes = seal(&key);
    write(key, Change::Put { bytes, expires_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_apart_again() {
        for path in ["a", "each[3].b", "", "\0\u{1}\u{2}", "ä\u{2}0"] {
            let inner = part(&part("", "call"), path);
            let key = detail("run", &inner, Kind::Step, path);
            assert_eq!(parse("run", &key), Some((inner.as_str(), Kind::Step, path.to_owned())));
            assert!(key.starts_with(&called("run", &part("", "call"), path)));
            assert!(key.starts_with(&[&details("run")[..], b"call\x01"].concat()));
        }
        assert_eq!(parse("run", b"rrun\0\0xpath"), None);
        assert_eq!(parse("run", b"rrun"), None);
    }

    #[test]
    fn ids_of_runs_are_short_texts_of_one_line() {
        for run in ["r", "an order: 7/ä", &"x".repeat(200)] {
            check_run(run).unwrap();
        }
        for run in ["", "a\nb", "a\0", &"x".repeat(201)] {
            assert!(check_run(run).is_err(), "{run:?}");
        }
    }
}
