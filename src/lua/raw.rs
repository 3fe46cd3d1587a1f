//! The C functions of the module. Each one reads, hands over to safe code, pushes, and returns;
//! no Rust value with a destructor is on its stack while Lua may raise.
//!
//! Upvalues: see `stack.rs`. Safety of all of them: Lua calls them with its running state, and
//! they are only ever registered with their four upvalues by `open.rs`.

use std::ffi::{c_int, c_void};

use mlua::ffi::{self, lua_State};

use crate::clock::Moment;
use crate::error::{Code, Error, Phase};
use crate::guard::guarded;
use crate::shape;
use crate::step::{Outcome, Raised, Returned, Stop, Token};
use crate::value::{Data, Document, Slot, json};

use super::bridge::{ENTRIES, Entry, Run};
use super::call;
use super::drive::{self, Action, Native, Verb};
use super::events::PLANS;
use super::foreign;
use super::inner::Inner;
use super::instance::{Frame, Instance};
use super::push::{self, Origin};
use super::read;
use super::short;
use super::stack::{self, DECLARATION, Meta, SLOTS, upvalue};

/// Runs `body` with a frame of its own, and returns or raises what it leaves there. `body` may be
/// left by a raise of Lua, so nothing in it that needs dropping may live across one.
///
/// # Safety
/// Called from a C function of this module with the running state.
pub unsafe fn framed(l: *mut lua_State, body: impl FnOnce(*mut Instance, *mut Frame)) -> c_int {
    unsafe {
        let instance = stack::instance(l);
        if instance.is_null() {
            return ffi::luaL_error(l, c"zigllms: its Lua state is closing".as_ptr());
        }
        clear_slots(l, instance);
        let frame = (*instance).take_frame();
        body(instance, frame);
        leave(l, instance, frame)
    }
}

/// Clears the slots dropped since the last call, which neither allocates nor runs user code.
unsafe fn clear_slots(l: *mut lua_State, instance: *mut Instance) {
    unsafe {
        while let Some(id) = (*instance).runtime.slots.next_freed() {
            ffi::lua_pushnil(l);
            ffi::lua_rawseti(l, upvalue(SLOTS), id);
        }
    }
}

/// Takes from `plans.lua` what it knows of who hears what, if that has changed. False instead of
/// nil keeps the entry, so that this never allocates.
unsafe fn clear_plans(l: *mut lua_State, instance: *mut Instance) {
    unsafe {
        if (*instance).runtime.events.take_stale() {
            ffi::lua_pushboolean(l, 0);
            ffi::lua_rawseti(l, upvalue(SLOTS), PLANS);
        }
    }
}

/// Pushes what the call ends with, gives the frame back, and returns or raises.
unsafe fn leave(l: *mut lua_State, instance: *mut Instance, frame: *mut Frame) -> c_int {
    unsafe {
        clear_plans(l, instance);
        let (count, raise) = match &(*frame).action {
            Action::Nothing => (Some(0), false),
            Action::Return(data) => (results(l, instance, (*frame).entry, data), false),
            Action::Verb(verb, data) => (verb_and(l, instance, *verb, None, data), false),
            Action::Done(entry, data) => (verb_and(l, instance, Verb::Done, *entry, data), false),
            Action::Fail(error) => {
                stack::push_int(l, Verb::Fail as i64);
                push::error(l, error, &(*frame).origin);
                (Some(2), false)
            }
            Action::Raise(error) => {
                push::error(l, error, &(*frame).origin);
                (Some(1), true)
            }
        };
        (*instance).keep_frame(Box::from_raw(frame));
        match count {
            Some(_) if raise => ffi::lua_error(l),
            Some(count) => count,
            None => push::overflow(l, instance),
        }
    }
}

/// Pushes the results of a function, if of one, and takes down the slots they needed; `None` if
/// there are too few.
unsafe fn results(
    l: *mut lua_State,
    instance: *mut Instance,
    entry: Option<&'static Entry>,
    data: &Data,
) -> Option<c_int> {
    unsafe {
        (*instance).expect(entry);
        let pushed = push::results(l, data)?;
        (*instance).pushed(pushed.slots);
        Some(pushed.count)
    }
}

unsafe fn verb_and(
    l: *mut lua_State,
    instance: *mut Instance,
    verb: Verb,
    entry: Option<&'static Entry>,
    data: &Data,
) -> Option<c_int> {
    unsafe {
        stack::push_int(l, verb as i64);
        results(l, instance, entry, data).map(|count| 1 + count)
    }
}

unsafe fn entry(l: *mut lua_State) -> &'static Entry {
    // The pointer is into ENTRIES, which lives as long as the process.
    unsafe { &*ffi::lua_touserdata(l, upvalue(DECLARATION)).cast::<Entry>() }
}

unsafe fn origin(l: *mut lua_State, entry: &'static Entry) -> Origin {
    let position = unsafe { stack::position(l) };
    Origin { bridge: entry.bridge.name, function: entry.function.name.into(), position }
}

/// Reads the arguments, lets the dispatcher `run`, and returns or raises what it answers.
unsafe fn at_once(l: *mut lua_State, run: fn(&mut Instance, &'static Entry, &mut Frame)) -> c_int {
    unsafe {
        framed(l, |instance, frame| {
            let entry = entry(l);
            read::arguments(l, instance, entry.function.params, 1, frame);
            run(&mut *instance, entry, &mut *frame);
            (*frame).entry = (!matches!(entry.function.run, Run::Lua)).then_some(entry);
            if matches!((*frame).action, Action::Raise(_)) {
                (*frame).origin = origin(l, entry);
            }
        })
    }
}

/// A public function that answers at once.
pub unsafe extern "C-unwind" fn now(l: *mut lua_State) -> c_int {
    unsafe { at_once(l, call::now) }
}

/// As [`now`], the short way where it answers.
pub unsafe extern "C-unwind" fn short(l: *mut lua_State) -> c_int {
    unsafe {
        let instance = stack::instance(l);
        let answered = if instance.is_null() { None } else { short::answer(l, instance, entry(l)) };
        answered.unwrap_or_else(|| now(l))
    }
}

/// shortly(a, b) → true and the result where the short way answers, else nothing
pub unsafe extern "C-unwind" fn shortly(l: *mut lua_State) -> c_int {
    unsafe {
        let instance = stack::instance(l);
        if instance.is_null() { 0 } else { short::memory(l, instance, entry(l)) }
    }
}

/// Checks the arguments of a function written in Lua.
pub unsafe extern "C-unwind" fn check(l: *mut lua_State) -> c_int {
    unsafe { at_once(l, call::check) }
}

/// start(parent_token, ...) sets up a public function that waits.
pub unsafe extern "C-unwind" fn start(l: *mut lua_State) -> c_int {
    unsafe {
        framed(l, |instance, frame| {
            let entry = entry(l);
            (*frame).origin = origin(l, entry);
            read::arguments(l, instance, entry.function.params, 2, frame);
            call::start(&mut *instance, entry, token(l, 1), &mut *frame);
        })
    }
}

/// A function of `drive.lua` that takes numbers.
pub unsafe extern "C-unwind" fn native(l: *mut lua_State) -> c_int {
    unsafe {
        framed(l, |instance, frame| {
            let native = &*ffi::lua_touserdata(l, upvalue(DECLARATION)).cast::<Native>();
            let numbers = [optional_number(l, 1), optional_number(l, 2), optional_number(l, 3)];
            (*frame).action = match guarded(|| (native.run)(&mut *instance, numbers)) {
                Ok(data) => Action::Return(data),
                Err(error) => Action::Raise(error),
            };
        })
    }
}

/// A function for the chunks that takes more than numbers.
pub unsafe extern "C-unwind" fn inner(l: *mut lua_State) -> c_int {
    unsafe {
        framed(l, |instance, frame| {
            let inner = &*ffi::lua_touserdata(l, upvalue(DECLARATION)).cast::<Inner>();
            read::arguments(l, instance, inner.params, 1, frame);
            call::inner(&mut *instance, inner, &mut *frame);
            if matches!((*frame).action, Action::Raise(_)) {
                (*frame).origin = Origin::named(String::new(), stack::position(l));
            }
        })
    }
}

unsafe fn optional_number(l: *mut lua_State, index: c_int) -> f64 {
    unsafe {
        if ffi::lua_type(l, index) == ffi::LUA_TNUMBER {
            ffi::lua_tonumberx(l, index, std::ptr::null_mut())
        } else {
            f64::NAN
        }
    }
}

unsafe fn token(l: *mut lua_State, index: c_int) -> Token {
    unsafe { optional_number(l, index) as Token }
}

/// The outcome that says: events were told, what comes next?
const GO_ON: f64 = 8.0;

/// step(token, outcome, ...) → verb, operands. Outcomes are numbered as in `drive.lua`.
pub unsafe extern "C-unwind" fn step(l: *mut lua_State) -> c_int {
    unsafe {
        framed(l, |instance, frame| {
            let token = token(l, 1);
            (*frame).action = if optional_number(l, 2) == GO_ON {
                drive::go_on(&mut *instance, token)
            } else {
                let outcome = outcome(l, instance, frame, token);
                drive::step(&mut *instance, token, outcome)
            };
            failing(instance, frame, token);
        })
    }
}

/// An error that the call ends with says which function failed.
unsafe fn failing(instance: *mut Instance, frame: *mut Frame, token: Token) {
    unsafe {
        if matches!((*frame).action, Action::Fail(_))
            && let Some(open) = (*instance).metrics.open.remove(&token)
        {
            (*frame).origin = open.origin;
        }
    }
}

unsafe fn outcome(
    l: *mut lua_State,
    instance: *mut Instance,
    frame: *mut Frame,
    token: Token,
) -> Outcome {
    unsafe {
        match optional_number(l, 2) as u32 {
            1 => Outcome::Ready,
            2 => returned(l, instance, frame, token),
            3 => Outcome::Finished(drive::outputs(&mut (*instance).runtime, token)),
            4 => Outcome::Emitted,
            5 => Outcome::Refused,
            6 => Outcome::Stop(stop(l)),
            7 => Outcome::Heard(heard(l)),
            _ => Outcome::Start,
        }
    }
}

/// step(token, 2, ok, ...): values a user function returned, or value, text and code it raised.
unsafe fn returned(
    l: *mut lua_State,
    instance: *mut Instance,
    frame: *mut Frame,
    token: Token,
) -> Outcome {
    unsafe {
        if ffi::lua_toboolean(l, 3) == 0 {
            return Outcome::Raised(raised(l, instance));
        }
        if ffi::lua_type(l, 4) <= ffi::LUA_TNIL {
            let refusal = (ffi::lua_type(l, 5) == ffi::LUA_TSTRING).then(|| refusal(l, instance));
            let text = Ok("null".into());
            let (value, document) = (None, None);
            return Outcome::Returned(Returned { value, text, is_text: false, refusal, document });
        }
        if (*instance).runtime.tasks.get_mut(token).is_some_and(|r| r.wants_data) {
            read::bytes(l, instance, 4, "result", frame);
            return Outcome::Returned(spoken(&mut *frame));
        }
        let is_text = ffi::lua_type(l, 4) == ffi::LUA_TSTRING;
        let running = (*instance).runtime.tasks.get_mut(token);
        let (wanted, copies) = running.map_or((false, false), |r| (r.wants_text, r.copies));
        let copies = copies && !foreign::has_class(l, 4);
        if wanted {
            read::value(l, instance, 4, "result", frame);
        } else if copies {
            read::bytes(l, instance, 4, "result", frame);
        }
        let value = keep(l, instance, 4);
        // Nothing below raises.
        let copies = copies && (*frame).error.is_none();
        let text = if wanted { text(&mut *frame) } else { Ok(String::new()) };
        let document = copies.then(|| document(&mut *frame));
        let (value, refusal) = (Some(value), None);
        Outcome::Returned(Returned { value, text, is_text, refusal, document })
    }
}

/// What a function returned, as data.
fn spoken(frame: &mut Frame) -> Returned {
    let problem = frame.error.take();
    let document = problem.is_none().then(|| document(frame));
    let text = problem.map_or(Ok(String::new()), Err);
    Returned { value: None, text, is_text: false, refusal: None, document }
}

/// What was read.
fn document(frame: &mut Frame) -> Box<Document> {
    Box::new(Document { tape: std::mem::take(&mut frame.tape), root: 0 })
}

/// step(token, 7, bytes)
unsafe fn heard(l: *mut lua_State) -> Vec<u8> {
    unsafe {
        let text = ffi::lua_type(l, 3) == ffi::LUA_TSTRING;
        if text { stack::bytes(l, 3).to_vec() } else { Vec::new() }
    }
}

unsafe fn raised(l: *mut lua_State, instance: *mut Instance) -> Raised {
    unsafe {
        let code = (ffi::lua_type(l, 6) == ffi::LUA_TSTRING)
            .then(|| std::str::from_utf8(stack::bytes(l, 6)).ok().and_then(Code::parse))
            .flatten();
        Raised { value: keep(l, instance, 4), text: lossy(l, 5), code }
    }
}

unsafe fn refusal(l: *mut lua_State, instance: *mut Instance) -> Raised {
    unsafe { Raised { value: keep(l, instance, 5), text: lossy(l, 5), code: None } }
}

unsafe fn lossy(l: *mut lua_State, index: c_int) -> String {
    unsafe {
        if ffi::lua_type(l, index) != ffi::LUA_TSTRING {
            return String::new();
        }
        String::from_utf8_lossy(stack::bytes(l, index)).into_owned()
    }
}

/// A slot for the value at `index`. It is made once the value is stored: what a memory error leaks
/// is a number.
unsafe fn keep(l: *mut lua_State, instance: *mut Instance, index: c_int) -> Slot {
    unsafe {
        let id = (*instance).runtime.slots.reserve();
        stack::store_slot(l, id, index);
        (*instance).runtime.slots.slot(id)
    }
}

/// The value that was read, as a model reads it.
fn text(frame: &mut Frame) -> crate::error::Result<String> {
    if let Some(error) = frame.error.take() {
        return Err(error);
    }
    Ok(frame.tape.root().map_or_else(String::new, |root| match root.as_str() {
        Some(text) => text.to_owned(),
        None => json::to_sorted(root),
    }))
}

/// step(token, 6, deadline, reason?)
unsafe fn stop(l: *mut lua_State) -> Stop {
    unsafe {
        if ffi::lua_toboolean(l, 3) != 0 {
            return Stop::Deadline;
        }
        let reason = lossy(l, 4);
        Stop::Cancelled(Some(reason).filter(|reason| !reason.is_empty()))
    }
}

/// raise(code, message, func, reason?) raises an error object from `drive.lua`.
pub unsafe extern "C-unwind" fn raise(l: *mut lua_State) -> c_int {
    unsafe {
        framed(l, |_, frame| {
            (*frame).origin = Origin::named(lossy(l, 3), stack::position(l));
            (*frame).action = Action::Raise(error(&lossy(l, 1), lossy(l, 2), lossy(l, 4)));
        })
    }
}

fn error(code: &str, message: String, reason: String) -> Error {
    let code = Code::parse(code).unwrap_or(Code::Internal);
    let details = (!reason.is_empty()).then(|| serde_json::json!({ "reason": reason }));
    let phase = (code == Code::Timeout).then_some(Phase::Total);
    Error::new(code, message).with(|f| (f.details, f.phase) = (details, phase))
}

/// release(token) → verb, operands: as `step`, once the hooks around a machine have had their say
pub unsafe extern "C-unwind" fn release(l: *mut lua_State) -> c_int {
    unsafe {
        framed(l, |instance, frame| {
            let token = token(l, 1);
            (*frame).action = drive::release(&mut *instance, token);
            failing(instance, frame, token);
        })
    }
}

/// told() → name, data and error object of the next event to be told; nothing if there is none
pub unsafe extern "C-unwind" fn told(l: *mut lua_State) -> c_int {
    unsafe {
        framed(l, |instance, frame| {
            let Some(told) = (*instance).runtime.events.next_told() else { return };
            let name = Data::from(told.event.name());
            let error = told.failure.map_or(Data::Nil, |failure| Data::Error(Box::new(failure)));
            (*frame).action = Action::Return(Data::Many(vec![name, told.data.into(), error]));
        })
    }
}

/// stamp() → the id of a new event, and Unix seconds
pub unsafe extern "C-unwind" fn stamp(l: *mut lua_State) -> c_int {
    unsafe {
        let instance = stack::instance(l);
        if instance.is_null() {
            return ffi::luaL_error(l, c"zigllms: its Lua state is closing".as_ptr());
        }
        let id = (*instance).runtime.events.next_id();
        stack::push_bytes(l, id.bytes());
        ffi::lua_pushnumber(l, (*instance).runtime.clock.unix());
        2
    }
}

/// ended(number, began?, code?): a call of a function written in Lua is over, having failed if there
/// is a code.
pub unsafe extern "C-unwind" fn ended(l: *mut lua_State) -> c_int {
    unsafe {
        framed(l, |instance, _| {
            let (number, began) = (token(l, 1) as usize, optional_number(l, 2));
            let since = (!began.is_nan()).then(|| Moment::START.after_float_ms(began));
            (*instance).took(number, since);
            if ffi::lua_type(l, 3) == ffi::LUA_TSTRING {
                let code = std::str::from_utf8(stack::bytes(l, 3)).ok().and_then(Code::parse);
                (*instance).metrics.failed(number, code.unwrap_or(Code::CallbackError));
            }
        })
    }
}

/// nearest(name) → the name of a public function that is most like it, if one is
pub unsafe extern "C-unwind" fn nearest(l: *mut lua_State) -> c_int {
    unsafe {
        framed(l, |_, frame| {
            let names: Vec<_> = ENTRIES.iter().map(|e| e.bridge.full_name(e.function)).collect();
            let near = shape::nearest(&lossy(l, 1), names.iter().map(String::as_str));
            (*frame).action = Action::Return(near.map_or(Data::Nil, Data::from));
        })
    }
}

/// position() → "script.lua:12" of the user's innermost frame
pub unsafe extern "C-unwind" fn position(l: *mut lua_State) -> c_int {
    unsafe {
        framed(l, |_, frame| (*frame).action = Action::Return(Data::from(stack::position(l))))
    }
}

/// mark(t, "array" | "object") → t, or false if it has somebody else's metatable
pub unsafe extern "C-unwind" fn mark(l: *mut lua_State) -> c_int {
    unsafe {
        if ffi::lua_type(l, 1) != ffi::LUA_TTABLE {
            ffi::lua_pushboolean(l, 0);
            return 1;
        }
        let meta = if stack::bytes(l, 2) == b"array" { Meta::Array } else { Meta::Object };
        let ours = stack::has_meta(l, 1, Meta::Array) || stack::has_meta(l, 1, Meta::Object);
        if !ours && ffi::lua_getmetatable(l, 1) != 0 {
            ffi::lua_pushboolean(l, 0);
            return 1;
        }
        stack::push_meta(l, meta);
        ffi::lua_setmetatable(l, 1);
        ffi::lua_settop(l, 1);
        1
    }
}

/// handle(task) → a handle whose state is that table
pub unsafe extern "C-unwind" fn handle(l: *mut lua_State) -> c_int {
    unsafe {
        ffi::lua_newuserdata(l, 1);
        ffi::lua_pushvalue(l, 1);
        ffi::lua_setuservalue(l, -2);
        stack::push_meta(l, Meta::Handle);
        ffi::lua_setmetatable(l, -2);
        1
    }
}

/// task(handle) → its state; nil for anything else
pub unsafe extern "C-unwind" fn task(l: *mut lua_State) -> c_int {
    unsafe {
        if ffi::lua_type(l, 1) != ffi::LUA_TUSERDATA || !stack::has_meta(l, 1, Meta::Handle) {
            ffi::lua_pushnil(l);
        } else {
            ffi::lua_getuservalue(l, 1);
        }
        1
    }
}

/// Finaliser of the userdata that owns the instance.
pub unsafe extern "C-unwind" fn close(l: *mut lua_State) -> c_int {
    unsafe {
        let holder = ffi::lua_touserdata(l, 1).cast::<*mut Instance>();
        if !holder.is_null() && !(*holder).is_null() {
            let mut instance = Box::from_raw(*holder);
            *holder = std::ptr::null_mut();
            // A defect while closing must not take the process down with it.
            let _ = guarded(|| {
                instance.runtime.abandon_all();
                drop(instance);
                Ok(())
            });
        }
        0
    }
}

/// A fresh instance's userdata, with its finaliser. Leaves it on the stack.
///
/// # Safety
/// Needs 4 stack slots; may raise a memory error.
pub unsafe fn new_instance(l: *mut lua_State) {
    unsafe {
        let size = std::mem::size_of::<*mut Instance>();
        let holder = ffi::lua_newuserdata(l, size).cast::<*mut Instance>();
        *holder = std::ptr::null_mut::<c_void>().cast();
        ffi::lua_createtable(l, 0, 1);
        ffi::lua_pushcfunction(l, close);
        ffi::lua_setfield(l, -2, c"__gc".as_ptr());
        ffi::lua_setmetatable(l, -2);
        *holder = Box::into_raw(Box::default());
    }
}
