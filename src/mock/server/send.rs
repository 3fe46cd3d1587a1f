//! An answer on its way out, byte by byte as its script says.

use std::fmt::Write;
use std::time::Duration;

use ureq::http::StatusCode;

use super::peer::{Peer, Woke};
use super::reply::{Body, Reply};
use super::request::Request;
use crate::clock::Clock;

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The next request may come.
    Kept,
    Closed,
    Reset,
}

/// How the client knows where the body ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// There is none.
    Nothing,
    /// Its length is announced, by the script or by us.
    Length,
    Chunks,
    Close,
}

pub struct Sending<'a> {
    pub peer: &'a Peer,
    pub clock: &'a Clock,
    pub request: &'a Request,
    pub reply: &'a Reply,
    /// The connection is not to be used again.
    pub closes: bool,
}

impl Sending<'_> {
    /// `None` if the client has gone, or the server has ended: nobody needs more of it.
    pub fn run(&self) -> Option<After> {
        let reply = self.reply;
        self.pause(reply.delay)?;
        if reply.silent {
            self.pause(reply.stall)?;
            return Some(self.cut());
        }
        let framing = self.framing();
        self.write(self.head(framing).as_bytes())?;
        if framing == Framing::Nothing {
            return Some(self.kept(true));
        }
        let whole = self.body(framing)?;
        self.pause(reply.stall)?;
        if reply.reset || !whole {
            return Some(self.cut());
        }
        if framing == Framing::Chunks {
            self.write(b"0\r\n\r\n")?;
        }
        Some(self.kept(framing != Framing::Close && !self.lies()))
    }

    fn cut(&self) -> After {
        if self.reply.reset { After::Reset } else { After::Closed }
    }

    fn kept(&self, can: bool) -> After {
        if can && self.keeps_alive() { After::Kept } else { After::Closed }
    }

    fn keeps_alive(&self) -> bool {
        let closes =
            self.reply.header("connection").is_some_and(|w| w.eq_ignore_ascii_case("close"));
        self.request.keeps_alive && !closes && !self.closes
    }

    /// The script announces another length than it has.
    fn lies(&self) -> bool {
        let announced = self.reply.header("content-length");
        announced.is_some_and(|length| length.parse() != Ok(self.reply.length()))
    }

    /// What can be cut, or waits before its end, is sent so that an end can be missing.
    fn framing(&self) -> Framing {
        let reply = self.reply;
        let is_empty = reply.status < 200 || matches!(reply.status, 204 | 304);
        if is_empty || self.request.method == "HEAD" {
            return Framing::Nothing;
        }
        let has_end = matches!(reply.body, Body::Whole(_)) && !reply.reset && reply.stall.is_zero();
        match reply.header("content-length").is_some() || has_end {
            true => Framing::Length,
            false if self.request.takes_chunks => Framing::Chunks,
            false => Framing::Close,
        }
    }

    fn head(&self, framing: Framing) -> String {
        let reply = self.reply;
        let reason = StatusCode::from_u16(reply.status).ok();
        let reason = reason.and_then(|status| status.canonical_reason()).unwrap_or("Unknown");
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", reply.status);
        let mut add = |name: &str, value: &str| {
            let _ = write!(head, "{name}: {value}\r\n"); // a String takes everything
        };
        reply.headers.iter().for_each(|(name, value)| add(name, value));
        let mut complete = |name: &str, value: &str| {
            if reply.header(name).is_none() {
                add(name, value);
            }
        };
        match framing {
            Framing::Chunks => complete("transfer-encoding", "chunked"),
            Framing::Length => complete("content-length", &reply.length().to_string()),
            Framing::Nothing if self.request.method == "HEAD" => {
                complete("content-length", &reply.length().to_string());
            }
            Framing::Nothing | Framing::Close => {}
        }
        if !self.keeps_alive() || framing == Framing::Close {
            complete("connection", "close");
        }
        head.push_str("\r\n");
        head
    }

    /// False where `close_after` has cut it.
    fn body(&self, framing: Framing) -> Option<bool> {
        let mut left = self.reply.close_after.unwrap_or(usize::MAX);
        for (at, piece) in self.reply.pieces().iter().enumerate() {
            if at > 0 {
                self.pause(self.reply.chunk_delay)?;
            }
            let cut = &piece[..piece.len().min(left)];
            self.piece(framing, piece.len(), cut)?;
            left -= cut.len();
            if cut.len() < piece.len() {
                return Some(false);
            }
        }
        Some(self.reply.close_after.is_none())
    }

    /// A chunk that is cut announces its whole length.
    fn piece(&self, framing: Framing, length: usize, bytes: &[u8]) -> Option<()> {
        if framing != Framing::Chunks {
            return self.write(bytes);
        }
        if length == 0 {
            return Some(()); // an empty chunk would be the end
        }
        let mut chunk = format!("{length:x}\r\n").into_bytes();
        chunk.extend_from_slice(bytes);
        if bytes.len() == length {
            chunk.extend_from_slice(b"\r\n");
        }
        self.write(&chunk)
    }

    fn write(&self, bytes: &[u8]) -> Option<()> {
        self.peer.write(bytes).ok()
    }

    /// `None` if nobody waits for what follows.
    fn pause(&self, time: Duration) -> Option<()> {
        if time.is_zero() {
            return Some(());
        }
        let until = self.clock.now().after(time);
        let _stall = self.peer.stalls(self.clock, until);
        loop {
            match self.peer.wait(self.clock, Some(until)) {
                Woke::Time => return Some(()),
                Woke::Gone => return None,
                Woke::Rung => {}
            }
        }
    }
}
