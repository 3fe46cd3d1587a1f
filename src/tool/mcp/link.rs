//! The way to a server: its process, or requests over HTTP.

use std::sync::Arc;

use serde_json::Value;

use super::child::Tended;
use super::mailbox::{Letter, Mailbox};
use super::rpc;
use super::web::Web;
use crate::net::workers::Home;
use crate::net::{Call, Transport};

pub struct Link {
    home: Home,
    pub mailbox: Mailbox,
    kind: Kind,
}

enum Kind {
    Child(Tended),
    Web(Web),
    /// Inherited through a fork: the parent's.
    Left,
}

impl Link {
    pub fn child(tended: Tended, mailbox: Mailbox) -> Link {
        Link { home: Home::here(), mailbox, kind: Kind::Child(tended) }
    }

    pub fn web(web: Web, mailbox: Mailbox) -> Link {
        Link { home: Home::here(), mailbox, kind: Kind::Web(web) }
    }

    /// False after a fork, and when the server has gone.
    pub fn stands(&self) -> bool {
        self.home.is_here() && !self.mailbox.lock().is_gone()
    }

    pub fn is_here(&self) -> bool {
        self.home.is_here()
    }

    /// Asks; the answer comes to the mailbox. What is to be cancelled if nobody waits for it.
    pub fn ask(&self, id: u64, method: &str, params: &Value) -> Option<Box<dyn Call>> {
        self.mailbox.lock().expect(id);
        self.send(Some(id), rpc::request(id, method, params), method == "tools/call")
    }

    /// Goes on with an answer that was broken off.
    pub fn resume(&self, id: u64, seen: &str) -> Option<Box<dyn Call>> {
        let Kind::Web(web) = &self.kind else { return None };
        self.mailbox.lock().expect(id);
        Some(web.resume(id, seen))
    }

    pub fn tell(&self, method: &str, params: &Value) {
        drop(self.send(None, rpc::notice(method, params), false));
    }

    /// Tells something that has to arrive before what comes next. Where messages may overtake each
    /// other the mailbox hears as `id` that it has.
    pub fn announce(&self, id: u64, method: &str, params: &Value) -> Option<Box<dyn Call>> {
        let Kind::Web(web) = &self.kind else {
            self.tell(method, params);
            return None;
        };
        self.mailbox.lock().expect(id);
        Some(web.announce(id, rpc::notice(method, params)))
    }

    fn send(&self, id: Option<u64>, message: String, calls: bool) -> Option<Box<dyn Call>> {
        match &self.kind {
            Kind::Child(tended) => {
                tended.send(Letter { id, message, calls });
                None
            }
            Kind::Web(web) => Some(web.post(id, message)),
            Kind::Left => None,
        }
    }

    /// Sends what the mailbox has answered to the server's own requests.
    pub fn flush(&self) {
        match &self.kind {
            Kind::Child(tended) => tended.ring(),
            Kind::Web(web) => {
                let letters = std::mem::take(&mut self.mailbox.lock().outgoing);
                letters.into_iter().for_each(|letter| drop(web.post(letter.id, letter.message)));
            }
            Kind::Left => {}
        }
    }

    /// The server hears that an answer is wanted no more; it need not be told of what it never saw.
    pub fn withdraw(&self, id: u64, why: &str) {
        let mut mailbox = self.mailbox.lock();
        mailbox.forget(id);
        let waiting = mailbox.outgoing.len();
        mailbox.outgoing.retain(|letter| letter.id != Some(id));
        let unsent = mailbox.outgoing.len() < waiting;
        drop(mailbox);
        if !unsent {
            let params = serde_json::json!({ "requestId": id, "reason": why });
            self.tell("notifications/cancelled", &params);
        }
    }

    pub fn agreed_on(&mut self, version: &str) {
        if let Kind::Web(web) = &mut self.kind {
            web.version = Some(version.to_owned());
        }
    }

    pub fn speaks_by(&self, transport: &Arc<dyn Transport>) -> bool {
        matches!(&self.kind, Kind::Web(web) if web.speaks_by(transport))
    }

    pub fn listen(&mut self) {
        if let Kind::Web(web) = &mut self.kind {
            web.listen();
        }
    }

    pub fn lead_to(&mut self, location: &str) -> crate::error::Result<()> {
        match &mut self.kind {
            Kind::Web(web) => web.lead_to(location),
            _ => Ok(()),
        }
    }

    /// The session has expired: there is none to say farewell to.
    pub fn forget_session(&self) {
        self.mailbox.lock().session = None;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if !self.home.is_here() {
            // Its locks may be held by threads that do not exist.
            std::mem::forget(std::mem::replace(&mut self.kind, Kind::Left));
        }
    }
}
