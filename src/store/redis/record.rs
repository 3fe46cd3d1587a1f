//! Records as strings, and the names under which Redis has them.
//!
//! A record is `z1 <version> <expiry in Unix ms, or -> <bytes>`, which redis-cli shows readably.

use ::redis::Cmd;

use crate::store::{Change, Expected, Record, Space, UnixMs, Write};

/// How long the server keeps a record after its end: clocks of machines differ.
const MARGIN_MS: i64 = 60_000;

/// Of later ends the server is not told; it refuses times it cannot count.
const FAR_MS: i64 = 10 * 365 * 86_400_000;

/// The names of all keys of one store.
#[derive(Clone, Debug)]
pub struct Names(String);

impl Names {
    pub fn new(prefix: &str) -> Names {
        Names(format!("{prefix}:"))
    }

    /// What all of them begin with.
    pub fn start(&self) -> &str {
        &self.0
    }

    /// The hash of what is known about the store itself.
    pub fn store(&self) -> String {
        format!("{}store", self.0)
    }

    /// Of messages between processes.
    pub fn stream(&self, name: &str) -> String {
        format!("{}s:{name}", self.0)
    }

    pub fn index(&self, space: Space) -> String {
        format!("{}i:{}", self.0, space.name())
    }

    pub fn record(&self, space: Space, key: &[u8]) -> Vec<u8> {
        let mut name = format!("{}r:{}:", self.0, space.name()).into_bytes();
        name.extend_from_slice(key);
        name
    }
}

/// None if it is not a record.
pub fn decode(mut text: Vec<u8>) -> Option<Record> {
    let (head, version, expires_at) = parse(&text)?;
    Some(Record { version, expires_at, bytes: text.split_off(head) })
}

/// Where the bytes begin, the version and the expiry.
fn parse(text: &[u8]) -> Option<(usize, u64, Option<UnixMs>)> {
    let mut words = text.splitn(4, |&byte| byte == b' ');
    let (mark, version, expiry) = (words.next()?, words.next()?, words.next()?);
    let bytes = words.next()?;
    if mark != b"z1" {
        return None;
    }
    let expires_at = if expiry == b"-" { None } else { Some(number(expiry)?) };
    Some((text.len() - bytes.len(), number(version)?, expires_at))
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Adds a write to the arguments of `commit.lua`.
pub fn write(script: &mut Cmd, write: &Write, now: UnixMs) {
    let kind = match write.change {
        Change::Put { .. } => "put",
        Change::Delete => "delete",
        Change::DeleteAll => "all",
        Change::Keep => "keep",
    };
    script.arg(kind).arg(write.space.name()).arg(&write.key[..]).arg(expected(write.only_if));
    match &write.change {
        Change::Put { bytes, expires_at } => {
            script.arg(expires_at.map_or_else(|| "-".to_owned(), |end| end.to_string()));
            script.arg(left(*expires_at, now)).arg(&bytes[..]);
        }
        Change::Delete | Change::Keep => {}
        Change::DeleteAll => {
            script.arg(end_of(&write.key));
        }
    }
}

fn expected(only_if: Option<Expected>) -> String {
    match only_if {
        None => String::new(),
        Some(Expected::Absent) => "absent".to_owned(),
        Some(Expected::Version(version)) => version.to_string(),
    }
}

/// How long the server is to keep it, in ms; nothing: for ever.
fn left(expires_at: Option<UnixMs>, now: UnixMs) -> String {
    let left = expires_at.map(|end| end.saturating_sub(now).max(0));
    match left {
        Some(ms) if ms < FAR_MS => (ms + MARGIN_MS).to_string(),
        _ => String::new(),
    }
}

/// From where to read, as ZRANGEBYLEX has it.
pub fn start_of(prefix: &[u8], after_key: Option<&[u8]>) -> Vec<u8> {
    match after_key {
        Some(key) if key >= prefix => after(key),
        _ => bound(b'[', prefix),
    }
}

/// Up to where to read: the first text that is greater than all that begin so.
pub fn end_of(prefix: &[u8]) -> Vec<u8> {
    let Some(last) = prefix.iter().rposition(|&byte| byte != 0xff) else { return b"+".to_vec() };
    let mut end = bound(b'(', prefix.get(..=last).unwrap_or(prefix));
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    end
}

pub fn after(key: &[u8]) -> Vec<u8> {
    bound(b'(', key)
}

fn bound(kind: u8, key: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(key.len() + 1);
    text.push(kind);
    text.extend_from_slice(key);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_nothing_else_is() {
        let of = |text: &[u8]| decode(text.to_vec());
        let record = |version, expires_at, bytes: &[u8]| {
            Some(Record { version, expires_at, bytes: bytes.to_vec() })
        };
        assert_eq!(of(b"z1 17 - a b\0"), record(17, None, b"a b\0"));
        assert_eq!(of(b"z1 17 -5 "), record(17, Some(-5), b""));
        for other in ["", "z1", "z1 17 -", "z2 17 - a", "z1 x - a", "z1 17 y a", "{\"a\":1}"] {
            assert_eq!(of(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_prefix_ends_where_the_next_one_begins() {
        assert_eq!(end_of(b"ab"), b"(ac");
        assert_eq!(end_of(b"a\xff\xff"), b"(b");
        assert_eq!(end_of(b"\xff"), b"+");
        assert_eq!(end_of(b""), b"+");
    }

    #[test]
    fn a_scan_begins_at_its_prefix_or_after_a_key() {
        assert_eq!(start_of(b"b", None), b"[b");
        assert_eq!(start_of(b"b", Some(b"ba")), b"(ba");
        assert_eq!(start_of(b"b", Some(b"a")), b"[b");
    }

    #[test]
    fn the_server_keeps_a_record_a_little_longer_and_no_absurd_time() {
        assert_eq!(left(Some(1_500), 1_000), "60500");
        assert_eq!(left(Some(500), 1_000), "60000");
        assert_eq!(left(Some(i64::MAX), 0), "");
        assert_eq!(left(Some(i64::MIN), i64::MAX), "60000");
        assert_eq!(left(None, 0), "");
    }
}
