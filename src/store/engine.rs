//! Which engine serves a place.

use super::{Place, Store};
use crate::error::Result;

pub fn open(place: &Place) -> Result<Box<dyn Store>> {
    match place {
        Place::Memory => Ok(Box::new(super::memory::Memory::default())),
        Place::Sqlite(path) => Ok(Box::new(super::sqlite::Sqlite::open(path)?)),
        Place::Lines(path) => Ok(Box::new(super::lines::Lines::open(path)?)),
        #[cfg(feature = "redis")]
        Place::Redis(url) => Ok(Box::new(super::redis::Redis::open(url.secret())?)),
        #[cfg(not(feature = "redis"))]
        Place::Redis(_) => Err(super::place::no_redis()),
    }
}
