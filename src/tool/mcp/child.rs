//! A server that is a process of ours: one thread tends to it, from its start until it is dead.
//!
//! It writes what is to be sent, reads what the server says and what it writes for people, and ends
//! it: its input is closed; if it is still there after three seconds it is asked to end, and two
//! seconds later it is killed. So nobody else waits for any of that, nor for a zombie.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, ioctl_fionread};
use rustix::process::Signal;

use super::LONGEST;
use super::document;
use super::lines::{Line, Lines};
use super::mailbox::{Letter, Mailbox, Trouble, Whose};
use super::outline::Outline;
use super::spawn::{Program, Started};
use crate::clock::{Clock, Moment};
use crate::error::{Code, Error, Result};
use crate::guard::guarded;
use crate::net::Bell;
use crate::net::workers::{Home, STACK, spawn};
use crate::process::{Child, Ended};

/// After its input was closed; after it was asked to end.
const PATIENCE: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(2)];

/// How often a process is looked at that cannot be watched.
const LOOK: Duration = Duration::from_millis(50);

/// Read at once.
const PIECE: usize = 16 << 10;

/// Bytes that may wait for a server that does not read.
const MOST_WAITING: usize = 64 << 20;

/// Calls that are remembered, before those are forgotten that were answered.
const MOST_SENT: usize = 1000;

/// Messages that may wait behind those.
const MOST_LETTERS: usize = 10_000;

/// The end of the thread that others hold.
pub struct Tended {
    home: Home,
    mailbox: Mailbox,
    orders: Arc<Orders>,
}

struct Orders {
    bell: Bell,
    /// The link is given up: end the server.
    closing: AtomicBool,
}

impl Tended {
    /// The server is started by the thread; if that fails, the mailbox tells.
    pub fn start(program: Program, mailbox: Mailbox, clock: Clock) -> Result<Tended> {
        let failed = |e: io::Error| no_start(program.name(), &e);
        let bell = Bell::new().map_err(failed)?;
        let orders = Arc::new(Orders { bell, closing: false.into() });
        let tended =
            Tended { home: Home::here(), mailbox: mailbox.clone(), orders: orders.clone() };
        let task = program.clone();
        spawn("zigllms-mcp", STACK, move || tend(&task, mailbox, orders, clock)).map_err(failed)?;
        Ok(tended)
    }

    pub fn send(&self, letter: Letter) {
        self.mailbox.lock().outgoing.push_back(letter);
        self.orders.bell.ring();
    }

    /// Lets what lies in `outgoing` be sent.
    pub fn ring(&self) {
        self.orders.bell.ring();
    }
}

impl Drop for Tended {
    fn drop(&mut self) {
        // The parent's locks and bell are the parent's.
        if self.home.is_here() {
            self.orders.closing.store(true, Ordering::Release);
            self.orders.bell.ring();
        }
    }
}

fn no_start(name: &str, error: &io::Error) -> Error {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "no such program, or no such directory to run it in".to_owned(),
        _ => error.to_string(),
    };
    Error::new(Code::IoError, format!("cannot start {name:?}: {why}"))
}

fn tend(program: &Program, mailbox: Mailbox, orders: Arc<Orders>, clock: Clock) {
    let name = program.name();
    let started = program.start().and_then(|started| Tending::of(started, &mailbox, orders, clock));
    match started {
        Ok(tending) => or_end(&mailbox, || tending.go(name)),
        Err(error) => mailbox.end(no_start(name, &error)),
    }
}

/// Nobody waits for a thread that is no longer there.
fn or_end(mailbox: &Mailbox, run: impl FnOnce()) {
    let ran = guarded(|| {
        run();
        Ok(())
    });
    if let Err(error) = ran {
        mailbox.end(error);
    }
}

struct Tending {
    child: Child,
    /// Readable once the process has ended.
    watched: Option<OwnedFd>,
    mailbox: Mailbox,
    orders: Arc<Orders>,
    clock: Clock,
    input: Option<OwnedFd>,
    output: Option<OwnedFd>,
    errors: Option<OwnedFd>,
    /// What is being written, and how much of it has been.
    writing: Vec<u8>,
    written: usize,
    /// Calls that were sent, and how many bytes had been when they were.
    sent: Vec<(u64, u64)>,
    sent_bytes: u64,
    /// Those that it had read before it closed its input: it may yet answer them.
    kept: Vec<u64>,
    messages: Lines,
    words: Lines,
    ending: Option<Ending>,
    /// It has closed that stream of its own: by then it should have ended, too.
    closed: Option<(Moment, &'static str)>,
}

/// How far its end has got, and when the next signal is due.
struct Ending {
    signals: usize,
    next: Option<Moment>,
}

/// What is ready.
#[derive(Default)]
struct Ready {
    input: bool,
    output: bool,
    errors: bool,
}

impl Tending {
    fn of(
        started: Started,
        mailbox: &Mailbox,
        orders: Arc<Orders>,
        clock: Clock,
    ) -> io::Result<Tending> {
        Ok(Tending {
            watched: started.child.watch()?,
            child: started.child,
            mailbox: mailbox.clone(),
            orders,
            clock,
            input: Some(started.input),
            output: Some(started.output),
            errors: Some(started.errors),
            writing: Vec::new(),
            written: 0,
            sent: Vec::new(),
            sent_bytes: 0,
            kept: Vec::new(),
            messages: Lines::new(LONGEST),
            words: Lines::new(16 << 10),
            ending: None,
            closed: None,
        })
    }

    fn go(mut self, name: &str) {
        loop {
            self.obey(name);
            let ready = self.wait();
            if ready.input {
                self.write();
            }
            if ready.output {
                self.read_output(name);
            }
            if ready.errors {
                self.read_errors();
            }
            if let Some(how) = self.ended() {
                return self.report_end(name, &how);
            }
            self.escalate(name);
        }
    }

    /// Takes what is to be sent, and the word to end.
    fn obey(&mut self, name: &str) {
        self.orders.bell.clear();
        if self.orders.closing.load(Ordering::Acquire) {
            self.end();
        }
        let mut mailbox = self.mailbox.lock();
        while self.ending.is_none() && self.writing.len() - self.written < MOST_WAITING {
            let Some(letter) = mailbox.outgoing.pop_front() else { break };
            self.writing.extend_from_slice(letter.message.as_bytes());
            self.writing.push(b'\n');
            self.sent_bytes += letter.message.len() as u64 + 1;
            if let Some(id) = letter.id.filter(|_| letter.calls) {
                self.sent.push((id, self.sent_bytes));
            }
        }
        if self.sent.len() > MOST_SENT {
            self.sent.retain(|(id, _)| !mailbox.is_settled(*id));
        }
        let left = mailbox.outgoing.len().min(MOST_LETTERS);
        let refused = mailbox.outgoing.split_off(left);
        drop(mailbox);
        self.refuse(name, &refused);
    }

    fn refuse(&self, name: &str, letters: &VecDeque<Letter>) {
        for id in letters.iter().filter_map(|letter| letter.id) {
            let text = format!("the MCP server {name:?} does not read what it is asked");
            self.mailbox.fail(id, Trouble::Failed(Error::new(Code::Network, text)));
        }
    }

    fn write(&mut self) {
        if self.writing.is_empty() {
            // Nothing was waited for but that nobody reads any more.
            return self.reads_no_more();
        }
        while let Some(input) = &self.input
            && self.written < self.writing.len()
        {
            match rustix::io::write(input, &self.writing[self.written..]) {
                Ok(count) => self.written += count,
                Err(Errno::AGAIN) => return self.forget_written(),
                Err(Errno::INTR) => {}
                Err(_) => self.reads_no_more(),
            }
        }
        self.writing.clear();
        self.written = 0;
    }

    /// Seldom enough that it does not count.
    fn forget_written(&mut self) {
        if self.written > self.writing.len() / 2 {
            self.writing.drain(..self.written);
            self.written = 0;
        }
    }

    /// Without that stream it is of no use, and is ended; what it says until then counts.
    fn has_closed(&mut self, stream: &'static str) {
        self.closed.get_or_insert((self.clock.now().after(LOOK), stream));
        self.end();
    }

    /// What lies in the pipe was never read.
    fn reads_no_more(&mut self) {
        let in_pipe = self.input.as_ref().and_then(|input| ioctl_fionread(input).ok()).unwrap_or(0);
        let unwritten = (self.writing.len() - self.written) as u64;
        let read = self.sent_bytes.saturating_sub(unwritten + in_pipe);
        let sent = self.sent.iter();
        self.kept = sent.filter(|(_, end)| *end <= read).map(|(id, _)| *id).collect();
        self.has_closed("input");
    }

    fn is_awaited(&self) -> bool {
        let mailbox = self.mailbox.lock();
        self.kept.iter().any(|id| !mailbox.is_settled(*id))
    }

    fn read_output(&mut self, name: &str) {
        let mut piece = [0; PIECE];
        let Some(output) = &self.output else { return };
        match rustix::io::read(output, &mut piece) {
            Ok(count) if count > 0 => {
                let mailbox = &self.mailbox;
                self.messages.push(&piece[..count], |line| hear(mailbox, name, line));
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            _ => {
                self.output = None;
                let mailbox = &self.mailbox;
                self.messages.finish(|line| hear_last(mailbox, name, line));
                self.has_closed("output");
            }
        }
    }

    fn read_errors(&mut self) {
        let mut piece = [0; PIECE];
        let Some(errors) = &self.errors else { return };
        match rustix::io::read(errors, &mut piece) {
            Ok(count) if count > 0 => {
                let mailbox = &self.mailbox;
                self.words.push(&piece[..count], |line| note(mailbox, &line));
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            _ => self.errors = None,
        }
    }

    /// Begins its end.
    fn end(&mut self) {
        if self.ending.is_none() {
            self.input = None;
            let next = Some(self.clock.now().after(PATIENCE[0]));
            self.ending = Some(Ending { signals: 0, next });
        }
    }

    /// The next signal, once what came before had its time.
    fn escalate(&mut self, name: &str) {
        let now = self.clock.now();
        if let Some((_, stream)) = self.closed.take_if(|(at, _)| *at <= now) {
            let text = format!("the MCP server {name:?} has closed its {stream}");
            let kept = if stream == "input" { self.kept.as_slice() } else { &[] };
            self.mailbox.end_but(kept, Error::new(Code::Network, text));
        }
        let awaited = self.is_awaited();
        let Some(ending) = self.ending.as_mut().filter(|e| e.next.is_some_and(|at| at <= now))
        else {
            return;
        };
        if awaited {
            ending.next = Some(now.after(PATIENCE[0]));
            return;
        }
        ending.signals += 1;
        ending.next = PATIENCE.get(ending.signals).map(|patience| now.after(*patience));
        let signal = if ending.signals == 1 { Signal::TERM } else { Signal::KILL };
        self.child.signal(signal);
    }

    /// How it ended, if it has. What it has left behind ends with it.
    fn ended(&mut self) -> Option<String> {
        if !self.child.has_ended() {
            return None;
        }
        self.child.signal(Signal::KILL);
        self.child.reap().map(described)
    }

    fn report_end(mut self, name: &str, how: &str) {
        self.read_rest(name);
        let said = self.mailbox.lock().last_words();
        let message = match &said {
            Some(words) => format!("the MCP server {name:?} {how}: {}", telling_line(words)),
            None => format!("the MCP server {name:?} {how}"),
        };
        let details = said.map(|words| serde_json::json!({ "stderr": words }));
        // Another try starts it anew.
        self.mailbox.end(Error::new(Code::Network, message).with(|f| f.details = details));
    }

    /// What it had said before.
    fn read_rest(&mut self, name: &str) {
        for _ in 0..MOST_WAITING / PIECE {
            if !(self.output.is_some() && readable(self.output.as_ref())) {
                break;
            }
            self.read_output(name);
        }
        for _ in 0..64 {
            if !(self.errors.is_some() && readable(self.errors.as_ref())) {
                break;
            }
            self.read_errors();
        }
        let mailbox = &self.mailbox;
        self.words.finish(|line| note(mailbox, &line));
    }

    fn wait(&self) -> Ready {
        let mut ready = Ready::default();
        let mut wanted: Vec<(Option<&mut bool>, PollFd<'_>)> = Vec::new();
        let poll_for = |fd, flags| PollFd::from_borrowed_fd(fd, flags);
        wanted.push((None, poll_for(self.orders.bell.fd(), PollFlags::IN)));
        if let Some(input) = &self.input {
            // That it is closed is told without being asked for.
            let write = self.written < self.writing.len();
            let flags = if write { PollFlags::OUT } else { PollFlags::empty() };
            wanted.push((Some(&mut ready.input), poll_for(input.as_fd(), flags)));
        }
        if let Some(output) = &self.output {
            wanted.push((Some(&mut ready.output), poll_for(output.as_fd(), PollFlags::IN)));
        }
        if let Some(errors) = &self.errors {
            wanted.push((Some(&mut ready.errors), poll_for(errors.as_fd(), PollFlags::IN)));
        }
        if let Some(watched) = &self.watched {
            wanted.push((None, poll_for(watched.as_fd(), PollFlags::IN)));
        }
        let (flags, mut fds): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
        let limit = self.patience().and_then(|left| left.try_into().ok());
        let _ = poll(&mut fds, limit.as_ref());
        for (flag, fd) in flags.into_iter().zip(&fds) {
            if let Some(flag) = flag {
                *flag = !fd.revents().is_empty();
            }
        }
        ready
    }

    fn patience(&self) -> Option<Duration> {
        let now = self.clock.now();
        let signal = self.ending.as_ref().and_then(|ending| ending.next).map(|at| now.until(at));
        let look = self.watched.is_none().then_some(LOOK);
        let closed = self.closed.map(|(at, _)| now.until(at));
        signal.into_iter().chain(look).chain(closed).min()
    }
}

fn readable(pipe: Option<&impl AsFd>) -> bool {
    let Some(pipe) = pipe else { return false };
    let mut fds = [PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)];
    let now = Duration::ZERO.try_into().ok();
    poll(&mut fds, now.as_ref()).is_ok_and(|count| count > 0)
}

/// A line of its output. What is no message is somebody's `print`.
fn hear(mailbox: &Mailbox, name: &str, line: Line<'_>) {
    match line {
        Line::Whole(text) if text.iter().all(u8::is_ascii_whitespace) => {}
        Line::Whole(text) => match document::read(text) {
            Ok(document) => mailbox.receive(document, text),
            Err(why) if misheard(mailbox, name, Outline::of(text), &why) => {}
            Err(_) => mailbox.note("stdout", text),
        },
        Line::TooLong(outline) => {
            misheard(mailbox, name, outline, "it has more than 10 MB");
            mailbox.note("stdout", b"a message of more than 10 MB was left out");
        }
    }
}

/// What it said last may lack the line's end. If it is not whole, that it has died says more.
fn hear_last(mailbox: &Mailbox, name: &str, line: Line<'_>) {
    match line {
        Line::Whole(text) if document::read(text).is_err() => mailbox.note("stdout", text),
        line => hear(mailbox, name, line),
    }
}

fn misheard(mailbox: &Mailbox, name: &str, outline: Outline, why: &str) -> bool {
    let text = format!("the answer of the MCP server {name:?} cannot be read: {why}");
    mailbox.misheard(outline, Whose::Anyones, Error::new(Code::BadResponse, text))
}

fn note(mailbox: &Mailbox, line: &Line<'_>) {
    if let Line::Whole(text) = line
        && !text.is_empty()
    {
        mailbox.note("stderr", text);
    }
}

/// The line that tells most: Python ends with it, Lua begins with it, Node has it in the middle.
fn telling_line(words: &str) -> &str {
    let lines = || words.lines().map(str::trim).filter(|line| !line.is_empty());
    lines().find(|line| line.contains("rror")).or_else(|| lines().next()).unwrap_or(words)
}

fn described(ended: Ended) -> String {
    match ended {
        Ended::Exited(code) => format!("has ended with status {code}"),
        Ended::Killed(signal) => format!("was ended by signal {signal}"),
        Ended::Unknown => "has ended".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::sleep_ms;
    use crate::net::{Notifier, Waker};

    #[test]
    fn who_waits_hears_of_a_panic_in_the_thread() {
        let notifier = Notifier::new().unwrap();
        let mailbox = Mailbox::new(&[], Waker::new(&notifier, 0));
        let waker = Waker::new(&notifier, 7);
        mailbox.lock().expect(1);
        assert!(mailbox.lock().take(1, &waker).is_none());
        let inner = mailbox.clone();
        or_end(&mailbox, || {
            let _held = inner.lock();
            panic!("lost")
        });
        assert_eq!(notifier.take(), Some(7));
        let answer = mailbox.lock().take(1, &waker);
        assert!(matches!(answer, Some(Err(Trouble::Failed(e))) if e.code() == Code::Internal));
    }

    #[test]
    fn a_server_that_does_not_read_is_refused_more_than_fits() {
        let notifier = Notifier::new().unwrap();
        let mailbox = Mailbox::new(&[], Waker::new(&notifier, 0));
        let waker = Waker::new(&notifier, 7);
        let words = vec!["sleep".into(), "60".into()];
        let program = Program { words, cwd: None, env: Default::default() };
        let tended = Tended::start(program, mailbox.clone(), Clock::default()).unwrap();
        // So much that what fits into the pipe makes no room.
        let message = "x".repeat(MOST_WAITING + (1 << 20));
        tended.send(Letter { id: None, message, calls: false });
        for id in 1..=MOST_LETTERS as u64 + 1 {
            mailbox.lock().expect(id);
            tended.send(Letter { id: Some(id), message: id.to_string(), calls: true });
        }
        let last = MOST_LETTERS as u64 + 1;
        let refused = loop {
            match mailbox.lock().take(last, &waker) {
                Some(answer) => break answer,
                None => sleep_ms(5),
            }
        };
        assert!(matches!(refused, Err(Trouble::Failed(e)) if e.code() == Code::Network));
        assert!(mailbox.lock().take(1, &waker).is_none());
    }
}
