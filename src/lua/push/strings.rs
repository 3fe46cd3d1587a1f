//! Short strings seen lately, kept as Lua strings.
//!
//! The names of members come again and again, in one document and from one answer of a server to
//! the next, and so do words like "assistant". Lua finds a string it has by hashing and comparing
//! its bytes; to find it here takes a third of that.

use std::ffi::c_int;

use mlua::ffi::{self, lua_State};

use crate::lua::stack;
use crate::value::Brief;

/// Strings remembered; the Lua table of them has as many items.
pub const PLACES: usize = 256;

/// Where the Lua table lies in the table of slots, whose slots count from 1.
pub const IN_SLOTS: i64 = 0;

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    key: Brief,
    /// The Lua table has it. What was seen once only is not kept: most strings come once.
    kept: bool,
}

/// Which place it goes to; its neighbour is the other one that it may have.
#[inline(always)]
fn place_of(key: &Brief) -> usize {
    key.hash() as usize % PLACES
}

#[derive(Debug)]
pub struct Strings {
    seen: [Seen; PLACES],
}

impl Default for Strings {
    fn default() -> Strings {
        Strings { seen: [Seen::default(); PLACES] }
    }
}

impl Strings {
    /// Pushes a string.
    ///
    /// # Safety
    /// The table of strings lies at `table`. Needs 2 stack slots. May raise a memory error, and may
    /// run finalisers that come here again: a place and its string are set together, behind that.
    #[inline(always)]
    pub unsafe fn push(&mut self, l: *mut lua_State, table: c_int, bytes: &[u8]) {
        unsafe {
            let Some(key) = Brief::of(bytes) else { return stack::push_bytes(l, bytes) };
            let place = place_of(&key);
            match self.keeps(place, &key) {
                true => stack::push_item(l, table, place as i64 + 1),
                false => self.look_beside(l, table, bytes, key),
            }
        }
    }

    #[inline(always)]
    fn keeps(&self, place: usize, key: &Brief) -> bool {
        self.seen.get(place).is_some_and(|seen| seen.kept && seen.key.is(key))
    }

    fn is_free(&self, place: usize) -> bool {
        self.seen.get(place).is_some_and(|seen| !seen.kept)
    }

    /// Pushes a string that is not in its first place.
    #[cold]
    #[inline(never)]
    unsafe fn look_beside(&mut self, l: *mut lua_State, table: c_int, bytes: &[u8], key: Brief) {
        unsafe {
            let beside = place_of(&key) ^ 1;
            match self.keeps(beside, &key) {
                true => stack::push_item(l, table, beside as i64 + 1),
                false => self.meet(l, table, bytes, key),
            }
        }
    }

    /// Pushes a string that is not kept, and keeps it if it has been seen before. Two that come again
    /// and again have room beside each other.
    unsafe fn meet(&mut self, l: *mut lua_State, table: c_int, bytes: &[u8], key: Brief) {
        unsafe {
            stack::push_bytes(l, bytes);
            let first = place_of(&key);
            let place =
                if self.is_free(first) || !self.is_free(first ^ 1) { first } else { first ^ 1 };
            let Some(seen) = self.seen.get_mut(place) else { return };
            let kept = seen.key.is(&key);
            if kept {
                ffi::lua_pushvalue(l, -1);
                ffi::lua_rawseti(l, table, place as i64 + 1);
            }
            *seen = Seen { key, kept };
        }
    }
}

/// Makes the Lua table of strings, in the table of slots on top of the stack.
///
/// # Safety
/// Needs 3 stack slots. May raise a memory error.
pub unsafe fn prepare(l: *mut lua_State) {
    unsafe {
        ffi::lua_createtable(l, PLACES as c_int, 0);
        for place in 1..=PLACES as i64 {
            ffi::lua_pushboolean(l, 0);
            ffi::lua_rawseti(l, -2, place);
        }
        ffi::lua_rawseti(l, -2, IN_SLOTS);
    }
}
