//! The functions that `prelude.lua` builds its libraries on. Those that search texts ask while they
//! do whether to go on.
//!
//! Safety of all of them: Lua calls them with a state of `room.rs`. What lives across a raise has no
//! destructor.

use std::ffi::{CStr, c_int};

use mlua::ffi::{self, lua_CFunction, lua_State};

use super::cell::{self, Cell, cell};
use crate::lua::stack;
use crate::sandbox::pattern::{self, Capture, MODERN, Search, Trouble};

pub const FUNCTIONS: &[(&CStr, lua_CFunction)] = &[
    (c"check", check),
    (c"deeper", deeper),
    (c"goes_on", goes_on),
    (c"has_metatable", has_metatable),
    (c"rawlen", rawlen),
    (c"limit", limit),
    (c"weight", weight),
    (c"sorts_soon", sorts_soon),
    (c"few_digits", few_digits),
    (c"find", find),
    (c"match", match_),
    (c"gfind", gfind),
    (c"replace", replace),
    (c"random", random),
    (c"randomseed", randomseed),
];

/// A text that is searched for so long that the hook would come late.
const LONG: usize = 1 << 16;

/// Items that are sorted in a millisecond, as long as their texts have few bytes in all.
const SOON: usize = 2000;
const LIGHT: usize = 1 << 14;

/// No number has more digits.
const DIGITS: usize = 4096;

/// What the engines differ in.
pub const FLAGS: &[(&CStr, bool)] = &[
    (c"modern", MODERN),
    (c"has_init", cfg!(feature = "lua54")),
    (c"has_separator", cfg!(not(feature = "lua51"))),
    (c"passes_on", cfg!(not(feature = "lua51"))),
];

/// Whoever runs a state can have it interrupted with this: a Lua hook.
///
/// # Safety
/// For `lua_sethook` on a state of `room.rs`.
pub unsafe extern "C-unwind" fn hook(l: *mut lua_State, _: *mut ffi::lua_Debug) {
    unsafe {
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        collect(l);
        if !cell::goes_on(l) {
            // From now on every instruction ends here, so that nothing that catches errors helps.
            ffi::lua_sethook(l, Some(hook), ffi::LUA_MASKCOUNT, 1);
            stop(l);
        }
        (*cell(l)).runs(l);
        let pace = (*cell(l)).pace();
        if pace != ffi::lua_gethookcount(l) {
            ffi::lua_sethook(l, Some(hook), ffi::LUA_MASKCOUNT, pace);
        }
    }
}

/// These engines do not collect garbage before they give up.
#[cfg(any(feature = "lua51", feature = "luajit"))]
unsafe fn collect(l: *mut lua_State) {
    unsafe {
        let cell = cell(l);
        if (*cell).wants_collection() {
            ffi::lua_gc(l, ffi::LUA_GCCOLLECT, 0);
            (*cell).collected = (*cell).used;
        }
    }
}

/// Ends the running code.
unsafe fn stop(l: *mut lua_State) -> c_int {
    unsafe {
        ffi::lua_pushnil(l);
        ffi::lua_error(l)
    }
}

/// check() raises if the code must not go on
unsafe extern "C-unwind" fn check(l: *mut lua_State) -> c_int {
    unsafe {
        (*cell(l)).runs(l);
        if cell::goes_on(l) { 0 } else { stop(l) }
    }
}

/// deeper(coroutine?) raises if it must not go on, or not call itself any more; the coroutine is the
/// one that runs next
unsafe extern "C-unwind" fn deeper(l: *mut lua_State) -> c_int {
    unsafe {
        if (*cell(l)).is_deep() {
            return ffi::luaL_error(l, c"stack overflow".as_ptr());
        } else if !cell::goes_on(l) {
            return stop(l);
        }
        // Who resumes calls `check` as soon as it goes on itself.
        let next = ffi::lua_tothread(l, 1);
        (*cell(l)).runs(if next.is_null() { l } else { next });
        0
    }
}

/// goes_on() → whether the code may
unsafe extern "C-unwind" fn goes_on(l: *mut lua_State) -> c_int {
    unsafe {
        ffi::lua_pushboolean(l, c_int::from(cell::goes_on(l)));
        1
    }
}

unsafe extern "C-unwind" fn has_metatable(l: *mut lua_State) -> c_int {
    unsafe {
        let has = ffi::lua_type(l, 1) == ffi::LUA_TTABLE && ffi::lua_getmetatable(l, 1) != 0;
        ffi::lua_pushboolean(l, c_int::from(has));
        1
    }
}

/// rawlen(table) → its length, whatever its metatable says
unsafe extern "C-unwind" fn rawlen(l: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
        stack::push_int(l, ffi::lua_rawlen(l, 1) as i64);
        1
    }
}

/// limit() → bytes that a string may have
unsafe extern "C-unwind" fn limit(l: *mut lua_State) -> c_int {
    unsafe {
        ffi::lua_pushnumber(l, (*cell(l)).largest as f64);
        1
    }
}

/// weight(...) → bytes of all texts
unsafe extern "C-unwind" fn weight(l: *mut lua_State) -> c_int {
    unsafe {
        let bytes = (1..=ffi::lua_gettop(l)).map(|at| length(l, at)).sum::<usize>();
        stack::push_int(l, bytes as i64);
        1
    }
}

/// The bytes of a text; of anything else none.
unsafe fn length(l: *mut lua_State, at: c_int) -> usize {
    unsafe { if ffi::lua_type(l, at) == ffi::LUA_TSTRING { ffi::lua_rawlen(l, at) } else { 0 } }
}

/// sorts_soon(table, less) → whether Lua's own function may sort it: what that calls, or compares
/// itself, is over soon or can be interrupted
unsafe extern "C-unwind" fn sorts_soon(l: *mut lua_State) -> c_int {
    unsafe {
        let count = ffi::lua_rawlen(l, 1);
        let plain = count <= SOON && ffi::lua_getmetatable(l, 1) == 0;
        let soon = plain
            && match ffi::lua_type(l, 2) {
                ffi::LUA_TFUNCTION => ffi::lua_iscfunction(l, 2) == 0,
                _ => is_light(l, count),
            };
        ffi::lua_pushboolean(l, c_int::from(soon));
        1
    }
}

unsafe fn is_light(l: *mut lua_State, count: usize) -> bool {
    unsafe {
        let mut bytes = 0;
        for i in 1..=count as i64 {
            ffi::lua_rawgeti(l, 1, i);
            bytes += length(l, -1);
            ffi::lua_pop(l, 1);
        }
        bytes <= LIGHT
    }
}

/// few_digits(function) → the same for numbers and texts that are short enough to be some: with many
/// long ones it would take seconds
unsafe extern "C-unwind" fn few_digits(l: *mut lua_State) -> c_int {
    unsafe extern "C-unwind" fn call(l: *mut lua_State) -> c_int {
        unsafe {
            let count = ffi::lua_gettop(l);
            for at in 1..=count {
                if length(l, at) > DIGITS {
                    return ffi::luaL_argerror(l, at, c"number expected, got string".as_ptr());
                }
            }
            let native = ffi::lua_upvalueindex(1);
            if let Some(native) = ffi::lua_tocfunction(l, native) {
                return native(l);
            }
            ffi::lua_pushvalue(l, native);
            ffi::lua_insert(l, 1);
            ffi::lua_call(l, count, ffi::LUA_MULTRET);
            ffi::lua_gettop(l)
        }
    }
    unsafe {
        if ffi::lua_type(l, 1) != ffi::LUA_TFUNCTION {
            return 1;
        }
        ffi::lua_settop(l, 1);
        ffi::lua_pushcclosure(l, call, 1);
        1
    }
}

/// An argument as text; numbers are taken, as Lua does.
unsafe fn text<'t>(l: *mut lua_State, index: c_int) -> &'t [u8] {
    unsafe {
        let mut length = 0;
        let start = ffi::luaL_checklstring(l, index, &mut length);
        std::slice::from_raw_parts(start.cast::<u8>(), length)
    }
}

/// Where a search begins, from 0; `None` if that is behind the end.
unsafe fn begin(l: *mut lua_State, index: c_int, length: usize) -> Option<usize> {
    unsafe {
        let length = length as i64;
        let init = ffi::luaL_optinteger(l, index, 1) as i64;
        let from = match init {
            0 => 0,
            1.. => init - 1,
            _ => init.saturating_add(length).max(0),
        };
        let clamps = cfg!(any(feature = "lua51", feature = "luajit"));
        if from > length && !clamps { None } else { Some(from.min(length) as usize) }
    }
}

unsafe extern "C-unwind" fn find(l: *mut lua_State) -> c_int {
    unsafe { search(l, true) }
}

unsafe extern "C-unwind" fn match_(l: *mut lua_State) -> c_int {
    unsafe { search(l, false) }
}

unsafe fn search(l: *mut lua_State, find: bool) -> c_int {
    unsafe {
        let (text, pattern) = (text(l, 1), text(l, 2));
        if text.len() > LONG && !cell::goes_on(l) {
            return stop(l);
        }
        let Some(from) = begin(l, 3, text.len()) else {
            ffi::lua_pushnil(l);
            return 1;
        };
        if find && (ffi::lua_toboolean(l, 4) != 0 || pattern::is_plain(pattern)) {
            return plain(l, text, pattern, from);
        }
        let mut meter = || cell::goes_on(l);
        let mut search = Search::new(text, pattern, &mut meter);
        let (start, end) = match search.find(from) {
            Ok(Some(found)) => found,
            Ok(None) => {
                ffi::lua_pushnil(l);
                return 1;
            }
            Err(trouble) => return fail(l, trouble),
        };
        if !find {
            return match push_values(l, &search, search.values(), start, end) {
                Ok(count) => count,
                Err(trouble) => fail(l, trouble),
            };
        }
        stack::push_int(l, start as i64 + 1);
        stack::push_int(l, end as i64);
        match push_values(l, &search, search.captured(), start, end) {
            Ok(count) => 2 + count,
            Err(trouble) => fail(l, trouble),
        }
    }
}

unsafe fn plain(l: *mut lua_State, text: &[u8], wanted: &[u8], from: usize) -> c_int {
    unsafe {
        let Some(at) = memchr::memmem::find(text.get(from..).unwrap_or_default(), wanted) else {
            ffi::lua_pushnil(l);
            return 1;
        };
        stack::push_int(l, (from + at) as i64 + 1);
        stack::push_int(l, (from + at + wanted.len()) as i64);
        2
    }
}

unsafe fn push_values(
    l: *mut lua_State,
    search: &Search<'_, '_>,
    count: usize,
    start: usize,
    end: usize,
) -> Result<c_int, Trouble> {
    unsafe {
        ffi::luaL_checkstack(l, count as c_int + 4, c"too many captures".as_ptr());
        for index in 0..count {
            match search.capture(index, start, end)? {
                Capture::Text(part) => stack::push_bytes(l, part),
                Capture::Position(n) => stack::push_int(l, n as i64),
            }
        }
        Ok(count as c_int)
    }
}

/// Raises what is wrong, and where the function was called.
unsafe fn fail(l: *mut lua_State, trouble: Trouble) -> c_int {
    unsafe {
        let Some(message) = message(trouble) else { return stop(l) };
        ffi::luaL_where(l, 1);
        stack::push_bytes(l, message.as_bytes());
        ffi::lua_concat(l, 2);
        ffi::lua_error(l)
    }
}

/// `None` if the code must not go on.
fn message(trouble: Trouble) -> Option<&'static str> {
    match trouble {
        Trouble::Malformed(message) => Some(message),
        Trouble::TooLarge => Some("resulting string too large"),
        Trouble::Stopped => None,
    }
}

/// The same for the prelude, which says itself where: false, message
unsafe fn told(l: *mut lua_State, trouble: Trouble) -> c_int {
    unsafe {
        let Some(message) = message(trouble) else { return stop(l) };
        ffi::lua_pushboolean(l, 0);
        stack::push_bytes(l, message.as_bytes());
        2
    }
}

/// gfind(text, pattern, at, last?, anchored?, first_only?) → start, end, values…; nothing; or false,
/// message
unsafe extern "C-unwind" fn gfind(l: *mut lua_State) -> c_int {
    unsafe {
        let (text, pattern) = (text(l, 1), text(l, 2));
        let from = ffi::luaL_checkinteger(l, 3) as usize - 1;
        let last = match ffi::lua_type(l, 4) {
            ffi::LUA_TNUMBER => Some(ffi::luaL_checkinteger(l, 4) as usize),
            _ => None,
        };
        let anchored = ffi::lua_toboolean(l, 5) != 0;
        let first_only = ffi::lua_toboolean(l, 6) != 0;
        if from > text.len() {
            return 0;
        }
        let mut meter = || cell::goes_on(l);
        let mut search = Search::new(text, pattern, &mut meter);
        let found = match anchored {
            true => search.matches(from, 1).map(|end| Some((from, end?))),
            false => search.next(from, last),
        };
        match found {
            Ok(Some((start, end))) => {
                stack::push_int(l, start as i64 + 1);
                stack::push_int(l, end as i64);
                let count = if first_only { 1 } else { search.values() };
                match push_values(l, &search, count, start, end) {
                    Ok(count) => 2 + count,
                    Err(trouble) => told(l, trouble),
                }
            }
            Ok(None) => 0,
            Err(trouble) => told(l, trouble),
        }
    }
}

/// replace(text, pattern, with, most) → result, count; or false, message
unsafe extern "C-unwind" fn replace(l: *mut lua_State) -> c_int {
    unsafe {
        let (text, pattern, with) = (text(l, 1), text(l, 2), text(l, 3));
        let most = ffi::luaL_checknumber(l, 4).max(0.0) as u64;
        let cell: *mut Cell = cell(l);
        let cap = (*cell).limit.saturating_sub((*cell).used);
        // What the result is put together in is back in the cell before anything can raise.
        let mut scratch = std::mem::take(&mut (*cell).scratch);
        scratch.clear();
        let told_so = {
            let mut meter = || cell::goes_on(l);
            let mut search = Search::new(text, pattern, &mut meter);
            pattern::replace(&mut search, with, most, cap, &mut scratch)
        };
        (*cell).scratch = scratch;
        match told_so {
            Ok(count) => {
                let (start, length) = ((*cell).scratch.as_ptr(), (*cell).scratch.len());
                ffi::lua_pushlstring(l, start.cast(), length);
                stack::push_int(l, count as i64);
                2
            }
            Err(trouble) => told(l, trouble),
        }
    }
}

/// Of xorshift64*, seeded for each call anew: C's own generator belongs to the host.
unsafe extern "C-unwind" fn random(l: *mut lua_State) -> c_int {
    unsafe {
        let bits = next(&mut (*cell(l)).random);
        let count = ffi::lua_gettop(l);
        if count == 0 {
            ffi::lua_pushnumber(l, (bits >> 11) as f64 / (1u64 << 53) as f64);
            return 1;
        }
        let first = ffi::luaL_checkinteger(l, 1) as i64;
        let (low, high) = match count {
            1 if first == 0 && cfg!(feature = "lua54") => {
                stack::push_int(l, bits as i64);
                return 1;
            }
            1 => (1, first),
            2 => (first, ffi::luaL_checkinteger(l, 2) as i64),
            _ => return ffi::luaL_error(l, c"wrong number of arguments".as_ptr()),
        };
        if low > high {
            return ffi::luaL_argerror(l, count, c"interval is empty".as_ptr());
        }
        let span = high.wrapping_sub(low) as u64;
        let offset = match span.checked_add(1) {
            Some(values) => (u128::from(bits) * u128::from(values)) >> 64,
            None => u128::from(bits),
        };
        stack::push_int(l, low.wrapping_add(offset as u64 as i64));
        1
    }
}

fn next(random: &mut u64) -> u64 {
    let mut x = *random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *random = x;
    x.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

unsafe extern "C-unwind" fn randomseed(l: *mut lua_State) -> c_int {
    unsafe {
        let seed = match ffi::lua_gettop(l) {
            0 => crate::chance::random(),
            _ => ffi::luaL_checknumber(l, 1).to_bits(),
        };
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        (0..4).for_each(|_| {
            next(&mut random);
        });
        (*cell(l)).random = random;
        0
    }
}
