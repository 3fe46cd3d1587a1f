//! A document on a tape as Lua tables: in one walk over its nodes, each table at its exact size.

use std::ffi::{c_int, c_void};

use mlua::ffi::{self, lua_State};

use crate::lua::stack::{self, Meta};
use crate::value::tape::{Token, Walk};

use super::collector;

/// Slots that must be there before [`push`].
pub const SLOTS: usize = 8;

/// Levels of nesting between two checks of the stack. A level takes two slots: the table and the
/// name of the member.
const LEVELS: c_int = 8;

/// Nodes from which on the collector rests meanwhile: it would walk the tables that grow.
const LARGE: usize = 1000;

/// Pushes the document; null as a whole is nil.
///
/// # Safety
/// Called from a C function of this module. Needs [`SLOTS`] stack slots and checks for what it needs
/// beyond. May raise a memory error; nothing here has a destructor.
pub unsafe fn push(l: *mut lua_State, mut walk: Walk<'_>) {
    unsafe {
        let (nodes, mut first) = (walk.len(), walk);
        match first.next() {
            Token::Null => ffi::lua_pushnil(l),
            Token::Array(_) | Token::Object(_) if nodes >= LARGE && collector::rest(l, nodes) => {
                protected(l, &mut walk);
            }
            _ => {
                stack::push_meta(l, Meta::Array);
                let marks = ffi::lua_gettop(l);
                value(l, &mut walk, marks, 0);
                ffi::lua_remove(l, marks);
            }
        }
    }
}

/// Builds while the collector rests, which goes on also when building raises.
unsafe fn protected(l: *mut lua_State, walk: &mut Walk<'_>) {
    unsafe {
        ffi::lua_pushcfunction(l, build);
        stack::push_meta(l, Meta::Array);
        ffi::lua_pushlightuserdata(l, std::ptr::from_mut(walk).cast::<c_void>());
        let failed = ffi::lua_pcall(l, 2, 1, 0) != 0;
        collector::go_on(l);
        if failed {
            ffi::lua_error(l);
        }
    }
}

/// build(mark of arrays, walk) → the value
unsafe extern "C-unwind" fn build(l: *mut lua_State) -> c_int {
    unsafe {
        // The walk lives on the stack of `protected`, which waits for this call.
        let walk = &mut *ffi::lua_touserdata(l, 2).cast::<Walk<'_>>();
        value(l, walk, 1, 0);
        1
    }
}

/// Pushes the next value. Readers of text bound the nesting, and with it this recursion.
unsafe fn value(l: *mut lua_State, walk: &mut Walk<'_>, marks: c_int, level: c_int) {
    unsafe {
        match walk.next() {
            Token::Null => stack::push_null(l),
            Token::Bool(value) => ffi::lua_pushboolean(l, c_int::from(value)),
            Token::Int(n) => stack::push_int(l, n),
            Token::Float(n) => ffi::lua_pushnumber(l, n),
            Token::Str(bytes) => stack::push_bytes(l, bytes),
            Token::Array(len) => array(l, walk, len, marks, level),
            Token::Object(len) => object(l, walk, len, marks, level),
        }
    }
}

unsafe fn array(l: *mut lua_State, walk: &mut Walk<'_>, len: usize, marks: c_int, level: c_int) {
    unsafe {
        check(l, level);
        ffi::lua_createtable(l, len as c_int, 0);
        for i in 1..=len as i64 {
            value(l, walk, marks, level + 1);
            ffi::lua_rawseti(l, -2, i);
        }
        ffi::lua_pushvalue(l, marks);
        ffi::lua_setmetatable(l, -2);
    }
}

unsafe fn object(l: *mut lua_State, walk: &mut Walk<'_>, len: usize, marks: c_int, level: c_int) {
    unsafe {
        check(l, level);
        ffi::lua_createtable(l, 0, len as c_int);
        for _ in 0..len {
            stack::push_bytes(l, walk.name());
            value(l, walk, marks, level + 1);
            ffi::lua_rawset(l, -3);
        }
    }
}

/// Room for the levels up to the next check, and for what a value and a mark take on top.
unsafe fn check(l: *mut lua_State, level: c_int) {
    unsafe {
        if level % LEVELS == 0 {
            ffi::luaL_checkstack(l, 2 * LEVELS + 4, c"zigllms document".as_ptr());
        }
    }
}
