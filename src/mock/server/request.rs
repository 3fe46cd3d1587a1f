//! Requests as they come in on a connection, one after the other.

use std::io;

use super::peer::Peer;

const MOST_HEAD: usize = 64 << 10;
const MOST_HEADERS: usize = 256;

/// Images and long documents travel in requests.
pub const MOST_BODY: usize = 64 << 20;

const PIECE: usize = 16 << 10;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The client can use the connection again.
    pub keeps_alive: bool,
    /// It knows answers in chunks.
    pub takes_chunks: bool,
}

impl Request {
    fn of(parsed: &httparse::Request<'_, '_>) -> Request {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let header = |header: &httparse::Header<'_>| {
            (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned())
        };
        let is_new = parsed.version == Some(1);
        let mut request = Request {
            method: text(parsed.method),
            path: text(parsed.path),
            headers: parsed.headers.iter().map(header).collect(),
            takes_chunks: is_new,
            ..Request::default()
        };
        request.keeps_alive = match request.header("connection") {
            Some(word) if word.eq_ignore_ascii_case("close") => false,
            Some(word) if word.eq_ignore_ascii_case("keep-alive") => true,
            _ => is_new,
        };
        request
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn waits_for_leave(&self) -> bool {
        self.header("expect").is_some_and(|word| word.eq_ignore_ascii_case("100-continue"))
    }
}

/// Why a request is not even looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub why: &'static str,
}

const fn refusal(status: u16, why: &'static str) -> Refusal {
    Refusal { status, why }
}

const TOO_LARGE: Refusal = refusal(413, "the body is larger than 64 MiB");
const BAD_CHUNKS: Refusal = refusal(400, "the chunks of the body cannot be understood");

/// What ends a conversation.
#[derive(Debug)]
pub enum End {
    /// The client has hung up, maybe in the middle of a request.
    Gone,
    Refused(Refusal),
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> End {
        End::Refused(refusal)
    }
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> End {
        End::Gone
    }
}

type Heard<T> = Result<T, End>;

enum Length {
    Known(usize),
    Chunks,
}

/// Reads the requests of one connection.
pub struct Requests<'p> {
    peer: &'p Peer,
    /// Came, and was not used yet.
    rest: Vec<u8>,
}

impl<'p> Requests<'p> {
    pub fn of(peer: &'p Peer) -> Requests<'p> {
        Requests { peer, rest: Vec::new() }
    }

    pub fn next(&mut self) -> Heard<Request> {
        let mut request = self.head()?;
        let length = length(&request)?;
        if matches!(length, Length::Known(length) if length > MOST_BODY) {
            return Err(TOO_LARGE.into());
        }
        if request.waits_for_leave() && self.rest.is_empty() {
            self.peer.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        request.body = match length {
            Length::Known(length) => self.take(length)?,
            Length::Chunks => self.chunks()?,
        };
        Ok(request)
    }

    fn more(&mut self) -> Heard<()> {
        let before = self.rest.len();
        self.rest.resize(before + PIECE, 0);
        let count = self.peer.read(&mut self.rest[before..]);
        self.rest.truncate(before + count.as_ref().unwrap_or(&0));
        match count? {
            0 => Err(End::Gone),
            _ => Ok(()),
        }
    }

    fn take(&mut self, count: usize) -> Heard<Vec<u8>> {
        while self.rest.len() < count {
            self.more()?;
        }
        let rest = self.rest.split_off(count);
        Ok(std::mem::replace(&mut self.rest, rest))
    }

    fn head(&mut self) -> Heard<Request> {
        loop {
            let parsed = parse(&self.rest)?;
            let seen = parsed.as_ref().map_or(self.rest.len(), |(_, length)| *length);
            if seen > MOST_HEAD {
                return Err(refusal(431, "the head is larger than 64 KiB").into());
            }
            if let Some((request, length)) = parsed {
                self.rest.drain(..length);
                return Ok(request);
            }
            self.more()?;
        }
    }

    fn chunks(&mut self) -> Heard<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            match self.chunk_size()? {
                0 => break,
                size if size > MOST_BODY - body.len() => return Err(TOO_LARGE.into()),
                size => body.extend(self.take(size)?),
            }
            if self.take(2)? != b"\r\n" {
                return Err(BAD_CHUNKS.into());
            }
        }
        while !self.line()?.is_empty() {} // trailers say nothing that matters here
        Ok(body)
    }

    fn chunk_size(&mut self) -> Heard<usize> {
        loop {
            match httparse::parse_chunk_size(&self.rest) {
                Ok(httparse::Status::Complete((used, size))) => {
                    self.rest.drain(..used);
                    return Ok(usize::try_from(size).unwrap_or(usize::MAX));
                }
                Ok(httparse::Status::Partial) if self.rest.len() < MOST_HEAD => self.more()?,
                _ => return Err(BAD_CHUNKS.into()),
            }
        }
    }

    fn line(&mut self) -> Heard<Vec<u8>> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.rest, b"\r\n") {
                let mut line = self.take(end + 2)?;
                line.truncate(end);
                return Ok(line);
            }
            if self.rest.len() > MOST_HEAD {
                return Err(BAD_CHUNKS.into());
            }
            self.more()?;
        }
    }
}

/// The head that stands there, and its length; `None` if it is not complete.
fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => Ok(Some((Request::of(&parsed), length))),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(httparse::Error::TooManyHeaders) => Err(refusal(431, "there are too many headers")),
        Err(_) => Err(refusal(400, "it is no request of HTTP/1.1")),
    }
}

fn length(request: &Request) -> Result<Length, Refusal> {
    let mut all = request.headers.iter().filter(|(name, _)| name == "content-length");
    let given = all.next().map(|(_, digits)| digits.as_str());
    if all.any(|(_, digits)| Some(digits.as_str()) != given) {
        return Err(refusal(400, "it has several lengths"));
    }
    match (request.header("transfer-encoding"), given) {
        (Some(_), Some(_)) => Err(refusal(400, "it has a length, and chunks")),
        (Some(word), None) if word.eq_ignore_ascii_case("chunked") => Ok(Length::Chunks),
        (Some(_), None) => Err(refusal(501, "only chunked is known as a transfer-encoding")),
        (None, None) => Ok(Length::Known(0)),
        (None, Some(digits)) => match digits.parse() {
            Ok(length) => Ok(Length::Known(length)),
            Err(_) => Err(refusal(400, "its content-length is no number")),
        },
    }
}
