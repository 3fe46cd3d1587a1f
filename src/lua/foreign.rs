//! Marks on tables and null values, ours and those of lua-cjson and Neovim.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_void};

use mlua::ffi::{self, lua_State};

use super::stack::{self, Meta};

/// What a value says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Nothing special.
    None,
    Null,
    Array,
    Object,
    Callable,
}

/// The mark of a table: `__jsontype`, `__call`, or a metatable of lua-cjson or Neovim.
///
/// # Safety
/// `index` is absolute. Called from a C function of this module. Needs 4 stack slots.
pub unsafe fn mark(l: *mut lua_State, index: c_int) -> Foreign {
    unsafe {
        if ffi::lua_getmetatable(l, index) == 0 {
            return Foreign::None;
        }
        let mark = match own_mark(l) {
            Foreign::None => known_metatable(l, ffi::lua_topointer(l, -1)),
            mark => mark,
        };
        ffi::lua_pop(l, 1);
        mark
    }
}

/// Whether the value is a table with a metatable that is no mark: a copy of it would lack something.
///
/// # Safety
/// As [`mark`].
pub unsafe fn has_class(l: *mut lua_State, index: c_int) -> bool {
    unsafe {
        if ffi::lua_type(l, index) != ffi::LUA_TTABLE || ffi::lua_getmetatable(l, index) == 0 {
            return false;
        }
        ffi::lua_pop(l, 1);
        matches!(mark(l, index), Foreign::None | Foreign::Callable)
    }
}

/// Reads the metatable on top of the stack.
unsafe fn own_mark(l: *mut lua_State) -> Foreign {
    unsafe {
        stack::push_meta(l, Meta::Array);
        let ours = ffi::lua_rawequal(l, -1, -2) != 0;
        ffi::lua_pop(l, 1);
        if ours {
            return Foreign::Array;
        }
        stack::push_meta(l, Meta::JsonType);
        ffi::lua_rawget(l, -2);
        let mark = match ffi::lua_type(l, -1) {
            ffi::LUA_TSTRING if stack::bytes(l, -1) == b"array" => Foreign::Array,
            ffi::LUA_TSTRING if stack::bytes(l, -1) == b"object" => Foreign::Object,
            _ => Foreign::None,
        };
        ffi::lua_pop(l, 1);
        if mark != Foreign::None {
            return mark;
        }
        stack::push_meta(l, Meta::Call);
        ffi::lua_rawget(l, -2);
        let callable = ffi::lua_type(l, -1) != ffi::LUA_TNIL;
        ffi::lua_pop(l, 1);
        if callable { Foreign::Callable } else { Foreign::None }
    }
}

/// A value that is neither table, string, number, boolean nor nil.
///
/// # Safety
/// As [`mark`].
pub unsafe fn scalar(l: *mut lua_State, index: c_int) -> Foreign {
    unsafe {
        let kind = ffi::lua_type(l, index);
        if !matches!(kind, ffi::LUA_TLIGHTUSERDATA | ffi::LUA_TUSERDATA) {
            return Foreign::None;
        }
        let address: *const c_void = ffi::lua_touserdata(l, index);
        if address.is_null() {
            return Foreign::Null;
        }
        known_userdata(l, ffi::lua_topointer(l, index))
    }
}

unsafe fn known_userdata(l: *mut lua_State, address: *const c_void) -> Foreign {
    unsafe {
        let same = |library, name| member(l, library, name) == address;
        if same(c"cjson", c"empty_array") {
            return Foreign::Array;
        }
        if same(c"vim", c"NIL") || same(c"ngx", c"null") { Foreign::Null } else { Foreign::None }
    }
}

unsafe fn known_metatable(l: *mut lua_State, address: *const c_void) -> Foreign {
    unsafe {
        if member(l, c"cjson", c"array_mt") == address
            || member(l, c"cjson", c"empty_array_mt") == address
        {
            return Foreign::Array;
        }
        if member(l, c"vim", c"_empty_dict_mt") == address {
            Foreign::Object
        } else {
            Foreign::None
        }
    }
}

/// The address of `package.loaded[library][name]`, or of the global's member (Neovim's `vim` is
/// only that); null if absent.
unsafe fn member(l: *mut lua_State, library: &CStr, name: &CStr) -> *const c_void {
    unsafe {
        let address = below_loaded(l, &[library, name]);
        if address.is_null() { below_loaded(l, &[c"_G", library, name]) } else { address }
    }
}

/// Follows the names from `package.loaded`. Raw access only: looking must not run anybody's code.
unsafe fn below_loaded(l: *mut lua_State, names: &[&CStr]) -> *const c_void {
    unsafe {
        ffi::lua_pushstring(l, c"_LOADED".as_ptr());
        ffi::lua_rawget(l, ffi::LUA_REGISTRYINDEX);
        let found = names.iter().all(|name| raw_field(l, name));
        let address = if found { ffi::lua_topointer(l, -1) } else { std::ptr::null() };
        ffi::lua_pop(l, 1);
        address
    }
}

/// Replaces the table on top by its field; false if there is none.
unsafe fn raw_field(l: *mut lua_State, name: &CStr) -> bool {
    unsafe {
        if ffi::lua_type(l, -1) != ffi::LUA_TTABLE {
            return false;
        }
        ffi::lua_pushstring(l, name.as_ptr());
        ffi::lua_rawget(l, -2);
        ffi::lua_remove(l, -2);
        ffi::lua_type(l, -1) != ffi::LUA_TNIL
    }
}
