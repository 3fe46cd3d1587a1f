//! How far the talk with a server has got.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::LATEST;
use super::link::Link;
use super::mailbox::{Answer, Trouble};
use super::pin::Definition;
use super::remote::Visitor;
use crate::error::{Error, Result};
use crate::net::Call;

/// As which the mailbox hears of the greeting; requests count from 1.
pub const GREETING: u64 = 0;

#[derive(Default)]
pub struct Talk {
    pub link: Option<Link>,
    pub stage: Stage,
    pub last: u64,
    /// Of the handshake under way, to be called off with it.
    pub asking: Option<Box<dyn Call>>,
    /// Handshakes begun; which of them failed last, and why.
    pub attempt: u64,
    pub failed: Option<(u64, Error)>,
    /// What the server said of itself.
    pub about: Value,
    /// All tools, as it listed them last.
    pub listed: Vec<Definition>,
}

#[derive(Default)]
pub enum Stage {
    #[default]
    Down,
    Initializing(u64),
    /// It is told that it has been understood, and has not said yet that it heard.
    Greeting,
    Listing(Listing),
    Up,
}

pub struct Listing {
    pub id: u64,
    pub found: Vec<Definition>,
    /// Those that were seen, and the one to go on with.
    pub cursors: HashSet<String>,
    pub next: Option<String>,
}

impl Listing {
    pub fn new() -> Listing {
        Listing { id: 0, found: Vec::new(), cursors: HashSet::new(), next: None }
    }
}

impl Talk {
    pub fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub fn is_here(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_here)
    }

    pub fn stands(&self) -> bool {
        self.link.as_ref().is_some_and(Link::stands)
    }

    pub fn has_changed(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.mailbox.lock().take_changed())
    }

    /// Where the server was heard before, and no longer is.
    pub fn listen_again(&mut self) {
        if let Some(link) = &mut self.link {
            let deaf = link.mailbox.lock().take_deaf();
            if deaf {
                link.listen();
            }
        }
    }

    /// Stays where it is; `ready` is handed on.
    pub fn stays(&mut self, stage: Stage, ready: bool) -> Option<bool> {
        self.stage = stage;
        Some(ready)
    }

    /// The request that is under way before it is up.
    pub fn handshake(&self) -> Option<u64> {
        match &self.stage {
            Stage::Initializing(id) => Some(*id),
            Stage::Greeting => Some(GREETING),
            Stage::Listing(listing) => Some(listing.id),
            Stage::Down | Stage::Up => None,
        }
    }

    pub fn take(&self, id: u64, visitor: &Visitor) -> Option<Answer> {
        match &self.link {
            Some(link) => link.mailbox.lock().take(id, &visitor.waker),
            None => Some(Err(Trouble::Failed(Error::internal("a handshake with nobody")))),
        }
    }

    pub fn initialize(&mut self) {
        let params = json!({
            "protocolVersion": LATEST,
            "capabilities": {},
            "clientInfo": { "name": "zigllms", "version": env!("CARGO_PKG_VERSION") },
        });
        let id = self.next();
        self.asking = self.link.as_ref().and_then(|link| link.ask(id, "initialize", &params));
        self.stage = Stage::Initializing(id);
    }

    /// Confirms what was agreed on. Servers may refuse requests that come before that.
    pub fn greet(&mut self) {
        let announce =
            |link: &Link| link.announce(GREETING, "notifications/initialized", &Value::Null);
        self.asking = self.link.as_ref().and_then(announce);
        match self.asking {
            Some(_) => self.stage = Stage::Greeting,
            None => self.greeted(),
        }
    }

    /// It has been heard.
    pub fn greeted(&mut self) {
        let changes = self.about["capabilities"]["tools"]["listChanged"] == true;
        if let Some(link) = self.link.as_mut().filter(|_| changes) {
            link.listen();
        }
        self.list(Listing::new());
    }

    /// Asks for the next page.
    pub fn list(&mut self, mut listing: Listing) {
        listing.id = self.next();
        let params = match listing.next.take() {
            Some(cursor) => json!({ "cursor": cursor }),
            None => json!({}),
        };
        self.asking =
            self.link.as_ref().and_then(|link| link.ask(listing.id, "tools/list", &params));
        self.stage = Stage::Listing(listing);
    }

    /// A line of ours among those of the server.
    pub fn note(&self, text: &str) {
        if let Some(link) = &self.link {
            link.mailbox.note("import", text.as_bytes());
        }
    }

    pub fn lead_to(&mut self, location: &str) -> Result<()> {
        self.link.as_mut().map_or(Ok(()), |link| link.lead_to(location))
    }

    pub fn fail(&mut self, error: Error) {
        self.failed = Some((self.attempt, error));
        self.hang_up();
    }

    pub fn hang_up(&mut self) {
        if let Some(call) = self.asking.take() {
            call.cancel();
        }
        self.link = None;
        self.stage = Stage::Down;
    }
}
