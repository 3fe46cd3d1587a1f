//! Which engine serves a place.

use super::{Place, Store};
use crate::error::Result;

pub fn open(place: &Place) -> Result<Box<dyn Store>> {
    match place {
        Place::Memory => Ok(Box::new(super::memory::Memory::default())),
        Place::Sqlite(path) => Ok(Box::new(super::sqlite::open(path)?)),
        #[cfg(feature = "redis")]
        Place::Redis(url) => Ok(Box::new(super::redis::open(url.secret())?)),
        #[cfg(not(feature = "redis"))]
        Place::Redis(_) => Err(crate::error::Error::unsupported(
            "this build has no Redis: it is the cargo feature \"redis\"",
        )),
    }
}
