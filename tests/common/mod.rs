//! Where the corpora are, and what else several suites need.

use std::path::PathBuf;

/// A folder of the corpora, or `None` after saying that its tests are skipped.
#[allow(dead_code)] // not every suite reads them
pub fn corpus(name: &str) -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpora");
    let root = std::env::var("ZIGLLMS_CORPORA").unwrap_or_else(|_| beside.to_owned());
    let path = PathBuf::from(root).join(name);
    if path.exists() {
        return Some(path);
    }
    println!("SKIP: {} does not exist; set ZIGLLMS_CORPORA", path.display());
    None
}

/// Numbers that look random and are the same in every run (splitmix64).
#[allow(dead_code)] // not every suite draws
pub struct Random(u64);

#[allow(dead_code)]
impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
