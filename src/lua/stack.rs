//! Small pieces of raw Lua stack work, each with the stack slots it needs.
//!
//! All of them are for C functions of this module: upvalue 1 is the instance, 2 the declaration or
//! nil, 3 the slots table, 4 the metas table.

use std::ffi::{c_int, c_void};

use mlua::ffi::{self, lua_State};

use super::instance::Instance;

pub const INSTANCE: c_int = 1;
pub const DECLARATION: c_int = 2;
pub const SLOTS: c_int = 3;
pub const METAS: c_int = 4;
pub const UPVALUES: c_int = 4;

/// Keys of the metas table: metatables and strings every read and push needs.
#[derive(Clone, Copy, Debug)]
pub enum Meta {
    Error = 1,
    Response = 2,
    Array = 3,
    Object = 4,
    Handle = 5,
    /// The string `__jsontype`.
    JsonType = 6,
    /// The string `__call`.
    Call = 7,
    /// Of `push/collector.rs`, for LuaJIT only: a number, and a metatable.
    #[cfg_attr(not(feature = "luajit"), allow(dead_code))]
    Due = 8,
    #[cfg_attr(not(feature = "luajit"), allow(dead_code))]
    Tick = 9,
    /// Of `push/info.rs`: its metatable, and strings.
    Info = 10,
    Json = 11,
    Format = 12,
    Recovered = 13,
    Start = 14,
    Stop = 15,
    Stream = 16,
    /// Of `short/reader.rs`.
    Reader = 17,
}

/// The bytes of a string that is an argument of the running C function.
///
/// Lua moves no string, and the argument keeps it alive as long as the call lasts; the place that
/// holds this is cleared at the call's end.
#[derive(Clone, Copy, Debug)]
pub struct Borrowed(*const [u8]);

impl Borrowed {
    /// # Safety
    /// The bytes stay where they are until the frame's places are cleared.
    pub unsafe fn new(bytes: &[u8]) -> Borrowed {
        Borrowed(bytes)
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: by the contract of `new` they outlive the place that `self` is borrowed from.
        unsafe { &*self.0 }
    }
}

pub enum Number {
    Int(i64),
    Float(f64),
}

/// Slots that every C function has beyond its arguments, less a few for what it keeps there.
const AT_HAND: c_int = ffi::LUA_MINSTACK - 4;

/// Whether there are so many free slots.
///
/// # Safety
/// Called from a C function with no more on its stack than its arguments and two values. Runs no
/// finaliser and raises nothing.
#[inline(always)]
pub unsafe fn room(l: *mut lua_State, slots: c_int) -> bool {
    unsafe { slots <= AT_HAND || grow(l, slots) }
}

/// As [`room`], wherever the stack stands: Lua is asked.
///
/// # Safety
/// Called with the running state. Raises nothing.
#[cfg(not(feature = "luajit"))]
pub unsafe fn grow(l: *mut lua_State, slots: c_int) -> bool {
    unsafe { ffi::lua_checkstack(l, slots) != 0 }
}

/// As [`room`], wherever the stack stands: Lua is asked.
///
/// `lua_checkstack` of LuaJIT answers only whether a C function may have that much; a stack that
/// cannot become larger is raised as an error, which has to be caught.
///
/// # Safety
/// Called with the running state. Raises nothing.
#[cfg(feature = "luajit")]
pub unsafe fn grow(l: *mut lua_State, slots: c_int) -> bool {
    unsafe extern "C-unwind" fn ask(l: *mut lua_State) -> c_int {
        unsafe {
            let slots = ffi::lua_touserdata(l, 1) as usize as c_int;
            ffi::luaL_checkstack(l, slots, c"zigllms".as_ptr());
            0
        }
    }
    unsafe {
        if ffi::lua_gettop(l) + slots > LARGEST {
            return false;
        } else if height(l) + 2 * slots < HIGHEST {
            return ffi::lua_checkstack(l, slots) != 0;
        }
        let failed = ffi::lua_cpcall(l, ask, slots as usize as *mut c_void) != 0;
        if failed {
            ffi::lua_pop(l, 1);
        }
        !failed
    }
}

/// How far up the stack the running function begins. Lua keeps that, for itself, in what tells of a
/// level; were it anything else, then Lua would raise its own error where the stack is full.
///
/// # Safety
/// Called with the running state.
#[cfg(feature = "luajit")]
unsafe fn height(l: *mut lua_State) -> c_int {
    unsafe {
        let mut info = std::mem::MaybeUninit::<ffi::lua_Debug>::zeroed();
        if ffi::lua_getstack(l, 0, info.as_mut_ptr()) == 0 {
            return HIGHEST;
        }
        // The private member behind `short_src`, `i_ci`: its lower half is the frame's place.
        let text = &info.assume_init_ref().short_src;
        let place = std::mem::offset_of!(ffi::lua_Debug, short_src) + std::mem::size_of_val(text);
        let i_ci = info.as_ptr().cast::<u8>().add(place).cast::<c_int>().read_unaligned();
        (i_ci & 0xffff) + ffi::lua_gettop(l)
    }
}

/// LUAI_MAXSTACK, less what Lua keeps for errors: a stack below that can grow.
#[cfg(feature = "luajit")]
const HIGHEST: c_int = 65_500 - 100;

/// LUAI_MAXCSTACK: slots that one C function may have.
#[cfg(feature = "luajit")]
const LARGEST: c_int = 8000;

pub fn upvalue(which: c_int) -> c_int {
    ffi::lua_upvalueindex(which)
}

/// The instance behind the running C function; null once its Lua state is closing.
///
/// # Safety
/// Called from a C function of this module. Needs no stack.
pub unsafe fn instance(l: *mut lua_State) -> *mut Instance {
    unsafe {
        let holder = ffi::lua_touserdata(l, upvalue(INSTANCE)).cast::<*mut Instance>();
        if holder.is_null() { std::ptr::null_mut() } else { *holder }
    }
}

/// The number at `index`, with its subtype; on engines without one, integral numbers up to 2^53
/// are integers.
///
/// # Safety
/// The value at `index` is a number. Needs no stack.
pub unsafe fn number(l: *mut lua_State, index: c_int) -> Number {
    unsafe {
        #[cfg(any(feature = "lua54", feature = "lua53"))]
        if ffi::lua_isinteger(l, index) != 0 {
            return Number::Int(ffi::lua_tointegerx(l, index, std::ptr::null_mut()));
        }
        let n = ffi::lua_tonumberx(l, index, std::ptr::null_mut());
        #[cfg(not(any(feature = "lua54", feature = "lua53")))]
        if n.fract() == 0.0
            && n.abs() <= 9_007_199_254_740_992.0
            && !(n == 0.0 && n.is_sign_negative())
        {
            return Number::Int(n as i64);
        }
        Number::Float(n)
    }
}

/// Whether the value at `index` is that integer.
///
/// # Safety
/// Needs no stack.
pub unsafe fn is_integer(l: *mut lua_State, index: c_int, n: i64) -> bool {
    unsafe {
        #[cfg(any(feature = "lua54", feature = "lua53"))]
        return ffi::lua_isinteger(l, index) != 0
            && ffi::lua_tointegerx(l, index, std::ptr::null_mut()) == n;
        #[cfg(not(any(feature = "lua54", feature = "lua53")))]
        return ffi::lua_type(l, index) == ffi::LUA_TNUMBER
            && ffi::lua_tonumberx(l, index, std::ptr::null_mut()) == n as f64;
    }
}

/// The bytes of the string at `index`.
///
/// # Safety
/// The value is a string (never a number: it would be converted in place) and stays on the stack,
/// unchanged, while the slice is used. Needs no stack.
pub unsafe fn bytes<'a>(l: *mut lua_State, index: c_int) -> &'a [u8] {
    unsafe {
        let mut length = 0;
        let start = ffi::lua_tolstring(l, index, &mut length);
        if start.is_null() {
            return &[];
        }
        std::slice::from_raw_parts(start.cast::<u8>(), length)
    }
}

/// Whether the keys of the table are exactly 1..length.
///
/// # Safety
/// `index` is absolute and a table. Needs 2 stack slots.
pub unsafe fn is_sequence(l: *mut lua_State, index: c_int, length: usize) -> bool {
    unsafe {
        let mut count = 0usize;
        ffi::lua_pushnil(l);
        while ffi::lua_next(l, index) != 0 {
            ffi::lua_pop(l, 1);
            if ffi::lua_type(l, -1) != ffi::LUA_TNUMBER || !in_range(l, length) {
                ffi::lua_pop(l, 1);
                return false;
            }
            count += 1;
        }
        count == length
    }
}

unsafe fn in_range(l: *mut lua_State, length: usize) -> bool {
    unsafe {
        match number(l, -1) {
            Number::Int(n) => n >= 1 && n as usize <= length,
            Number::Float(_) => false,
        }
    }
}

/// Puts the value at `index` into the slots table.
///
/// # Safety
/// Called from a C function of this module. Needs 1 stack slot. May raise a memory error.
pub unsafe fn store_slot(l: *mut lua_State, id: i64, index: c_int) {
    unsafe {
        ffi::lua_pushvalue(l, index);
        ffi::lua_rawseti(l, upvalue(SLOTS), id);
    }
}

/// Pushes the value of a slot.
///
/// # Safety
/// Called from a C function of this module. Needs 1 stack slot.
pub unsafe fn push_slot(l: *mut lua_State, id: i64) {
    unsafe {
        ffi::lua_rawgeti(l, upvalue(SLOTS), id);
    }
}

/// Pushes an entry of the metas table.
///
/// # Safety
/// Called from a C function of this module. Needs 1 stack slot.
pub unsafe fn push_meta(l: *mut lua_State, meta: Meta) {
    unsafe {
        push_item(l, upvalue(METAS), meta as i64);
    }
}

/// Whether the value at `index` has that metatable.
///
/// # Safety
/// Called from a C function of this module. Needs 2 stack slots.
pub unsafe fn has_meta(l: *mut lua_State, index: c_int, meta: Meta) -> bool {
    unsafe {
        if ffi::lua_getmetatable(l, index) == 0 {
            return false;
        }
        push_meta(l, meta);
        let same = ffi::lua_rawequal(l, -1, -2) != 0;
        ffi::lua_pop(l, 2);
        same
    }
}

/// Pushes a string.
///
/// # Safety
/// Needs 1 stack slot. May raise a memory error.
pub unsafe fn push_bytes(l: *mut lua_State, bytes: &[u8]) {
    unsafe {
        #[cfg(any(feature = "luajit", feature = "lua51"))]
        direct::lua_pushlstring(l, bytes.as_ptr().cast(), bytes.len());
        #[cfg(not(any(feature = "luajit", feature = "lua51")))]
        ffi::lua_pushlstring(l, bytes.as_ptr().cast(), bytes.len());
    }
}

/// Pushes an item of the table at `index`; `n` fits 32 bits.
///
/// # Safety
/// Needs 1 stack slot.
#[inline(always)]
pub unsafe fn push_item(l: *mut lua_State, index: c_int, n: i64) {
    unsafe {
        #[cfg(any(feature = "luajit", feature = "lua51"))]
        direct::lua_rawgeti(l, index, n as c_int);
        #[cfg(not(any(feature = "luajit", feature = "lua51")))]
        ffi::lua_rawgeti(l, index, n);
    }
}

/// Functions of Lua 5.1 as they are. mlua dresses them as those of later versions: for what these
/// return in addition, it calls Lua a second time.
#[cfg(any(feature = "luajit", feature = "lua51"))]
mod direct {
    use std::ffi::{c_char, c_int};

    use mlua::ffi::lua_State;

    unsafe extern "C-unwind" {
        pub fn lua_pushlstring(l: *mut lua_State, text: *const c_char, length: usize);
        pub fn lua_rawgeti(l: *mut lua_State, index: c_int, n: c_int);
    }
}

/// Pushes an integer as the engine keeps it.
///
/// # Safety
/// Needs 1 stack slot.
pub unsafe fn push_int(l: *mut lua_State, n: i64) {
    unsafe {
        #[cfg(any(feature = "lua54", feature = "lua53"))]
        ffi::lua_pushinteger(l, n);
        // lua_Integer is narrower than a double's mantissa on some of these engines.
        #[cfg(not(any(feature = "lua54", feature = "lua53")))]
        ffi::lua_pushnumber(l, n as f64);
    }
}

/// Pushes the null of JSON: a light userdata of address zero, as lua-cjson's.
///
/// # Safety
/// Needs 1 stack slot.
pub unsafe fn push_null(l: *mut lua_State) {
    unsafe { ffi::lua_pushlightuserdata(l, std::ptr::null_mut::<c_void>()) }
}

/// `script.lua:12` of the innermost frame that is the user's; empty if there is none.
///
/// # Safety
/// Needs 3 stack slots.
pub unsafe fn position(l: *mut lua_State) -> String {
    unsafe {
        let mut info: ffi::lua_Debug = std::mem::zeroed();
        let mut level = 0;
        while ffi::lua_getstack(l, level, &mut info) != 0 {
            level += 1;
            if ffi::lua_getinfo(l, c"Sl".as_ptr(), &mut info) == 0 || info.currentline <= 0 {
                continue;
            }
            let source = std::ffi::CStr::from_ptr(info.short_src.as_ptr()).to_string_lossy();
            if !source.starts_with("zigllms/") {
                return format!("{source}:{}", info.currentline);
            }
        }
        String::new()
    }
}

pub fn type_name(kind: c_int) -> &'static str {
    match kind {
        ffi::LUA_TBOOLEAN => "boolean",
        ffi::LUA_TFUNCTION => "function",
        ffi::LUA_TLIGHTUSERDATA | ffi::LUA_TUSERDATA => "userdata",
        ffi::LUA_TNIL => "nil",
        ffi::LUA_TNUMBER => "number",
        ffi::LUA_TSTRING => "string",
        ffi::LUA_TTABLE => "table",
        ffi::LUA_TTHREAD => "thread",
        _ => "cdata",
    }
}
