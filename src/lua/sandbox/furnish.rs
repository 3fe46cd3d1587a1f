//! What is in a sandboxed state before anything runs in it: what is made once, in a table that only C
//! functions see, and what each call finds anew.

use std::ffi::{CStr, c_char, c_int};

use mlua::ffi::{self, lua_State};

#[cfg(feature = "lua54")]
use super::cell::cell;
use super::functions::{FLAGS, FUNCTIONS};

const PRELUDE: &str = include_str!("prelude.lua");

/// How a place in the prelude begins in a message; nobody is told of it.
pub const PLACE: &[u8] = b"(sandbox):";

/// Keys of the registry, which only C functions see.
#[derive(Clone, Copy)]
pub enum Key {
    Perform = 1,
    Explain,
    Names,
    Libraries,
    Strings,
    Chunks,
    Globals,
    /// The text `__jsontype`, so that reading makes no strings.
    JsonType,
    /// The metatable of empty arrays, made anew for each call.
    Array,
}

/// The registry of Lua itself has numbers, too: these are in a table of ours.
static KEYS: u8 = 0;

/// furnish(perform, explain): opens libraries, runs the prelude, and keeps what it says.
///
/// # Safety
/// For `lua_pcall`, on a new state.
pub unsafe extern "C-unwind" fn furnish(l: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checkstack(l, 40, c"sandbox".as_ptr());
        ffi::lua_settop(l, 2);
        disarm(l);
        open_libraries(l);
        ffi::lua_createtable(l, 8, 0);
        let keys = ffi::lua_gettop(l);
        ffi::lua_pushvalue(l, keys);
        ffi::lua_rawsetp(l, ffi::LUA_REGISTRYINDEX, (&raw const KEYS).cast());
        ffi::lua_pushvalue(l, 1);
        keep(l, keys, Key::Perform);
        ffi::lua_pushvalue(l, 2);
        keep(l, keys, Key::Explain);
        ffi::lua_createtable(l, 0, 0);
        keep(l, keys, Key::Chunks);
        ffi::lua_pushlstring(l, c"__jsontype".as_ptr(), 10);
        keep(l, keys, Key::JsonType);
        let text = PRELUDE.as_ptr().cast::<c_char>();
        if ffi::luaL_loadbufferx(l, text, PRELUDE.len(), c"=(sandbox)".as_ptr(), c"t".as_ptr()) != 0
        {
            ffi::lua_error(l);
        }
        push_globals(l);
        push_own(l);
        ffi::lua_call(l, 2, 2);
        keep(l, keys, Key::Libraries);
        keep(l, keys, Key::Names);
        ffi::lua_pushlstring(l, c"".as_ptr(), 0);
        if ffi::lua_getmetatable(l, -1) == 0 {
            return ffi::luaL_error(l, c"strings have no metatable".as_ptr());
        }
        keep(l, keys, Key::Strings);
        ffi::lua_newthread(l);
        #[cfg(feature = "lua54")]
        {
            (*cell(l)).learn_stacks();
            super::flood::learn(l);
        }
        ffi::lua_settop(l, 0);
        ffi::lua_gc(l, ffi::LUA_GCCOLLECT, 0);
        0
    }
}

/// Takes weak tables from the engine: with a chain of a million weak keys a collection takes minutes,
/// and code may write `__mode` into a metatable at any moment. The engine asks for it by one string of
/// its own. That is given other bytes, which nobody can guess, so that `__mode` is a string as others.
unsafe fn disarm(l: *mut lua_State) {
    unsafe {
        ffi::lua_pushlstring(l, c"__mode".as_ptr(), 6);
        let text = ffi::lua_tolstring(l, -1, std::ptr::null_mut()).cast_mut().cast::<u8>();
        let mut secret = crate::chance::random().to_ne_bytes();
        secret[0] |= 0x80;
        std::ptr::copy_nonoverlapping(secret.as_ptr(), text, 6);
        ffi::lua_pop(l, 1);
    }
}

unsafe fn push_globals(l: *mut lua_State) {
    unsafe {
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        ffi::lua_pushvalue(l, ffi::LUA_GLOBALSINDEX);
        #[cfg(not(any(feature = "lua51", feature = "luajit")))]
        ffi::lua_rawgeti(l, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
    }
}

/// On LuaJIT without `jit`: the compiler stays off, and its traces would not look at the hook.
unsafe fn open_libraries(l: *mut lua_State) {
    unsafe {
        let open = |name: &CStr, library: ffi::lua_CFunction| {
            ffi::luaL_requiref(l, name.as_ptr(), library, 1);
            ffi::lua_pop(l, 1);
        };
        open(c"_G", ffi::luaopen_base);
        open(c"string", ffi::luaopen_string);
        open(c"table", ffi::luaopen_table);
        open(c"math", ffi::luaopen_math);
        #[cfg(not(any(feature = "lua51", feature = "luajit")))]
        open(c"coroutine", ffi::luaopen_coroutine);
        #[cfg(any(feature = "lua53", feature = "lua54"))]
        open(c"utf8", ffi::luaopen_utf8);
        #[cfg(feature = "lua52")]
        open(c"bit32", ffi::luaopen_bit32);
        #[cfg(feature = "luajit")]
        if let Some(library) = library(c"luaopen_bit") {
            open(c"bit", library);
        }
    }
}

/// A library of LuaJIT's that Lua 5.1 has not, by the name of what opens it. Were this module linked to
/// it, Lua 5.1 could not load it far enough to say that it was built for LuaJIT.
#[cfg(feature = "luajit")]
unsafe fn library(name: &CStr) -> Option<ffi::lua_CFunction> {
    // SAFETY: under that name the engine has a C function.
    unsafe {
        let found = libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr());
        (!found.is_null())
            .then(|| std::mem::transmute::<*mut std::ffi::c_void, ffi::lua_CFunction>(found))
    }
}

unsafe fn push_own(l: *mut lua_State) {
    unsafe {
        ffi::lua_createtable(l, 0, (FUNCTIONS.len() + FLAGS.len()) as c_int);
        for (name, function) in FUNCTIONS {
            ffi::lua_pushcfunction(l, *function);
            ffi::lua_setfield(l, -2, name.as_ptr());
        }
        for (name, flag) in FLAGS {
            ffi::lua_pushboolean(l, c_int::from(*flag));
            ffi::lua_setfield(l, -2, name.as_ptr());
        }
    }
}

/// Pushes the table of ours.
///
/// # Safety
/// `l` is a furnished state with two slots on its stack.
pub unsafe fn push_keys(l: *mut lua_State) {
    unsafe {
        ffi::lua_rawgetp(l, ffi::LUA_REGISTRYINDEX, (&raw const KEYS).cast());
    }
}

/// Pushes what is kept there.
///
/// # Safety
/// `l` is a furnished state with two slots on its stack.
pub unsafe fn push_kept(l: *mut lua_State, key: Key) {
    unsafe {
        push_keys(l);
        ffi::lua_rawgeti(l, -1, key as i64);
        ffi::lua_remove(l, -2);
    }
}

/// Takes a value from the stack into the table of ours, which is at `keys`.
///
/// # Safety
/// `l` is a furnished state with two slots on its stack.
pub unsafe fn keep(l: *mut lua_State, keys: c_int, key: Key) {
    unsafe { ffi::lua_rawseti(l, keys, key as i64) }
}

/// Pushes new globals with new library tables in them.
///
/// # Safety
/// As [`push_kept`], in protected code: may raise.
pub unsafe fn push_environment(l: *mut lua_State) {
    unsafe {
        push_kept(l, Key::Names);
        push_kept(l, Key::Libraries);
        push_kept(l, Key::Strings);
        let (names, libraries, strings) =
            (ffi::lua_gettop(l) - 2, ffi::lua_gettop(l) - 1, ffi::lua_gettop(l));
        let count = ffi::lua_rawlen(l, names) as i64;
        ffi::lua_rawgeti(l, libraries, 1);
        copy(l, 40);
        let globals = ffi::lua_gettop(l);
        ffi::lua_rawgeti(l, names, 1);
        ffi::lua_pushvalue(l, globals);
        ffi::lua_rawset(l, globals);
        for i in 2..=count {
            ffi::lua_rawgeti(l, names, i);
            ffi::lua_rawgeti(l, libraries, i);
            copy(l, 24);
            if i == 2 {
                ffi::lua_pushvalue(l, -1);
                ffi::lua_setfield(l, strings, c"__index".as_ptr());
            }
            ffi::lua_rawset(l, globals);
        }
        ffi::lua_replace(l, names);
        ffi::lua_settop(l, names);
    }
}

/// Makes what marks the empty arrays of a call.
///
/// # Safety
/// As [`push_environment`].
pub unsafe fn renew_array(l: *mut lua_State) {
    unsafe {
        push_keys(l);
        let keys = ffi::lua_gettop(l);
        ffi::lua_createtable(l, 0, 1);
        push_kept(l, Key::JsonType);
        ffi::lua_pushlstring(l, c"array".as_ptr(), 5);
        ffi::lua_rawset(l, -3);
        keep(l, keys, Key::Array);
        ffi::lua_pop(l, 1);
    }
}

/// Replaces the table on top by a copy.
unsafe fn copy(l: *mut lua_State, room: c_int) {
    unsafe {
        ffi::lua_createtable(l, 0, room);
        ffi::lua_pushnil(l);
        while ffi::lua_next(l, -3) != 0 {
            ffi::lua_pushvalue(l, -2);
            ffi::lua_insert(l, -2);
            ffi::lua_rawset(l, -4);
        }
        ffi::lua_remove(l, -2);
    }
}

/// Takes globals from the stack, for the chunk below.
///
/// # Safety
/// As [`push_kept`], with both on the stack.
pub unsafe fn set_environment(l: *mut lua_State) {
    unsafe {
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        ffi::lua_setfenv(l, -2);
        #[cfg(not(any(feature = "lua51", feature = "luajit")))]
        if ffi::lua_setupvalue(l, -2, 1).is_null() {
            ffi::lua_pop(l, 1);
        }
    }
}
