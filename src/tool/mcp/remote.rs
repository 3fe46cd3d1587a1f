//! One server: how it is reached, how far the talk with it has got, and what its tools were when
//! they were imported.
//!
//! Whoever needs it calls [`Remote::ready`] until it is, and is woken in between. Any of those who
//! wait may take the next step of the handshake, so it does not matter who of them goes away.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use serde_json::{Value, json};

use super::child::Tended;
use super::link::Link;
use super::mailbox::{Answer, Mailbox, Trouble};
use super::pin::{Definition, Pin};
use super::rpc::{METHOD_NOT_FOUND, Refusal};
use super::spawn::Program;
use super::talk::{GREETING, Listing, Stage, Talk};
use super::web::{Way, Web};
use super::{MOST_PAGES, MOST_TOOLS, content, greeting};
use crate::clock::{Busy, Clock};
use crate::error::{Code, Error, Result};
use crate::event::Builtin;
use crate::net::workers::Home;
use crate::net::{Call, Transport, Waker};
use crate::provider::secret::{Secret, of_members, of_request};
use crate::runtime::Runtime;
use crate::tasks::ATTENTION;
use crate::tool::builtin::http::url::Url;
use crate::value::Record;

/// How a server is reached.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    Run(Program),
    Web { url: Url, headers: Vec<(String, String)> },
}

impl Address {
    fn name(&self) -> &str {
        match self {
            Address::Run(program) => program.name(),
            Address::Web { url, .. } => &url.host,
        }
    }

    /// So that people know it: no more of a URL than its origin and of a command than its first two
    /// plain words, for the rest may hold secrets.
    fn shown(&self) -> String {
        match self {
            Address::Run(program) => program.shown(),
            Address::Web { url, .. } => url.origin(),
        }
    }

    /// What nobody may see, should the server repeat it.
    fn secrets(&self) -> Vec<Secret> {
        match self {
            Address::Web { url, headers } => of_request(&url.to_string(), &telling(headers)),
            Address::Run(program) => {
                let text =
                    |(name, value): (&String, &String)| (name.clone(), value.as_str().into());
                of_members(&program.env.iter().map(text).collect())
            }
        }
    }
}

/// Headers by which one is known. What others hold may well be a word of every day, which must not
/// be taken out of what tools say.
fn telling(headers: &[(String, String)]) -> Vec<(String, String)> {
    let tells = |(name, value): &&(String, String)| {
        let member = [(name.clone(), Value::from(value.as_str()))];
        let scheme = value.split(' ').next().unwrap_or_default();
        !of_members(&member.into_iter().collect()).is_empty()
            || name.to_ascii_lowercase().contains("cookie")
            || ["bearer", "basic"].contains(&scheme.to_ascii_lowercase().as_str())
    };
    headers.iter().filter(tells).cloned().collect()
}

pub struct Remote {
    pub address: Address,
    /// As it was given; in front of its tools' names.
    pub name: Option<String>,
    talk: RefCell<Talk>,
    /// Its tools as they were imported, by their names there.
    pins: RefCell<HashMap<String, Pin>>,
    /// Their numbers here.
    pub registered: RefCell<Vec<u64>>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Remote({:?})", self.address.name())
    }
}

/// One who waits for a server.
pub struct Visitor {
    pub waker: Waker,
    /// The handshake it waits for.
    joined: Cell<Option<u64>>,
    looked_again: Cell<bool>,
    busy: Cell<Option<Busy>>,
}

impl Visitor {
    pub fn new(waker: Waker) -> Visitor {
        Visitor {
            waker,
            joined: Cell::new(None),
            looked_again: Cell::new(false),
            busy: Cell::new(None),
        }
    }

    /// To be said at each step, before anything is looked at.
    pub fn rearm(&self) {
        self.waker.rearm();
    }

    /// To be said of each step: whether the server is waited for.
    pub fn goes_on(&self, waits: bool, clock: &Clock) {
        self.busy.set(waits.then(|| clock.busy()));
    }
}

/// A request under way.
pub struct Asked {
    pub id: u64,
    home: Home,
    mailbox: Mailbox,
    call: Option<Box<dyn Call>>,
}

impl Drop for Asked {
    /// An old server, too, must not be kept for an answer that nobody wants.
    fn drop(&mut self) {
        // A lock that was inherited may be held by nobody.
        if self.home.is_here() {
            self.mailbox.lock().forget(self.id);
        }
    }
}

impl Remote {
    pub fn new(address: Address, name: Option<String>) -> Remote {
        let (talk, pins, registered) = Default::default();
        Remote { address, name, talk, pins, registered }
    }

    /// As messages and events call it.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.address.name().to_owned())
    }

    /// Whether it can be asked; if not, the visitor is woken when there is more to do.
    pub fn ready(&self, runtime: &mut Runtime, visitor: &Visitor) -> Result<bool> {
        let mut talk = self.talk.borrow_mut();
        loop {
            if let (Some(joined), Some((failed, error))) = (visitor.joined.get(), &talk.failed)
                && *failed >= joined
            {
                return Err(error.clone());
            }
            match self.advance(runtime, &mut talk, visitor) {
                Ok(Some(ready)) => {
                    if ready {
                        visitor.joined.set(None);
                    }
                    return Ok(ready);
                }
                Ok(None) => {}
                Err(error) => {
                    talk.fail(error.clone());
                    return Err(error);
                }
            }
        }
    }

    /// One step; `None` if there may be another right away.
    fn advance(
        &self,
        runtime: &mut Runtime,
        talk: &mut Talk,
        visitor: &Visitor,
    ) -> Result<Option<bool>> {
        // What has died in the middle of a handshake tells why; later it is started again.
        let tells = talk.handshake().is_some() && talk.is_here();
        if !talk.stands() && !tells {
            talk.hang_up();
        }
        visitor.joined.set(Some(talk.attempt));
        match std::mem::take(&mut talk.stage) {
            Stage::Down => {
                self.open(runtime, talk)?;
                visitor.joined.set(Some(talk.attempt));
                Ok(None)
            }
            Stage::Initializing(id) => match talk.take(id, visitor) {
                Some(answer) => self.initialized(talk, answer).map(|()| None),
                None => Ok(talk.stays(Stage::Initializing(id), false)),
            },
            Stage::Greeting => match talk.take(GREETING, visitor) {
                Some(_) => {
                    talk.greeted();
                    Ok(None)
                }
                None => Ok(talk.stays(Stage::Greeting, false)),
            },
            Stage::Listing(listing) => match talk.take(listing.id, visitor) {
                Some(answer) => self.listed(talk, listing, answer).map(|()| None),
                None => Ok(talk.stays(Stage::Listing(listing), false)),
            },
            // Once for each visitor: a server that always says so must not turn us in a circle.
            Stage::Up if !visitor.looked_again.get() && talk.has_changed() => {
                visitor.looked_again.set(true);
                talk.listen_again();
                talk.list(Listing::new());
                Ok(None)
            }
            Stage::Up => Ok(talk.stays(Stage::Up, true)),
        }
    }

    fn open(&self, runtime: &mut Runtime, talk: &mut Talk) -> Result<()> {
        talk.attempt += 1;
        let listener = runtime.tasks.waker(ATTENTION)?;
        let mailbox = Mailbox::new(&self.address.secrets(), listener);
        talk.link = Some(match &self.address {
            Address::Run(program) => {
                let clock = runtime.clock.clone();
                let tended = Tended::start(program.clone(), mailbox.clone(), clock)?;
                Link::child(tended, mailbox)
            }
            Address::Web { url, headers } => {
                let web = Web::new(url.clone(), headers, Way::of(runtime), mailbox.clone());
                Link::web(web, mailbox)
            }
        });
        talk.initialize();
        Ok(())
    }

    fn initialized(&self, talk: &mut Talk, answer: Answer) -> Result<()> {
        let about = match answer {
            Ok(about) => about,
            Err(Trouble::Moved(location)) => {
                talk.lead_to(&location)?;
                talk.initialize();
                return Ok(());
            }
            Err(Trouble::Refused(refusal)) => return Err(self.refused_greeting(&refusal)),
            Err(Trouble::Failed(error)) if error.code() == Code::BadResponse => {
                let status = error.fields().status;
                return Err(self.no_greeting(error.message()).with(|f| f.status = status));
            }
            Err(trouble) => return Err(self.error(trouble)),
        };
        let version = greeting::version(&about).map_err(|why| self.no_greeting(&why))?;
        if let Some(link) = &mut talk.link {
            link.agreed_on(version);
        }
        talk.about = about;
        talk.greet();
        Ok(())
    }

    fn listed(&self, talk: &mut Talk, mut listing: Listing, answer: Answer) -> Result<()> {
        let page = match answer {
            Ok(page) => page,
            // It has none.
            Err(Trouble::Refused(refusal)) if refusal.code == METHOD_NOT_FOUND => {
                json!({ "tools": [] })
            }
            Err(trouble) => return Err(self.error(trouble)),
        };
        let Some(tools) = page["tools"].as_array() else {
            return Err(self.bad("its answer to tools/list has no tools".into()));
        };
        listing.found.extend(tools.iter().filter_map(Definition::read));
        let next = page["nextCursor"].as_str().filter(|cursor| !cursor.is_empty());
        let Some(cursor) = next else {
            if listing.found.len() > MOST_TOOLS {
                return Err(self.bad(format!("it has more than {MOST_TOOLS} tools")));
            }
            let (tools, left_out) = Definition::apart(listing.found);
            talk.listed = tools;
            for name in left_out {
                talk.note(&format!("another tool {name:?} of the same name is left out"));
            }
            talk.stage = Stage::Up;
            return Ok(());
        };
        let again = !listing.cursors.insert(cursor.to_owned());
        if again || listing.cursors.len() >= MOST_PAGES || listing.found.len() > MOST_TOOLS {
            return Err(self.bad(if again {
                "its list of tools turns in a circle".into()
            } else {
                format!("its list of tools does not end after {} tools", listing.found.len())
            }));
        }
        listing.next = Some(cursor.to_owned());
        talk.list(listing);
        Ok(())
    }

    fn no_greeting(&self, why: &str) -> Error {
        let place = self.address.shown();
        let text = format!("the MCP server {place} answers initialize with what is none: {why}");
        Error::new(Code::BadResponse, text)
    }

    fn refused_greeting(&self, refusal: &Refusal) -> Error {
        let details = content::refused(refusal).fields().details.clone();
        let (place, Refusal { message, code, .. }) = (self.address.shown(), refusal);
        let text = format!("the MCP server {place} refuses initialize: {message} ({code})");
        Error::new(Code::BadResponse, text).with(|f| f.details = details)
    }

    fn bad(&self, what: String) -> Error {
        Error::new(Code::BadResponse, format!("the MCP server {:?}: {what}", self.label()))
    }

    /// In words of ours.
    fn error(&self, trouble: Trouble) -> Error {
        match trouble {
            Trouble::Failed(error) => error,
            Trouble::Refused(refusal) => {
                let details = content::refused(&refusal).fields().details.clone();
                self.bad(format!("{} ({})", refusal.message, refusal.code))
                    .with(|f| f.details = details)
            }
            Trouble::Expired => self.bad("it does not know its own session".into()),
            Trouble::Moved(_) => self.bad("it redirects in the middle of a session".into()),
            Trouble::Paused { .. } => self.bad("a stream ended without an answer".into()),
        }
    }

    // Tools.

    /// All it has, as far as is known.
    pub fn tools(&self) -> Vec<Definition> {
        self.talk.borrow().listed.clone()
    }

    pub fn about(&self) -> Value {
        self.talk.borrow().about.clone()
    }

    /// From now on a tool must be what it is now.
    pub fn pin(&self, tool: &Definition) {
        self.pins.borrow_mut().insert(tool.name.clone(), tool.pin());
    }

    /// Refuses a tool that is no longer what was imported.
    pub fn check(&self, tool: &str) -> Result<()> {
        let talk = self.talk.borrow();
        let now = talk.listed.iter().find(|definition| definition.name == tool);
        let (reason, why) = match (self.pins.borrow().get(tool), now.map(Definition::pin)) {
            (Some(pin), Some(now)) if *pin == now => return Ok(()),
            (_, Some(_)) => ("definition_changed", "has changed its definition"),
            (_, None) => ("definition_gone", "is no longer there"),
        };
        let message = format!(
            "tool {tool:?} of the MCP server {:?} {why} since it was imported: import the server again to accept that",
            self.label()
        );
        Err(Error::state(message).with(|f| f.details = Some(json!({ "reason": reason }))))
    }

    /// Whether what is asked next goes by that way.
    pub fn speaks_by(&self, transport: &Arc<dyn Transport>) -> bool {
        let talk = self.talk.borrow();
        let is_web = matches!(self.address, Address::Web { .. });
        is_web && talk.link.as_ref().is_none_or(|link| link.speaks_by(transport))
    }

    // Requests.

    /// Asks a server that is ready.
    pub fn ask(&self, method: &str, params: impl FnOnce(u64) -> Value) -> Result<Asked> {
        let mut talk = self.talk.borrow_mut();
        let id = talk.next();
        let link =
            talk.link.as_ref().ok_or_else(|| Error::internal("a server that is not there"))?;
        let call = link.ask(id, method, &params(id));
        Ok(Asked { id, home: Home::here(), mailbox: link.mailbox.clone(), call })
    }

    /// Goes on with an answer that was broken off; false if its session is over.
    pub fn resume(&self, asked: &mut Asked, seen: &str) -> bool {
        let talk = self.talk.borrow();
        let link =
            talk.link.as_ref().filter(|link| link.stands() && link.mailbox.is(&asked.mailbox));
        let call = link.and_then(|link| link.resume(asked.id, seen));
        let goes_on = call.is_some();
        asked.call = call;
        goes_on
    }

    /// The session is to begin anew.
    pub fn expire(&self, asked: &Asked) {
        let mut talk = self.talk.borrow_mut();
        let same = |link: &Link| link.mailbox.is(&asked.mailbox);
        if let Some(link) = talk.link.as_ref().filter(|link| same(link)) {
            link.forget_session();
            talk.hang_up();
        }
    }

    pub fn lead_to(&self, location: &str) -> Result<()> {
        self.talk.borrow_mut().lead_to(location)
    }

    /// An answer is wanted no more.
    pub fn withdraw(&self, asked: Asked, why: &str) {
        if let Some(call) = &asked.call {
            call.cancel();
        }
        let talk = self.talk.borrow();
        if let Some(link) =
            talk.link.as_ref().filter(|link| link.is_here() && link.mailbox.is(&asked.mailbox))
        {
            link.withdraw(asked.id, why);
        }
    }

    /// Somebody waits no more. A handshake that nobody waits for is given up.
    pub fn leave(&self, visitor: &Visitor) {
        let mut talk = self.talk.borrow_mut();
        let alone = match (talk.handshake(), &talk.link) {
            (Some(id), Some(link)) if link.is_here() => {
                link.mailbox.lock().leave(id, &visitor.waker)
            }
            _ => false,
        };
        // Others may wait for answers to calls while it is asked for its tools anew.
        if alone && talk.link.as_ref().is_some_and(|link| link.mailbox.lock().is_quiet()) {
            talk.hang_up();
        }
    }

    /// Tells what the server has said to people, and answers what it has asked.
    pub fn attend(&self, runtime: &mut Runtime) {
        let talk = self.talk.borrow();
        let Some(link) = talk.link.as_ref().filter(|link| link.is_here()) else { return };
        let mut mailbox = link.mailbox.lock();
        mailbox.rearm();
        let (words, lost) = mailbox.take_words();
        let answers = !mailbox.outgoing.is_empty();
        drop(mailbox);
        if answers {
            link.flush();
        }
        if !runtime.events.wants(Builtin::ToolLog) {
            return;
        }
        let label = self.label();
        for line in words {
            let data = Record::new()
                .set("server", label.as_str())
                .set("text", line.text)
                .set("stream", line.stream)
                .set("level", line.level);
            runtime.events.tell(Builtin::ToolLog, data, None);
        }
        if lost > 0 {
            let text = format!("{lost} more lines were not kept");
            let data = Record::new().set("server", label).set("text", text).set("lost", lost);
            runtime.events.tell(Builtin::ToolLog, data, None);
        }
    }
}

impl Asked {
    /// What was reported before the answer, and that, if it is there; else the visitor is woken when
    /// it comes. Both in one look: what is reported between two would be lost with the answer.
    pub fn look(&self, visitor: &Visitor) -> (VecDeque<Value>, Option<Answer>) {
        let mut mailbox = self.mailbox.lock();
        (mailbox.take_progress(self.id), mailbox.take(self.id, &visitor.waker))
    }
}

impl Runtime {
    /// A server has said something that is no answer.
    pub fn attend_remotes(&mut self) {
        for remote in self.remotes.all() {
            remote.attend(self);
        }
    }
}

/// The servers of one instance, for as long as a tool of theirs is there.
#[derive(Default)]
pub struct Remotes(Vec<Weak<Remote>>);

impl Remotes {
    pub fn add(&mut self, remote: &Rc<Remote>) {
        self.0.retain(|known| known.strong_count() > 0);
        self.0.push(Rc::downgrade(remote));
    }

    pub fn all(&self) -> Vec<Rc<Remote>> {
        self.0.iter().filter_map(Weak::upgrade).collect()
    }
}
