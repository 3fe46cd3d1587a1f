//! The servers of one instance of the module, by number.

use std::collections::BTreeMap;

use super::Server;
use crate::error::{Error, Result};

#[derive(Default)]
pub struct Servers {
    last: u64,
    all: BTreeMap<u64, Server>,
}

impl Servers {
    pub fn insert(&mut self, server: Server) -> u64 {
        self.last += 1;
        self.all.insert(self.last, server);
        self.last
    }

    /// The one of that number. A forked child has none: its parent goes on with them.
    pub fn get(&self, number: u64) -> Result<&Server> {
        let server = self.all.get(&number).ok_or_else(|| Error::state("the server is gone"))?;
        match server.is_here() {
            true => Ok(server),
            false => Err(Error::state(
                "the mock belongs to the process that made it, and this one was forked from it: \
                 make mocks after the fork",
            )),
        }
    }

    /// Ends one; whether it had not ended before.
    pub fn end(&self, number: u64) -> bool {
        self.all.get(&number).is_some_and(Server::end)
    }

    /// Nobody asks for it any more.
    pub fn remove(&mut self, number: u64) {
        self.all.remove(&number);
    }

    /// All of them end; what they were asked can still be read.
    pub fn end_all(&self) {
        for server in self.all.values() {
            server.end();
        }
    }
}
