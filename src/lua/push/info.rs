//! What there is to say of a text that was valid: the second result of nearly every reading, which
//! hardly any caller takes. A C function cannot know, so it has to cost little.
//!
//! The lists of fixes and warnings are empty, and three tables would cost as much as a sixth of
//! reading a chat reply: they are made when they are first looked at.

use std::ffi::c_int;

use mlua::ffi::{self, lua_State};

use crate::lua::stack::{self, Meta};

/// Pushes `{format="json", recovered=false, start=…, stop=…}`.
///
/// # Safety
/// Called from a C function of this module. Needs 4 stack slots. May raise a memory error.
pub unsafe fn valid(l: *mut lua_State, start: usize, stop: usize) {
    unsafe {
        ffi::lua_createtable(l, 0, 4);
        stack::push_meta(l, Meta::Format);
        stack::push_meta(l, Meta::Json);
        ffi::lua_rawset(l, -3);
        stack::push_meta(l, Meta::Recovered);
        ffi::lua_pushboolean(l, 0);
        ffi::lua_rawset(l, -3);
        stack::push_meta(l, Meta::Start);
        stack::push_int(l, start as i64);
        ffi::lua_rawset(l, -3);
        stack::push_meta(l, Meta::Stop);
        stack::push_int(l, stop as i64);
        ffi::lua_rawset(l, -3);
        stack::push_meta(l, Meta::Info);
        ffi::lua_setmetatable(l, -2);
    }
}

/// Pushes the metatable of these tables.
///
/// # Safety
/// Needs 2 stack slots. May raise a memory error.
pub unsafe fn metatable(l: *mut lua_State) {
    unsafe {
        ffi::lua_createtable(l, 0, 1);
        ffi::lua_pushcfunction(l, list);
        ffi::lua_setfield(l, -2, c"__index".as_ptr());
    }
}

/// `__index(info, key)`: an empty list, kept, for the names of lists.
unsafe extern "C-unwind" fn list(l: *mut lua_State) -> c_int {
    unsafe {
        let named = ffi::lua_type(l, 2) == ffi::LUA_TSTRING
            && matches!(stack::bytes(l, 2), b"fixes" | b"warnings");
        if !named || ffi::lua_type(l, 1) != ffi::LUA_TTABLE {
            return 0;
        }
        ffi::lua_settop(l, 2);
        ffi::lua_createtable(l, 0, 0);
        ffi::lua_pushvalue(l, 2);
        ffi::lua_pushvalue(l, 3);
        ffi::lua_rawset(l, 1);
        1
    }
}
