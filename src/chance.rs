//! Numbers that differ between calls and between processes: names, jitter. Not for secrets.

use std::hash::{BuildHasher, RandomState};

pub fn random() -> u64 {
    RandomState::new().hash_one(0u8)
}

/// From 0 up to, but not, 1.
pub fn fraction() -> f64 {
    (random() >> 11) as f64 / (1u64 << 53) as f64
}
