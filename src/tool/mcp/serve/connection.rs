//! The connection with a client over standard input and output: a thread for each direction.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex};

use rustix::event::{PollFd, PollFlags, poll};
use serde_json::json;

use super::super::LONGEST;
use super::super::document;
use super::super::lines::{Line, Lines};
use super::super::outline::Outline;
use super::super::rpc::{self, Id, Message};
use super::standard::Standard;
use crate::error::{Code, Error, Result};
use crate::guard::guarded;
use crate::net::workers::{Home, STACK, spawn};
use crate::net::{Bell, Waker, lock};

/// Messages that may wait before no more are read.
const MOST_WAITING: usize = 256;

/// Answers that may wait for a client that does not read them, before none is read of it.
const MOST_ANSWERS: usize = 10_000;

pub struct Connection {
    home: Home,
    state: Mutex<State>,
    /// Told when there is something to write, and room to read.
    changed: Condvar,
    bell: Bell,
    waker: Waker,
    /// Given back when nobody reads or writes any more.
    standard: Mutex<Option<Standard>>,
}

#[derive(Default)]
struct State {
    inbox: VecDeque<Message>,
    outbox: VecDeque<String>,
    /// One is being written.
    writing: bool,
    /// Nothing more comes in.
    closed: bool,
    /// Nothing more can go out.
    broken: bool,
    left: bool,
}

impl State {
    fn is_full(&self) -> bool {
        self.inbox.len() >= MOST_WAITING || self.outbox.len() >= MOST_ANSWERS
    }
}

impl Connection {
    pub fn open(waker: Waker) -> Result<Arc<Connection>> {
        let failed = |e: io::Error| Error::new(Code::IoError, format!("cannot serve: {e}"));
        let bell = Bell::new().map_err(failed)?;
        let standard = Standard::take()?;
        let input = standard.input.try_clone().map_err(failed)?;
        let output = standard.output.try_clone().map_err(failed)?;
        let connection = Arc::new(Connection {
            home: Home::here(),
            state: Mutex::default(),
            changed: Condvar::new(),
            bell,
            waker,
            standard: Mutex::new(Some(standard)),
        });
        let (reader, writer) = (connection.clone(), connection.clone());
        let reading = spawn("zigllms-mcp-in", STACK, move || reader.read(&input));
        let writing =
            reading.and_then(|()| spawn("zigllms-mcp-out", STACK, move || writer.write(&output)));
        match writing {
            Ok(()) => Ok(connection),
            Err(error) => {
                connection.leave();
                Err(failed(error))
            }
        }
    }

    pub fn next(&self) -> Option<Message> {
        let mut state = lock(&self.state);
        let message = state.inbox.pop_front();
        if state.inbox.len() + 1 == MOST_WAITING {
            self.changed.notify_all();
        }
        message
    }

    pub fn send(&self, message: String) {
        lock(&self.state).outbox.push_back(message);
        self.changed.notify_all();
    }

    pub fn is_closed(&self) -> bool {
        let state = lock(&self.state);
        state.broken || state.closed && state.inbox.is_empty()
    }

    pub fn has_sent_all(&self) -> bool {
        let state = lock(&self.state);
        state.broken || state.outbox.is_empty() && !state.writing
    }

    /// Nobody serves any more.
    pub fn leave(&self) {
        if !self.home.is_here() {
            // The parent's: its bell would end the serving there.
            return;
        }
        lock(&self.state).left = true;
        self.changed.notify_all();
        self.bell.ring();
        lock(&self.standard).take();
    }

    // The thread that reads.

    fn read(&self, input: &OwnedFd) {
        let _ = guarded(|| {
            self.read_all(input);
            Ok(())
        });
        lock(&self.state).closed = true;
        self.waker.wake();
    }

    fn read_all(&self, input: &OwnedFd) {
        let (mut lines, mut piece) = (Lines::new(LONGEST), vec![0; 64 << 10]);
        while self.has_room() && self.readable(input.as_fd()) {
            match rustix::io::read(input, piece.as_mut_slice()) {
                Ok(0) => break,
                Ok(count) => {
                    lines.push(&piece[..count], |line| self.hear(line));
                }
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                Err(_) => break,
            }
        }
        lines.finish(|line| self.hear(line));
    }

    /// False when nobody serves any more.
    fn has_room(&self) -> bool {
        let mut state = lock(&self.state);
        while state.is_full() && !state.left {
            state = self.changed.wait(state).unwrap_or_else(|e| e.into_inner());
        }
        !state.left
    }

    fn readable(&self, input: BorrowedFd<'_>) -> bool {
        loop {
            let wanted = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
            let mut fds = [wanted(input), wanted(self.bell.fd())];
            let polled = poll(&mut fds, None);
            if !fds[1].revents().is_empty() {
                return false;
            }
            if polled.is_ok() && !fds[0].revents().is_empty() {
                return true;
            }
        }
    }

    fn hear(&self, line: Line<'_>) {
        match line {
            Line::Whole(text) if text.iter().all(u8::is_ascii_whitespace) => {}
            Line::Whole(text) => match document::read(text) {
                Ok(document) => {
                    let is_empty = document.as_array().is_some_and(Vec::is_empty);
                    self.sort_all(rpc::read(document, text), is_empty);
                }
                Err(why) => self.complain(Outline::of(text), &format!("it is no JSON: {why}")),
            },
            Line::TooLong(outline) => self.complain(outline, "a message of more than 10 MB"),
        }
    }

    /// Also where the whole cannot be read, it may be known whose it was.
    fn complain(&self, outline: Outline, why: &str) {
        let written = outline.items().into_iter().next().and_then(|item| item.id);
        let id = written.and_then(|text| Id::written(&text)).unwrap_or_else(Id::unknown);
        self.send(rpc::refusal(&id, rpc::PARSE_ERROR, why));
    }

    fn sort_all(&self, messages: Vec<Message>, is_empty: bool) {
        let refuse = |id: &Id| {
            let why = "it is no message of JSON-RPC 2.0: a request has a method, and a number or a text as its id";
            self.send(rpc::refusal(id, rpc::INVALID_REQUEST, why));
        };
        if is_empty || messages.contains(&Message::Junk(None)) {
            refuse(&Id::unknown());
        }
        for message in messages {
            match message {
                Message::Junk(Some(id)) => refuse(&id),
                message => self.sort(message),
            }
        }
    }

    /// What needs nobody else is answered here, also while a tool computes.
    fn sort(&self, message: Message) {
        match message {
            Message::Request { id, method, .. } if method == "ping" => {
                self.send(rpc::result(&id, &json!({})));
            }
            message @ (Message::Request { .. } | Message::Notice { .. }) => {
                lock(&self.state).inbox.push_back(message);
                self.waker.wake();
            }
            _ => {}
        }
    }

    // The thread that writes.

    fn write(&self, output: &OwnedFd) {
        let _ = guarded(|| {
            self.write_all(output);
            Ok(())
        });
        lock(&self.state).broken = true;
        self.waker.wake();
    }

    fn write_all(&self, output: &OwnedFd) {
        while let Some(message) = self.next_answer() {
            let mut line = message.into_bytes();
            line.push(b'\n');
            let broken = write_all(output, &line).is_err();
            let mut state = lock(&self.state);
            state.writing = false;
            state.broken |= broken;
            drop(state);
            self.waker.wake();
        }
    }

    fn next_answer(&self) -> Option<String> {
        let mut state = lock(&self.state);
        loop {
            if state.left || state.broken {
                return None;
            }
            if let Some(message) = state.outbox.pop_front() {
                state.writing = true;
                if state.outbox.len() + 1 == MOST_ANSWERS {
                    self.changed.notify_all();
                }
                return Some(message);
            }
            state = self.changed.wait(state).unwrap_or_else(|e| e.into_inner());
        }
    }
}

fn write_all(output: &OwnedFd, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(output, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(rustix::io::Errno::INTR) => {}
            // Somebody has made it non-blocking.
            Err(rustix::io::Errno::AGAIN) => {
                let mut fds = [PollFd::from_borrowed_fd(output.as_fd(), PollFlags::OUT)];
                let _ = poll(&mut fds, None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Notifier;
    use crate::net::workers::{exit_child, fork};

    #[test]
    fn a_forked_child_that_leaves_ends_nothing_of_its_parent() {
        let notifier = Notifier::new().unwrap();
        let connection = Connection {
            home: Home::here(),
            state: Mutex::default(),
            changed: Condvar::new(),
            bell: Bell::new().unwrap(),
            waker: Waker::new(&notifier, 0),
            standard: Mutex::default(),
        };
        let Some(child) = fork() else {
            connection.leave();
            exit_child(0);
        };
        rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty()).unwrap();
        let is_rung = || {
            let mut fds = [PollFd::from_borrowed_fd(connection.bell.fd(), PollFlags::IN)];
            poll(&mut fds, Some(&Default::default())).unwrap() == 1
        };
        assert!(!is_rung());
        connection.leave();
        assert!(is_rung());
    }
}
