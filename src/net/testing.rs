//! A scriptable HTTP server on loopback and a sink that remembers, for the tests of this room.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::{
    Call, Failure, Flow, Head, Http, Limits, Proxy, Request, Roots, Sink, Transport, lock,
};
use crate::clock::{Clock, Moment};

/// Longer than any test may take to get there; a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Names under `.test` never reach the system's resolver.
pub fn look_up(host: &str) -> Option<io::Result<Vec<IpAddr>>> {
    let name = host.strip_suffix(".test")?;
    static LOOKUPS: AtomicUsize = AtomicUsize::new(0);
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Some(match name.split('-').next() {
        Some("stuck") => {
            sleep_ms(3000);
            Err(io::Error::other("slow"))
        }
        // The first one is not to be reached.
        Some("mixed") => Ok(vec![IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), loopback]),
        // Nobody listens on the first.
        Some("second") => Ok(vec![IpAddr::V4(Ipv4Addr::new(127, 9, 9, 9)), loopback]),
        Some("counted") => {
            LOOKUPS.fetch_add(1, Ordering::SeqCst);
            let count = LOOKUPS.load(Ordering::SeqCst);
            if count == 1 { Ok(vec![loopback]) } else { Err(io::Error::other("asked twice")) }
        }
        Some("local") => Ok(vec![loopback]),
        _ => Err(io::Error::other("no such host")),
    })
}

/// A listener whose connections are served by `script`, each on a thread of its own.
pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
    stop: AtomicBool,
}

impl Server {
    pub fn start(script: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static) -> Server {
        Server::start_with(None, script)
    }

    pub fn start_tls(
        tls: Arc<rustls::ServerConfig>,
        script: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        Server::start_with(Some(tls), script)
    }

    fn start_with(
        tls: Option<Arc<rustls::ServerConfig>>,
        script: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Seen::default()));
        let (script, shared) = (Arc::new(script), seen.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.stop.load(Ordering::SeqCst) {
                    break;
                }
                let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                let (script, seen) = (script.clone(), shared.clone());
                let tls = tls.clone().map(|config| rustls::ServerConnection::new(config).unwrap());
                thread::spawn(move || {
                    stream.set_nodelay(true).unwrap();
                    let mut peer = Peer { stream, tls, buffer: Vec::new(), number, seen };
                    // An error is a client that went away, as many tests want it to.
                    let _ = script(&mut peer);
                });
            }
        });
        Server { address, seen }
    }

    /// A server that answers every request with `reply`, over and over.
    pub fn replying(reply: &'static str) -> Server {
        Server::start(move |peer| {
            while peer.request()?.is_some() {
                peer.write(reply)?;
            }
            Ok(())
        })
    }

    /// A server whose first connection gets `reply`, and then nothing: neither bytes nor an end.
    pub fn stalling(reply: &'static str) -> Server {
        Server::start(move |peer| {
            peer.request()?;
            peer.write(reply)?;
            peer.wait_for_close();
            Ok(())
        })
    }

    /// A CONNECT proxy.
    pub fn proxy() -> Server {
        Server::start(|peer| {
            let request = peer.request()?.unwrap_or_default();
            let target =
                request.split(' ').nth(1).unwrap_or_default().replace("local.test", "127.0.0.1");
            let mut there = TcpStream::connect(target)?;
            peer.write("HTTP/1.1 200 OK\r\n\r\n")?;
            let (mut here, mut back) = (peer.stream.try_clone()?, there.try_clone()?);
            thread::spawn(move || {
                let _ = io::copy(&mut back, &mut here);
                let _ = here.shutdown(std::net::Shutdown::Both);
            });
            io::copy(&mut peer.stream, &mut there).map(drop)
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.seen.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// One connection, seen from the server.
pub struct Peer {
    pub stream: TcpStream,
    tls: Option<rustls::ServerConnection>,
    buffer: Vec<u8>,
    /// How many connections came before it.
    pub number: usize,
    seen: Arc<Seen>,
}

impl Peer {
    /// Reads one request, body included; `None` if the client closed instead.
    pub fn request(&mut self) -> io::Result<Option<String>> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if self.more()? == 0 {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let whole = end + length.map_or(0, |length| length.parse().unwrap());
        while self.buffer.len() < whole {
            self.more()?;
        }
        let request: Vec<u8> = self.buffer.drain(..whole).collect();
        self.seen.requests.fetch_add(1, Ordering::SeqCst);
        Ok(Some(String::from_utf8_lossy(&request).into_owned()))
    }

    fn more(&mut self) -> io::Result<usize> {
        let mut piece = [0; 4096];
        let amount = match &mut self.tls {
            Some(tls) => rustls::Stream::new(tls, &mut self.stream).read(&mut piece)?,
            None => self.stream.read(&mut piece)?,
        };
        self.buffer.extend_from_slice(&piece[..amount]);
        Ok(amount)
    }

    pub fn write(&mut self, text: &str) -> io::Result<()> {
        self.send(text.as_bytes())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(tls, &mut self.stream).write_all(bytes),
            None => self.stream.write_all(bytes),
        }
    }

    /// Says the proper end of TLS.
    pub fn end_tls(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        tls.send_close_notify();
        rustls::Stream::new(tls, &mut self.stream).flush()
    }

    pub fn chunk(&mut self, text: &str) -> io::Result<()> {
        self.write(&format!("{:x}\r\n{text}\r\n", text.len()))
    }

    /// Sends `bytes` in writes of `size`.
    pub fn dribble(&mut self, text: &str, size: usize) -> io::Result<()> {
        text.as_bytes().chunks(size).try_for_each(|piece| self.send(piece))
    }

    pub fn wait_for_close(&mut self) {
        let _ = io::copy(&mut self.stream, &mut io::sink());
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

pub const SSE_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// A listener that takes connections into its queue until that is full, and never accepts.
pub struct FullBacklog {
    pub address: SocketAddr,
    _listener: rustix::fd::OwnedFd,
    _queued: Vec<TcpStream>,
}

impl FullBacklog {
    pub fn new() -> FullBacklog {
        use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};
        let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&listener, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        listen(&listener, 0).unwrap();
        let address: SocketAddr = getsockname(&listener).unwrap().try_into().unwrap();
        let limit = Duration::from_millis(100);
        let queued = std::iter::from_fn(|| TcpStream::connect_timeout(&address, limit).ok());
        let queued = queued.take(16).collect();
        FullBacklog { address, _listener: listener, _queued: queued }
    }
}

/// What a sink got.
#[derive(Default)]
pub struct Got {
    pub head: Option<Head>,
    pub bytes: Vec<u8>,
    pub deliveries: usize,
    pub outcome: Option<Result<(), Failure>>,
    pub ended_at: Option<Moment>,
}

type Judge = Box<dyn FnMut(&[u8]) -> Flow + Send>;

#[derive(Clone, Default)]
pub struct Record(Arc<(Mutex<Got>, Condvar)>);

struct Recorder(Record, Judge);

impl Sink for Recorder {
    fn head(&mut self, head: Head) {
        self.0.change(|got| assert!(got.head.replace(head).is_none(), "a second head"));
    }

    fn data(&mut self, bytes: &[u8]) -> Flow {
        self.0.change(|got| {
            got.bytes.extend_from_slice(bytes);
            got.deliveries += 1;
        });
        (self.1)(bytes)
    }

    fn end(self: Box<Self>, outcome: Result<(), Failure>) {
        self.0.change(|got| {
            assert!(got.outcome.replace(outcome).is_none(), "a second end");
            got.ended_at = Some(Clock::default().now());
        });
    }
}

impl Record {
    /// A sink that answers every delivery with what `judge` says.
    pub fn sink(&self, judge: impl FnMut(&[u8]) -> Flow + Send + 'static) -> Box<dyn Sink> {
        Box::new(Recorder(self.clone(), Box::new(judge)))
    }

    fn change(&self, change: impl FnOnce(&mut Got)) {
        change(&mut lock(&self.0.0));
        self.0.1.notify_all();
    }

    pub fn look<R>(&self, look: impl FnOnce(&Got) -> R) -> R {
        look(&lock(&self.0.0))
    }

    /// Waits until `ready`.
    pub fn until(&self, ready: impl Fn(&Got) -> bool) {
        let got = lock(&self.0.0);
        let waited = self.0.1.wait_timeout_while(got, PATIENCE, |got| !ready(got)).unwrap();
        assert!(!waited.1.timed_out(), "it never happened");
    }

    pub fn outcome(&self) -> Result<(), Failure> {
        self.until(|got| got.outcome.is_some());
        self.look(|got| got.outcome.clone().unwrap())
    }

    pub fn text(&self) -> String {
        self.look(|got| String::from_utf8_lossy(&got.bytes).into_owned())
    }

    pub fn status(&self) -> Option<u16> {
        self.look(|got| got.head.as_ref().map(|head| head.status))
    }
}

pub fn get(url: &str) -> Request {
    Request {
        method: "GET",
        url: url.to_owned(),
        headers: vec![],
        body: vec![],
        limits: Limits::default(),
        max_response_bytes: 64 << 20,
        proxy: Proxy::None,
        roots: Roots::Webpki,
        guard: Default::default(),
        clock: Clock::default(),
    }
}

pub fn post(url: &str, body: impl Into<Vec<u8>>) -> Request {
    Request { method: "POST", body: body.into(), ..get(url) }
}

/// Starts a request whose deliveries are all content.
pub fn start(request: Request) -> (Record, Box<dyn Call>) {
    start_with(request, |_| Flow::Content)
}

pub fn start_with(
    request: Request,
    judge: impl FnMut(&[u8]) -> Flow + Send + 'static,
) -> (Record, Box<dyn Call>) {
    let record = Record::default();
    let call = Http.start(request, record.sink(judge));
    (record, call)
}

/// Runs a request to its end.
pub fn fetch(request: Request) -> (Record, Result<(), Failure>) {
    let (record, _) = start(request);
    let outcome = record.outcome();
    (record, outcome)
}

/// Lets a server take its time, or a call get to where the test wants it.
#[allow(clippy::disallowed_methods)] // tests are not cancelled
pub fn sleep_ms(ms: u64) {
    thread::sleep(Duration::from_millis(ms));
}

pub fn ms(ms: u64) -> Option<Duration> {
    Some(Duration::from_millis(ms))
}
