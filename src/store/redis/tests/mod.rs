//! Against a real redis-server; where there is none, tests say that they are skipped.

mod crowd;
mod faults;
mod lost;
mod proxy;
pub(super) mod server;
mod tls;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use once_cell::sync::Lazy;

use super::Redis;
use crate::store::conformance::{Place, suite};
use crate::store::{Range, Space};
use server::Server;

static SHARED: Lazy<Mutex<Option<Server>>> = Lazy::new(|| Mutex::new(Server::start(&[])));
static STORES: AtomicU32 = AtomicU32::new(0);

/// A store of its own on the server that these tests share.
pub(crate) fn fresh_url() -> Option<String> {
    let number = STORES.fetch_add(1, Ordering::Relaxed);
    let server = SHARED.lock().unwrap();
    Some(format!("{}?prefix=test{number}", server.as_ref()?.url()))
}

fn fresh() -> Option<Place> {
    let url = fresh_url()?;
    Some(Box::new(move || Box::new(Redis::open(&url).unwrap())))
}

suite!(fresh);

/// All of the space that these tests use.
fn whole(limit: usize) -> Range {
    Range { space: Space::Memory, prefix: Vec::new(), after: None, limit }
}
