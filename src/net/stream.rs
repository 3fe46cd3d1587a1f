//! The body of one answer: read as it comes, handed to the sink in one piece per turn.

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ureq::{Body, BodyReader};

use super::ctl::{Ctl, Mode};
use super::http::end;
use super::process::process;
use super::{Failure, Flow, Head, Sink};

/// One turn reads no more than this, so that a flooding peer leaves time for the others.
pub(super) const PIECE: usize = 64 * 1024;

/// A worker reads what came with the head; that is seldom much.
const FIRST_PIECE: usize = 16 * 1024;

pub(super) struct Stream {
    pub ctl: Arc<Ctl>,
    body: BodyReader<'static>,
    sink: Box<dyn Sink>,
    /// Bytes the answer may still have.
    left: u64,
    most: u64,
    /// The sink is full.
    pub paused: bool,
}

/// How a turn went.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There may be more right away.
    More,
    /// Nothing more until the socket is readable.
    Blocked,
    /// The sink is full.
    Paused,
    Ended(Result<(), Failure>),
}

impl Stream {
    /// Tells the sink the head and what came with it; the reader gets the rest.
    pub fn begin(ctl: Arc<Ctl>, mut sink: Box<dyn Sink>, head: Head, body: Body, most: u64) {
        let refused = head.status >= 400;
        if !ctl.is_open() || catch_unwind(AssertUnwindSafe(|| sink.head(head))).is_err() {
            drop(body);
            return end(&ctl, sink, Err(panicked()));
        }
        if refused {
            ctl.refused();
        }
        if body.content_length().is_some_and(|length| length > most) {
            drop(body);
            return end(&ctl, sink, Err(Failure::TooLarge(most)));
        }
        let body = body.into_with_config().reader();
        let mut stream = Stream { ctl, body, sink, left: most, most, paused: false };
        match stream.turn(&mut vec![0; FIRST_PIECE]) {
            Turn::Ended(outcome) => stream.end(outcome),
            _ => process().reader.adopt(stream),
        }
    }

    pub fn turn(&mut self, piece: &mut [u8]) -> Turn {
        self.ctl.waits(false);
        let turn = catch_unwind(AssertUnwindSafe(|| self.read_and_deliver(piece)));
        self.ctl.waits(matches!(turn, Ok(Turn::Blocked)));
        turn.unwrap_or_else(|_| Turn::Ended(Err(panicked())))
    }

    fn read_and_deliver(&mut self, piece: &mut [u8]) -> Turn {
        let (filled, turn) = self.fill(piece);
        if filled == 0 || !self.ctl.is_open() {
            return turn;
        }
        let Some(left) = self.left.checked_sub(filled as u64) else {
            return Turn::Ended(Err(Failure::TooLarge(self.most)));
        };
        self.left = left;
        self.deliver(&piece[..filled]).unwrap_or(turn)
    }

    /// Reads until there is nothing more, or no more room.
    fn fill(&mut self, piece: &mut [u8]) -> (usize, Turn) {
        let mut filled = 0;
        while filled < piece.len() {
            let (body, room) = (&mut self.body, &mut piece[filled..]);
            match self.ctl.run(Mode::Poll, || body.read(room)) {
                Ok(0) => return (filled, Turn::Ended(Ok(()))),
                Ok(amount) => filled += amount,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return (filled, Turn::Blocked),
                Err(e) => return (filled, Turn::Ended(Err(ureq::Error::from(e).into()))),
            }
        }
        (filled, Turn::More)
    }

    /// What the sink wants instead of going on.
    fn deliver(&mut self, bytes: &[u8]) -> Option<Turn> {
        self.ctl.clear_resumed();
        match self.sink.data(bytes) {
            Flow::Quiet => None,
            Flow::Content => {
                self.ctl.content();
                None
            }
            Flow::Over => {
                self.ctl.over();
                None
            }
            Flow::Stop => Some(Turn::Ended(Ok(()))),
            Flow::Full => {
                self.ctl.pause();
                self.paused = true;
                Some(Turn::Paused)
            }
        }
    }

    /// The consumer has room again.
    pub fn unpause(&mut self) {
        self.paused = false;
        self.ctl.content();
    }

    /// Closes the connection, or leaves it to the pool, and tells the sink.
    pub fn end(self, outcome: Result<(), Failure>) {
        self.ctl.release_all();
        drop(self.body);
        end(&self.ctl, self.sink, outcome);
    }
}

fn panicked() -> Failure {
    Failure::Broken("panic while reading an answer".into())
}
