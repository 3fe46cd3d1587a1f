//! Checksums: SQLite keeps none, and a flipped bit is otherwise a value like any other.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::store::{Space, UnixMs};

/// A record where it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    pub space: Space,
    pub key: &'a [u8],
    pub version: u64,
    pub expires_at: Option<UnixMs>,
    pub bytes: &'a [u8],
}

impl Stored<'_> {
    /// Of all of it, its place too: damage may move a record.
    pub fn sum(&self) -> u64 {
        let head = words(&[
            self.space.number() as u64,
            self.key.len() as u64,
            self.version,
            u64::from(self.expires_at.is_some()),
            self.expires_at.unwrap_or_default() as u64,
        ]);
        xxh3_64_with_seed(self.bytes, xxh3_64_with_seed(self.key, head))
    }
}

/// Of a row of numbers.
pub fn words(numbers: &[u64]) -> u64 {
    xxh3_64(&numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>())
}

/// All records of a store in two numbers, whatever their order: kept with each commit, so that a
/// record that has gone, or come, without one is missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    pub records: u64,
    pub sum: u64,
}

impl Total {
    pub fn add(&mut self, sum: u64) {
        self.records = self.records.wrapping_add(1);
        self.sum = self.sum.wrapping_add(sum);
    }

    pub fn take(&mut self, sum: u64) {
        self.records = self.records.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Stored =
        Stored { space: Space::Memory, key: b"key", version: 1, expires_at: None, bytes: b"bytes" };

    #[test]
    fn every_part_of_a_record_counts() {
        let others = [
            ONE,
            Stored { space: Space::Cache, ..ONE },
            Stored { key: b"kex", ..ONE },
            Stored { key: b"", ..ONE },
            Stored { key: b"keyb", bytes: b"ytes", ..ONE },
            Stored { version: 2, ..ONE },
            Stored { expires_at: Some(0), ..ONE },
            Stored { bytes: b"byte", ..ONE },
            Stored { bytes: b"", ..ONE },
        ];
        let sums = others.map(|other| other.sum());
        for (n, sum) in sums.iter().enumerate() {
            assert!(!sums[..n].contains(sum), "{:?}", others[n]);
        }
    }

    /// Another number here, and every store there is would be called damaged.
    #[test]
    fn sums_stay_what_they_were() {
        assert_eq!(ONE.sum(), 9_687_949_656_472_408_914);
        assert_eq!(
            Stored { expires_at: Some(7), bytes: &[b'x'; 300], ..ONE }.sum(),
            16_079_369_001_085_453_868
        );
    }
}
