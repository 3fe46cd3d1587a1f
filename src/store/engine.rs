//! Which engine serves a place.

use super::{Place, Store};
use crate::error::Result;

pub fn open(place: &Place) -> Result<Box<dyn Store>> {
    match place {
        Place::Memory => Ok(Box::new(super::memory::Memory::default())),
        Place::Sqlite(path) => Ok(Box::new(super::sqlite::Sqlite::open(path)?)),
        Place::Redis(_) => {
            Err(crate::error::Error::unsupported(format!("there is no store \"{place}\" yet")))
        }
    }
}
