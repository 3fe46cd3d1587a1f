//! A document on a tape as Lua tables: in one walk over its nodes, each table at its exact size.

use std::ffi::{c_int, c_void};

use mlua::ffi::{self, lua_State};

use crate::lua::instance::Instance;
use crate::lua::stack::{self, Meta};
use crate::value::tape::{Token, Walk};

use super::strings::{self, Strings};
use super::{collector, overflow};

/// Slots that must be there before [`push`].
pub const SLOTS: usize = slots(LEVELS_AT_HAND) as usize;

/// Levels of nesting for which these suffice.
const LEVELS_AT_HAND: c_int = 5;

/// The tables of strings and marks, the levels, and what a value and a mark take on top.
const fn slots(levels: c_int) -> c_int {
    3 + 2 * levels + 3
}

/// Levels of nesting between two checks of the stack. A level takes two slots: the table and the
/// name of the member.
const LEVELS: c_int = 8;

/// Nodes from which on a document is large: the collector rests.
const LARGE: usize = 1000;

/// Longest value that is likely to come again.
const WORD: usize = 12;

/// What building takes from one Lua function to another.
struct Work<'t> {
    walk: Walk<'t>,
    strings: *mut Strings,
    /// Levels of nesting for which the stack has room.
    room: c_int,
    /// The deepest level that had a table; those at hand are not told apart.
    deepest: c_int,
}

/// Pushes the document; null as a whole is nil.
///
/// # Safety
/// Called from a C function of this module. Needs [`SLOTS`] stack slots and checks for what it needs
/// beyond. May raise a memory error and `overflow`; nothing here has a destructor.
pub unsafe fn push(l: *mut lua_State, walk: Walk<'_>) {
    unsafe {
        if walk.is_null() {
            return ffi::lua_pushnil(l);
        }
        let instance = stack::instance(l);
        let strings = std::ptr::from_mut(&mut (*instance).strings);
        let mut work = Work { walk, strings, room: LEVELS_AT_HAND, deepest: LEVELS_AT_HAND - 1 };
        stack::push_meta(l, Meta::Array);
        stack::push_slot(l, strings::IN_SLOTS);
        stack::push_meta(l, Meta::Object);
        if walk.nodes_left() < LARGE {
            let tables = ffi::lua_gettop(l) - 2;
            work.build(l, tables);
            ffi::lua_replace(l, tables);
            ffi::lua_settop(l, tables);
            return took(instance, work.deepest + 1);
        }
        let rests = collector::rest(l, walk.nodes_left());
        for which in 1..=stack::UPVALUES {
            ffi::lua_pushvalue(l, stack::upvalue(which));
        }
        ffi::lua_pushcclosure(l, large, stack::UPVALUES);
        ffi::lua_insert(l, -4);
        ffi::lua_pushlightuserdata(l, std::ptr::from_mut(&mut work).cast::<c_void>());
        // The collector goes on also when building raises.
        let failed = ffi::lua_pcall(l, 4, 1, 0) != 0;
        if rests {
            collector::go_on(l);
        }
        if failed {
            ffi::lua_error(l);
        }
        took(instance, work.deepest + 1);
    }
}

/// large(mark of arrays, strings, mark of objects, work) → the value.
unsafe extern "C-unwind" fn large(l: *mut lua_State) -> c_int {
    unsafe {
        // The work lies on the stack of `push`, which waits for this call.
        let work = &mut *ffi::lua_touserdata(l, 4).cast::<Work<'_>>();
        work.build(l, 1);
        1
    }
}

impl Work<'_> {
    unsafe fn build(&mut self, l: *mut lua_State, tables: c_int) {
        unsafe { Builder { l, work: self, tables }.value(0) }
    }

    /// Asks for room for more levels: for as many as the function is known to need, at once, if they
    /// are to be had.
    unsafe fn grow(&mut self, l: *mut lua_State) -> bool {
        unsafe {
            let hint = (*stack::instance(l)).pushing.hint;
            let foretold = (hint.saturating_sub(slots(0) as usize) / 2) as c_int - self.room;
            let levels = if foretold > LEVELS && stack::grow(l, slots(foretold)) {
                foretold
            } else if stack::grow(l, slots(LEVELS)) {
                LEVELS
            } else {
                return false;
            };
            self.room += levels;
            true
        }
    }
}

/// Tells what a document has taken.
unsafe fn took(instance: *mut Instance, levels: c_int) {
    unsafe {
        let pushing = &mut (*instance).pushing;
        pushing.used = pushing.used.max(slots(levels) as usize);
    }
}

struct Builder<'b, 't> {
    l: *mut lua_State,
    work: &'b mut Work<'t>,
    /// Where the mark of arrays lies on the stack; above it the strings, then the mark of objects.
    tables: c_int,
}

impl Builder<'_, '_> {
    /// Pushes the next value.
    #[inline(always)]
    unsafe fn value(&mut self, level: c_int) {
        unsafe {
            match self.work.walk.take() {
                Token::Null => stack::push_null(self.l),
                Token::Bool(value) => ffi::lua_pushboolean(self.l, c_int::from(value)),
                Token::Int(n) => stack::push_int(self.l, n),
                Token::Float(n) => ffi::lua_pushnumber(self.l, n),
                Token::Str(bytes) if bytes.len() > WORD => stack::push_bytes(self.l, bytes),
                Token::Str(bytes) => self.string(bytes),
                table => self.table(table, level),
            }
        }
    }

    /// Pushes a table. Readers of text bound the nesting, and with it this recursion.
    #[inline(never)]
    unsafe fn table(&mut self, table: Token<'_>, level: c_int) {
        unsafe {
            match table {
                Token::Array(len) => self.array(len, level),
                Token::Object(0) => self.nothing(),
                Token::Object(len) => self.object(len, level),
                _ => ffi::lua_createtable(self.l, 0, 0),
            }
        }
    }

    unsafe fn array(&mut self, len: usize, level: c_int) {
        unsafe {
            self.check(level);
            ffi::lua_createtable(self.l, len as c_int, 0);
            for i in 1..=len as i64 {
                self.value(level + 1);
                ffi::lua_rawseti(self.l, -2, i);
            }
            ffi::lua_pushvalue(self.l, self.tables);
            ffi::lua_setmetatable(self.l, -2);
        }
    }

    /// An object without members says that it is one: as a table it could be an array.
    unsafe fn nothing(&mut self) {
        unsafe {
            ffi::lua_createtable(self.l, 0, 0);
            ffi::lua_pushvalue(self.l, self.tables + 2);
            ffi::lua_setmetatable(self.l, -2);
        }
    }

    unsafe fn object(&mut self, len: usize, level: c_int) {
        unsafe {
            self.check(level);
            ffi::lua_createtable(self.l, 0, len as c_int);
            for _ in 0..len {
                let name = self.work.walk.name();
                self.string(name);
                self.value(level + 1);
                ffi::lua_rawset(self.l, -3);
            }
        }
    }

    /// A string that may have come before.
    #[inline(always)]
    unsafe fn string(&mut self, bytes: &[u8]) {
        unsafe { (*self.work.strings).push(self.l, self.tables + 1, bytes) }
    }

    /// Room for a table on this level, with what is in it.
    #[inline(always)]
    unsafe fn check(&mut self, level: c_int) {
        unsafe {
            if level > self.work.deepest {
                self.deeper(level);
            }
        }
    }

    #[cold]
    unsafe fn deeper(&mut self, level: c_int) {
        unsafe {
            self.work.deepest = level;
            if level >= self.work.room && !self.work.grow(self.l) {
                overflow(self.l, stack::instance(self.l));
            }
        }
    }
}
