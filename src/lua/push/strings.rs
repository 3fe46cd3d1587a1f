//! Short strings seen lately, kept as Lua strings.
//!
//! The names of members come again and again, in one document and from one answer of a server to
//! the next, and so do words like "assistant". Lua finds a string it has by hashing and comparing
//! its bytes; to find it here takes a third of that.

use std::ffi::c_int;

use mlua::ffi::{self, lua_State};

use crate::lua::stack;

/// Strings remembered; the Lua table of them has as many items.
pub const PLACES: usize = 256;

/// Where the Lua table lies in the table of slots, whose slots count from 1.
pub const IN_SLOTS: i64 = 0;

/// Longest string remembered.
const LONGEST: usize = 32;

/// A string of up to 32 bytes: its beginning and its end, which overlap, say all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Key {
    first: u128,
    last: u128,
    len: usize,
}

impl Key {
    #[inline(always)]
    fn of(bytes: &[u8]) -> Option<Key> {
        let len = bytes.len();
        let (first, last) = match len {
            16..=LONGEST => (
                u128::from_le_bytes(*bytes.first_chunk()?),
                u128::from_le_bytes(*bytes.last_chunk()?),
            ),
            8..16 => (
                u64::from_le_bytes(*bytes.first_chunk()?).into(),
                u64::from_le_bytes(*bytes.last_chunk()?).into(),
            ),
            4..8 => (
                u32::from_le_bytes(*bytes.first_chunk()?).into(),
                u32::from_le_bytes(*bytes.last_chunk()?).into(),
            ),
            2..4 => (
                u16::from_le_bytes(*bytes.first_chunk()?).into(),
                u16::from_le_bytes(*bytes.last_chunk()?).into(),
            ),
            _ => return None,
        };
        Some(Key { first, last, len })
    }

    /// Which place it goes to.
    #[inline(always)]
    fn place(&self) -> usize {
        let mixed = (self.first as u64)
            ^ (self.last as u64).rotate_left(23)
            ^ ((self.last >> 64) as u64).rotate_left(41)
            ^ self.len as u64;
        (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize % PLACES
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    key: Key,
    /// The Lua table has it. What was seen once only is not kept: most strings come once.
    kept: bool,
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
            let Some(key) = Key::of(bytes) else { return stack::push_bytes(l, bytes) };
            let place = key.place();
            match self.seen.get(place) {
                Some(seen) if seen.kept && seen.key == key => {
                    stack::push_item(l, table, place as i64 + 1);
                }
                _ => self.meet(l, table, bytes, key),
            }
        }
    }

    /// Pushes a string that is not kept, and keeps it if it has been seen before.
    #[cold]
    #[inline(never)]
    unsafe fn meet(&mut self, l: *mut lua_State, table: c_int, bytes: &[u8], key: Key) {
        unsafe {
            stack::push_bytes(l, bytes);
            let place = key.place();
            let Some(seen) = self.seen.get_mut(place) else { return };
            let kept = seen.key == key;
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
