//! Letting Lua's garbage collector rest while a large document becomes tables.
//!
//! Nothing of such a document is garbage yet, but on LuaJIT a collector that is at work walks the
//! growing tables again and again: a third of the time. Between two cycles it does nothing anyway,
//! and is left alone: told to go on, it would begin at once. Nobody says when the next cycle is due;
//! an object that every cycle collects, and makes anew, notes how much memory was left, from which
//! Lua's own pause tells it.
//!
//! While it is at work it rests. A program that does nothing but decode would never let it run, so
//! it rests no more where an eighth more memory is in use than when it was due.

#[cfg(feature = "luajit")]
pub use luajit::{go_on, metatable, rest};

#[cfg(feature = "luajit")]
mod luajit {
    use std::ffi::c_int;

    use mlua::ffi::{self, lua_State};

    use crate::lua::stack::{self, Meta};

    /// Of `lua_gc`, which mlua does not name for this engine.
    const IS_RUNNING: c_int = 9;

    /// How much more may be in use while it rests: one in so many of what it was due at.
    const SHARE: f64 = 8.0;
    /// In any case so much, in KB.
    const SMALL: f64 = 2048.0;
    /// What a node becomes in Lua, roughly, in KB: a slot of a table and often a string.
    const NODE: f64 = 48.0 / 1024.0;
    /// In percent; whatever it is, it is put back at once.
    const USUAL_PAUSE: c_int = 200;

    /// `tick(object)`: a cycle has ended. The finaliser has the metas table as its upvalue.
    unsafe extern "C-unwind" fn tick(l: *mut lua_State) -> c_int {
        unsafe {
            let metas = ffi::lua_upvalueindex(1);
            let pause = ffi::lua_gc(l, ffi::LUA_GCSETPAUSE, USUAL_PAUSE);
            ffi::lua_gc(l, ffi::LUA_GCSETPAUSE, pause);
            ffi::lua_pushnumber(l, used(l) / 100.0 * f64::from(pause));
            ffi::lua_rawseti(l, metas, Meta::Due as i64);
            ffi::lua_newuserdata(l, 0);
            ffi::lua_rawgeti(l, metas, Meta::Tick as i64);
            ffi::lua_setmetatable(l, -2);
            0
        }
    }

    /// Sets the metatable of objects that tick into the metas table, which is on top.
    ///
    /// # Safety
    /// Needs 3 stack slots. May raise a memory error.
    pub unsafe fn metatable(l: *mut lua_State) {
        unsafe {
            ffi::lua_createtable(l, 0, 1);
            ffi::lua_pushvalue(l, -2);
            ffi::lua_pushcclosure(l, tick, 1);
            ffi::lua_setfield(l, -2, c"__gc".as_ptr());
            ffi::lua_rawseti(l, -2, Meta::Tick as i64);
        }
    }

    /// When the next cycle is due, in KB in use. Before the first one is seen to end, that is taken to
    /// be now.
    unsafe fn due(l: *mut lua_State) -> f64 {
        unsafe {
            stack::push_meta(l, Meta::Due);
            if ffi::lua_type(l, -1) != ffi::LUA_TNUMBER {
                ffi::lua_pop(l, 1);
                begin(l);
                stack::push_meta(l, Meta::Due);
            }
            let due = ffi::lua_tonumberx(l, -1, std::ptr::null_mut());
            ffi::lua_pop(l, 1);
            due
        }
    }

    #[cold]
    unsafe fn begin(l: *mut lua_State) {
        unsafe {
            ffi::lua_pushnumber(l, used(l));
            ffi::lua_rawseti(l, stack::upvalue(stack::METAS), Meta::Due as i64);
            ffi::lua_newuserdata(l, 0);
            stack::push_meta(l, Meta::Tick);
            ffi::lua_setmetatable(l, -2);
            ffi::lua_pop(l, 1);
        }
    }

    /// Stops the collector before `nodes` are built; false if it does nothing, or has to go on.
    ///
    /// # Safety
    /// Called from a C function of this module. Needs 2 stack slots. May raise a memory error.
    pub unsafe fn rest(l: *mut lua_State, nodes: usize) -> bool {
        unsafe {
            let (due, used) = (due(l), used(l));
            let rests = used + nodes as f64 * NODE >= due
                && used < due + (due / SHARE).max(SMALL)
                && ffi::lua_gc(l, IS_RUNNING, 0) != 0;
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
        }
    }

    /// Memory in use, in KB.
    unsafe fn used(l: *mut lua_State) -> f64 {
        unsafe { f64::from(ffi::lua_gc(l, ffi::LUA_GCCOUNT, 0)) }
    }
}

#[cfg(not(feature = "luajit"))]
pub use others::{go_on, metatable, rest};

/// The other engines gain nothing: their collector was measured to cost the same either way.
#[cfg(not(feature = "luajit"))]
mod others {
    use mlua::ffi::lua_State;

    pub unsafe fn rest(_: *mut lua_State, _: usize) -> bool {
        false
    }

    pub unsafe fn go_on(_: *mut lua_State) {}

    pub unsafe fn metatable(_: *mut lua_State) {}
}
