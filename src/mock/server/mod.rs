//! A real HTTP server on loopback, for tests: it plays a script, faults included, and remembers what
//! it was asked. A thread listens, and each connection has one; all of them end with the server.

mod asking;
mod changes;
mod journal;
mod peer;
mod rendering;
mod reply;
mod request;
mod script;
mod send;
mod servers;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{Shutdown, shutdown};

use crate::clock::{Clock, Moment};
use crate::error::{Code, Error, Result};
use crate::guard::guarded;
use crate::mock::{Dialect, Subject};
use crate::net::workers::{Home, STACK, spawn};
use crate::net::{Bell, Waker, lock};

use asking::Asking;
use journal::Journal;
use peer::Peer;
use rendering::Rendering;
use request::{End, Request, Requests};
use send::{After, Sending};

pub use asking::Question;
pub use changes::{ANSWER, Changes};
pub use journal::Entry;
pub use reply::{Body, Reply};
pub use script::{Response, Script, Turn};
pub use servers::Servers;

/// Clients at the same time; more of them are hung up on.
const MOST_PEERS: usize = 512;

/// How long the end of a server waits for the thread that listens.
const AT_END: Duration = Duration::from_secs(2);

pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What the threads of one server share.
struct Shared {
    home: Home,
    dialect: Dialect,
    clock: Clock,
    began: Moment,
    bell: Bell,
    asking: Asking,
    state: Mutex<State>,
    closed: Condvar,
}

#[derive(Default)]
struct State {
    script: Script,
    journal: Journal,
    peers: HashMap<u64, Arc<Peer>>,
    last: u64,
    ended: bool,
    /// The port is free again.
    closed: bool,
}

impl Server {
    /// Listens on a port that the system chooses.
    pub fn start(script: Script, dialect: Dialect, clock: &Clock) -> Result<Server> {
        Server::open(script, dialect, clock).map_err(|error| {
            Error::new(Code::IoError, format!("cannot start a server on loopback: {error}"))
        })
    }

    fn open(script: Script, dialect: Dialect, clock: &Clock) -> io::Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?; // a client may be gone before it is let in
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            home: Home::here(),
            dialect,
            clock: clock.clone(),
            began: clock.now(),
            bell: Bell::new()?,
            asking: Asking::default(),
            state: Mutex::new(State { script, ..State::default() }),
            closed: Condvar::new(),
        });
        let listening = shared.clone();
        spawn("zigllms-mock", STACK, move || listening.listen(listener))?;
        Ok(Server { address, shared })
    }

    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// False in a forked child: its parent has the threads, and maybe the locks.
    pub fn is_here(&self) -> bool {
        self.shared.home.is_here()
    }

    pub fn is_up(&self) -> bool {
        !lock(&self.shared.state).ended
    }

    /// Who is told of requests that a function is to answer.
    pub fn tell(&self, waker: Waker) {
        self.shared.asking.tell(waker);
    }

    pub fn question(&self) -> Option<Question> {
        self.shared.asking.take(&self.shared.clock)
    }

    pub fn answer(&self, question: u64, response: Response) {
        self.shared.asking.answer(question, response);
    }

    pub fn entries(&self) -> Vec<Arc<Entry>> {
        lock(&self.shared.state).journal.entries()
    }

    pub fn last_entry(&self) -> Option<Arc<Entry>> {
        lock(&self.shared.state).journal.last()
    }

    pub fn count(&self) -> u64 {
        lock(&self.shared.state).journal.count()
    }

    /// An empty journal, and the script from its start.
    pub fn rewind(&self) {
        let mut state = lock(&self.shared.state);
        state.journal = Journal::default();
        state.script.rewind();
    }
}

impl Server {
    /// Its port and its connections are closed when this returns; the journal stays. False if that
    /// was so before.
    pub fn end(&self) -> bool {
        self.is_here() && self.shared.end()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn end(&self) -> bool {
        let mut state = lock(&self.state);
        if std::mem::replace(&mut state.ended, true) {
            return false;
        }
        self.bell.ring();
        state.peers.values().for_each(|peer| peer.end());
        self.asking.wake();
        let waited = self.closed.wait_timeout_while(state, AT_END, |state| !state.closed);
        drop(waited);
        true
    }

    // The thread that listens.

    fn listen(self: Arc<Self>, listener: TcpListener) {
        let _ = guarded(|| {
            while self.is_wanted(&listener) {
                if let Ok((stream, _)) = listener.accept() {
                    self.let_in(stream);
                }
            }
            Ok(())
        });
        // A forked child may hold a copy of the descriptor: this ends the port itself.
        let _ = shutdown(&listener, Shutdown::Both);
        drop(listener);
        lock(&self.state).closed = true;
        self.closed.notify_all();
    }

    /// Waits for a client; false once the server has ended.
    fn is_wanted(&self, listener: &TcpListener) -> bool {
        let wanted = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let _ = poll(&mut [wanted(listener.as_fd()), wanted(self.bell.fd())], None);
        !lock(&self.state).ended
    }

    /// Without a thread for it, a client is hung up on.
    fn let_in(self: &Arc<Self>, stream: TcpStream) {
        let Some((number, peer)) = self.admit(stream) else { return };
        let serving = self.clone();
        let serve = move || {
            let _ = guarded(|| {
                serving.serve(&peer);
                Ok(())
            });
            lock(&serving.state).peers.remove(&number);
        };
        if spawn("zigllms-mock-peer", STACK, serve).is_err() {
            lock(&self.state).peers.remove(&number);
        }
    }

    fn admit(&self, stream: TcpStream) -> Option<(u64, Arc<Peer>)> {
        stream.set_nonblocking(false).ok()?; // some systems pass it on from the listener
        let peer = Arc::new(Peer::new(stream).ok()?);
        let mut state = lock(&self.state);
        if state.ended || state.peers.len() >= MOST_PEERS {
            return None;
        }
        state.last += 1;
        let number = state.last;
        state.peers.insert(number, peer.clone());
        Some((number, peer))
    }

    // The thread of one client.

    fn serve(&self, peer: &Arc<Peer>) {
        let mut requests = Requests::of(peer);
        loop {
            let after = match requests.next() {
                Ok(request) => self.answer(peer, &request),
                Err(End::Gone) => After::Closed,
                Err(End::Refused(refusal)) => {
                    let reply = Reply::failure(refusal.status, refusal.why);
                    let request = Request::default();
                    let clock = &self.clock;
                    let _ = Sending { peer, clock, request: &request, reply: &reply, closes: true }
                        .run();
                    return peer.close_politely();
                }
            };
            match after {
                After::Kept => {}
                After::Closed => return peer.close(),
                After::Reset => return peer.reset_when_dropped(),
            }
        }
    }

    fn answer(&self, peer: &Arc<Peer>, request: &Request) -> After {
        let (turn, entry, closes) = self.enter(request);
        let reply = self.reply(peer, request, turn, entry.clone());
        let send = |reply: Arc<Reply>| {
            Sending { peer, clock: &self.clock, request, reply: &reply, closes }.run()
        };
        reply.and_then(send).unwrap_or_else(|| {
            if !peer.is_ended() {
                entry.client_left(self.age_ms());
            }
            After::Closed
        })
    }

    fn age_ms(&self) -> u64 {
        self.clock.now().ms_since(self.began) as u64
    }

    /// `None` if nobody waits for it any more.
    fn reply(
        &self,
        peer: &Arc<Peer>,
        request: &Request,
        turn: Turn,
        entry: Arc<Entry>,
    ) -> Option<Arc<Reply>> {
        let (dialect, number, clock) = (self.dialect, entry.number, &self.clock);
        let rendering = Rendering { dialect, request, number, clock };
        let response = match turn {
            Turn::Now(place, Response::Asked) => self.asking.ask(peer, place, entry)?,
            Turn::Now(_, response) => response,
            Turn::Aside => Response::Said(Arc::default(), Changes::default()),
            Turn::Over(count) => return Some(rendering.nothing_left(count)),
        };
        Some(rendering.of(response))
    }

    /// The order of the journal is that of the script. Also, whether the connection is to be closed
    /// behind the answer.
    fn enter(&self, request: &Request) -> (Turn, Arc<Entry>, bool) {
        let entry = Entry::of(request, self.age_ms());
        let mut state = lock(&self.state);
        let is_chat = self.dialect.subject(&request.path) == Subject::Chat;
        let turn = match state.script.waits_for_chats() {
            true if !is_chat => Turn::Aside,
            _ => state.script.turn(),
        };
        (turn, state.journal.enter(entry), state.script.breaks_next())
    }
}
