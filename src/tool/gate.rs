//! `max_concurrency`: so many calls of a tool at once, the others wait their turn.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::Tool;
use crate::error::{Error, Result};
use crate::net::Waker;
use crate::runtime::Runtime;
use crate::step::Token;

/// Who is inside and who waits, by numbers that are given once.
#[derive(Debug, Default)]
pub struct Gate(RefCell<State>);

#[derive(Debug, Default)]
struct State {
    last: u64,
    /// With the machine of each.
    inside: Vec<(u64, Token)>,
    waiting: VecDeque<(u64, Token, Waker)>,
}

/// The places in line at all tools of an instance.
pub type Queue = Rc<RefCell<Vec<Place>>>;

/// Whose call of which tool waits.
#[derive(Debug)]
pub struct Place {
    token: Token,
    number: u64,
    tool: Rc<Tool>,
}

impl State {
    /// Those whose turn has come get in at once, so that nobody slips in before they wake.
    fn call(&mut self, most: usize) {
        while self.inside.len() < most
            && let Some((number, token, waker)) = self.waiting.pop_front()
        {
            self.inside.push((number, token));
            waker.wake();
        }
    }

    fn waits(&self, number: u64) -> bool {
        self.waiting.iter().any(|(waiting, ..)| *waiting == number)
    }
}

/// A place in line, or inside. It is given up by dropping it.
pub struct Turn {
    tool: Rc<Tool>,
    number: u64,
    /// By which calls inside of this one know it.
    key: String,
    queue: Queue,
}

impl Turn {
    /// Of a call of the tool; `None` if there is no limit.
    pub fn take(tool: &Rc<Tool>, runtime: &mut Runtime, me: Token) -> Result<Option<Turn>> {
        let Some(most) = most(tool) else { return Ok(None) };
        let key = format!("tool at {:p}", Rc::as_ptr(tool));
        let number = tool.stats.gate.next();
        if tool.stats.gate.is_full(most) {
            let around = runtime.tasks.get_mut(me).map_or(0, |running| running.parent);
            if runtime.tasks.holds(around, &key) {
                return Err(nested(&tool.name, most));
            }
            if let Some(names) = Knot::around(runtime, me).tie(tool) {
                return Err(knotted(&names));
            }
            let waker = runtime.tasks.waker(me)?;
            tool.stats.gate.0.borrow_mut().waiting.push_back((number, me, waker));
            runtime.tools.queue.borrow_mut().push(Place { token: me, number, tool: tool.clone() });
        } else {
            tool.stats.gate.0.borrow_mut().inside.push((number, me));
        }
        let queue = runtime.tools.queue.clone();
        Ok(Some(Turn { tool: tool.clone(), number, key, queue }))
    }

    pub fn has_come(&self) -> bool {
        self.tool.stats.gate.0.borrow().inside.iter().any(|(number, _)| *number == self.number)
    }

    pub fn key(&self) -> &str {
        &self.key
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let here =
            |place: &Place| Rc::ptr_eq(&place.tool, &self.tool) && place.number == self.number;
        self.queue.borrow_mut().retain(|place| !here(place));
        let mut state = self.tool.stats.gate.0.borrow_mut();
        state.waiting.retain(|(number, ..)| *number != self.number);
        state.inside.retain(|(number, _)| *number != self.number);
        state.call(most(&self.tool).unwrap_or(usize::MAX));
    }
}

impl Gate {
    fn next(&self) -> u64 {
        let mut state = self.0.borrow_mut();
        state.last += 1;
        state.last
    }

    fn is_full(&self, most: usize) -> bool {
        self.0.borrow().inside.len() >= most
    }
}

/// Calls that wait for each other: each is inside one of the tools, and waits for another one.
struct Knot<'r> {
    runtime: &'r Runtime,
    /// The call that would wait now, and those around it.
    mine: Vec<Token>,
}

impl<'r> Knot<'r> {
    fn around(runtime: &'r Runtime, me: Token) -> Knot<'r> {
        let mine = std::iter::once(me).chain(runtime.tasks.above(me)).collect();
        Knot { runtime, mine }
    }

    /// The tools, if waiting for this one would never end. Nobody waits for a call that is inside no
    /// tool: that is the usual case, however long the queue.
    fn tie(&self, tool: &Rc<Tool>) -> Option<Vec<String>> {
        let holds = |token: &Token| self.runtime.tasks.machine_holds(*token);
        if !self.mine.iter().any(holds) {
            return None;
        }
        let mut path = Vec::new();
        self.never_ends(tool, &mut path)
            .then(|| path.iter().map(|tool| format!("{:?}", tool.name)).collect())
    }

    /// Whether nobody can come out of it any more, as everybody inside waits.
    fn never_ends(&self, tool: &Rc<Tool>, path: &mut Vec<Rc<Tool>>) -> bool {
        if path.iter().any(|known| Rc::ptr_eq(known, tool)) {
            return true;
        }
        path.push(tool.clone());
        let stays = |token| self.mine.contains(&token) || self.waits(token, path);
        let inside = tool.stats.gate.0.borrow().inside.clone();
        inside.into_iter().map(|(_, token)| token).all(stays)
    }

    /// Whether a call in `token` waits where nobody comes out.
    fn waits(&self, token: Token, path: &mut Vec<Rc<Tool>>) -> bool {
        let queue = self.runtime.tools.queue.borrow();
        let inside = |place: &&Place| {
            self.runtime.tasks.is_within(place.token, token)
                && place.tool.stats.gate.0.borrow().waits(place.number)
        };
        queue.iter().filter(inside).any(|place| self.never_ends(&place.tool, path))
    }
}

fn most(tool: &Tool) -> Option<usize> {
    tool.number("max_concurrency").map(|most| most as usize)
}

/// It would wait for the call that it is a part of.
fn nested(name: &str, most: usize) -> Error {
    Error::state(format!(
        "tool {name:?} is called inside a call of itself, and max_concurrency={most} leaves no room for it"
    ))
}

/// It would wait for calls that wait for it.
fn knotted(names: &[String]) -> Error {
    Error::state(format!(
        "calls of the tools {} would wait for each other for ever: their max_concurrency leaves no room",
        names.join(", ")
    ))
}
