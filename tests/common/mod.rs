//! Where the corpora are, and what else several suites need.

use std::path::PathBuf;

/// A folder of the corpora, or `None` after saying that its tests are skipped.
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
