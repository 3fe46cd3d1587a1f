//! `memory.store` and `memory.retrieve` of strings, numbers and booleans in the scope GLOBAL, while
//! no store is configured.

use std::ffi::c_int;

use mlua::ffi::{self, lua_State};

use crate::lua::bridge::{Entry, Run, Short};
use crate::lua::instance::Instance;
use crate::lua::late;
use crate::lua::stack;
use crate::memory::{self, Scalar, Value, address};

/// Keys up to this length are put together on the stack.
const KEY: usize = 254;

/// A key of the scope GLOBAL.
struct Key {
    bytes: [u8; KEY + 2],
    len: usize,
}

impl Key {
    fn new(key: &[u8]) -> Option<Key> {
        let len = key.len() + 2;
        let mut bytes = [0; KEY + 2];
        if key.is_empty() || key.len() > KEY {
            return None;
        }
        bytes[..2].copy_from_slice(&address::GLOBAL);
        bytes[2..len].copy_from_slice(key);
        Some(Key { bytes, len })
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Pushes true and the result, and says how many values that are; nothing and 0 if the long way
/// must be taken.
///
/// # Safety
/// Called from a C function of this module with the running state; `instance` is alive and not
/// borrowed. Needs 2 stack slots.
pub unsafe fn memory(l: *mut lua_State, instance: *mut Instance, entry: &'static Entry) -> c_int {
    unsafe {
        let Run::Perhaps(Some(short), _) = entry.function.run else { return 0 };
        let runtime = &(*instance).runtime;
        if runtime.config.profiling > 0.0
            || !runtime.store.place().is_memory()
            || late::is_watched(runtime)
        {
            return 0;
        }
        if ffi::lua_type(l, 1) != ffi::LUA_TSTRING {
            return 0;
        }
        let Some(key) = Key::new(stack::bytes(l, 1)) else { return 0 };
        let answered = match short {
            Short::Store => store(l, &mut *instance, &key),
            Short::Retrieve => retrieve(l, &mut *instance, &key),
            Short::Parse | Short::Format => false,
        };
        if answered {
            (*instance).metrics.called(entry.number);
        }
        if answered { 2 } else { 0 }
    }
}

unsafe fn store(l: *mut lua_State, instance: &mut Instance, key: &Key) -> bool {
    unsafe {
        let value = match ffi::lua_type(l, 2) {
            ffi::LUA_TBOOLEAN => Value::Bool(ffi::lua_toboolean(l, 2) != 0),
            ffi::LUA_TNUMBER => match stack::number(l, 2) {
                stack::Number::Int(n) => Value::Int(n),
                stack::Number::Float(n) if n.is_finite() => Value::Float(n),
                stack::Number::Float(_) => return false,
            },
            ffi::LUA_TSTRING => Value::Text(stack::bytes(l, 2).into()),
            _ => return false,
        };
        let runtime = &instance.runtime;
        memory::put_scalar(&runtime.clock, key.bytes(), value, runtime.config.memory.max_entries);
        ffi::lua_pushboolean(l, 1);
        ffi::lua_pushboolean(l, 1);
        true
    }
}

/// Pushing may raise and may run finalisers that come here again: what is pushed is neither under
/// the lock nor in the instance.
unsafe fn retrieve(l: *mut lua_State, instance: &mut Instance, key: &Key) -> bool {
    unsafe {
        if ffi::lua_type(l, 2) > ffi::LUA_TNIL {
            return false;
        }
        let scratch = instance.scratches.take();
        let found = memory::scalar(&instance.runtime.clock, key.bytes(), &mut (*scratch).text);
        if let Some(found) = &found {
            ffi::lua_pushboolean(l, 1);
            match found {
                Scalar::Bool(value) => ffi::lua_pushboolean(l, c_int::from(*value)),
                Scalar::Int(n) => stack::push_int(l, *n),
                Scalar::Float(n) => ffi::lua_pushnumber(l, *n),
                Scalar::Text => stack::push_bytes(l, &(*scratch).text),
            }
        }
        instance.scratches.give(Box::from_raw(scratch));
        found.is_some()
    }
}
