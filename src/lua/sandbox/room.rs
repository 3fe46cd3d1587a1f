//! One sandboxed Lua state, and how a call runs in it.
//!
//! A state is used again, and yet no call finds anything of another one. Code can change tables, its
//! globals, and nothing else: library tables and globals are copied for each call, what strings are
//! read by is reachable for nobody, chunks and the functions of the prelude have no variables that a
//! call could set, and random numbers are seeded anew. After a call that was stopped the state is
//! thrown away.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use mlua::ffi::{self, lua_State};

use super::cell::{Cell, Fate, INSTRUCTIONS, allocate, cell, goes_on};
use super::cross::{self, Problem, Reader};
use super::functions::hook;
use super::furnish::{
    Key, PLACE, furnish, keep, push_environment, push_kept, push_keys, renew_array, set_environment,
};
use crate::clock::Clock;
use crate::error::{Code, Error, Result};
use crate::lua::stack;
use crate::sandbox::{Answer, Engine, Failure, Form, Job, Room, Script};
use crate::value::Document;

/// What a state may keep between two calls, besides what it began with.
const KEPT: usize = 512 << 10;

/// Calls before a state is made anew.
const CALLS: u32 = 10_000;

/// Compiled chunks that a state keeps.
const CHUNKS: usize = 32;

/// Bytes of a text that are compiled between two looks at the clock: in the worst text, 10 ms.
const PIECE: usize = 256;

/// What an error that was raised may say of itself.
const CAUSE: usize = 1 << 16;

/// Bytes of an error's text that are told.
const WORDS: usize = 4096;

/// Compiling takes no longer, or the text is refused.
const COMPILING_MS: u64 = 500;

/// Makes rooms out of states of the Lua that loaded this module.
pub struct Rooms;

impl Engine for Rooms {
    fn room(&self) -> Result<Box<dyn Room>> {
        Ok(Box::new(State::furnished()?))
    }

    fn check(&self, script: &Script) -> Result<()> {
        let mut state = State::new()?;
        let clock = Clock::default();
        let cancelled = Default::default();
        let deadline = clock.now().after_ms(COMPILING_MS);
        state.cell().begin(64 << 20, Some(deadline), &cancelled);
        state.cell().bound();
        let told = state.compiles(script);
        state.cell().end();
        told
    }
}

struct State {
    l: *mut lua_State,
    /// Owned. It is shared with the allocator, so that only raw pointers to it are kept.
    cell: *mut Cell,
    /// Whether nothing can be left of the last call.
    clean: bool,
    calls: u32,
    /// What it used when it was new.
    used: usize,
    chunks: Vec<u64>,
}

/// What a call takes in and gives out. It lives in `run`, beyond every raise.
struct Plan<'j> {
    job: Option<&'j Job>,
    script: &'j Script,
    /// The scripts that the state has chunks of: lent for the call.
    chunks: Vec<u64>,
    arguments: Vec<Document>,
    document: Document,
    failure: Option<Failure>,
    is_nil: bool,
}

impl Drop for State {
    fn drop(&mut self) {
        // SAFETY: both made by `new`, and used by nobody any more. There are no finalizers that could
        // run.
        unsafe {
            if !self.l.is_null() {
                ffi::lua_close(self.l);
            }
            drop(Box::from_raw(self.cell));
        }
    }
}

impl State {
    /// Without libraries.
    fn new() -> Result<State> {
        let cell = Box::into_raw(Cell::new());
        // SAFETY: the cell goes with the state.
        let l = unsafe { ffi::lua_newstate(allocate, cell.cast()) };
        let state = State { l, cell, clean: true, calls: 0, used: 0, chunks: Vec::new() };
        if l.is_null() {
            let message =
                "this Lua makes no states with a memory limit, which sandboxed code needs";
            return Err(Error::unsupported(message));
        }
        Ok(state)
    }

    fn cell(&mut self) -> &mut Cell {
        // SAFETY: alive as long as the state, and nobody borrows it for longer than a look.
        unsafe { &mut *self.cell }
    }

    fn furnished() -> Result<State> {
        let mut state = State::new()?;
        // SAFETY: the stack is empty, and there is no memory limit yet.
        let status = unsafe {
            ffi::lua_pushcfunction(state.l, furnish);
            ffi::lua_pushcfunction(state.l, perform);
            ffi::lua_pushcfunction(state.l, explain);
            ffi::lua_pcall(state.l, 2, 0, 0)
        };
        if status != ffi::LUA_OK {
            // SAFETY: the message is on the stack.
            let message = unsafe { message(state.l) };
            return Err(Error::internal(format!("no sandboxed Lua state: {message}")));
        }
        // SAFETY: as above.
        unsafe { ffi::lua_sethook(state.l, Some(hook), ffi::LUA_MASKCOUNT, INSTRUCTIONS) };
        state.used = state.cell().used;
        Ok(state)
    }

    fn compiles(&mut self, script: &Script) -> Result<()> {
        // SAFETY: a state of its own, with an empty stack; `load` is protected by Lua.
        let problem = unsafe {
            match load(self.l, script) {
                ffi::LUA_OK => return Ok(()),
                _ if self.cell().fate == Some(Fate::Late) => "it takes too long to compile".into(),
                _ if self.cell().fate.is_some() => "it takes too much memory to compile".into(),
                _ => message(self.l),
            }
        };
        Err(Error::new(Code::ValidationFailed, problem))
    }

    /// Calls `perform` or `explain` in protected mode.
    fn protected(&mut self, what: Key, plan: &mut Plan<'_>) -> c_int {
        // SAFETY: the plan outlives the call, and nothing here has a destructor. There are slots on an
        // empty stack. The memory limit holds in protected code only: elsewhere nobody could be told.
        unsafe {
            self.cell().limit = usize::MAX;
            ffi::lua_settop(self.l, 0);
            push_kept(self.l, what);
            ffi::lua_pushlightuserdata(self.l, (plan as *mut Plan<'_>).cast());
            let status = ffi::lua_pcall(self.l, 1, 0, 0);
            self.cell().limit = usize::MAX;
            status
        }
    }

    fn failure(&mut self, status: c_int, plan: &mut Plan<'_>, job: &Job) -> Failure {
        match self.cell().fate {
            Some(Fate::Late) => return Failure::Late,
            Some(Fate::Cancelled) => return Failure::Cancelled,
            Some(Fate::Stack) => return Failure::Stack,
            Some(Fate::Keys) => return Failure::Keys,
            Some(Fate::Memory) => return Failure::Memory(job.limits.memory),
            None if status == ffi::LUA_ERRMEM => return Failure::Memory(job.limits.memory),
            None => {}
        }
        if let Some(failure) = plan.failure.take() {
            return failure;
        }
        self.clean &= status == ffi::LUA_ERRRUN;
        self.explained(plan)
    }

    /// What was raised is on the stack; it may be a table that says what it means in its own words.
    fn explained(&mut self, plan: &mut Plan<'_>) -> Failure {
        // SAFETY: pcall left one value. `explain` finds it in the table of ours.
        unsafe {
            if ffi::lua_type(self.l, -1) == ffi::LUA_TSTRING {
                return said(self.l);
            }
            push_keys(self.l);
            ffi::lua_pushvalue(self.l, -2);
            ffi::lua_rawseti(self.l, -2, Key::Globals as i64);
        }
        match self.protected(Key::Explain, plan) {
            ffi::LUA_OK => plan.failure.take().unwrap_or_else(|| unclear("something")),
            _ => unclear("an error that cannot be read"),
        }
    }
}

fn unclear(what: &str) -> Failure {
    Failure::Raised(format!("it raised {what}"), None)
}

impl Room for State {
    fn run(&mut self, job: &Job) -> Answer {
        self.calls += 1;
        self.cell().clock = job.clock.clone();
        self.cell().begin(job.limits.memory, job.deadline, &job.cancelled);
        let arguments = job.arguments.lock().map(|mut a| std::mem::take(&mut *a));
        let mut plan = Plan {
            job: Some(job),
            script: &job.script,
            chunks: std::mem::take(&mut self.chunks),
            arguments: arguments.unwrap_or_default(),
            document: Document::default(),
            failure: None,
            is_nil: false,
        };
        let status = self.protected(Key::Perform, &mut plan);
        self.chunks = std::mem::take(&mut plan.chunks);
        let over = self.cell().fate.is_some();
        let answer = match (status, plan.failure.is_none()) {
            (ffi::LUA_OK, true) if !over => {
                Ok(Some(std::mem::take(&mut plan.document)).filter(|_| !plan.is_nil))
            }
            _ => Err(self.failure(status, &mut plan, job)),
        };
        self.clean &= self.cell().fate.is_none();
        self.cell().end();
        answer
    }

    fn tidy(&mut self) -> bool {
        if !self.clean || self.calls >= CALLS {
            return false;
        }
        // SAFETY: nothing runs, no memory limit is set, and the hook raises nothing without a job.
        unsafe {
            ffi::lua_settop(self.l, 0);
            push_keys(self.l);
            ffi::lua_pushnil(self.l);
            ffi::lua_rawseti(self.l, -2, Key::Globals as i64);
            ffi::lua_pushnil(self.l);
            ffi::lua_rawseti(self.l, -2, Key::Array as i64);
            ffi::lua_settop(self.l, 0);
            if self.cell().used > self.used + KEPT {
                ffi::lua_gc(self.l, ffi::LUA_GCCOLLECT, 0);
            }
        }
        self.cell().used <= self.used + KEPT
    }
}

/// A message without the place where a function of C has raised it, if that is in the prelude.
fn placeless(message: &[u8]) -> &[u8] {
    let rest = message.strip_prefix(PLACE).and_then(|rest| {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        rest.get(digits..)?.strip_prefix(b": ")
    });
    rest.unwrap_or(message)
}

/// Whether it is how Lua says, wherever, that calls nest too deep.
fn is_overflow(message: &[u8]) -> bool {
    let Some(rest) = message.strip_suffix(b"stack overflow") else { return false };
    let rest = rest.strip_suffix(b"C ").unwrap_or(rest);
    rest.is_empty() || rest.ends_with(b": ")
}

/// The text of the string on top, else what there is instead.
unsafe fn message(l: *mut lua_State) -> String {
    unsafe {
        match ffi::lua_type(l, -1) {
            ffi::LUA_TSTRING => {
                let bytes = placeless(stack::bytes(l, -1));
                let shown = bytes.get(..WORDS).unwrap_or(bytes);
                String::from_utf8_lossy(shown).into_owned()
            }
            other => format!("an error that is a {}", stack::type_name(other)),
        }
    }
}

/// The string on top as what was raised.
unsafe fn said(l: *mut lua_State) -> Failure {
    unsafe {
        let bytes = placeless(stack::bytes(l, -1));
        if is_overflow(bytes) {
            return Failure::Stack;
        }
        let cause = (bytes.len() <= CAUSE).then(|| {
            let mut cause = Document::default();
            cause.tape.str(bytes);
            cause
        });
        Failure::Raised(message(l), cause)
    }
}

/// perform(plan): compiles what is not compiled yet, calls it, reads what it returns.
unsafe extern "C-unwind" fn perform(l: *mut lua_State) -> c_int {
    unsafe {
        (*cell(l)).bound();
        (*cell(l)).runs(l);
        let plan = ffi::lua_touserdata(l, 1).cast::<Plan<'_>>();
        ffi::luaL_checkstack(l, cross::ROOM + 20, c"sandbox".as_ptr());
        if !push_chunk(l, plan) {
            return 0;
        }
        push_environment(l);
        set_environment(l);
        if (*plan).script.form == Form::Function {
            ffi::lua_call(l, 0, 1);
            let kind = ffi::lua_type(l, -1);
            if kind != ffi::LUA_TFUNCTION {
                (*plan).failure = Some(Failure::NoFunction(type_name(kind)));
                return 0;
            }
        }
        let count = push_arguments(l, plan);
        ffi::lua_call(l, count, 2);
        finish(l, plan);
        0
    }
}

fn type_name(kind: c_int) -> &'static str {
    match kind {
        ffi::LUA_TNIL => "nothing",
        ffi::LUA_TBOOLEAN => "a boolean",
        ffi::LUA_TNUMBER => "a number",
        ffi::LUA_TSTRING => "a string",
        ffi::LUA_TTABLE => "a table",
        ffi::LUA_TTHREAD => "a coroutine",
        _ => "something",
    }
}

/// Pushes the script's chunk; false if it is none.
unsafe fn push_chunk(l: *mut lua_State, plan: *mut Plan<'_>) -> bool {
    unsafe {
        let (id, chunks) = ((*plan).script.id, &mut (*plan).chunks);
        push_kept(l, Key::Chunks);
        if chunks.contains(&id) {
            ffi::lua_rawgeti(l, -1, id as i64);
            return true;
        }
        match load(l, (*plan).script) {
            ffi::LUA_OK => {}
            ffi::LUA_ERRSYNTAX => {
                (*plan).failure = Some(Failure::Syntax(message(l)));
                return false;
            }
            _ => ffi::lua_error(l),
        }
        if chunks.len() >= CHUNKS {
            push_keys(l);
            ffi::lua_createtable(l, 0, 0);
            ffi::lua_pushvalue(l, -1);
            ffi::lua_replace(l, 2);
            keep(l, -2, Key::Chunks);
            ffi::lua_pop(l, 1);
            chunks.clear();
        }
        ffi::lua_pushvalue(l, -1);
        ffi::lua_rawseti(l, 2, id as i64);
        chunks.push(id);
        true
    }
}

/// What Lua reads a text by.
struct Text {
    rest: *const u8,
    left: usize,
}

/// Compiles a text, never bytecode, and looks at the clock meanwhile.
unsafe fn load(l: *mut lua_State, script: &Script) -> c_int {
    unsafe extern "C-unwind" fn read(
        l: *mut lua_State,
        ud: *mut c_void,
        size: *mut usize,
    ) -> *const c_char {
        unsafe {
            let text = &mut *ud.cast::<Text>();
            if !goes_on(l) {
                ffi::luaL_error(l, c"no time left".as_ptr());
            }
            let (piece, length) = (text.rest, text.left.min(PIECE));
            text.rest = text.rest.add(length);
            text.left -= length;
            *size = length;
            if length == 0 { ptr::null() } else { piece.cast() }
        }
    }
    unsafe {
        let mut text = Text { rest: script.text.as_ptr(), left: script.text.len() };
        if script.text.first() == Some(&0x1b) {
            stack::push_bytes(l, b"bytecode is not taken, only text");
            return ffi::LUA_ERRSYNTAX;
        }
        // `=name`, cut to what messages show, for C.
        let mut name = [0u8; 60];
        name[0] = b'=';
        for (to, from) in name[1..59].iter_mut().zip(script.name.bytes()) {
            *to = from;
        }
        let ud = (&raw mut text).cast::<c_void>();
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        return ffi::lua_load(l, read, ud, name.as_ptr().cast());
        #[cfg(not(any(feature = "lua51", feature = "luajit")))]
        ffi::lua_load(l, read, ud, name.as_ptr().cast(), c"t".as_ptr())
    }
}

unsafe fn push_arguments(l: *mut lua_State, plan: *mut Plan<'_>) -> c_int {
    unsafe {
        renew_array(l);
        let arguments = &(&(*plan).arguments);
        for argument in arguments.iter() {
            cross::push(l, &mut argument.tape.walk(argument.root, &[]));
        }
        // The last one tells of the call.
        if ffi::lua_type(l, -1) == ffi::LUA_TTABLE {
            ffi::lua_pushcfunction(l, is_cancelled);
            ffi::lua_setfield(l, -2, c"cancelled".as_ptr());
        }
        arguments.len() as c_int
    }
}

/// ctx.cancelled(): code that is cancelled is stopped, so that it hears of it rarely.
unsafe extern "C-unwind" fn is_cancelled(l: *mut lua_State) -> c_int {
    unsafe {
        ffi::lua_pushboolean(l, c_int::from(!goes_on(l)));
        1
    }
}

/// Reads the two values on top: a result; or nil, and a message.
unsafe fn finish(l: *mut lua_State, plan: *mut Plan<'_>) {
    unsafe {
        let plan = &mut *plan;
        let refused = ffi::lua_type(l, -2) == ffi::LUA_TNIL;
        if refused && ffi::lua_type(l, -1) == ffi::LUA_TSTRING {
            plan.failure = Some(said(l));
            return;
        }
        ffi::lua_pop(l, 1);
        plan.is_nil = refused;
        let most = plan.job.map_or(0, |job| job.limits.result);
        let read = Reader::new(l, &mut plan.document.tape, most).value(ffi::lua_gettop(l));
        plan.failure = read.err().map(|problem| match problem {
            Problem::TooLarge => Failure::TooLarge(most),
            Problem::NotPlain(what) => Failure::NotPlain(what),
            Problem::Stopped => Failure::Late,
        });
    }
}

/// explain(plan): what was raised, in words and as data.
unsafe extern "C-unwind" fn explain(l: *mut lua_State) -> c_int {
    unsafe {
        (*cell(l)).bound();
        (*cell(l)).runs(l);
        let plan = ffi::lua_touserdata(l, 1).cast::<Plan<'_>>();
        ffi::luaL_checkstack(l, cross::ROOM + 20, c"sandbox".as_ptr());
        push_kept(l, Key::Globals);
        let raised = ffi::lua_gettop(l);
        let has_words = ffi::luaL_getmetafield(l, raised, c"__tostring".as_ptr()) != ffi::LUA_TNIL;
        if has_words {
            ffi::lua_settop(l, raised);
            ffi::luaL_tolstring(l, raised, ptr::null_mut());
        } else {
            ffi::lua_settop(l, raised);
            push_message(l, raised);
        }
        describe(l, plan, raised);
        0
    }
}

/// Pushes the field `message`, or nothing much.
unsafe fn push_message(l: *mut lua_State, raised: c_int) {
    unsafe {
        if ffi::lua_type(l, raised) == ffi::LUA_TTABLE {
            stack::push_bytes(l, b"message");
            ffi::lua_rawget(l, raised);
        } else {
            ffi::luaL_tolstring(l, raised, ptr::null_mut());
        }
    }
}

/// The words are on top. Raises nothing.
unsafe fn describe(l: *mut lua_State, plan: *mut Plan<'_>, raised: c_int) {
    unsafe {
        let text = match ffi::lua_type(l, -1) {
            ffi::LUA_TSTRING => message(l),
            _ => format!("it raised a {}", stack::type_name(ffi::lua_type(l, raised))),
        };
        let mut cause = Document::default();
        let read = Reader::new(l, &mut cause.tape, CAUSE).value(raised);
        (*plan).failure = Some(Failure::Raised(text, read.ok().map(|()| cause)));
    }
}
