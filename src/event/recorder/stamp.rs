//! The order of recorded events, which no clock that is set back can disturb, and how they and the
//! logs they are in are called in a store.
//!
//! The key of an event: `e`, the name of its log behind its length, and its stamp in 24 bytes. The key
//! of a log itself: `n` and its name. Stored: never changed.

use crate::store::{Change, Space, Write};
use crate::value::bytes::put_text;

use super::Recorded;

/// Unique: of an event that several recorders have it says that it is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    pub ms: u64,
    /// Random for each instance in each process.
    pub origin: u64,
    pub number: u64,
}

const LENGTH: usize = 24;

/// So much the clocks of other machines may be ahead.
const AHEAD_MS: u64 = 60_000;

impl Stamp {
    fn bytes(self) -> impl Iterator<Item = u8> {
        [self.ms, self.origin, self.number].into_iter().flat_map(u64::to_be_bytes)
    }

    /// Whether it is of an event before a moment of this instance; of others as far as clocks tell.
    pub fn is_before(self, moment: Stamp) -> bool {
        match self.origin == moment.origin {
            true => self.number < moment.number,
            false => self.ms <= moment.ms + AHEAD_MS,
        }
    }

    /// Of the key of an event.
    pub fn of(key: &[u8]) -> Option<Stamp> {
        let (_, stamp) = key.split_last_chunk::<LENGTH>()?;
        let (numbers, _) = stamp.as_chunks::<8>();
        let [ms, origin, number] = numbers else { return None };
        let [ms, origin, number] = [ms, origin, number].map(|bytes| u64::from_be_bytes(*bytes));
        Some(Stamp { ms, origin, number })
    }
}

/// What the keys of all events of a log begin with.
pub fn prefix(log: &str) -> Vec<u8> {
    let mut key = vec![b'e'];
    put_text(log.as_bytes(), &mut key);
    key
}

fn key(log: &str, stamp: Stamp) -> Vec<u8> {
    let mut key = prefix(log);
    key.extend(stamp.bytes());
    key
}

/// The key that says that there is such a log.
pub fn log_key(log: &str) -> Vec<u8> {
    [b"n", log.as_bytes()].concat()
}

fn write(key: Vec<u8>, change: Change) -> Write {
    Write { space: Space::Events, key, change, only_if: None }
}

fn put(key: Vec<u8>, bytes: Vec<u8>) -> Write {
    write(key, Change::Put { bytes, expires_at: None })
}

/// There is such a log.
pub fn found(log: &str) -> Write {
    put(log_key(log), vec![1])
}

pub fn add(log: &str, stamp: Stamp, event: &Recorded) -> Write {
    put(key(log, stamp), event.bytes().to_vec())
}

pub fn remove(log: &str, stamp: Stamp) -> Write {
    write(key(log, stamp), Change::Delete)
}

/// At the end of a file of lines. One key for all: so they keep their order.
pub fn line(bytes: Vec<u8>) -> Write {
    put(Vec::new(), bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_in_the_order_of_the_stamps_and_give_them_back() {
        let stamp = |ms, origin, number| Stamp { ms, origin, number };
        let all = [stamp(1, 9, 9), stamp(2, 1, 300), stamp(2, 2, 1), stamp(300, 0, 0)];
        let keys = all.map(|stamp| key("log", stamp));
        assert!(keys.is_sorted());
        assert_eq!(keys.each_ref().map(|key| Stamp::of(key)), all.map(Some));
        assert!(keys[0].starts_with(&prefix("log")));
        assert!(all[1].is_before(stamp(2, 1, 301)) && !all[1].is_before(stamp(2, 1, 300)));
        assert!(all[2].is_before(stamp(2, 1, 1)), "another one's in the same moment");
        assert!(!key("logs", all[0]).starts_with(&prefix("log")));
    }
}
