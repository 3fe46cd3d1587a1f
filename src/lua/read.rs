//! Lua values onto the tape: one raw walk that checks depth, cycles, numbers, UTF-8 and keys, and
//! says in its error where the trouble is.
//!
//! Nothing here calls a metamethod. Values with destructors live in the [`Frame`], never on this
//! stack, because storing a slot may raise a memory error through these frames.

use std::ffi::{c_int, c_void};

use mlua::ffi::{self, lua_State};

use crate::error::{Code, Error};
use crate::schema::escaped;
use crate::value::{Kind, MAX_DEPTH, Tape};

use super::args::{NoData, Place};
use super::bridge::{Param, Read};
use super::compiled;
use super::foreign::{self, Foreign};
use super::instance::{Frame, Instance};
use super::stack::{self, Borrowed, Meta};

/// Levels of nesting that the slots suffice for which every C function has: a level takes two, key
/// and value.
const LEVELS_AT_HAND: usize = 6;

/// Levels of nesting between two checks of the stack.
const LEVELS: usize = 8;

/// What looking at a metatable takes on top of a level, and the key of the next one.
const ROOM: usize = 6;

/// Values one call may bring. A table that is shared many times over unfolds at every use, so a
/// small one can stand for more than there is memory.
pub const MAX_VALUES: usize = 2_000_000;

/// What may not cross, and why.
#[derive(Clone, Copy, Debug)]
enum Problem {
    TooDeep,
    Cycle,
    NotFinite(f64),
    NotUtf8,
    NotData(&'static str),
    Key(&'static str),
    NotSequence,
    Collision,
    TooMany,
    TooLarge,
    StackOverflow,
}

#[derive(Clone, Debug)]
pub enum Segment {
    Key(String),
    /// A key of an object that is an integer.
    Number(i64),
    Index(i64),
}

/// Reads the arguments of a call into the frame. On trouble the frame holds the error.
///
/// # Safety
/// `l` is the running state, its arguments are at 1..; `instance` and `frame` are alive and not
/// borrowed. Nothing but the arguments is on the stack. Checks for the slots it needs.
pub unsafe fn arguments(
    l: *mut lua_State,
    instance: *mut Instance,
    params: &'static [Param],
    first: c_int,
    frame: *mut Frame,
) {
    unsafe {
        let top = ffi::lua_gettop(l);
        for (i, param) in params.iter().enumerate() {
            let index = first + i as c_int;
            if index > top {
                (*frame).places.push(Place::default());
            } else if let Err(problem) = argument(l, instance, index, param, frame) {
                ffi::lua_settop(l, top);
                return fail(frame, param.name, problem);
            }
        }
    }
}

unsafe fn argument(
    l: *mut lua_State,
    instance: *mut Instance,
    index: c_int,
    param: &Param,
    frame: *mut Frame,
) -> Result<(), Problem> {
    unsafe {
        let (node, read, top) = ((*frame).tape.len(), param.read, ffi::lua_gettop(l));
        (*frame).places.push(Place::default());
        let inspected = (read == Read::Inspected).then_some(param.name);
        let by_reference =
            matches!(read, Read::Options | Read::Inspected | Read::Judged | Read::Named);
        let files = by_reference || read == Read::Data;
        let any_bytes = matches!(read, Read::Bytes | Read::Whole);
        let plain = Reader::new(l, instance, frame);
        let mut reader = Reader { by_reference, files, any_bytes, inspected, ..plain };
        if read == Read::Text && ffi::lua_type(l, index) == ffi::LUA_TSTRING {
            last(frame).text = Some(Borrowed::new(stack::bytes(l, index)));
            return Ok(());
        }
        let named = read == Read::Named && push_id(l, index);
        let index = if named { top + 1 } else { index };
        if read != Read::Reference {
            match reader.value(index) {
                Ok(()) => last(frame).node = Some(node),
                Err(problem)
                    if matches!(read, Read::Both | Read::Whole | Read::Text | Read::Judged) =>
                {
                    not_data(frame, param.name, problem, node);
                    ffi::lua_settop(l, top);
                    if read == Read::Both && matches!(problem, Problem::NotUtf8) {
                        reader.bytes_instead(index, node);
                    }
                }
                Err(problem) => return Err(problem),
            }
            ffi::lua_settop(l, top);
        }
        if matches!(read, Read::Both | Read::Whole | Read::Text | Read::Judged | Read::Reference)
            && ffi::lua_type(l, index) != ffi::LUA_TNIL
        {
            last(frame).slot = Some((*instance).runtime.slots.take());
            let id = last(frame).slot.as_ref().map_or(0, |slot| slot.id());
            stack::store_slot(l, id, index);
        }
        Ok(())
    }
}

/// Pushes the id of a handle, which stands for it; false for anything else. The text stays where it
/// is as long as the handle, which is an argument.
unsafe fn push_id(l: *mut lua_State, index: c_int) -> bool {
    unsafe {
        if ffi::lua_type(l, index) != ffi::LUA_TUSERDATA || !stack::has_meta(l, index, Meta::Handle)
        {
            return false;
        }
        ffi::lua_getuservalue(l, index);
        stack::push_bytes(l, b"id");
        ffi::lua_rawget(l, -2);
        ffi::lua_remove(l, -2);
        true
    }
}

/// The argument passes by reference; whether it must be data, the operation knows.
unsafe fn not_data(frame: *mut Frame, what: &str, problem: Problem, node: usize) {
    unsafe {
        note(frame, what, problem);
        (*frame).visiting.clear();
        (*frame).tape.truncate(node);
    }
}

/// What is wrong with the last argument, and where.
unsafe fn note(frame: *mut Frame, what: &str, problem: Problem) {
    unsafe {
        let path: &[Segment] = &(*frame).path;
        let (text, path) = (render(path, what), pointer(path));
        (*frame).path.clear();
        last(frame).problems.push(NoData { path, error: describe(problem, &text) });
    }
}

unsafe fn last<'a>(frame: *mut Frame) -> &'a mut Place {
    unsafe {
        if (*frame).places.is_empty() {
            (*frame).places.push(Place::default());
        }
        let at = (*frame).places.len() - 1;
        &mut (&mut (*frame).places)[at]
    }
}

/// Reads one value as plain data; the error names `what` and the path.
///
/// # Safety
/// As [`arguments`].
pub unsafe fn value(
    l: *mut lua_State,
    instance: *mut Instance,
    index: c_int,
    what: &str,
    frame: *mut Frame,
) {
    unsafe { one(l, instance, index, what, frame, false) }
}

/// As [`value`], but its strings may be any bytes.
///
/// # Safety
/// As [`arguments`].
pub unsafe fn bytes(
    l: *mut lua_State,
    instance: *mut Instance,
    index: c_int,
    what: &str,
    frame: *mut Frame,
) {
    unsafe { one(l, instance, index, what, frame, true) }
}

unsafe fn one(
    l: *mut lua_State,
    instance: *mut Instance,
    index: c_int,
    what: &str,
    frame: *mut Frame,
    any_bytes: bool,
) {
    unsafe {
        let top = ffi::lua_gettop(l);
        let mut reader = Reader { any_bytes, ..Reader::new(l, instance, frame) };
        if let Err(problem) = reader.value(index) {
            ffi::lua_settop(l, top);
            fail(frame, what, problem);
        }
    }
}

struct Reader {
    l: *mut lua_State,
    instance: *mut Instance,
    frame: *mut Frame,
    /// Functions and userdata become slots instead of errors.
    by_reference: bool,
    /// Messages may hold bytes of files.
    files: bool,
    /// Strings need not be text.
    any_bytes: bool,
    /// The argument of that name is read without its members that cannot cross, which are noted.
    inspected: Option<&'static str>,
    /// Levels of nesting for which the stack has room.
    room: usize,
    /// A table has begun like a list and was none: from then on no table inside another one is read
    /// before it is known whether that is a list. Were each level read twice, a hundred of them
    /// would never end.
    wary: bool,
}

impl Reader {
    /// For plain data.
    fn new(l: *mut lua_State, instance: *mut Instance, frame: *mut Frame) -> Reader {
        Reader {
            l,
            instance,
            frame,
            by_reference: false,
            files: false,
            any_bytes: false,
            inspected: None,
            room: LEVELS_AT_HAND,
            wary: false,
        }
    }

    /// Reads once more what has strings that are no text, for who takes them.
    unsafe fn bytes_instead(&mut self, index: c_int, node: usize) {
        unsafe {
            (self.any_bytes, self.room) = (true, LEVELS_AT_HAND);
            if self.value(index).is_ok() {
                last(self.frame).bytes = Some(node);
            } else {
                (*self.frame).path.clear();
                (*self.frame).visiting.clear();
                self.tape().truncate(node);
            }
        }
    }

    unsafe fn tape(&mut self) -> &mut Tape {
        unsafe { &mut (*self.frame).tape }
    }

    unsafe fn value(&mut self, index: c_int) -> Result<(), Problem> {
        unsafe {
            if self.tape().len() >= MAX_VALUES {
                return Err(Problem::TooMany);
            }
            match ffi::lua_type(self.l, index) {
                ffi::LUA_TNIL => self.tape().null(),
                ffi::LUA_TBOOLEAN => {
                    let value = ffi::lua_toboolean(self.l, index) != 0;
                    self.tape().bool(value);
                }
                ffi::LUA_TNUMBER => return self.number(index),
                ffi::LUA_TSTRING => return self.string(index),
                ffi::LUA_TTABLE => return self.table(index),
                _ => return self.other(index),
            }
            Ok(())
        }
    }

    unsafe fn number(&mut self, index: c_int) -> Result<(), Problem> {
        unsafe {
            match stack::number(self.l, index) {
                stack::Number::Int(n) => self.tape().int(n),
                stack::Number::Float(n) if n.is_finite() => self.tape().float(n),
                stack::Number::Float(n) => return Err(Problem::NotFinite(n)),
            }
            Ok(())
        }
    }

    unsafe fn string(&mut self, index: c_int) -> Result<(), Problem> {
        unsafe {
            let bytes = stack::bytes(self.l, index);
            if !self.any_bytes && !bytes.is_ascii() && std::str::from_utf8(bytes).is_err() {
                return Err(Problem::NotUtf8);
            }
            self.bytes(bytes)
        }
    }

    unsafe fn bytes(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        unsafe {
            if u32::try_from(bytes.len()).is_err() {
                return Err(Problem::TooLarge);
            }
            self.tape().str(bytes);
            Ok(())
        }
    }

    unsafe fn table(&mut self, index: c_int) -> Result<(), Problem> {
        unsafe {
            let index = if index > 0 { index } else { ffi::lua_absindex(self.l, index) };
            let address = ffi::lua_topointer(self.l, index);
            if (*self.frame).visiting.contains(&address) {
                return Err(Problem::Cycle);
            }
            if (*self.frame).visiting.len() >= MAX_DEPTH {
                return Err(Problem::TooDeep);
            }
            if (*self.frame).visiting.len() >= self.room {
                if !stack::grow(self.l, (2 * LEVELS + ROOM) as c_int) {
                    (*self.instance).metrics.stack.totals.overflows += 1;
                    return Err(Problem::StackOverflow);
                }
                self.room += LEVELS;
            }
            (*self.frame).visiting.push(address);
            self.table_at(index)?;
            (*self.frame).visiting.pop();
            Ok(())
        }
    }

    unsafe fn table_at(&mut self, index: c_int) -> Result<(), Problem> {
        unsafe {
            let mark = foreign::mark(self.l, index);
            if mark == Foreign::Callable && self.by_reference {
                return self.reference(index, Kind::Function);
            }
            let length = ffi::lua_rawlen(self.l, index);
            if mark != Foreign::Object && length > 0 && self.list(index)? {
                return Ok(());
            }
            if length == 0 && mark != Foreign::Array {
                return self.object(index, mark == Foreign::Object);
            }
            let sequence = mark != Foreign::Object && stack::is_sequence(self.l, index, length);
            match mark {
                Foreign::Array if !sequence => return Err(Problem::NotSequence),
                Foreign::Array => return self.array(index, length),
                _ if sequence && length > 0 => return self.array(index, length),
                _ => {}
            }
            self.object(index, mark == Foreign::Object)
        }
    }

    /// Reads a table as an array while its keys come as 1, 2, 3: they do where no key lies in the
    /// hash part. Leaves nothing behind, and is false, when another key comes; that proves nothing.
    unsafe fn list(&mut self, index: c_int) -> Result<bool, Problem> {
        unsafe {
            let start = self.tape().len();
            let mark = self.tape().open_array();
            let mut last = 0i64;
            ffi::lua_pushnil(self.l);
            let value = ffi::lua_gettop(self.l) + 1;
            while ffi::lua_next(self.l, index) != 0 {
                let is_next = stack::is_integer(self.l, -2, last + 1);
                if !is_next || self.wary && ffi::lua_type(self.l, value) == ffi::LUA_TTABLE {
                    ffi::lua_pop(self.l, 2);
                    self.tape().truncate(start);
                    self.wary = true;
                    return Ok(false);
                }
                last += 1;
                if let Err(problem) = self.value(value) {
                    self.below(Segment::Index(last), problem)?;
                }
                ffi::lua_pop(self.l, 1);
            }
            let length = u32::try_from(last).map_err(|_| Problem::TooLarge)?;
            self.tape().close(mark, length as usize);
            Ok(true)
        }
    }

    unsafe fn array(&mut self, index: c_int, length: usize) -> Result<(), Problem> {
        unsafe {
            if u32::try_from(length).is_err() {
                return Err(Problem::TooLarge);
            }
            let mark = self.tape().open_array();
            for i in 1..=length as i64 {
                ffi::lua_rawgeti(self.l, index, i);
                if let Err(problem) = self.value(-1) {
                    return self.below(Segment::Index(i), problem);
                }
                ffi::lua_pop(self.l, 1);
            }
            self.tape().close(mark, length);
            Ok(())
        }
    }

    unsafe fn object(&mut self, index: c_int, marked: bool) -> Result<(), Problem> {
        unsafe {
            let start = self.tape().len();
            let mark = self.tape().open_object();
            let (mut members, mut integers) = (0usize, false);
            let outermost = self.inspected.filter(|_| (*self.frame).visiting.len() == 1);
            ffi::lua_pushnil(self.l);
            // A failing value leaves its own rest on the stack: the key is found from below.
            let key = ffi::lua_gettop(self.l);
            while ffi::lua_next(self.l, index) != 0 {
                let at = self.tape().len();
                match (self.member(index, key), outermost) {
                    (Ok(is_integer), _) => {
                        (integers, members) = (integers | is_integer, members + 1);
                    }
                    (Err(problem), Some(name)) => self.leave_out(name, problem, at),
                    (Err(problem), None) => return Err(problem),
                }
                ffi::lua_settop(self.l, key);
            }
            if members == 0 && !marked {
                self.tape().truncate(start);
                self.tape().empty();
                return Ok(());
            }
            self.tape().close(mark, members);
            if integers && repeats(self.tape(), start) { Err(Problem::Collision) } else { Ok(()) }
        }
    }

    /// The key and the value on top; true if the key is an integer.
    unsafe fn member(&mut self, table: c_int, key: c_int) -> Result<bool, Problem> {
        unsafe {
            let is_integer = self.key(key)?;
            let read = match self.value(key + 1) {
                Err(Problem::NotUtf8) if self.is_file(table, key) => {
                    self.bytes(stack::bytes(self.l, key + 1))
                }
                read => read,
            };
            match read {
                Ok(()) => Ok(is_integer),
                Err(problem) => self.below(segment(self.l, key), problem).map(|()| is_integer),
            }
        }
    }

    /// A member of the argument `name`, which began at `at`, cannot cross.
    unsafe fn leave_out(&mut self, name: &str, problem: Problem, at: usize) {
        unsafe {
            note(self.frame, name, problem);
            (*self.frame).visiting.truncate(1);
            self.tape().truncate(at);
        }
    }

    /// Whether the member at `key` is `data` of an image or a document in a message: bytes of a
    /// file are no text, and the only ones that are taken as they are.
    unsafe fn is_file(&mut self, table: c_int, key: c_int) -> bool {
        unsafe {
            let text = |at| ffi::lua_type(self.l, at) == ffi::LUA_TSTRING;
            if !(self.files && text(key) && text(key + 1)) || stack::bytes(self.l, key) != b"data" {
                return false;
            }
            stack::push_bytes(self.l, b"type");
            ffi::lua_rawget(self.l, table);
            let file = text(-1) && matches!(stack::bytes(self.l, -1), b"image" | b"document");
            ffi::lua_pop(self.l, 1);
            file
        }
    }

    /// Writes a key; true if it was an integer.
    unsafe fn key(&mut self, index: c_int) -> Result<bool, Problem> {
        unsafe {
            match ffi::lua_type(self.l, index) {
                ffi::LUA_TSTRING => self.string(index).map(|()| false),
                ffi::LUA_TNUMBER => match stack::number(self.l, index) {
                    stack::Number::Int(n) => {
                        self.tape().str(n.to_string().as_bytes());
                        Ok(true)
                    }
                    stack::Number::Float(_) => Err(Problem::Key("a fractional number")),
                },
                other => Err(Problem::Key(stack::type_name(other))),
            }
        }
    }

    unsafe fn other(&mut self, index: c_int) -> Result<(), Problem> {
        unsafe {
            let kind = ffi::lua_type(self.l, index);
            match foreign::scalar(self.l, index) {
                Foreign::Null => self.tape().null(),
                Foreign::Array => {
                    let mark = self.tape().open_array();
                    self.tape().close(mark, 0);
                }
                _ if !self.by_reference => return Err(Problem::NotData(stack::type_name(kind))),
                _ if kind == ffi::LUA_TUSERDATA => return self.userdata(index),
                _ if kind == ffi::LUA_TFUNCTION => return self.reference(index, Kind::Function),
                _ => return self.reference(index, Kind::Opaque),
            }
            Ok(())
        }
    }

    /// A compiled schema stands for itself by its name, anything else by reference.
    unsafe fn userdata(&mut self, index: c_int) -> Result<(), Problem> {
        unsafe {
            match compiled::name(self.l, index, self.instance) {
                Some(name) => self.tape().str(name.as_bytes()),
                None => return self.reference(index, Kind::Opaque),
            }
            Ok(())
        }
    }

    unsafe fn reference(&mut self, index: c_int, kind: Kind) -> Result<(), Problem> {
        unsafe {
            let slot = (*self.instance).runtime.slots.take();
            let id = slot.id();
            self.tape().slot(kind, slot);
            stack::store_slot(self.l, id, index);
            Ok(())
        }
    }

    unsafe fn below(&mut self, segment: Segment, problem: Problem) -> Result<(), Problem> {
        unsafe { (*self.frame).path.push(segment) };
        Err(problem)
    }
}

/// The key at `index` as a step of a path. Strings are copied, so the caller returns at once.
unsafe fn segment(l: *mut lua_State, index: c_int) -> Segment {
    unsafe {
        match ffi::lua_type(l, index) {
            ffi::LUA_TNUMBER => match stack::number(l, index) {
                stack::Number::Int(n) => Segment::Number(n),
                stack::Number::Float(n) => Segment::Key(n.to_string()),
            },
            _ => Segment::Key(String::from_utf8_lossy(stack::bytes(l, index)).into_owned()),
        }
    }
}

/// Whether two keys of the object at `start` are equal: `1` and `"1"`.
fn repeats(tape: &Tape, start: usize) -> bool {
    let Some(object) = tape.at(start) else { return false };
    let mut seen = std::collections::HashSet::new();
    object.members().any(|(key, _)| !seen.insert(key.as_bytes()))
}

/// Turns a problem and the path collected on the way out into the frame's error.
unsafe fn fail(frame: *mut Frame, what: &str, problem: Problem) {
    unsafe {
        let path = render(&(*frame).path, what);
        (*frame).error = Some(describe(problem, &path));
    }
}

fn describe(problem: Problem, path: &str) -> Error {
    let text = match problem {
        Problem::StackOverflow => return Error::state("stack overflow"),
        Problem::TooDeep => format!("nested deeper than {MAX_DEPTH} levels"),
        Problem::Cycle => "the table contains itself".to_owned(),
        Problem::NotFinite(n) if n.is_nan() => "NaN is not JSON".to_owned(),
        Problem::NotFinite(_) => "an infinite number is not JSON".to_owned(),
        Problem::NotUtf8 => "the string is not valid UTF-8".to_owned(),
        Problem::NotData(kind) => format!("a {kind} is not data"),
        Problem::Key(kind) => format!("{kind} cannot be a key: use strings or integers"),
        Problem::NotSequence => "marked as an array, but its keys are not 1..n".to_owned(),
        Problem::Collision => "an integer key and a string key would become equal".to_owned(),
        Problem::TooMany => {
            format!("more than {MAX_VALUES} values (shared tables count at each use)")
        }
        Problem::TooLarge => "the value is larger than 4 GiB".to_owned(),
    };
    Error::new(Code::ConversionError, format!("{path}: {text}"))
}

/// `config.steps[2].input`; a very long path keeps its ends.
fn render(path: &[Segment], what: &str) -> String {
    const SHOWN: usize = 12;
    let mut text = what.to_owned();
    let steps: Vec<String> = path.iter().rev().map(step).collect();
    if steps.len() <= 2 * SHOWN {
        return text + &steps.concat();
    }
    text.push_str(&steps[..SHOWN].concat());
    text.push('…');
    text + &steps[steps.len() - SHOWN..].concat()
}

fn step(segment: &Segment) -> String {
    match segment {
        Segment::Index(i) | Segment::Number(i) => format!("[{i}]"),
        Segment::Key(key) if is_word(key) => format!(".{key}"),
        Segment::Key(key) => format!("[{}]", crate::error::quoted(key)),
    }
}

/// The same as a JSON pointer, which counts items from 0.
fn pointer(path: &[Segment]) -> String {
    let step = |segment: &Segment| match segment {
        Segment::Index(i) => format!("/{}", i - 1),
        Segment::Number(n) => format!("/{n}"),
        Segment::Key(key) => format!("/{}", escaped(key)),
    };
    path.iter().rev().map(step).collect()
}

fn is_word(key: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !key.is_empty()
        && key.len() <= 60
        && key.chars().all(plain)
        && !key.starts_with(|c: char| c.is_ascii_digit())
}

/// Identity of a table on the way down, for finding cycles.
pub type Address = *const c_void;
