//! The function that `output.reader` gives: single values of a text, as results. It saves what most
//! of `parse{fields=…}` costs beyond looking at the text: options to read, a table of the values,
//! and one that tells what was read.

use std::ffi::c_int;
use std::rc::Rc;

use mlua::ffi::{self, lua_State};

use crate::lua::bridge::{ENTRIES, Entry};
use crate::lua::push::{Pushed, document};
use crate::lua::stack::{self, Meta};
use crate::output::Wanted;

use super::{Scratch, decode};

/// Upvalues beyond those of every C function: the holder, and the Lua function that goes the long
/// way.
const HOLDER: c_int = stack::UPVALUES + 1;
const LONG: c_int = stack::UPVALUES + 2;

/// What the userdata holds.
struct Holder {
    /// Null where only the long way is gone, and once it was collected.
    wanted: *const Wanted,
}

/// reader_new(number, plain, long) → a function of a text. `number` is what `output.reader` gave
/// the paths; `plain` whether valid JSON is read as it stands.
///
/// # Safety
/// As all C functions of the module: called by Lua with its running state.
pub unsafe extern "C-unwind" fn new(l: *mut lua_State) -> c_int {
    unsafe {
        let number = ffi::lua_tonumberx(l, 1, std::ptr::null_mut()) as usize;
        let plain = ffi::lua_toboolean(l, 2) != 0;
        let instance = stack::instance(l);
        let entry = ENTRIES.iter().find(|entry| entry.is("output", "parse"));
        let entry = entry.map_or(std::ptr::null(), std::ptr::from_ref);
        for which in 1..=stack::UPVALUES {
            match which {
                stack::DECLARATION => ffi::lua_pushlightuserdata(l, entry.cast_mut().cast()),
                _ => ffi::lua_pushvalue(l, stack::upvalue(which)),
            }
        }
        let holder = ffi::lua_newuserdata(l, size_of::<Holder>()).cast::<Holder>();
        holder.write(Holder { wanted: std::ptr::null() });
        stack::push_meta(l, Meta::Reader);
        ffi::lua_setmetatable(l, -2);
        // Nothing raises until it is in the holder.
        let wanted = (*instance).runtime.fields.take(number);
        if plain {
            (*holder).wanted = Rc::into_raw(wanted);
        }
        ffi::lua_pushvalue(l, 3);
        ffi::lua_pushcclosure(l, read, LONG);
        1
    }
}

/// reader(text) → the values, in the order of their paths
unsafe extern "C-unwind" fn read(l: *mut lua_State) -> c_int {
    unsafe {
        if let Some(count) = shortly(l) {
            return count;
        }
        ffi::lua_pushvalue(l, stack::upvalue(LONG));
        ffi::lua_insert(l, 1);
        ffi::lua_call(l, ffi::lua_gettop(l) - 1, ffi::LUA_MULTRET);
        ffi::lua_gettop(l)
    }
}

unsafe fn shortly(l: *mut lua_State) -> Option<c_int> {
    unsafe {
        let instance = stack::instance(l);
        let holder = ffi::lua_touserdata(l, stack::upvalue(HOLDER)).cast::<Holder>();
        let entry = ffi::lua_touserdata(l, stack::upvalue(stack::DECLARATION)).cast::<Entry>();
        if instance.is_null() || (*holder).wanted.is_null() || entry.is_null() {
            return None;
        }
        // The running function has the holder, and with it what is wanted.
        let wanted = &*(*holder).wanted;
        super::with(l, instance, &*entry, |scratch| values(l, wanted, scratch))
    }
}

/// Pushes what was found, and nil for what was not.
unsafe fn values(l: *mut lua_State, wanted: &Wanted, scratch: *mut Scratch) -> Option<Pushed> {
    unsafe {
        let slots = wanted.names.len() + document::SLOTS;
        if ffi::lua_type(l, 1) != ffi::LUA_TSTRING {
            return None;
        }
        ffi::lua_settop(l, 1);
        // There is nothing but the text on the stack.
        if slots > ffi::LUA_MINSTACK as usize && !stack::grow(l, slots as c_int) {
            return None;
        }
        decode::select(wanted, stack::bytes(l, 1), scratch)?;
        for at in &(*scratch).found {
            match *at {
                Some(at) => decode::push(l, &(*scratch).tape, at),
                None => ffi::lua_pushnil(l),
            }
        }
        Some(Pushed { count: wanted.names.len() as c_int, slots })
    }
}

/// Finaliser.
unsafe extern "C-unwind" fn close(l: *mut lua_State) -> c_int {
    unsafe {
        let holder = ffi::lua_touserdata(l, 1).cast::<Holder>();
        if !holder.is_null() && !(*holder).wanted.is_null() {
            let wanted = Rc::from_raw((*holder).wanted);
            (*holder).wanted = std::ptr::null();
            drop(wanted);
        }
        0
    }
}

/// Pushes the metatable of holders.
///
/// # Safety
/// Needs 2 stack slots. May raise a memory error.
pub unsafe fn metatable(l: *mut lua_State) {
    unsafe {
        ffi::lua_createtable(l, 0, 1);
        ffi::lua_pushcfunction(l, close);
        ffi::lua_setfield(l, -2, c"__gc".as_ptr());
    }
}
