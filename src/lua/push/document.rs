//! A document on a tape as Lua tables: in one walk over its nodes, each table at its exact size.

use std::ffi::{c_int, c_void};

use mlua::ffi::{self, lua_State};

use crate::lua::stack::{self, Meta};
use crate::value::tape::{Token, Walk};

use super::collector;

/// Slots that must be there before [`push`].
pub const SLOTS: usize = 8;

/// Levels of nesting between two checks of the stack. A level takes two slots: the table and the
/// name of the member.
const LEVELS: c_int = 8;

/// Nodes from which on a document is large: names are remembered, and the collector rests.
const LARGE: usize = 1000;

/// Names remembered.
const NAMES: usize = 64;

/// Pushes the document; null as a whole is nil.
///
/// # Safety
/// Called from a C function of this module. Needs [`SLOTS`] stack slots and checks for what it needs
/// beyond. May raise a memory error; nothing here has a destructor.
pub unsafe fn push(l: *mut lua_State, mut walk: Walk<'_>) {
    unsafe {
        if walk.is_null() {
            return ffi::lua_pushnil(l);
        }
        stack::push_meta(l, Meta::Array);
        if walk.len() < LARGE {
            let marks = ffi::lua_gettop(l);
            Builder { l, walk: &mut walk, marks, names: None }.value(0);
            return ffi::lua_remove(l, marks);
        }
        let rests = collector::rest(l, walk.len());
        ffi::lua_pushcfunction(l, large);
        ffi::lua_insert(l, -2);
        ffi::lua_pushlightuserdata(l, std::ptr::from_mut(&mut walk).cast::<c_void>());
        // The collector goes on also when building raises.
        let failed = ffi::lua_pcall(l, 2, 1, 0) != 0;
        if rests {
            collector::go_on(l);
        }
        if failed {
            ffi::lua_error(l);
        }
    }
}

/// large(mark of arrays, walk) → the value
unsafe extern "C-unwind" fn large(l: *mut lua_State) -> c_int {
    unsafe {
        // The walk lives on the stack of `push`, which waits for this call.
        let walk = &mut *ffi::lua_touserdata(l, 2).cast::<Walk<'_>>();
        ffi::luaL_checkstack(l, NAMES as c_int + SLOTS as c_int, c"zigllms document".as_ptr());
        ffi::lua_settop(l, 2 + NAMES as c_int);
        let mut names = Names { seen: [&[]; NAMES], first: 3 };
        Builder { l, walk, marks: 1, names: Some(&mut names) }.value(0);
        1
    }
}

/// Names seen last, whose Lua strings lie on the stack from `first` on: most names of a large
/// document come again and again, and to find a string in Lua's own table takes longer.
struct Names<'t> {
    seen: [&'t [u8]; NAMES],
    first: c_int,
}

impl<'t> Names<'t> {
    /// Where a name belongs: a guess is enough.
    fn place(name: &[u8]) -> usize {
        let (Some(first), Some(last)) = (name.first(), name.last()) else { return 0 };
        let mixed = usize::from(*first) * 5 + usize::from(*last) * 3 + name.len() * 7;
        mixed % NAMES
    }

    unsafe fn push(&mut self, l: *mut lua_State, name: &'t [u8]) {
        unsafe {
            let place = Names::place(name);
            let at = self.first + place as c_int;
            let Some(seen) = self.seen.get_mut(place) else { return stack::push_bytes(l, name) };
            if *seen == name && !name.is_empty() {
                return ffi::lua_pushvalue(l, at);
            }
            stack::push_bytes(l, name);
            ffi::lua_pushvalue(l, -1);
            ffi::lua_replace(l, at);
            *seen = name;
        }
    }
}

struct Builder<'b, 't> {
    l: *mut lua_State,
    walk: &'b mut Walk<'t>,
    /// Where the mark of arrays lies on the stack.
    marks: c_int,
    names: Option<&'b mut Names<'t>>,
}

impl Builder<'_, '_> {
    /// Pushes the next value. Readers of text bound the nesting, and with it this recursion.
    unsafe fn value(&mut self, level: c_int) {
        unsafe {
            match self.walk.next() {
                Token::Null => stack::push_null(self.l),
                Token::Bool(value) => ffi::lua_pushboolean(self.l, c_int::from(value)),
                Token::Int(n) => stack::push_int(self.l, n),
                Token::Float(n) => ffi::lua_pushnumber(self.l, n),
                Token::Str(bytes) => stack::push_bytes(self.l, bytes),
                Token::Array(len) => self.array(len, level),
                Token::Object(len) => self.object(len, level),
            }
        }
    }

    unsafe fn array(&mut self, len: usize, level: c_int) {
        unsafe {
            self.check(level);
            ffi::lua_createtable(self.l, len as c_int, 0);
            for i in 1..=len as i64 {
                self.value(level + 1);
                ffi::lua_rawseti(self.l, -2, i);
            }
            ffi::lua_pushvalue(self.l, self.marks);
            ffi::lua_setmetatable(self.l, -2);
        }
    }

    unsafe fn object(&mut self, len: usize, level: c_int) {
        unsafe {
            self.check(level);
            ffi::lua_createtable(self.l, 0, len as c_int);
            for _ in 0..len {
                let name = self.walk.name();
                match &mut self.names {
                    Some(names) => names.push(self.l, name),
                    None => stack::push_bytes(self.l, name),
                }
                self.value(level + 1);
                ffi::lua_rawset(self.l, -3);
            }
        }
    }

    /// Room for the levels up to the next check, and for what a value and a mark take on top.
    unsafe fn check(&self, level: c_int) {
        unsafe {
            if level % LEVELS == 0 {
                ffi::luaL_checkstack(self.l, 2 * LEVELS + 4, c"zigllms document".as_ptr());
            }
        }
    }
}
