//! `output.parse` of a text that is valid JSON, when its value or single values of it are asked for
//! and the options are the ones that most calls have.

use std::ffi::c_int;
use std::rc::Rc;

use mlua::ffi::{self, lua_State};

use crate::guard::guarded;
use crate::lua::instance::Instance;
use crate::lua::push::{Pushed, document, info};
use crate::lua::stack;
use crate::output::Wanted;
use crate::value::tape::Token;
use crate::value::{MAX_DEPTH, Tape, json};

use super::Scratch;

/// Slots of both results while the second one is made.
const RESULTS: usize = 4;

/// # Safety
/// As [`super::answer`]; `scratch` is alive and not borrowed.
pub unsafe fn parse(
    l: *mut lua_State,
    instance: *mut Instance,
    scratch: *mut Scratch,
) -> Option<Pushed> {
    unsafe {
        if ffi::lua_type(l, 1) != ffi::LUA_TSTRING {
            return None;
        }
        let text = stack::bytes(l, 1);
        match ffi::lua_type(l, 2) {
            ffi::LUA_TNIL | ffi::LUA_TNONE if is_container(text) => whole(l, text, scratch)?,
            ffi::LUA_TSTRING if says_json(stack::bytes(l, 2), text) => whole(l, text, scratch)?,
            ffi::LUA_TTABLE => {
                options(l, instance, text, scratch)?;
                match (*scratch).wanted {
                    Some(_) => fields(l, text, scratch)?,
                    None => whole(l, text, scratch)?,
                }
            }
            _ => return None,
        }
        let start = text.len() - text.trim_ascii_start().len();
        info::valid(l, start + 1, text.trim_ascii_end().len());
        Some(Pushed { count: 2, slots: RESULTS })
    }
}

unsafe fn whole(l: *mut lua_State, text: &[u8], scratch: *mut Scratch) -> Option<()> {
    unsafe {
        let tape = &mut (*scratch).tape;
        let valid = guarded(|| Ok(json::parse_over(text, MAX_DEPTH, tape)));
        if !matches!(valid, Ok(true)) {
            return None;
        }
        document::push(l, (*scratch).tape.walk(0, text));
        Some(())
    }
}

/// Pushes a table of the values wanted.
unsafe fn fields(l: *mut lua_State, text: &[u8], scratch: *mut Scratch) -> Option<()> {
    unsafe {
        // Lua may raise below: what is borrowed or counted must have been given back.
        let wanted = Rc::as_ptr((*scratch).wanted.as_ref()?);
        select(&*wanted, text, scratch)?;
        let Scratch { tape, wanted, found, .. } = &*scratch;
        let names = wanted.as_deref()?.names.iter();
        ffi::lua_createtable(l, 0, found.iter().flatten().count() as c_int);
        for (name, at) in names.zip(found) {
            let Some(at) = *at else { continue };
            stack::push_bytes(l, name.as_bytes());
            push(l, tape, at);
            ffi::lua_rawset(l, -3);
        }
        Some(())
    }
}

/// Reads what is wanted of a text into the scratch; `None` if the text is not valid.
pub unsafe fn select(wanted: &Wanted, text: &[u8], scratch: *mut Scratch) -> Option<()> {
    let Scratch { tape, found, .. } = unsafe { &mut *scratch };
    let valid = guarded(|| Ok(wanted.select(text, MAX_DEPTH, tape, found)));
    matches!(valid, Ok(true)).then_some(())
}

/// Pushes the value at a place of the tape.
pub unsafe fn push(l: *mut lua_State, tape: &Tape, at: usize) {
    unsafe {
        let walk = tape.walk(at, &[]);
        match walk.clone().take() {
            Token::Null => stack::push_null(l),
            Token::Str(bytes) => stack::push_bytes(l, bytes),
            _ => document::push(l, walk),
        }
    }
}

/// Puts the fields that a table of options wants into the scratch, which keeps them while Lua is
/// called; `None` if this is not the place to say.
unsafe fn options(
    l: *mut lua_State,
    instance: *mut Instance,
    text: &[u8],
    scratch: *mut Scratch,
) -> Option<()> {
    unsafe {
        if ffi::lua_getmetatable(l, 2) != 0 {
            return None;
        }
        let mut named = None;
        let key = ffi::lua_gettop(l) + 1;
        ffi::lua_pushnil(l);
        while ffi::lua_next(l, 2) != 0 {
            let value = key + 1;
            match (text_at(l, key)?, ffi::lua_type(l, value)) {
                (b"fields", ffi::LUA_TTABLE) => {
                    (*scratch).wanted = Some(known(l, instance, value)?);
                }
                (b"format", ffi::LUA_TSTRING) => named = Some(says_json(text_at(l, value)?, text)),
                (b"recovery", ffi::LUA_TSTRING) if is_recovery(text_at(l, value)?) => {}
                _ => return None,
            }
            ffi::lua_settop(l, key);
        }
        let fields = (*scratch).wanted.is_some();
        named.unwrap_or(fields || is_container(text)).then_some(())
    }
}

/// The fields that were wanted last, if the option at `index` says the same.
unsafe fn known(l: *mut lua_State, instance: *mut Instance, index: c_int) -> Option<Rc<Wanted>> {
    unsafe {
        if ffi::lua_getmetatable(l, index) != 0 {
            return None;
        }
        let wanted = &(*instance).runtime.fields.wanted;
        let (key, mut count) = (ffi::lua_gettop(l) + 1, 0);
        ffi::lua_pushnil(l);
        while ffi::lua_next(l, index) != 0 {
            let (name, path) = (wanted.names.get(count)?, wanted.paths.get(count)?);
            count += 1;
            let named = if wanted.list {
                stack::is_integer(l, key, count as i64)
            } else {
                text_at(l, key)? == name.as_bytes()
            };
            if !named || text_at(l, key + 1)? != path.as_bytes() {
                return None;
            }
            ffi::lua_settop(l, key);
        }
        (count > 0 && count == wanted.names.len()).then(|| Rc::clone(wanted))
    }
}

unsafe fn text_at<'a>(l: *mut lua_State, index: c_int) -> Option<&'a [u8]> {
    unsafe { (ffi::lua_type(l, index) == ffi::LUA_TSTRING).then(|| stack::bytes(l, index)) }
}

/// Other words, and these in other cases, are looked at by the long way.
fn is_recovery(word: &[u8]) -> bool {
    matches!(word, b"strict" | b"lenient" | b"best_effort")
}

fn says_json(format: &[u8], text: &[u8]) -> bool {
    format.eq_ignore_ascii_case(b"json") || (format == b"auto" && is_container(text))
}

/// Scalars are left to the long way: `yes` or `1.5` may be meant otherwise.
fn is_container(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start().first(), Some(b'{' | b'['))
}
