//! `output.format(value, "json")` without options: text straight from the Lua tables, in one raw
//! walk. Whatever is not plain (errors, cycles, integer keys of objects, values of other libraries)
//! is left to the long way, which has the rules.

use std::ffi::{c_int, c_void};

use mlua::ffi::{self, lua_State};

use crate::lua::foreign::{self, Foreign};
use crate::lua::push::Pushed;
use crate::lua::read::MAX_VALUES;
use crate::lua::stack::{self, Meta};
use crate::value::{MAX_DEPTH, json};

use super::Scratch;

/// Levels of nesting between two checks of the stack. A level takes two slots: key and value.
const LEVELS: c_int = 8;

/// Levels that the slots suffice for which every C function has.
const LEVELS_AT_HAND: c_int = 6;

/// What looking at a metatable takes on top, and the key behind the last level.
const ROOM: c_int = 8;

/// # Safety
/// As [`super::answer`]; `scratch` is alive and not borrowed.
pub unsafe fn format(l: *mut lua_State, scratch: *mut Scratch) -> Option<Pushed> {
    unsafe {
        if !is_json(l, 2) || !matches!(ffi::lua_type(l, 3), ffi::LUA_TNIL | ffi::LUA_TNONE) {
            return None;
        }
        ffi::lua_settop(l, 1);
        stack::push_meta(l, Meta::Array);
        let arrays = ffi::lua_topointer(l, -1);
        ffi::lua_settop(l, 1);
        let out = &mut (*scratch).text;
        let mut writer = Writer { l, out, arrays, values: 0, room: LEVELS_AT_HAND };
        if !writer.value(1, 0) {
            return None;
        }
        let slots = (2 * writer.room + ROOM) as usize;
        ffi::lua_settop(l, 1);
        stack::push_bytes(l, &(*scratch).text);
        Some(Pushed { count: 1, slots })
    }
}

/// Whether the argument is absent or says JSON.
unsafe fn is_json(l: *mut lua_State, index: c_int) -> bool {
    unsafe {
        match ffi::lua_type(l, index) {
            ffi::LUA_TNIL | ffi::LUA_TNONE => true,
            ffi::LUA_TSTRING => stack::bytes(l, index).eq_ignore_ascii_case(b"json"),
            _ => false,
        }
    }
}

struct Writer<'s> {
    l: *mut lua_State,
    out: &'s mut Vec<u8>,
    /// The metatable that marks arrays.
    arrays: *const c_void,
    values: usize,
    /// Levels of nesting for which the stack has room.
    room: c_int,
}

/// All of these are false when the long way must be taken, and leave on the stack what they have.
impl Writer<'_> {
    /// Writes the value at `index`, which is absolute and the top.
    #[inline(always)]
    unsafe fn value(&mut self, index: c_int, level: c_int) -> bool {
        unsafe {
            self.values += 1;
            match ffi::lua_type(self.l, index) {
                ffi::LUA_TSTRING => json::put_text(self.out, stack::bytes(self.l, index)),
                ffi::LUA_TNUMBER => json::put_number(self.out, self.number(index)),
                ffi::LUA_TTABLE => self.table(index, level),
                ffi::LUA_TBOOLEAN => {
                    let value = ffi::lua_toboolean(self.l, index) != 0;
                    self.put(if value { b"true" } else { b"false" })
                }
                ffi::LUA_TNIL => self.put(b"null"),
                ffi::LUA_TLIGHTUSERDATA if ffi::lua_touserdata(self.l, index).is_null() => {
                    self.put(b"null")
                }
                _ => false,
            }
        }
    }

    #[inline(always)]
    fn put(&mut self, word: &[u8]) -> bool {
        self.out.extend_from_slice(word);
        true
    }

    unsafe fn number(&self, index: c_int) -> json::Number {
        unsafe {
            match stack::number(self.l, index) {
                stack::Number::Int(n) => json::Number::Int(n),
                stack::Number::Float(n) => json::Number::Float(n),
            }
        }
    }

    /// A table that contains itself is nested too deeply. It is on top, so what is pushed comes
    /// right above it; its first key tells what it is.
    #[inline(never)]
    unsafe fn table(&mut self, index: c_int, level: c_int) -> bool {
        unsafe {
            if level >= MAX_DEPTH as c_int || self.values >= MAX_VALUES || !self.has_room(level) {
                return false;
            }
            let (mark, key) = (self.mark(index), index + 1);
            ffi::lua_pushnil(self.l);
            if ffi::lua_next(self.l, index) == 0 {
                return self.put(if mark == Foreign::Array { b"[]" } else { b"{}" });
            }
            let named = ffi::lua_type(self.l, key) == ffi::LUA_TSTRING;
            match mark {
                Foreign::Array => self.array(key, level),
                Foreign::Object => self.object(key, level),
                _ if named => self.object(key, level),
                _ => self.array(key, level),
            }
        }
    }

    #[inline(always)]
    unsafe fn has_room(&mut self, level: c_int) -> bool {
        unsafe { level < self.room || self.more_room() }
    }

    #[cold]
    unsafe fn more_room(&mut self) -> bool {
        unsafe {
            self.room += LEVELS;
            stack::grow(self.l, 2 * LEVELS + ROOM)
        }
    }

    /// As `foreign::mark`, quicker for our own arrays.
    unsafe fn mark(&self, index: c_int) -> Foreign {
        unsafe {
            if ffi::lua_getmetatable(self.l, index) == 0 {
                return Foreign::None;
            }
            let ours = ffi::lua_topointer(self.l, -1) == self.arrays;
            ffi::lua_pop(self.l, 1);
            if ours { Foreign::Array } else { foreign::mark(self.l, index) }
        }
    }

    /// Writes a table whose keys come as 1, 2, 3: they do where no key lies in the hash part. The
    /// first one is at `key`, with its value above it.
    unsafe fn array(&mut self, key: c_int, level: c_int) -> bool {
        unsafe {
            self.out.push(b'[');
            let mut last = 1i64;
            loop {
                if !stack::is_integer(self.l, key, last) || !self.value(key + 1, level + 1) {
                    return false;
                }
                ffi::lua_settop(self.l, key);
                if ffi::lua_next(self.l, key - 1) == 0 {
                    return self.put(b"]");
                }
                self.out.push(b',');
                last += 1;
            }
        }
    }

    /// As [`Writer::array`], for names.
    unsafe fn object(&mut self, key: c_int, level: c_int) -> bool {
        unsafe {
            self.out.push(b'{');
            loop {
                if !self.name(key) || !self.value(key + 1, level + 1) {
                    return false;
                }
                ffi::lua_settop(self.l, key);
                if ffi::lua_next(self.l, key - 1) == 0 {
                    return self.put(b"}");
                }
                self.out.push(b',');
            }
        }
    }

    /// Names that are integers may come twice, as 1 and as "1": the long way sees to that.
    unsafe fn name(&mut self, key: c_int) -> bool {
        unsafe {
            self.values += 1;
            let text = ffi::lua_type(self.l, key) == ffi::LUA_TSTRING
                && json::put_text(self.out, stack::bytes(self.l, key));
            self.out.push(b':');
            text
        }
    }
}
