//! The front door: `luaopen_zigllms`, and how an instance becomes a module table.
//!
//! Requiring starts no thread, takes no lock, opens no file and writes no environment variable.

use std::ffi::{CStr, c_int, c_void};

use mlua::Lua;
use mlua::ffi::{self, lua_CFunction, lua_State};

use super::bridge::{ENTRIES, Run};
use super::compiled;
use super::drive::NATIVES;
use super::short::reader;
use super::stack::{Meta, UPVALUES};
use super::{growing, inner, raw};

/// Chunks in the order they are loaded; each gets and returns the private table `core`.
const CHUNKS: &[(&CStr, &str)] = &[
    (c"=zigllms/values.lua", include_str!("values.lua")),
    (c"=zigllms/errors.lua", include_str!("errors.lua")),
    (c"=zigllms/contexts.lua", include_str!("contexts.lua")),
    (c"=zigllms/interrupting.lua", include_str!("interrupting.lua")),
    (c"=zigllms/turn.lua", include_str!("turn.lua")),
    (c"=zigllms/tasks.lua", include_str!("tasks.lua")),
    (c"=zigllms/hosts.lua", include_str!("hosts.lua")),
    (c"=zigllms/linking.lua", include_str!("linking.lua")),
    (c"=zigllms/plans.lua", include_str!("plans.lua")),
    (c"=zigllms/events.lua", include_str!("events.lua")),
    (c"=zigllms/telling.lua", include_str!("telling.lua")),
    (c"=zigllms/emit.lua", include_str!("emit.lua")),
    (c"=zigllms/recording.lua", include_str!("recording.lua")),
    (c"=zigllms/hooks.lua", include_str!("hooks.lua")),
    (c"=zigllms/attend.lua", include_str!("attend.lua")),
    (c"=zigllms/cleanup.lua", include_str!("cleanup.lua")),
    (c"=zigllms/drive.lua", include_str!("drive.lua")),
    (c"=zigllms/templates.lua", include_str!("templates.lua")),
    (c"=zigllms/scope.lua", include_str!("scope.lua")),
    (c"=zigllms/listen.lua", include_str!("listen.lua")),
    (c"=zigllms/handle.lua", include_str!("handle.lua")),
    (c"=zigllms/following.lua", include_str!("following.lua")),
    (c"=zigllms/fire.lua", include_str!("fire.lua")),
    (c"=zigllms/compose.lua", include_str!("compose.lua")),
    (c"=zigllms/many.lua", include_str!("many.lua")),
    (c"=zigllms/batch.lua", include_str!("batch.lua")),
    (c"=zigllms/cassette.lua", include_str!("cassette.lua")),
    (c"=zigllms/coverage.lua", include_str!("coverage.lua")),
    (c"=zigllms/virtual.lua", include_str!("virtual.lua")),
    (c"=zigllms/schema.lua", include_str!("schema.lua")),
    (c"=zigllms/stream.lua", include_str!("stream.lua")),
    (c"=zigllms/reader.lua", include_str!("reader.lua")),
    (c"=zigllms/showing.lua", include_str!("showing.lua")),
    (c"=zigllms/asserting.lua", include_str!("asserting.lua")),
    (c"=zigllms/testing/journal.lua", include_str!("testing/journal.lua")),
    (c"=zigllms/mocks.lua", include_str!("mocks.lua")),
    (c"=zigllms/testing/limits.lua", include_str!("testing/limits.lua")),
    (c"=zigllms/testing/fixtures.lua", include_str!("testing/fixtures.lua")),
    (c"=zigllms/testing/expecting.lua", include_str!("testing/expecting.lua")),
    (c"=zigllms/testing/scenarios.lua", include_str!("testing/scenarios.lua")),
    (c"=zigllms/testing/outcomes.lua", include_str!("testing/outcomes.lua")),
    (c"=zigllms/testing/running.lua", include_str!("testing/running.lua")),
    (c"=zigllms/testing/reporting.lua", include_str!("testing/reporting.lua")),
    (c"=zigllms/testing/suites.lua", include_str!("testing/suites.lua")),
    (c"=zigllms/services.lua", include_str!("services.lua")),
    (c"=zigllms/echoing.lua", include_str!("echoing.lua")),
    (c"=zigllms/serving.lua", include_str!("serving.lua")),
    (c"=zigllms/module.lua", include_str!("module.lua")),
];

/// Chunks of `host/`, each loaded when its host is first seen.
const HOSTS: &[(&CStr, &CStr, &str)] = &[
    (c"blocking", c"=zigllms/host/blocking.lua", include_str!("host/blocking.lua")),
    (c"custom", c"=zigllms/host/custom.lua", include_str!("host/custom.lua")),
    (c"uv", c"=zigllms/host/uv.lua", include_str!("host/uv.lua")),
    (c"luv", c"=zigllms/host/luv.lua", include_str!("host/luv.lua")),
    (c"nvim", c"=zigllms/host/nvim.lua", include_str!("host/nvim.lua")),
    (c"openresty", c"=zigllms/host/openresty.lua", include_str!("host/openresty.lua")),
    (c"copas", c"=zigllms/host/copas.lua", include_str!("host/copas.lua")),
    (c"cqueues", c"=zigllms/host/cqueues.lua", include_str!("host/cqueues.lua")),
];

/// C functions of `core` besides [`NATIVES`].
const FUNCTIONS: &[(&CStr, lua_CFunction)] = &[
    (c"step", raw::step),
    (c"release", raw::release),
    (c"told", raw::told),
    (c"stamp", raw::stamp),
    (c"raise", raw::raise),
    (c"ended", raw::ended),
    (c"nearest", raw::nearest),
    (c"position", raw::position),
    (c"mark", raw::mark),
    (c"handle", raw::handle),
    (c"task", raw::task),
    (c"schema_object", compiled::object),
    (c"schema_check", compiled::check),
    (c"schema_validate", compiled::validate),
    (c"stream_new", growing::new),
    (c"stream_state", growing::state),
    (c"stream_feed", growing::feed),
    (c"reader_new", reader::new),
];

/// Strings of the metas table.
const STRINGS: &[(Meta, &CStr)] = &[
    (Meta::JsonType, c"__jsontype"),
    (Meta::Call, c"__call"),
    (Meta::Json, c"json"),
    (Meta::Format, c"format"),
    (Meta::Recovered, c"recovered"),
    (Meta::Start, c"start"),
    (Meta::Stop, c"stop"),
];

/// `require("zigllms")`.
///
/// # Safety
/// Called by Lua's loader with its running state.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn luaopen_zigllms(l: *mut lua_State) -> c_int {
    unsafe {
        if let Some(message) = wrong_engine(l) {
            return ffi::luaL_error(l, c"%s".as_ptr(), message.as_ptr());
        }
        crate::store::sqlite::guard_forks();
        crate::memory::guard_forks();
        // mlua keeps the state it first sees for its error paths. `require` may run in a coroutine
        // that is collected later, so it must see one that lives as long as the Lua state.
        crate::sandbox::install(&super::sandbox::Rooms);
        let anchor = long_lived(l);
        let _ = Lua::get_or_init_from_ptr(anchor);
        Lua::entrypoint1(l, |lua| lua.exec_raw::<mlua::Value>((), |l| module(l)))
    }
}

/// `require("zigllms.reference")`: Lua finds it in this library by its name.
///
/// # Safety
/// Called by Lua's loader with its running state.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn luaopen_zigllms_reference(l: *mut lua_State) -> c_int {
    unsafe {
        if let Some(message) = wrong_engine(l) {
            return ffi::luaL_error(l, c"%s".as_ptr(), message.as_ptr());
        }
        // Records and lists of plain values need none of the upvalues that other functions have.
        match super::push::results(l, &super::reference::DATA) {
            Some(pushed) => pushed.count,
            None => ffi::luaL_error(l, c"zigllms.reference: stack overflow".as_ptr()),
        }
    }
}

/// lua5.1 and LuaJIT share their symbols, so the loader cannot tell them apart.
unsafe fn wrong_engine(l: *mut lua_State) -> Option<&'static CStr> {
    unsafe {
        ffi::lua_getglobal(l, c"jit".as_ptr());
        let jit = ffi::lua_type(l, -1) == ffi::LUA_TTABLE;
        ffi::lua_pop(l, 1);
        if cfg!(feature = "luajit") && !jit {
            return Some(c"this zigllms was built for LuaJIT, but Lua 5.1 loads it: build it with the feature lua51");
        }
        if cfg!(feature = "lua51") && jit {
            return Some(c"this zigllms was built for Lua 5.1, but LuaJIT loads it: build it with the feature luajit");
        }
        None
    }
}

/// The main thread where the engine tells it, else a coroutine that the registry keeps.
unsafe fn long_lived(l: *mut lua_State) -> *mut lua_State {
    unsafe {
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        {
            let main = ffi::lua_pushthread(l) == 1;
            ffi::lua_pop(l, 1);
            if main {
                return l;
            }
            let anchor = ffi::lua_newthread(l);
            ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
            anchor
        }
        #[cfg(not(any(feature = "lua51", feature = "luajit")))]
        {
            ffi::lua_rawgeti(l, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_MAINTHREAD);
            let main = ffi::lua_tothread(l, -1);
            ffi::lua_pop(l, 1);
            main
        }
    }
}

/// `core.new()`: a module table as a second Lua state would get it.
unsafe extern "C-unwind" fn new(l: *mut lua_State) -> c_int {
    unsafe {
        ffi::lua_settop(l, 0);
        module(l);
        1
    }
}

/// Builds an instance and runs the chunks over `core`; leaves the module table on the stack.
unsafe fn module(l: *mut lua_State) {
    unsafe {
        ffi::luaL_checkstack(l, 30, c"zigllms".as_ptr());
        let base = ffi::lua_gettop(l);
        raw::new_instance(l);
        ffi::lua_createtable(l, 0, 0);
        super::push::strings::prepare(l);
        metas(l);
        // core: at base + 4, over instance, slots and metas
        ffi::lua_createtable(l, 0, 32);
        core(l, base);
        for (name, source) in CHUNKS {
            run(l, name, source, base + 4);
        }
        ffi::lua_replace(l, base + 1);
        ffi::lua_settop(l, base + 1);
    }
}

/// The table with the metatables of errors, responses, marks and handles: one per Lua state, so
/// that instances know each other's. Leaves it on the stack.
unsafe fn metas(l: *mut lua_State) {
    static KEY: u8 = 0;
    unsafe {
        let key = std::ptr::from_ref(&KEY).cast::<c_void>();
        if ffi::lua_rawgetp(l, ffi::LUA_REGISTRYINDEX, key) == ffi::LUA_TTABLE {
            return;
        }
        ffi::lua_pop(l, 1);
        ffi::lua_createtable(l, 16, 0);
        for meta in [Meta::Error, Meta::Response, Meta::Array, Meta::Object, Meta::Handle] {
            ffi::lua_createtable(l, 0, 8);
            ffi::lua_rawseti(l, -2, meta as i64);
        }
        for (meta, name) in STRINGS {
            ffi::lua_pushstring(l, name.as_ptr());
            ffi::lua_rawseti(l, -2, *meta as i64);
        }
        growing::metatable(l);
        ffi::lua_rawseti(l, -2, Meta::Stream as i64);
        reader::metatable(l);
        ffi::lua_rawseti(l, -2, Meta::Reader as i64);
        super::push::collector::metatable(l);
        super::push::info::metatable(l);
        ffi::lua_rawseti(l, -2, Meta::Info as i64);
        ffi::lua_pushvalue(l, -1);
        ffi::lua_rawsetp(l, ffi::LUA_REGISTRYINDEX, key);
    }
}

/// Fills the table on top, `core`.
unsafe fn core(l: *mut lua_State, base: c_int) {
    unsafe {
        for native in NATIVES {
            let name = native.name.as_bytes();
            ffi::lua_pushlstring(l, name.as_ptr().cast(), name.len());
            closure(l, base, raw::native, std::ptr::from_ref(native).cast());
            ffi::lua_rawset(l, -3);
        }
        for inner in inner::ALL.iter().flat_map(|room| room.iter()) {
            ffi::lua_pushlstring(l, inner.name.as_ptr().cast(), inner.name.len());
            closure(l, base, raw::inner, std::ptr::from_ref(inner).cast());
            ffi::lua_rawset(l, -3);
        }
        for (name, function) in FUNCTIONS {
            closure(l, base, *function, std::ptr::null());
            ffi::lua_setfield(l, -2, name.as_ptr());
        }
        super::stack::push_null(l);
        ffi::lua_setfield(l, -2, c"null".as_ptr());
        super::stack::push_bytes(l, env!("CARGO_PKG_VERSION").as_bytes());
        ffi::lua_setfield(l, -2, c"version".as_ptr());
        ffi::lua_pushcfunction(l, new);
        ffi::lua_setfield(l, -2, c"new".as_ptr());
        ffi::lua_pushcfunction(l, host_chunk);
        ffi::lua_setfield(l, -2, c"host_chunk".as_ptr());
        globals(l);
        ffi::lua_setfield(l, -2, c"globals".as_ptr());
        ffi::lua_pushvalue(l, base + 2);
        ffi::lua_setfield(l, -2, c"slots".as_ptr());
        ffi::lua_pushvalue(l, base + 3);
        ffi::lua_setfield(l, -2, c"metas".as_ptr());
        entries(l, base);
        ffi::lua_setfield(l, -2, c"entries".as_ptr());
        constants(l);
        ffi::lua_setfield(l, -2, c"constants".as_ptr());
    }
}

/// `core.host_chunk(name)`: that chunk as a function.
unsafe extern "C-unwind" fn host_chunk(l: *mut lua_State) -> c_int {
    unsafe {
        let name = super::stack::bytes(l, 1);
        for (host, chunk, source) in HOSTS {
            if host.to_bytes() == name {
                load(l, chunk, source);
                return 1;
            }
        }
        ffi::luaL_error(l, c"zigllms: no such host".as_ptr())
    }
}

/// The globals of the Lua state, whatever environment the code runs in that requires the module
/// (nginx gives each request its own). Leaves them on the stack.
unsafe fn globals(l: *mut lua_State) {
    unsafe {
        ffi::lua_getfield(l, ffi::LUA_REGISTRYINDEX, c"_LOADED".as_ptr());
        ffi::lua_getfield(l, -1, c"_G".as_ptr());
        ffi::lua_remove(l, -2);
    }
}

/// A closure with the four upvalues every C function of the module has.
unsafe fn closure(
    l: *mut lua_State,
    base: c_int,
    function: lua_CFunction,
    declaration: *const c_void,
) {
    unsafe {
        ffi::lua_pushvalue(l, base + 1);
        ffi::lua_pushlightuserdata(l, declaration.cast_mut());
        ffi::lua_pushvalue(l, base + 2);
        ffi::lua_pushvalue(l, base + 3);
        ffi::lua_pushcclosure(l, function, UPVALUES);
    }
}

/// An array of `{bridge, name, kind, closure, number}`, one of every public function.
unsafe fn entries(l: *mut lua_State, base: c_int) {
    unsafe {
        ffi::lua_createtable(l, ENTRIES.len() as c_int, 0);
        for (i, entry) in ENTRIES.iter().enumerate() {
            let (kind, function): (&str, lua_CFunction) = match entry.function.run {
                Run::Now(_) | Run::Instance(_) => ("now", raw::now),
                Run::Short(..) => ("now", raw::short),
                Run::Waits(_) | Run::Perhaps(None, _) => ("waits", raw::start),
                Run::Perhaps(Some(_), _) => ("perhaps", raw::start),
                Run::Lua => ("lua", raw::check),
            };
            ffi::lua_createtable(l, 6, 0);
            for (at, text) in [entry.bridge.name, entry.function.name, kind].iter().enumerate() {
                ffi::lua_pushlstring(l, text.as_ptr().cast(), text.len());
                ffi::lua_rawseti(l, -2, at as i64 + 1);
            }
            closure(l, base, function, std::ptr::from_ref(entry).cast());
            ffi::lua_rawseti(l, -2, 4);
            super::stack::push_int(l, i as i64);
            ffi::lua_rawseti(l, -2, 5);
            closure(l, base, raw::shortly, std::ptr::from_ref(entry).cast());
            ffi::lua_rawseti(l, -2, 6);
            ffi::lua_rawseti(l, -2, i as i64 + 1);
        }
    }
}

/// An array of `{bridge, table, {NAME = "value"}}`; a bridge without constants has an entry with
/// its name alone, so that every bridge is listed.
unsafe fn constants(l: *mut lua_State) {
    unsafe {
        ffi::lua_createtable(l, 0, 0);
        let mut count = 0;
        for bridge in super::bridges::BRIDGES {
            for table in bridge.constants {
                ffi::lua_createtable(l, 3, 0);
                for (at, text) in [bridge.name, table.name].iter().enumerate() {
                    ffi::lua_pushlstring(l, text.as_ptr().cast(), text.len());
                    ffi::lua_rawseti(l, -2, at as i64 + 1);
                }
                ffi::lua_createtable(l, 0, table.members.len() as c_int);
                for (name, value) in table.members {
                    ffi::lua_pushlstring(l, name.as_ptr().cast(), name.len());
                    ffi::lua_pushlstring(l, value.as_ptr().cast(), value.len());
                    ffi::lua_rawset(l, -3);
                }
                ffi::lua_rawseti(l, -2, 3);
                count += 1;
                ffi::lua_rawseti(l, -2, count);
            }
        }
    }
}

/// Compiles a chunk; leaves it on the stack.
unsafe fn load(l: *mut lua_State, name: &CStr, source: &str) {
    unsafe {
        let (start, length) = (source.as_ptr().cast(), source.len());
        if ffi::luaL_loadbufferx(l, start, length, name.as_ptr(), c"t".as_ptr()) != 0 {
            ffi::lua_error(l);
        }
        interpret(l);
    }
}

/// Loads a chunk and calls it with `core`; leaves its result on the stack.
unsafe fn run(l: *mut lua_State, name: &CStr, source: &str, core: c_int) {
    unsafe {
        load(l, name, source);
        ffi::lua_pushvalue(l, core);
        ffi::lua_call(l, 1, 1);
    }
}

/// Keeps LuaJIT from compiling the function on top and those inside it, by `jit.off`: Lua 5.1 must
/// be able to load this library as far as its refusal, so `luaJIT_setmode` is out of the question.
///
/// The module's Lua calls little but C functions, which traces cannot hold: it gains nothing, and
/// LuaJIT 2.1.0-beta3 (Debian 12) spins for ever on some traces stitched together around them.
#[cfg(feature = "luajit")]
unsafe fn interpret(l: *mut lua_State) {
    unsafe {
        ffi::lua_getglobal(l, c"jit".as_ptr());
        ffi::lua_getfield(l, -1, c"off".as_ptr());
        ffi::lua_pushvalue(l, -3);
        ffi::lua_pushboolean(l, 1);
        ffi::lua_call(l, 2, 0);
        ffi::lua_pop(l, 1);
    }
}

#[cfg(not(feature = "luajit"))]
unsafe fn interpret(_: *mut lua_State) {}
