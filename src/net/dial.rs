//! The parts under ureq: how connections are made, and the bytes that go over them.
//!
//! The chain is CONNECT proxy, [`Dial`], TLS, and [`Gate`] around them all. A CONNECT proxy runs
//! the whole chain a second time for its own connection.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::PollFlags;
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, NextTimeout,
    RustlsConnector, Transport,
};

use super::Failure;
use super::buffers::Lean;
use super::ctl::{Ctl, Mode};
use super::process::process;
use super::race::race;
use super::sock::Sock;
use crate::clock::Moment;

/// TLS messages a reading stream may owe a peer that does not read.
const MOST_UNSENT: usize = 64 * 1024;

/// How a TLS server complains about a request that is none to it.
const TLS_ALERT: &[u8] = &[21, 3];
const SPEAKS_TLS: &str = "the server speaks TLS, should the URL begin with https://?";

pub(super) fn connector() -> impl Connector {
    let chain = ().chain(ConnectProxyConnector::default()).chain(Dial);
    Gate(chain.chain(Tls(RustlsConnector::default())))
}

/// Makes TCP connections.
#[derive(Debug)]
struct Dial;

impl<In: Transport> Connector<In> for Dial {
    type Out = Either<In, Wire>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(tunnel) = chained {
            return Ok(Some(Either::A(tunnel)));
        }
        let (ctl, _) = Ctl::current()?;
        ctl.dialed();
        let sock = race(&details.addrs, &ctl).inspect_err(|_| {
            process().names.forget(super::names::host(details.uri));
        })?;
        let (input, output) =
            (details.config.input_buffer_size(), details.config.output_buffer_size());
        let buffers = Lean::new(input, output);
        Ok(Some(Either::B(Wire { sock, buffers, unsent: Vec::new(), deaf: false })))
    }
}

/// A TCP connection under ureq. It waits as its call allows: until a deadline or a cancel.
struct Wire {
    sock: Arc<Sock>,
    buffers: Lean,
    /// What TLS wrote while the thread could not wait for room. TLS takes a partial write for
    /// none and would write again, so a write is taken whole.
    unsent: Vec<u8>,
    /// The peer takes no more. It may have said why, so the rest counts as sent and reading tells.
    deaf: bool,
}

impl Wire {
    fn begin(&self, limit: NextTimeout) -> Result<Turn, Error> {
        let (ctl, mode) = Ctl::current()?;
        ctl.hold(&self.sock)?;
        let until = limit.not_zero().map(|left| ctl.now().after(*left));
        Ok(Turn { ctl, mode, sock: self.sock.clone(), until, reason: limit.reason })
    }

    /// Sends what was left over, as far as it goes.
    fn flush(&mut self, turn: &Turn) -> Result<(), Error> {
        match turn.send(&self.unsent)? {
            Some(sent) => drop(self.unsent.drain(..sent)),
            None => {
                self.deaf = true;
                self.unsent.clear();
            }
        }
        Ok(())
    }
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, limit: NextTimeout) -> Result<(), Error> {
        let turn = self.begin(limit.for_write())?;
        self.flush(&turn)?;
        if self.deaf {
            return Ok(());
        }
        let output = &self.buffers.output()[..amount];
        let sent = if self.unsent.is_empty() { turn.send(output)? } else { Some(0) };
        self.deaf = sent.is_none();
        self.unsent.extend_from_slice(&output[sent.unwrap_or(amount)..]);
        if self.unsent.len() > MOST_UNSENT {
            return Err(broken("the peer does not read"));
        }
        Ok(())
    }

    fn await_input(&mut self, limit: NextTimeout) -> Result<bool, Error> {
        let turn = self.begin(limit.for_read())?;
        self.flush(&turn)?;
        self.buffers.end_output();
        let input = self.buffers.input_append_buf();
        let Some(amount) = turn.perform(PollFlags::IN, |mut stream| stream.read(input))? else {
            return Err(Error::Io(io::ErrorKind::WouldBlock.into()));
        };
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// ureq asks before it puts a connection into the pool and when it takes it out: from here on
    /// it belongs to no call.
    fn is_open(&mut self) -> bool {
        match Ctl::current() {
            Ok((ctl, _)) => ctl.release(&self.sock),
            Err(_) => self.sock.free(),
        }
        self.unsent.is_empty() && !self.deaf && self.sock.is_quiet()
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the buffers: they hold headers.
        f.write_str("Wire")
    }
}

/// One read or write of a call.
struct Turn {
    ctl: Arc<Ctl>,
    mode: Mode,
    sock: Arc<Sock>,
    /// ureq's own limit for this operation, if one is configured.
    until: Option<Moment>,
    reason: ureq::Timeout,
}

impl Turn {
    /// Repeats `io` until it is done; `None` if it would block and the thread must not wait.
    fn perform<T>(
        &self,
        flags: PollFlags,
        mut io: impl FnMut(&std::net::TcpStream) -> io::Result<T>,
    ) -> Result<Option<T>, Error> {
        loop {
            // Before reading too, or a flooding peer outlives the deadline.
            let left = self.left()?;
            let done = io(self.sock.stream());
            // A cancel shuts the socket: the verdict counts, not the EOF or error it looks like.
            self.ctl.open()?;
            match done {
                Ok(value) => return Ok(Some(value)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() != io::ErrorKind::WouldBlock => return Err(broken(e)),
                Err(_) if self.mode == Mode::Poll => return Ok(None),
                Err(_) => {
                    self.ctl.waits(flags == PollFlags::IN);
                    Sock::wait_any(&[&self.sock], flags, self.ctl.patience(left));
                    self.ctl.waits(false);
                }
            }
        }
    }

    /// Sends all of it, or as much as goes without waiting; `None` if the peer closed.
    fn send(&self, bytes: &[u8]) -> Result<Option<usize>, Error> {
        let mut sent = 0;
        while sent < bytes.len() {
            let write = |mut stream: &std::net::TcpStream| match stream.write(&bytes[sent..]) {
                Err(e) if is_closed(&e) => Ok(None),
                done => done.map(Some),
            };
            match self.perform(PollFlags::OUT, write)? {
                Some(Some(amount)) => sent += amount,
                Some(None) => return Ok(None),
                None => break,
            }
        }
        Ok(Some(sent))
    }

    fn left(&self) -> Result<Option<Duration>, Error> {
        let left = self.ctl.left()?;
        let Some(until) = self.until else { return Ok(left) };
        let own = self.ctl.now().until(until);
        if own.is_zero() {
            return Err(Error::Timeout(self.reason));
        }
        Ok(Some(left.map_or(own, |left| left.min(own))))
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

/// A broken connection. Never of the kinds reset, abort or EOF, which ureq takes for the proper
/// end of a body that has no length.
fn broken(why: impl ToString) -> Error {
    Error::Other(Box::new(Failure::Broken(why.to_string())))
}

/// rustls, with its errors told apart from those of the connection under it.
#[derive(Debug)]
struct Tls(RustlsConnector);

impl<In: Transport> Connector<In> for Tls {
    type Out = <RustlsConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        self.0.connect(details, chained).map_err(|error| match error {
            Error::Io(e) if e.kind() == io::ErrorKind::InvalidData => {
                Failure::Tls(e.to_string()).into()
            }
            Error::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                Failure::Connect("the peer closed the connection in the TLS handshake".into())
                    .into()
            }
            other => other,
        })
    }
}

/// Around the whole chain: knows which connection is the one that carries the request.
#[derive(Debug)]
struct Gate<C>(C);

impl<C: Connector<(), Out: Transport>> Connector<()> for Gate<C> {
    type Out = Talk;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Talk>, Error> {
        let (ctl, _) = Ctl::current()?;
        let carries_request = ctl.connect_begins();
        let connected = self.0.connect(details, chained);
        ctl.connect_ended();
        Ok(connected?.map(|under| Talk { under: Box::new(under), carries_request }))
    }
}

/// The outermost transport, where HTTP begins: below it are TLS and proxy handshakes.
#[derive(Debug)]
struct Talk {
    under: Box<dyn Transport>,
    carries_request: bool,
}

impl Transport for Talk {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.under.buffers()
    }

    fn transmit_output(&mut self, amount: usize, limit: NextTimeout) -> Result<(), Error> {
        if self.carries_request {
            Ctl::current()?.0.sending();
        }
        self.under.transmit_output(amount, limit)
    }

    fn await_input(&mut self, limit: NextTimeout) -> Result<bool, Error> {
        let arrived = self.under.await_input(limit).map_err(|error| match error {
            // TLS that ends without saying so may have been cut off by anyone.
            Error::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                broken("the peer closed the connection without ending TLS")
            }
            other => other,
        })?;
        if arrived && self.carries_request {
            Ctl::current()?.0.answered();
            if !self.under.is_tls() && self.under.buffers().input().starts_with(TLS_ALERT) {
                return Err(Failure::Malformed(SPEAKS_TLS.into()).into());
            }
        }
        Ok(arrived)
    }

    fn is_open(&mut self) -> bool {
        self.under.is_open()
    }

    fn is_tls(&self) -> bool {
        self.under.is_tls()
    }
}
