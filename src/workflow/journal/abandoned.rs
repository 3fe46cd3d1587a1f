//! Leases of this process that could not be given back, as the store failed: nobody works under
//! them, so a claim of the same process need not wait until they run out.

use std::collections::HashSet;
use std::sync::Mutex;

use super::records::Lease;
use crate::net::lock;
use crate::net::workers::PerProcess;

fn tokens() -> &'static Mutex<HashSet<u64>> {
    static TOKENS: PerProcess<Mutex<HashSet<u64>>> = PerProcess::empty();
    TOKENS.get(Mutex::default)
}

pub fn note(lease: &Lease) {
    lock(tokens()).insert(lease.token);
}

pub fn has(lease: &Lease) -> bool {
    lock(tokens()).contains(&lease.token)
}
