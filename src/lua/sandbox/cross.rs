//! Plain data into a sandboxed state and out of it: values, never references.

use std::ffi::{c_int, c_void};

use mlua::ffi::{self, lua_State};

use super::cell::goes_on;
use super::furnish::{Key, push_kept};
use crate::lua::stack;
use crate::value::tape::{Token, Walk};
use crate::value::{MAX_DEPTH, Tape};

/// Slots that [`read`] takes: a key and a value for each level, and what looking takes.
pub const ROOM: c_int = 2 * MAX_DEPTH as c_int + 8;

/// Pushes the next value of a walk; null is nil.
///
/// # Safety
/// Called in protected code: may raise. Needs 1 slot, and asks for those of its levels.
pub unsafe fn push(l: *mut lua_State, walk: &mut Walk<'_>) {
    unsafe {
        ffi::luaL_checkstack(l, 4, c"data".as_ptr());
        match walk.take() {
            Token::Null => ffi::lua_pushnil(l),
            Token::Bool(value) => ffi::lua_pushboolean(l, c_int::from(value)),
            Token::Int(n) => stack::push_int(l, n),
            Token::Float(n) => ffi::lua_pushnumber(l, n),
            Token::Str(bytes) => stack::push_bytes(l, bytes),
            Token::Empty => ffi::lua_createtable(l, 0, 0),
            Token::Array(length) => {
                ffi::lua_createtable(l, count(length), 0);
                for i in 1..=length as i64 {
                    push(l, walk);
                    ffi::lua_rawseti(l, -2, i);
                }
                if length == 0 {
                    push_kept(l, Key::Array);
                    ffi::lua_setmetatable(l, -2);
                }
            }
            Token::Object(length) => {
                ffi::lua_createtable(l, 0, count(length));
                for _ in 0..length {
                    stack::push_bytes(l, walk.name());
                    push(l, walk);
                    ffi::lua_rawset(l, -3);
                }
            }
        }
    }
}

/// What a metatable says of its tables by `__jsontype`, here as outside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    None,
    Array,
    Object,
}

fn count(length: usize) -> c_int {
    c_int::try_from(length).unwrap_or(c_int::MAX)
}

/// Why a value cannot leave.
pub enum Problem {
    TooLarge,
    /// What stands where.
    NotPlain(String),
    /// The time is over.
    Stopped,
}

/// Values between two looks at the clock.
const VALUES: usize = 1024;

/// Reads values without calling a metamethod.
pub struct Reader<'t> {
    l: *mut lua_State,
    tape: &'t mut Tape,
    /// Bytes that may still come: strings have theirs, anything else is one.
    left: usize,
    spent: usize,
    inside: Vec<*const c_void>,
    /// As outside: a table has begun like a list and was none.
    wary: bool,
}

impl<'t> Reader<'t> {
    /// # Safety
    /// While it is used, nothing else touches the state.
    pub unsafe fn new(l: *mut lua_State, tape: &'t mut Tape, most: usize) -> Reader<'t> {
        Reader { l, tape, left: most, spent: 0, inside: Vec::new(), wary: false }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Problem> {
        self.left = self.left.checked_sub(bytes).ok_or(Problem::TooLarge)?;
        self.spent += 1;
        // SAFETY: a state of `room.rs`, by the contract of `new`.
        let looks = self.spent.is_multiple_of(VALUES);
        if looks && !unsafe { goes_on(self.l) } { Err(Problem::Stopped) } else { Ok(()) }
    }

    /// # Safety
    /// The stack has [`ROOM`]. Raises nothing.
    pub unsafe fn value(&mut self, index: c_int) -> Result<(), Problem> {
        unsafe {
            let kind = ffi::lua_type(self.l, index);
            match kind {
                ffi::LUA_TSTRING => return self.string(index),
                ffi::LUA_TTABLE => return self.table(index),
                _ => self.spend(1)?,
            }
            match kind {
                ffi::LUA_TNIL => self.tape.null(),
                ffi::LUA_TBOOLEAN => self.tape.bool(ffi::lua_toboolean(self.l, index) != 0),
                ffi::LUA_TNUMBER => match stack::number(self.l, index) {
                    stack::Number::Int(n) => self.tape.int(n),
                    stack::Number::Float(n) => self.tape.float(n),
                },
                other => return Err(not_plain(format!("a {}", stack::type_name(other)))),
            }
            Ok(())
        }
    }

    unsafe fn string(&mut self, index: c_int) -> Result<(), Problem> {
        unsafe {
            let bytes = stack::bytes(self.l, index);
            self.spend(bytes.len().max(1))?;
            self.tape.str(bytes);
            Ok(())
        }
    }

    unsafe fn table(&mut self, index: c_int) -> Result<(), Problem> {
        unsafe {
            self.spend(1)?;
            let index = ffi::lua_absindex(self.l, index);
            let address = ffi::lua_topointer(self.l, index);
            if self.inside.contains(&address) {
                return Err(not_plain("a table that contains itself".into()));
            } else if self.inside.len() >= MAX_DEPTH {
                return Err(not_plain(format!("more than {MAX_DEPTH} levels of tables")));
            }
            self.inside.push(address);
            self.content(index)?;
            self.inside.pop();
            Ok(())
        }
    }

    unsafe fn content(&mut self, index: c_int) -> Result<(), Problem> {
        unsafe {
            let (mark, length) = (self.mark(index), ffi::lua_rawlen(self.l, index));
            if mark == Mark::Object {
                return self.object(index, mark);
            } else if (length > 0 || mark == Mark::Array) && self.list(index)? {
                return Ok(());
            } else if length > 0 && self.is_sequence(index, length)? {
                return self.array(index, length);
            }
            self.object(index, mark)
        }
    }

    unsafe fn mark(&self, index: c_int) -> Mark {
        unsafe {
            if ffi::lua_getmetatable(self.l, index) == 0 {
                return Mark::None;
            }
            push_kept(self.l, Key::JsonType);
            ffi::lua_rawget(self.l, -2);
            let is_text = ffi::lua_type(self.l, -1) == ffi::LUA_TSTRING;
            let mark = match is_text.then(|| stack::bytes(self.l, -1)) {
                Some(b"array") => Mark::Array,
                Some(b"object") => Mark::Object,
                _ => Mark::None,
            };
            ffi::lua_pop(self.l, 2);
            mark
        }
    }

    /// As an array, while its keys come as 1, 2, 3; else false, and nothing is left behind.
    unsafe fn list(&mut self, index: c_int) -> Result<bool, Problem> {
        unsafe {
            let (start, left) = (self.tape.len(), self.left);
            let mark = self.tape.open_array();
            let mut last = 0i64;
            ffi::lua_pushnil(self.l);
            while ffi::lua_next(self.l, index) != 0 {
                let is_next = stack::is_integer(self.l, -2, last + 1);
                if !is_next || self.wary && ffi::lua_type(self.l, -1) == ffi::LUA_TTABLE {
                    ffi::lua_pop(self.l, 2);
                    self.tape.truncate(start);
                    self.left = left;
                    self.wary = true;
                    return Ok(false);
                }
                last += 1;
                self.value(-1).map_err(|problem| below(problem, &format!("[{last}]")))?;
                ffi::lua_pop(self.l, 1);
            }
            self.tape.close(mark, last as usize);
            Ok(true)
        }
    }

    /// Whether the keys are exactly 1 to length. A table of more is refused before it is gone
    /// through.
    unsafe fn is_sequence(&mut self, index: c_int, length: usize) -> Result<bool, Problem> {
        if length > self.left {
            return Err(Problem::TooLarge);
        }
        Ok(unsafe { stack::is_sequence(self.l, index, length) })
    }

    unsafe fn array(&mut self, index: c_int, length: usize) -> Result<(), Problem> {
        unsafe {
            let mark = self.tape.open_array();
            for i in 1..=length as i64 {
                ffi::lua_rawgeti(self.l, index, i);
                self.value(-1).map_err(|problem| below(problem, &format!("[{i}]")))?;
                ffi::lua_pop(self.l, 1);
            }
            self.tape.close(mark, length);
            Ok(())
        }
    }

    unsafe fn object(&mut self, index: c_int, marked: Mark) -> Result<(), Problem> {
        unsafe {
            let start = self.tape.len();
            let mark = self.tape.open_object();
            let (mut members, mut integers) = (0, false);
            ffi::lua_pushnil(self.l);
            // A failing value leaves its own rest on the stack: the key is found from below.
            let key = ffi::lua_gettop(self.l);
            while ffi::lua_next(self.l, index) != 0 {
                integers |= self.key(key)?;
                self.value(key + 1).map_err(|problem| below(problem, &self.step(key)))?;
                ffi::lua_pop(self.l, 1);
                members += 1;
            }
            if members == 0 && marked != Mark::Object {
                self.tape.truncate(start);
                self.tape.empty();
                return Ok(());
            }
            self.tape.close(mark, members);
            if integers && self.repeats(start) {
                return Err(not_plain("an integer key beside its own text".into()));
            }
            Ok(())
        }
    }

    /// Writes a key; true if it is an integer.
    unsafe fn key(&mut self, at: c_int) -> Result<bool, Problem> {
        unsafe {
            match ffi::lua_type(self.l, at) {
                ffi::LUA_TSTRING => self.string(at).map(|()| false),
                ffi::LUA_TNUMBER => match stack::number(self.l, at) {
                    stack::Number::Int(n) => {
                        self.spend(1)?;
                        self.tape.str(n.to_string().as_bytes());
                        Ok(true)
                    }
                    stack::Number::Float(n) => Err(not_plain(format!("the key {n}"))),
                },
                other => Err(not_plain(format!("a {} as a key", stack::type_name(other)))),
            }
        }
    }

    /// A key as a step of a path.
    unsafe fn step(&self, at: c_int) -> String {
        unsafe {
            if ffi::lua_type(self.l, at) == ffi::LUA_TNUMBER {
                return format!("[{}]", ffi::lua_tonumberx(self.l, at, std::ptr::null_mut()));
            }
            let name = String::from_utf8_lossy(stack::bytes(self.l, at)).into_owned();
            format!(".{}", crate::error::quoted(&name).trim_matches('"'))
        }
    }

    fn repeats(&self, start: usize) -> bool {
        let Some(object) = self.tape.at(start) else { return false };
        let mut seen = std::collections::HashSet::new();
        object.members().any(|(name, _)| !seen.insert(name.as_bytes()))
    }
}

fn not_plain(what: String) -> Problem {
    Problem::NotPlain(what)
}

/// Puts the way to it in front: `.steps[2]: a function`.
fn below(problem: Problem, step: &str) -> Problem {
    match problem {
        Problem::NotPlain(what) => {
            let colon = if what.starts_with(['.', '[']) { "" } else { ": " };
            Problem::NotPlain(format!("{step}{colon}{what}"))
        }
        other => other,
    }
}
