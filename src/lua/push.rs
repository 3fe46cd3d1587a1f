//! Results into Lua: tables at their exact size, in one walk.
//!
//! Everything pushed is owned by the caller's frame, so a memory error raised in here leaves no
//! Rust value behind on this stack.

pub mod collector;
pub mod document;
pub mod info;
pub mod strings;

use std::borrow::Cow;
use std::ffi::c_int;

use mlua::ffi::{self, lua_State};
use serde_json::Value;

use crate::error::{Cause, Code, Error, Fields};
use crate::value::{Data, Patch, Record};

use super::bridge::Bridge;
use super::bridges::BRIDGES;
use super::instance::Instance;
use super::stack::{self, Meta};

/// How many results there are, and how many slots of the stack pushing them took.
pub struct Pushed {
    pub count: c_int,
    pub slots: usize,
}

/// Pushes the results of a call; `None`, and nothing pushed, if the stack has no room for them.
///
/// # Safety
/// Called from a C function of this module, with no more on its stack than its arguments and two
/// values. Checks the stack it needs; may raise a memory error, and `overflow` in the middle of a
/// deep document.
pub unsafe fn results(l: *mut lua_State, data: &Data) -> Option<Pushed> {
    unsafe {
        if let Data::Shared(data) = data {
            return results(l, data);
        }
        let slots = slots_needed(data);
        if !stack::room(l, slots as c_int) {
            return None;
        }
        let count = match data {
            Data::Many(values) => {
                values.iter().for_each(|value| push(l, value));
                values.len() as c_int
            }
            value => {
                push(l, value);
                1
            }
        };
        Some(Pushed { count, slots })
    }
}

/// The exact depth of the value, in stack slots: a table, the name of a member, the member. A
/// document counts as one of few levels: it asks for more itself.
fn slots_needed(data: &Data) -> usize {
    match data {
        Data::List(items) => 1 + most(items.iter()),
        Data::Numbers(_) => 2,
        // Its metatable takes a slot, too.
        Data::Record(record) => 2 + most(record.fields.iter().map(|(_, value)| value)),
        Data::Many(values) => values.len().saturating_sub(1) + most(values.iter()),
        Data::Json(value) => json_slots(value),
        Data::Document(_) => document::SLOTS,
        Data::Shared(data) => slots_needed(data),
        Data::Error(failure) => error_slots(&failure.error),
        Data::Patched(_, patches) => {
            // The copies of two tables, and a pair of the second; or a table, a name and a value.
            patches.iter().map(|p| 3 + json_slots(&p.value)).max().unwrap_or(0).max(7)
        }
        _ => 1,
    }
}

fn most<'d>(values: impl Iterator<Item = &'d Data>) -> usize {
    values.map(slots_needed).max().unwrap_or(0)
}

fn json_slots(value: &Value) -> usize {
    match value {
        // The mark of an array.
        Value::Array(items) => 1 + items.iter().map(json_slots).max().unwrap_or(0).max(1),
        Value::Object(members) => 2 + members.values().map(json_slots).max().unwrap_or(0),
        _ => 1,
    }
}

/// Raises that the stack is full, as an error of the function whose results are being pushed.
///
/// # Safety
/// As [`results`]; what it raises takes no more slots than every C function has.
pub unsafe fn overflow(l: *mut lua_State, instance: *mut Instance) -> ! {
    unsafe {
        (*instance).metrics.stack.totals.overflows += 1;
        let pushing = &mut (*instance).pushing;
        if let Some(entry) = pushing.entry {
            let (bridge, function) = (entry.bridge.name, entry.function.name.into());
            pushing.origin = Origin { bridge, function, position: stack::position(l) };
            (*instance).metrics.failed(entry.number, Code::InvalidState);
        }
        error(l, &(*instance).overflow, &(*instance).pushing.origin);
        ffi::lua_error(l)
    }
}

/// Pushes one value. The stack has room.
unsafe fn push(l: *mut lua_State, data: &Data) {
    unsafe {
        match data {
            Data::Nil => ffi::lua_pushnil(l),
            Data::Bool(value) => ffi::lua_pushboolean(l, c_int::from(*value)),
            Data::Int(n) => stack::push_int(l, *n),
            Data::Num(n) => ffi::lua_pushnumber(l, *n),
            Data::Text(text) => stack::push_bytes(l, text.as_bytes()),
            Data::Json(value) => json(l, value),
            Data::Document(document) => {
                document::push(l, document.tape.walk(document.root, &[]));
            }
            Data::Slot(slot) => stack::push_slot(l, slot.id()),
            Data::List(items) | Data::Many(items) => list(l, items),
            Data::Numbers(numbers) => floats(l, numbers),
            Data::Record(fields) => record(l, fields),
            Data::Shared(data) => push(l, data),
            Data::Error(failure) => {
                let origin = Origin::named(failure.function.to_owned(), String::new());
                error(l, &failure.error, &origin);
            }
            Data::Patched(slot, patches) => patched(l, slot.id(), patches),
        }
    }
}

unsafe fn list(l: *mut lua_State, items: &[Data]) {
    unsafe {
        ffi::lua_createtable(l, items.len() as c_int, 0);
        for (i, item) in items.iter().enumerate() {
            push(l, item);
            ffi::lua_rawseti(l, -2, i as i64 + 1);
        }
    }
}

unsafe fn floats(l: *mut lua_State, numbers: &[f64]) {
    unsafe {
        ffi::lua_createtable(l, numbers.len() as c_int, 0);
        for (i, number) in numbers.iter().enumerate() {
            ffi::lua_pushnumber(l, *number);
            ffi::lua_rawseti(l, -2, i as i64 + 1);
        }
    }
}

unsafe fn record(l: *mut lua_State, record: &Record) {
    unsafe {
        ffi::lua_createtable(l, 0, record.fields.len() as c_int);
        for (name, value) in &record.fields {
            stack::push_bytes(l, name.as_bytes());
            push(l, value);
            ffi::lua_rawset(l, -3);
        }
        if record.is_response {
            stack::push_meta(l, Meta::Response);
            ffi::lua_setmetatable(l, -2);
        }
    }
}

unsafe fn json(l: *mut lua_State, value: &Value) {
    unsafe {
        match value {
            Value::Null => stack::push_null(l),
            Value::Bool(value) => ffi::lua_pushboolean(l, c_int::from(*value)),
            Value::Number(n) => match n.as_i64() {
                Some(n) => stack::push_int(l, n),
                None => ffi::lua_pushnumber(l, n.as_f64().unwrap_or_default()),
            },
            Value::String(text) => stack::push_bytes(l, text.as_bytes()),
            Value::Array(items) => json_array(l, items),
            Value::Object(members) => {
                ffi::lua_createtable(l, 0, members.len() as c_int);
                for (key, value) in members {
                    stack::push_bytes(l, key.as_bytes());
                    json(l, value);
                    ffi::lua_rawset(l, -3);
                }
            }
        }
    }
}

unsafe fn json_array(l: *mut lua_State, items: &[Value]) {
    unsafe {
        ffi::lua_createtable(l, items.len() as c_int, 0);
        for (i, item) in items.iter().enumerate() {
            json(l, item);
            ffi::lua_rawseti(l, -2, i as i64 + 1);
        }
        stack::push_meta(l, Meta::Array);
        ffi::lua_setmetatable(l, -2);
    }
}

/// Pushes the slot's value with members added; only the tables on the way to them are copied.
unsafe fn patched(l: *mut lua_State, slot: i64, patches: &[Patch]) {
    unsafe {
        stack::push_slot(l, slot);
        copy(l);
        for patch in patches {
            ffi::lua_pushvalue(l, -1);
            for key in patch.path.iter().take(patch.path.len().saturating_sub(1)) {
                descend(l, key);
            }
            if let Some(key) = patch.path.last() {
                push_key(l, key);
                json(l, &patch.value);
                ffi::lua_rawset(l, -3);
            }
            ffi::lua_pop(l, 1);
        }
    }
}

/// Replaces the table on top by a copy of its member, and puts that copy into the table.
unsafe fn descend(l: *mut lua_State, key: &crate::value::Key) {
    unsafe {
        push_key(l, key);
        ffi::lua_rawget(l, -2);
        copy(l);
        push_key(l, key);
        ffi::lua_pushvalue(l, -2);
        ffi::lua_rawset(l, -4);
        ffi::lua_remove(l, -2);
    }
}

unsafe fn push_key(l: *mut lua_State, key: &crate::value::Key) {
    unsafe {
        match key {
            crate::value::Key::Name(name) => stack::push_bytes(l, name.as_bytes()),
            crate::value::Key::Index(i) => stack::push_int(l, *i as i64 + 1),
        }
    }
}

/// Replaces the table on top by a shallow copy; other values stay.
unsafe fn copy(l: *mut lua_State) {
    unsafe {
        if ffi::lua_type(l, -1) != ffi::LUA_TTABLE {
            return;
        }
        ffi::lua_createtable(l, ffi::lua_rawlen(l, -1).min(1 << 20) as c_int, 0);
        ffi::lua_pushnil(l);
        while ffi::lua_next(l, -3) != 0 {
            ffi::lua_pushvalue(l, -2);
            ffi::lua_insert(l, -2);
            ffi::lua_rawset(l, -4);
        }
        if ffi::lua_getmetatable(l, -2) != 0 {
            ffi::lua_setmetatable(l, -2);
        }
        ffi::lua_remove(l, -2);
    }
}

/// Who raised an error and where.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    pub bridge: &'static str,
    pub function: Cow<'static, str>,
    /// `script.lua:12`
    pub position: String,
}

impl Origin {
    /// Of a function by its full name: `tool.execute`, `sleep`, `handle.on`.
    pub fn named(full: String, position: String) -> Origin {
        let of = |bridge: &&&Bridge| full.split_once('.').is_some_and(|(n, _)| n == bridge.name);
        let bridge = BRIDGES.iter().find(of).map_or("", |bridge| bridge.name);
        let function = full.trim_start_matches(bridge).trim_start_matches('.').to_owned();
        Origin { bridge, function: function.into(), position }
    }
}

/// Pushes an error as its Lua object, or the user's own value where that passes through. Where the
/// stack is full, details, what had arrived and a cause are left out.
///
/// # Safety
/// As [`results`].
pub unsafe fn error(l: *mut lua_State, error: &Error, origin: &Origin) {
    unsafe {
        if let Some(slot) = &error.fields().rethrow {
            return stack::push_slot(l, slot.id());
        }
        let whole = stack::room(l, error_slots(error) as c_int);
        ffi::lua_createtable(l, 0, error_members(error.fields(), origin));
        text(l, c"code", error.code().name());
        text(l, c"message", error.message());
        optional_text(l, c"bridge", origin.bridge);
        optional_text(l, c"func", &origin.function);
        optional_text(l, c"where", &origin.position);
        ffi::lua_pushboolean(l, c_int::from(error.retryable()));
        ffi::lua_setfield(l, -2, c"retryable".as_ptr());
        named_fields(l, error.fields());
        if whole {
            deep_fields(l, error.fields());
        }
        stack::push_meta(l, Meta::Error);
        ffi::lua_setmetatable(l, -2);
    }
}

/// Slots that an error takes: its table, a name, and a value.
fn error_slots(error: &Error) -> usize {
    let fields = error.fields();
    let details = fields.details.as_ref().map_or(1, json_slots);
    let partial = fields.partial.as_ref().map_or(1, slots_needed);
    let cause = match &fields.cause {
        Some(Cause::Error(inner)) => error_slots(inner),
        Some(Cause::Data(data)) => slots_needed(data),
        _ => 1,
    };
    2 + details.max(partial).max(cause)
}

/// How many members the table of an error gets; `code`, `message` and `retryable` always.
fn error_members(fields: &Fields, origin: &Origin) -> c_int {
    let named = [origin.bridge, &origin.function, &origin.position];
    let optional = [
        fields.provider.is_some(),
        fields.request_id.is_some(),
        fields.phase.is_some(),
        fields.status.is_some(),
        fields.attempts.is_some(),
        fields.retry_after_ms.is_some(),
        fields.details.is_some(),
        fields.partial.is_some(),
        fields.cause.is_some(),
    ];
    let named = named.iter().filter(|text| !text.is_empty()).count();
    3 + named as c_int + optional.iter().filter(|set| **set).count() as c_int
}

unsafe fn named_fields(l: *mut lua_State, fields: &Fields) {
    unsafe {
        optional_text(l, c"provider", fields.provider.as_deref().unwrap_or_default());
        optional_text(l, c"request_id", fields.request_id.as_deref().unwrap_or_default());
        optional_text(l, c"phase", fields.phase.map_or("", |phase| phase.name()));
        optional_int(l, c"status", fields.status.map(i64::from));
        optional_int(l, c"attempts", fields.attempts.map(i64::from));
        optional_int(l, c"retry_after_ms", fields.retry_after_ms.map(|ms| ms as i64));
    }
}

/// The stack has room.
unsafe fn deep_fields(l: *mut lua_State, fields: &Fields) {
    unsafe {
        if let Some(details) = &fields.details {
            json(l, details);
            ffi::lua_setfield(l, -2, c"details".as_ptr());
        }
        if let Some(partial) = &fields.partial {
            push(l, partial);
            ffi::lua_setfield(l, -2, c"partial".as_ptr());
        }
        if let Some(reason) = &fields.cause {
            cause(l, reason);
            ffi::lua_setfield(l, -2, c"cause".as_ptr());
        }
    }
}

unsafe fn cause(l: *mut lua_State, reason: &Cause) {
    unsafe {
        match reason {
            Cause::Raised(slot) => stack::push_slot(l, slot.id()),
            Cause::Error(inner) => error(l, inner, &Origin::default()),
            Cause::Data(data) => push(l, data),
        }
    }
}

unsafe fn text(l: *mut lua_State, key: &std::ffi::CStr, value: &str) {
    unsafe {
        stack::push_bytes(l, value.as_bytes());
        ffi::lua_setfield(l, -2, key.as_ptr());
    }
}

unsafe fn optional_text(l: *mut lua_State, key: &std::ffi::CStr, value: &str) {
    if !value.is_empty() {
        unsafe { text(l, key, value) }
    }
}

unsafe fn optional_int(l: *mut lua_State, key: &std::ffi::CStr, value: Option<i64>) {
    if let Some(n) = value {
        unsafe {
            stack::push_int(l, n);
            ffi::lua_setfield(l, -2, key.as_ptr());
        }
    }
}
