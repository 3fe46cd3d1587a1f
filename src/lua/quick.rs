//! Lua values checked where they are, by a schema's quick tree: true is certain, false is not.
//!
//! Nothing here converts, copies or calls a metamethod; a table with a metatable, a value that is
//! no data, and whatever else is not plain goes the long way.

use std::ffi::c_int;

use mlua::ffi::{self, lua_State};

use crate::schema::quick::{Quick, kinds};

use super::stack;

/// Up to this index a table is within the slots that every C function has: it takes three, for key
/// and value of a member and the metatable of that.
const AT_HAND: c_int = ffi::LUA_MINSTACK - 3;

/// Whether the value on top of the stack surely fits. May leave values there.
///
/// # Safety
/// `l` is the running state; `index` is its top. Checks for the slots it needs.
pub unsafe fn surely_fits(l: *mut lua_State, index: c_int, quick: &Quick) -> bool {
    unsafe { fits(l, index, quick) }
}

unsafe fn fits(l: *mut lua_State, index: c_int, quick: &Quick) -> bool {
    unsafe {
        match ffi::lua_type(l, index) {
            ffi::LUA_TSTRING => {
                quick.kinds & kinds::STRING != 0
                    && std::str::from_utf8(stack::bytes(l, index))
                        .is_ok_and(|text| quick.admits_text(text))
            }
            ffi::LUA_TNUMBER => number(l, index, quick),
            ffi::LUA_TBOOLEAN => quick.kinds & kinds::BOOLEAN != 0,
            ffi::LUA_TTABLE => table(l, index, quick),
            ffi::LUA_TNIL => quick.kinds & kinds::NULL != 0,
            _ => false,
        }
    }
}

/// From here on all floats are whole.
const EXACT: f64 = 9_007_199_254_740_992.0;

unsafe fn number(l: *mut lua_State, index: c_int, quick: &Quick) -> bool {
    unsafe {
        let value = ffi::lua_tonumberx(l, index, std::ptr::null_mut());
        // Integers that a float cannot hold are whole as floats, too. No call of `trunc`.
        let whole = (value as i64) as f64 == value || value.abs() >= EXACT;
        let wanted = if whole { kinds::INTEGER } else { kinds::NUMBER };
        quick.kinds & wanted != 0 && value.is_finite() && quick.admits_number(value)
    }
}

unsafe fn table(l: *mut lua_State, index: c_int, quick: &Quick) -> bool {
    unsafe {
        let wanted = quick.kinds & (kinds::OBJECT | kinds::ARRAY);
        if index > AT_HAND && !stack::grow(l, 3) {
            return false;
        }
        if wanted == 0 || ffi::lua_getmetatable(l, index) != 0 {
            return false;
        }
        if wanted == kinds::OBJECT { object(l, index, quick) } else { array(l, index, quick) }
    }
}

unsafe fn object(l: *mut lua_State, index: c_int, quick: &Quick) -> bool {
    unsafe {
        // The table is on top, so its keys and values come right above it.
        let (mut required, value) = (0, index + 2);
        ffi::lua_pushnil(l);
        while ffi::lua_next(l, index) != 0 {
            if ffi::lua_type(l, value - 1) != ffi::LUA_TSTRING {
                return false;
            }
            let fits = match quick.property(stack::bytes(l, value - 1)) {
                Some((at, property)) => {
                    required += usize::from(at < quick.required);
                    fits(l, value, &property.value)
                }
                None => !quick.closed && is_plain(l, value - 1) && is_plain(l, value),
            };
            if !fits {
                return false;
            }
            ffi::lua_settop(l, value - 1);
        }
        required == quick.required
    }
}

/// A member nobody asks about still has to be data.
unsafe fn is_plain(l: *mut lua_State, index: c_int) -> bool {
    unsafe {
        match ffi::lua_type(l, index) {
            ffi::LUA_TBOOLEAN => true,
            ffi::LUA_TNUMBER => ffi::lua_tonumberx(l, index, std::ptr::null_mut()).is_finite(),
            ffi::LUA_TSTRING => std::str::from_utf8(stack::bytes(l, index)).is_ok(),
            _ => false,
        }
    }
}

unsafe fn array(l: *mut lua_State, index: c_int, quick: &Quick) -> bool {
    unsafe {
        let (mut count, value) = (0i64, index + 2);
        ffi::lua_pushnil(l);
        while ffi::lua_next(l, index) != 0 {
            // Keys 1, 2, 3 in their order, as those of a list come.
            count += 1;
            if !stack::is_integer(l, value - 1, count) {
                return false;
            }
            let fits = match &quick.items {
                Some(items) => fits(l, value, items),
                None => is_plain(l, value),
            };
            if !fits {
                return false;
            }
            ffi::lua_settop(l, value - 1);
        }
        let count = count as usize;
        count >= quick.count.0 && count <= quick.count.1
    }
}
