//! The machines that are under way in one Lua state, and what wakes them: posted tokens and
//! timers. Waiting itself happens at the edge, in the host's way.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use crate::chunk::Pipe;
use crate::clock::{Clock, Moment};
use crate::error::{Error, Result};
use crate::net::{Notifier, Waker, Woke};
use crate::step::{Machine, Operation, Output, Token};

/// A machine under way.
pub struct Running {
    /// Taken out while it is being stepped.
    pub machine: Option<Box<dyn Machine>>,
    /// The machine or call around it; 0 at the outermost.
    pub parent: Token,
    /// Those it runs now, in order.
    pub children: Vec<Token>,
    /// Kept here for the parent.
    pub output: Option<Result<Output>>,
    /// Whether a parent machine reads the output.
    pub inner: bool,
}

#[derive(Default)]
pub struct Tasks {
    last: Token,
    running: HashMap<Token, Running>,
    timers: BinaryHeap<Reverse<(Moment, Token)>>,
    pipes: HashMap<Token, Pipe>,
    notifier: Option<Arc<Notifier>>,
    stops: VecDeque<(Token, String)>,
}

/// What [`Tasks::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Token(Token),
    /// An operation is to end, for the reason given.
    Stop(Token, String),
    /// Nothing until the time limit.
    Nothing,
    /// A signal came: the interpreter wants to look at it.
    Interrupted,
}

impl Tasks {
    pub fn token(&mut self) -> Token {
        self.last += 1;
        self.last
    }

    pub fn start(&mut self, operation: Operation, parent: Token, inner: bool) -> Token {
        let token = self.token();
        let machine = Some(operation.machine);
        self.running.insert(token, Running { machine, parent, children: Vec::new(), output: None, inner });
        token
    }

    pub fn get_mut(&mut self, token: Token) -> Option<&mut Running> {
        self.running.get_mut(&token)
    }

    pub fn remove(&mut self, token: Token) -> Option<Running> {
        self.running.remove(&token)
    }

    /// Whether the machine `token` or one around it holds the conversation `key`.
    pub fn holds(&self, mut token: Token, key: &str) -> bool {
        while let Some(running) = self.running.get(&token) {
            if running.machine.as_ref().and_then(|m| m.holds()) == Some(key) {
                return true;
            }
            token = running.parent;
        }
        false
    }

    /// All tokens of machines under way.
    pub fn all(&self) -> Vec<Token> {
        self.running.keys().copied().collect()
    }

    /// Opened at the first need: requiring the module must open no file.
    pub fn notifier(&mut self) -> Result<Arc<Notifier>> {
        if let Some(notifier) = self.notifier.as_ref().filter(|n| !n.is_inherited()) {
            return Ok(notifier.clone());
        }
        let opened = Notifier::new()
            .map_err(|e| Error::new(crate::error::Code::IoError, format!("cannot open a notifier: {e}")))?;
        self.notifier = Some(opened.clone());
        Ok(opened)
    }

    /// Wakes the machine `token` from any thread.
    pub fn waker(&mut self, token: Token) -> Result<Waker> {
        Ok(Waker::new(&self.notifier()?, token))
    }

    /// Makes a token ready now.
    pub fn post(&mut self, token: Token) -> Result<()> {
        self.notifier()?.post(token);
        Ok(())
    }

    /// Asks for the end of an operation; the edge tells it at the next turn.
    pub fn stop(&mut self, token: Token, reason: &str) {
        self.stops.push_back((token, reason.to_owned()));
    }

    pub fn timer(&mut self, at: Moment, token: Token) {
        self.timers.push(Reverse((at, token)));
    }

    /// The next ready token; waits for one at most until `limit` (`None`: as long as it takes).
    pub fn next(&mut self, clock: &Clock, limit: Option<Moment>) -> Result<Next> {
        loop {
            if let Some((token, reason)) = self.stops.pop_front() {
                return Ok(Next::Stop(token, reason));
            }
            if let Some(token) = self.ready(clock.now()) {
                return Ok(Next::Token(token));
            }
            let now = clock.now();
            if limit.is_some_and(|limit| limit <= now) {
                return Ok(Next::Nothing);
            }
            let until = [limit, self.first_timer()].into_iter().flatten().min();
            let woke = self.notifier()?.wait(until.map(|moment| now.until(moment)));
            if woke == Woke::Interrupted {
                return Ok(Next::Interrupted);
            }
        }
    }

    fn ready(&mut self, now: Moment) -> Option<Token> {
        if self.first_timer().is_some_and(|at| at <= now) {
            return self.timers.pop().map(|Reverse((_, token))| token);
        }
        self.notifier.as_ref()?.take()
    }

    /// When the earliest timer is due.
    pub fn first_timer(&self) -> Option<Moment> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    pub fn open_pipe(&mut self) -> Token {
        let token = self.token();
        self.pipes.insert(token, Pipe::default());
        token
    }

    pub fn pipe(&mut self, token: Token) -> Option<&mut Pipe> {
        self.pipes.get_mut(&token)
    }

    pub fn close_pipe(&mut self, token: Token) {
        self.pipes.remove(&token);
    }
}
