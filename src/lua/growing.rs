//! The growing value of an `output.stream`: a [`Machine`] in a userdata, and its edits carried out
//! on live Lua tables. `stream.lua` holds the rest.
//!
//! The userdata's own value is a table: `state`, with the open containers under 1, 2, 3 from the
//! outermost inwards. Safety of the functions: as in `raw.rs`, Lua calls them with its running state.

#![allow(unsafe_code)]

use std::ffi::c_int;

use mlua::ffi::{self, lua_State};

use crate::guard::guarded;
use crate::output::stream::{Edit, Machine, Piece, Place};
use crate::value::Kind;

use super::stack::{self, Meta};

/// What the userdata holds.
struct Holder {
    /// Null once it was collected.
    growing: *mut Growing,
}

struct Growing {
    machine: Machine,
    /// Edits are being carried out: a finaliser that feeds the same stream must not disturb them.
    busy: bool,
}

/// new(state, max_depth) → a stream
pub unsafe extern "C-unwind" fn new(l: *mut lua_State) -> c_int {
    unsafe {
        let depth = ffi::lua_tonumberx(l, 2, std::ptr::null_mut()) as usize;
        let holder = ffi::lua_newuserdata(l, size_of::<Holder>()).cast::<Holder>();
        holder.write(Holder { growing: std::ptr::null_mut() });
        ffi::lua_pushvalue(l, 1);
        ffi::lua_setuservalue(l, -2);
        stack::push_meta(l, Meta::Stream);
        ffi::lua_setmetatable(l, -2);
        let growing = Growing { machine: Machine::new(depth), busy: false };
        // Nothing raises from here on.
        (*holder).growing = Box::into_raw(Box::new(growing));
        1
    }
}

/// state(value) → the state of a stream; nil for anything else
pub unsafe extern "C-unwind" fn state(l: *mut lua_State) -> c_int {
    unsafe {
        if is_stream(l) {
            ffi::lua_getuservalue(l, 1);
        } else {
            ffi::lua_pushnil(l);
        }
        1
    }
}

unsafe fn is_stream(l: *mut lua_State) -> bool {
    unsafe { ffi::lua_type(l, 1) == ffi::LUA_TUSERDATA && stack::has_meta(l, 1, Meta::Stream) }
}

/// feed(stream, chunk) → fed, complete, broken. `fed` is false in the middle of another feed.
pub unsafe extern "C-unwind" fn feed(l: *mut lua_State) -> c_int {
    unsafe {
        let growing = if is_stream(l) {
            (*ffi::lua_touserdata(l, 1).cast::<Holder>()).growing
        } else {
            std::ptr::null_mut()
        };
        if growing.is_null() || (*growing).busy || ffi::lua_type(l, 2) != ffi::LUA_TSTRING {
            ffi::lua_pushboolean(l, 0);
            return 1;
        }
        let chunk = stack::bytes(l, 2);
        let machine = &mut (*growing).machine;
        let fed = guarded(|| {
            machine.feed(chunk);
            Ok(())
        })
        .is_ok();
        (*growing).busy = true;
        ffi::lua_settop(l, 2);
        ffi::lua_getuservalue(l, 1);
        // A memory error leaves it busy for good: its tables may lack what the machine has taken.
        carry_out(l, growing);
        (*growing).busy = false;
        ffi::lua_pushboolean(l, c_int::from(fed));
        ffi::lua_pushboolean(l, c_int::from((*growing).machine.is_complete()));
        ffi::lua_pushboolean(l, c_int::from((*growing).machine.is_broken()));
        3
    }
}

/// Carries out the edits; the state is at index 3. Needs 5 stack slots.
unsafe fn carry_out(l: *mut lua_State, growing: *const Growing) {
    unsafe {
        let machine = &(*growing).machine;
        for edit in machine.edits() {
            carry_out_one(l, edit, machine.bytes());
            ffi::lua_settop(l, 3);
        }
    }
}

unsafe fn carry_out_one(l: *mut lua_State, edit: &Edit, bytes: &[u8]) {
    unsafe {
        if edit.level == 0 {
            push(l, edit.value, bytes);
            ffi::lua_rawseti(l, 3, 1);
            return;
        }
        ffi::lua_rawgeti(l, 3, edit.level as i64);
        if let Place::Name(from, to) = edit.place {
            stack::push_bytes(l, bytes.get(from..to).unwrap_or_default());
        }
        push(l, edit.value, bytes);
        if matches!(edit.value, Piece::Open(_)) {
            ffi::lua_pushvalue(l, -1);
            ffi::lua_rawseti(l, 3, edit.level as i64 + 1);
        }
        match edit.place {
            Place::Name(..) => ffi::lua_rawset(l, -3),
            Place::Index(i) => ffi::lua_rawseti(l, -2, i as i64),
        }
    }
}

unsafe fn push(l: *mut lua_State, piece: Piece, bytes: &[u8]) {
    unsafe {
        match piece {
            Piece::Null => stack::push_null(l),
            Piece::Bool(value) => ffi::lua_pushboolean(l, c_int::from(value)),
            Piece::Int(n) => stack::push_int(l, n),
            Piece::Float(n) => ffi::lua_pushnumber(l, n),
            Piece::Text(from, to) => {
                stack::push_bytes(l, bytes.get(from..to).unwrap_or_default());
            }
            Piece::Open(kind) => {
                ffi::lua_createtable(l, 0, 0);
                if kind == Kind::Array {
                    stack::push_meta(l, Meta::Array);
                    ffi::lua_setmetatable(l, -2);
                }
            }
        }
    }
}

/// Finaliser.
unsafe extern "C-unwind" fn close(l: *mut lua_State) -> c_int {
    unsafe {
        let holder = ffi::lua_touserdata(l, 1).cast::<Holder>();
        if !holder.is_null() && !(*holder).growing.is_null() {
            let growing = Box::from_raw((*holder).growing);
            (*holder).growing = std::ptr::null_mut();
            drop(growing);
        }
        0
    }
}

/// Pushes the metatable of streams; `stream.lua` adds their methods.
///
/// # Safety
/// Needs 2 stack slots. May raise a memory error.
pub unsafe fn metatable(l: *mut lua_State) {
    unsafe {
        ffi::lua_createtable(l, 0, 8);
        ffi::lua_pushcfunction(l, close);
        ffi::lua_setfield(l, -2, c"__gc".as_ptr());
    }
}
