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
    inside: Vec<u64>,
    waiting: VecDeque<(u64, Waker)>,
}

impl State {
    /// Those whose turn has come get in at once, so that nobody slips in before they wake.
    fn call(&mut self, most: usize) {
        while self.inside.len() < most
            && let Some((number, waker)) = self.waiting.pop_front()
        {
            self.inside.push(number);
            waker.wake();
        }
    }
}

/// A place in line, or inside. It is given up by dropping it.
pub struct Turn {
    tool: Rc<Tool>,
    number: u64,
    /// By which calls inside of this one know it.
    key: String,
}

impl Turn {
    /// Of a call of the tool; `None` if there is no limit.
    pub fn take(tool: &Rc<Tool>, runtime: &mut Runtime, me: Token) -> Result<Option<Turn>> {
        let Some(most) = most(tool) else { return Ok(None) };
        let key = format!("tool at {:p}", Rc::as_ptr(tool));
        let mut state = tool.stats.gate.0.borrow_mut();
        state.last += 1;
        let number = state.last;
        if state.inside.len() < most {
            state.inside.push(number);
        } else {
            let around = runtime.tasks.get_mut(me).map_or(0, |running| running.parent);
            if runtime.tasks.holds(around, &key) {
                return Err(nested(&tool.name, most));
            }
            state.waiting.push_back((number, runtime.tasks.waker(me)?));
        }
        Ok(Some(Turn { tool: tool.clone(), number, key }))
    }

    pub fn has_come(&self) -> bool {
        self.tool.stats.gate.0.borrow().inside.contains(&self.number)
    }

    pub fn key(&self) -> &str {
        &self.key
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.tool.stats.gate.0.borrow_mut();
        state.waiting.retain(|(number, _)| *number != self.number);
        state.inside.retain(|number| *number != self.number);
        state.call(most(&self.tool).unwrap_or(usize::MAX));
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
