//! Short ways past the dispatcher, for the ordinary calls of functions that run all the time.
//!
//! A short way answers or it gives up, without a word: then the call goes through `call.rs` as any
//! other, so that errors and whatever is unusual have one place. A call that is answered here is
//! counted as any other.

mod decode;
mod encode;
mod memory;
pub mod reader;

use std::ffi::c_int;
use std::rc::Rc;

use mlua::ffi::{self, lua_State};

use crate::optimize::functions::FUNCTIONS;
use crate::output::Wanted;
use crate::value::Tape;

pub use memory::memory;

use super::bridge::{Entry, Run, Short};
use super::instance::Instance;
use super::push::Pushed;

/// Text that stays allocated between calls.
const KEPT_TEXT: usize = 1 << 20;

/// Buffers of one call. As a frame it belongs to nobody but a raw pointer while the call lasts: Lua
/// may raise, and finalisers may come here again.
#[derive(Default)]
pub struct Scratch {
    tape: Tape,
    text: Vec<u8>,
    wanted: Option<Rc<Wanted>>,
    found: Vec<Option<usize>>,
}

impl Scratch {
    fn clear(&mut self) {
        self.tape.clear();
        self.text.clear();
        self.text.shrink_to(KEPT_TEXT);
        self.wanted = None;
    }
}

/// Scratches kept for reuse.
#[derive(Default)]
pub struct Scratches {
    #[allow(clippy::vec_box)] // they leave and come back as raw pointers, so they must not move
    spare: Vec<Box<Scratch>>,
}

impl Scratches {
    const KEPT: usize = 2;

    fn take(&mut self) -> *mut Scratch {
        Box::into_raw(self.spare.pop().unwrap_or_default())
    }

    fn give(&mut self, mut scratch: Box<Scratch>) {
        if self.spare.len() < Scratches::KEPT {
            scratch.clear();
            self.spare.push(scratch);
        }
    }
}

/// Whether the answer may lie in the cache, which the long way looks into.
unsafe fn is_kept(l: *mut lua_State, instance: *mut Instance, entry: &'static Entry) -> bool {
    let Some(place) = entry.cached else { return false };
    let on = unsafe { (*instance).runtime.cache.is_on(place) };
    let least = FUNCTIONS.get(place).map_or(0, |function| function.from_bytes);
    on && unsafe {
        ffi::lua_type(l, 1) != ffi::LUA_TSTRING || ffi::lua_rawlen(l, 1) as usize >= least
    }
}

/// The number of results, which lie on the stack; `None` and a stack as before if the long way must
/// be taken.
///
/// # Safety
/// Called from a C function of this module with the running state; `instance` is alive and not
/// borrowed. Checks for the stack slots it needs beyond those that every C function has.
pub unsafe fn answer(
    l: *mut lua_State,
    instance: *mut Instance,
    entry: &'static Entry,
) -> Option<c_int> {
    unsafe {
        let Run::Short(short, _) = entry.function.run else { return None };
        with(l, instance, entry, |scratch| match short {
            Short::Parse => decode::parse(l, instance, scratch),
            Short::Format => encode::format(l, scratch),
            Short::Store | Short::Retrieve => None,
        })
    }
}

/// As [`answer`], of what `run` pushes. Lua may raise in it.
unsafe fn with(
    l: *mut lua_State,
    instance: *mut Instance,
    entry: &'static Entry,
    run: impl FnOnce(*mut Scratch) -> Option<Pushed>,
) -> Option<c_int> {
    unsafe {
        if is_kept(l, instance, entry) {
            return None;
        }
        let since = (*instance).begins();
        (*instance).expect(Some(entry));
        let top = ffi::lua_gettop(l);
        let scratch = (*instance).scratches.take();
        let results = run(scratch);
        (*instance).scratches.give(Box::from_raw(scratch));
        let Some(pushed) = results else {
            ffi::lua_settop(l, top);
            return None;
        };
        (*instance).metrics.called(entry.number);
        (*instance).pushed(pushed.slots);
        (*instance).took(entry.number, since);
        Some(pushed.count)
    }
}
