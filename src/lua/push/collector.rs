//! Letting Lua's garbage collector rest while a large document becomes tables.
//!
//! Nothing of such a document is garbage yet, but on LuaJIT the collector walks the growing tables
//! again and again: a third of the time. It must not fall behind for ever, though. A program that
//! does nothing but decode would never let it run: so what was built meanwhile is owed, is paid off
//! by what the collector frees or by documents built while it works, and once it is a quarter of
//! all memory in use the collector rests no more.

#[cfg(feature = "luajit")]
pub use luajit::{go_on, rest};

#[cfg(feature = "luajit")]
mod luajit {
    use std::ffi::c_int;

    use mlua::ffi::{self, lua_State};

    use crate::lua::stack::{self, Meta};

    /// Of `lua_gc`, which mlua does not name for this engine.
    const IS_RUNNING: c_int = 9;

    /// Share of the memory in use that may be owed: one in so many.
    const SHARE: f64 = 4.0;
    /// What may be owed in any case, in KB.
    const SMALL: f64 = 4096.0;
    /// What a node becomes in Lua, roughly, in KB: a slot of a table and often a string.
    const NODE: f64 = 48.0 / 1024.0;

    /// Stops the collector before `nodes` are built; false if it must go on, or does not run anyway.
    ///
    /// # Safety
    /// Called from a C function of this module. Needs 2 stack slots. May raise a memory error.
    pub unsafe fn rest(l: *mut lua_State, nodes: usize) -> bool {
        unsafe {
            if ffi::lua_gc(l, IS_RUNNING, 0) == 0 {
                return false;
            }
            let used = used(l);
            let freed = (get(l, Meta::Seen) - used).max(0.0);
            let owed = (get(l, Meta::Owed) - freed).max(0.0);
            let rests = owed <= (used / SHARE).max(SMALL);
            let change = nodes as f64 * if rests { NODE } else { -NODE };
            set(l, Meta::Owed, owed + change);
            set(l, Meta::Seen, used);
            if rests {
                ffi::lua_gc(l, ffi::LUA_GCSTOP, 0);
            }
            rests
        }
    }

    /// Lets the collector go on.
    ///
    /// # Safety
    /// As [`rest`].
    pub unsafe fn go_on(l: *mut lua_State) {
        unsafe {
            ffi::lua_gc(l, ffi::LUA_GCRESTART, 0);
            set(l, Meta::Seen, used(l));
        }
    }

    /// Memory in use, in KB.
    unsafe fn used(l: *mut lua_State) -> f64 {
        unsafe { f64::from(ffi::lua_gc(l, ffi::LUA_GCCOUNT, 0)) }
    }

    unsafe fn get(l: *mut lua_State, what: Meta) -> f64 {
        unsafe {
            stack::push_meta(l, what);
            let number = ffi::lua_tonumberx(l, -1, std::ptr::null_mut());
            ffi::lua_pop(l, 1);
            number
        }
    }

    unsafe fn set(l: *mut lua_State, what: Meta, number: f64) {
        unsafe {
            ffi::lua_pushnumber(l, number);
            ffi::lua_rawseti(l, stack::upvalue(stack::METAS), what as i64);
        }
    }
}

#[cfg(not(feature = "luajit"))]
pub use others::{go_on, rest};

/// The other engines gain nothing: their collector was measured to cost the same either way.
#[cfg(not(feature = "luajit"))]
mod others {
    use mlua::ffi::lua_State;

    pub unsafe fn rest(_: *mut lua_State, _: usize) -> bool {
        false
    }

    pub unsafe fn go_on(_: *mut lua_State) {}
}
