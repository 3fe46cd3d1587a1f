//! Compiled schemas as Lua objects: the userdata, its finaliser, and the two methods that are
//! called in loops.
//!
//! The userdata holds a number of the instance's library and the place of that instance; closures
//! in its metatable keep the instance alive. It is known by its seal, a word that Lua code cannot
//! write and that is another one for each object.

use std::ffi::{c_int, c_void};

use mlua::ffi::{self, lua_State};

use crate::error::Error;
use crate::guard::guarded;
use crate::schema::{OBJECT, Schema};
use crate::value::{Data, Ref};

use super::bridges::schema_answers;
use super::drive::Action;
use super::instance::{Frame, Instance};
use super::push::Origin;
use super::stack::{self, INSTANCE, upvalue};
use super::{quick, raw, read};

static KEY: u8 = 0;

/// What lies in the userdata.
#[repr(C)]
struct Held {
    seal: usize,
    number: usize,
    instance: *mut *mut Instance,
}

/// What the object at an address has as its seal.
fn seal(address: *const c_void) -> usize {
    (address as usize) ^ (std::ptr::from_ref(&KEY) as usize).rotate_left(17)
}

/// schema_object(number, metatable) → the object
///
/// # Safety
/// As all C functions of the module: called by Lua with its running state.
pub unsafe extern "C-unwind" fn object(l: *mut lua_State) -> c_int {
    unsafe {
        let number = ffi::lua_tonumberx(l, 1, std::ptr::null_mut()) as usize;
        let place = ffi::lua_touserdata(l, upvalue(INSTANCE)).cast::<*mut Instance>();
        ffi::lua_settop(l, 2);
        // The finaliser needs the upvalues of this function.
        for which in 1..=stack::UPVALUES {
            ffi::lua_pushvalue(l, upvalue(which));
        }
        ffi::lua_pushcclosure(l, release, stack::UPVALUES);
        ffi::lua_setfield(l, 2, c"__gc".as_ptr());
        let held = ffi::lua_newuserdata(l, std::mem::size_of::<Held>()).cast::<Held>();
        held.write(Held { seal: seal(held.cast()), number, instance: place });
        ffi::lua_pushvalue(l, 2);
        ffi::lua_setmetatable(l, -2);
        1
    }
}

/// What a compiled schema's userdata holds; `None` for any other value.
///
/// # Safety
/// Needs no stack. A full userdata of that size is read as words, whosever it is.
unsafe fn held<'l>(l: *mut lua_State, index: c_int) -> Option<&'l Held> {
    unsafe {
        if ffi::lua_type(l, index) != ffi::LUA_TUSERDATA
            || ffi::lua_rawlen(l, index) != std::mem::size_of::<Held>()
        {
            return None;
        }
        let held = ffi::lua_touserdata(l, index).cast::<Held>();
        ((*held).seal == seal(held.cast())).then(|| &*held)
    }
}

/// How the compiled schema at `index` stands on a tape; `None` for any other value. An object of
/// another instance becomes known to this one.
///
/// # Safety
/// `instance` is alive and not borrowed. Needs no stack.
pub unsafe fn name(l: *mut lua_State, index: c_int, instance: *mut Instance) -> Option<String> {
    unsafe {
        let held = held(l, index)?;
        let owner = *held.instance;
        let number = match owner == instance || owner.is_null() {
            true => held.number,
            false => {
                let schema = (&*owner).runtime.schemas.object(held.number)?.clone();
                (&mut *instance).runtime.schemas.adopt(schema)
            }
        };
        Some(format!("{OBJECT}{number}"))
    }
}

/// Finaliser: the schema is dropped, unless its instance is gone already.
unsafe extern "C-unwind" fn release(l: *mut lua_State) -> c_int {
    unsafe {
        if let Some(held) = held(l, 1) {
            let instance = *held.instance;
            if !instance.is_null() {
                let number = held.number;
                let _ = guarded(|| {
                    (&mut *instance).runtime.schemas.release(number);
                    Ok(())
                });
            }
        }
        0
    }
}

/// compiled:check(data) → true, or false and what is wrong
///
/// # Safety
/// As [`object`].
pub unsafe extern "C-unwind" fn check(l: *mut lua_State) -> c_int {
    unsafe {
        if surely_fits(l) {
            ffi::lua_pushboolean(l, 1);
            return 1;
        }
        answer(l, "check", schema_answers::verdict)
    }
}

/// compiled:validate(data) → {valid, errors, error_count}
///
/// # Safety
/// As [`object`].
pub unsafe extern "C-unwind" fn validate(l: *mut lua_State) -> c_int {
    unsafe {
        if surely_fits(l) {
            return push_valid(l);
        }
        answer(l, "validate", |schema, value| schema_answers::report(schema, value, usize::MAX))
    }
}

/// Whether the second argument is known to fit the first without reading it onto a tape. The
/// schema stays borrowed: nothing on the way calls Lua or collects.
unsafe fn surely_fits(l: *mut lua_State) -> bool {
    unsafe {
        ffi::lua_settop(l, 2);
        let Some(held) = held(l, 1) else { return false };
        let instance = *held.instance;
        if instance.is_null() {
            return false;
        }
        let schema = (&*instance).runtime.schemas.object(held.number);
        let Some(quick) = schema.and_then(Schema::quick) else { return false };
        if quick::surely_fits(l, 2, quick) {
            return true;
        }
        ffi::lua_settop(l, 2);
        false
    }
}

/// `{valid = true, error_count = 0, errors = {}}`
unsafe fn push_valid(l: *mut lua_State) -> c_int {
    unsafe {
        ffi::lua_createtable(l, 0, 3);
        ffi::lua_pushboolean(l, 1);
        ffi::lua_setfield(l, -2, c"valid".as_ptr());
        stack::push_int(l, 0);
        ffi::lua_setfield(l, -2, c"error_count".as_ptr());
        ffi::lua_createtable(l, 0, 0);
        ffi::lua_setfield(l, -2, c"errors".as_ptr());
        1
    }
}

unsafe fn answer(
    l: *mut lua_State,
    method: &'static str,
    run: fn(&Schema, Ref<'_>) -> Data,
) -> c_int {
    unsafe {
        ffi::lua_settop(l, 2);
        raw::framed(l, |instance, frame| {
            let own = *ffi::lua_touserdata(l, upvalue(INSTANCE)).cast::<*mut Instance>();
            let Some(held) = held(l, 1) else { return refuse(l, frame, method, not_compiled()) };
            let owner = if (*held.instance).is_null() { own } else { *held.instance };
            let number = held.number;
            read::value(l, instance, 2, "data", frame);
            if let Some(error) = (*frame).error.take() {
                return refuse(l, frame, method, error);
            }
            // Nothing below calls Lua.
            let schema = (&*owner).runtime.schemas.object(number);
            let value = (&*frame).tape.root();
            let found = guarded(|| match (schema, value) {
                (Some(schema), Some(value)) => Ok(run(schema, value)),
                _ => Err(not_compiled()),
            });
            match found {
                Ok(data) => (*frame).action = Action::Return(data),
                Err(error) => refuse(l, frame, method, error),
            }
        })
    }
}

unsafe fn refuse(l: *mut lua_State, frame: *mut Frame, method: &'static str, error: Error) {
    unsafe {
        let position = stack::position(l);
        (*frame).origin = Origin { bridge: "schema", function: method.into(), position };
        (*frame).action = Action::Raise(error);
    }
}

fn not_compiled() -> Error {
    Error::invalid("expected a compiled schema: call its methods with a colon")
}
