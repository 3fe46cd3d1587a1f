//! What one sandboxed Lua state has used and may use: its memory, its time, its stack.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mlua::ffi::{self, lua_State};

use crate::clock::{Clock, Moment};

/// Why a state must stop. Whatever its code catches, it does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Late,
    Cancelled,
    Memory,
    /// The stack of Lua.
    #[cfg_attr(not(feature = "lua54"), allow(dead_code))]
    Stack,
    /// A table would grow, and its keys collide.
    #[cfg_attr(not(feature = "lua54"), allow(dead_code))]
    Keys,
}

/// Instructions between two looks at the clock: a few microseconds, if none of them takes long.
pub const INSTRUCTIONS: c_int = 200;

/// As many where they took longer than this.
const FEW: c_int = 5;
const SLOW: Duration = Duration::from_millis(1);

/// In the worst case, which is the order of texts of zeros in Lua 5.4, an operation on a text of this
/// size takes milliseconds: with longer ones the looks are as much more frequent.
const LONG: usize = 256 << 10;

/// Every refusal makes Lua collect all of its garbage: so many are enough.
const REFUSALS: u32 = 4;

/// Bytes of the thread's stack that code may use before it is told that it nests too deep: some
/// hundred coroutines in each other. Errors that pass through many more take their time.
const DEEP: usize = 256 << 10;

/// Values of a Lua stack: some 4000 calls in each other. Lua 5.4 lets a table be called through any
/// number of `__call`s, and moves all arguments for each, without anybody being able to interrupt
/// that: with its own limit of a million values it takes minutes.
#[cfg(feature = "lua54")]
const LARGEST_STACK: usize = 20_480;

/// What Lua keeps on top of a stack, and the bytes of a value.
#[cfg(feature = "lua54")]
const EXTRA: usize = 5;
#[cfg(feature = "lua54")]
const VALUE: usize = 16;

/// The `ud` of a state's allocator; it outlives the state and never moves.
pub struct Cell {
    pub used: usize,
    /// What `used` may become now, and what it may become in the code of the job.
    pub limit: usize,
    allowed: usize,
    /// The request that was refused last: Lua 5.2 and later ask twice.
    refused: (*mut c_void, usize),
    refusals: u32,
    pub fate: Option<Fate>,
    pub deadline: Option<Moment>,
    pub clock: Clock,
    /// When the hook ran last.
    looked: Moment,
    /// Null, or alive while a job runs.
    pub cancelled: *const AtomicBool,
    /// Where the thread's stack was when the job began.
    pub stack: usize,
    /// What one string may have.
    pub largest: usize,
    /// Bytes of the longest text the job has made, where Lua tells.
    longest: usize,
    /// The thread that runs, as far as known; null, or alive while a job runs.
    running: *mut lua_State,
    pub scratch: Vec<u8>,
    pub random: u64,
    #[cfg(feature = "lua54")]
    stacks: Stacks,
    #[cfg(feature = "lua54")]
    pub places: super::flood::Places,
    /// What was used after the last collection that the hook asked for.
    #[cfg_attr(not(any(feature = "lua51", feature = "luajit")), allow(dead_code))]
    pub collected: usize,
}

impl Cell {
    pub fn new() -> Box<Cell> {
        Box::new(Cell {
            used: 0,
            limit: usize::MAX,
            allowed: usize::MAX,
            refused: (std::ptr::null_mut(), 0),
            refusals: 0,
            fate: None,
            deadline: None,
            clock: Clock::default(),
            looked: Moment::START,
            cancelled: std::ptr::null(),
            stack: 0,
            largest: 0,
            longest: 0,
            running: std::ptr::null_mut(),
            scratch: Vec::new(),
            random: 1,
            #[cfg(feature = "lua54")]
            stacks: Stacks::default(),
            #[cfg(feature = "lua54")]
            places: Default::default(),
            collected: 0,
        })
    }

    /// Before a job.
    pub fn begin(&mut self, memory: usize, deadline: Option<Moment>, cancelled: &AtomicBool) {
        self.allowed = self.used.saturating_add(memory);
        (self.refused, self.refusals, self.fate) = ((std::ptr::null_mut(), 0), 0, None);
        (self.deadline, self.cancelled, self.largest) = (deadline, cancelled, memory);
        (self.stack, self.collected) = (here(), 0);
        (self.longest, self.running) = (0, std::ptr::null_mut());
        self.looked = self.clock.now();
        self.random = crate::chance::random() | 1;
    }

    /// Whether little is left, and much came since the last collection.
    #[cfg(any(feature = "lua51", feature = "luajit"))]
    pub fn wants_collection(&self) -> bool {
        let left = self.limit.saturating_sub(self.used);
        left < self.largest / 4 && self.used > self.collected.saturating_add(self.largest / 8)
    }

    /// Protected code of the job begins.
    pub fn bound(&mut self) {
        self.limit = self.allowed;
    }

    /// After it: nothing may be left of what it pointed to.
    pub fn end(&mut self) {
        (self.limit, self.cancelled, self.deadline) = (usize::MAX, std::ptr::null(), None);
        self.running = std::ptr::null_mut();
        self.scratch.clear();
        self.scratch.shrink_to(1 << 16);
    }

    /// Instructions until the next look: few where single ones take long, as with texts of megabytes.
    pub fn pace(&mut self) -> c_int {
        let (now, before) = (self.clock.now(), self.looked);
        self.looked = now;
        if before.until(now) > SLOW { FEW } else { self.most() }
    }

    /// The most instructions between two looks.
    fn most(&self) -> c_int {
        let rarer = (self.longest / LONG).max(1);
        (INSTRUCTIONS / c_int::try_from(rarer).unwrap_or(c_int::MAX)).max(FEW)
    }

    /// A thread begins to run, or goes on.
    ///
    /// # Safety
    /// It is one of this cell's state.
    pub unsafe fn runs(&mut self, l: *mut lua_State) {
        self.running = l;
        unsafe { self.hurry() }
    }

    /// Has the thread that runs interrupted soon enough. A hook may be set at any moment.
    unsafe fn hurry(&mut self) {
        let (l, most) = (self.running, self.most());
        unsafe {
            // Code that is to stop is interrupted at each instruction already.
            if !l.is_null() && self.fate.is_none() && ffi::lua_gethookcount(l) > most {
                ffi::lua_sethook(l, ffi::lua_gethook(l), ffi::LUA_MASKCOUNT, most);
            }
        }
    }

    /// A text is made.
    unsafe fn made_text(&mut self, size: usize) {
        if size > self.longest {
            self.longest = size;
            if size > LONG {
                unsafe { self.hurry() }
            }
        }
    }

    /// Whether the code may go on.
    pub fn goes_on(&mut self) -> bool {
        if self.fate.is_some() {
            return false;
        }
        // SAFETY: the job that owns the flag outlives its run, and `end` forgets it.
        let cancelled = unsafe { self.cancelled.as_ref() };
        if cancelled.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            self.fate = Some(Fate::Cancelled);
        } else if self.deadline.is_some_and(|at| self.clock.now() >= at) {
            self.fate = Some(Fate::Late);
        }
        self.fate.is_none()
    }

    /// Whether functions of C have called each other too often already.
    pub fn is_deep(&self) -> bool {
        self.stack.abs_diff(here()) > DEEP
    }

    fn refuse(&mut self, ptr: *mut c_void, size: usize) -> *mut c_void {
        self.refusals += 1;
        let asks_once = cfg!(any(feature = "lua51", feature = "luajit"));
        if asks_once || self.refused == (ptr, size) || self.refusals > REFUSALS {
            self.fate.get_or_insert(Fate::Memory);
        }
        self.refused = (ptr, size);
        std::ptr::null_mut()
    }
}

/// The stacks of Lua's threads. Lua asks for a larger one either as for more of the old one, or, as
/// for any other block that is no object, without saying what it is for: then its size tells, which is
/// twice that of a stack there is. A list or a buffer of exactly that size is taken for a stack, too:
/// of 40,965 values or more, while some stack has 20,480.
#[cfg(feature = "lua54")]
#[derive(Default)]
struct Stacks {
    threads: std::collections::HashSet<usize>,
    /// Bytes of a thread.
    size: usize,
    /// The thread that was made last, and the first block after it: its stack.
    newest: (usize, Option<(usize, usize)>),
    /// In which words of a thread its stack begins and ends.
    words: Option<(usize, usize)>,
}

#[cfg(feature = "lua54")]
impl Stacks {
    fn made(&mut self, block: usize, size: usize, is_thread: bool) {
        if is_thread {
            self.threads.insert(block);
            (self.size, self.newest) = (size, (block, None));
        } else if self.words.is_none() && self.newest.1.is_none() {
            self.newest.1 = Some((block, size));
        }
    }

    fn freed(&mut self, block: usize, size: usize) {
        if size == self.size {
            self.threads.remove(&block);
        }
    }

    /// Looks at the thread that was made last.
    fn learn(&mut self) {
        let (thread, Some((stack, size))) = self.newest else { return };
        // SAFETY: it is alive, and so large.
        let words = unsafe { std::slice::from_raw_parts(thread as *const usize, self.size / 8) };
        let at = |wanted: usize| words.iter().position(|word| *word == wanted);
        self.words = at(stack).zip(at(stack + size - EXTRA * VALUE));
    }

    /// Whether what `block` is to become, which may be null, is a stack that is too large.
    fn overflow(&self, block: usize, size: usize) -> bool {
        let count = (size / VALUE).saturating_sub(EXTRA);
        let Some((start, end)) = self.words.filter(|_| count > LARGEST_STACK) else { return false };
        let doubles = |thread: &usize| {
            let word = |at: usize| {
                // SAFETY: threads are alive until they are freed, and as large as the first one.
                unsafe { (*thread as *const usize).add(at).read() }
            };
            let grows = block == 0 || block == word(start);
            grows && 2 * (word(end).wrapping_sub(word(start)) / VALUE) == count
        };
        size.is_multiple_of(VALUE) && self.threads.iter().any(doubles)
    }
}

#[cfg(feature = "lua54")]
impl Cell {
    /// A coroutine has just been made, so that the places in it are known.
    pub fn learn_stacks(&mut self) {
        self.stacks.learn();
    }
}

/// About where the stack is.
#[inline(never)]
fn here() -> usize {
    let place = 0u8;
    std::hint::black_box(&raw const place) as usize
}

/// The cell of a state. The allocator writes to it whenever Lua is called, so that nobody borrows it
/// any longer than for a look.
///
/// # Safety
/// `l` is a state made by `room.rs`.
pub unsafe fn cell(l: *mut lua_State) -> *mut Cell {
    unsafe {
        let mut ud = std::ptr::null_mut();
        ffi::lua_getallocf(l, &mut ud);
        ud.cast::<Cell>()
    }
}

/// Whether the code of a state may go on.
///
/// # Safety
/// As [`cell`].
pub unsafe fn goes_on(l: *mut lua_State) -> bool {
    unsafe { (*cell(l)).goes_on() }
}

/// The allocator of sandboxed states.
///
/// # Safety
/// For `lua_newstate`, with a [`Cell`].
pub unsafe extern "C" fn allocate(
    ud: *mut c_void,
    ptr: *mut c_void,
    old: usize,
    new: usize,
) -> *mut c_void {
    unsafe {
        let cell = &mut *ud.cast::<Cell>();
        // Without a block `old` says what kind of object the new one is for.
        #[cfg(feature = "lua54")]
        let (is_object, is_thread) =
            (ptr.is_null() && old != 0, ptr.is_null() && old == ffi::LUA_TTHREAD as usize);
        #[cfg(any(feature = "lua52", feature = "lua53", feature = "lua54"))]
        let is_text = ptr.is_null() && old == ffi::LUA_TSTRING as usize;
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        let is_text = false;
        let old = if ptr.is_null() { 0 } else { old };
        if new == 0 {
            cell.used = cell.used.saturating_sub(old);
            #[cfg(feature = "lua54")]
            {
                cell.stacks.freed(ptr as usize, old);
                cell.places.freed(ptr as usize, old);
            }
            libc::free(ptr);
            return std::ptr::null_mut();
        }
        let used = cell.used.saturating_sub(old).saturating_add(new);
        if new > old && used > cell.limit {
            return cell.refuse(ptr, new);
        }
        #[cfg(feature = "lua54")]
        if new > old && !is_object && cell.stacks.overflow(ptr as usize, new) {
            cell.fate.get_or_insert(Fate::Stack);
            return std::ptr::null_mut();
        }
        #[cfg(feature = "lua54")]
        if ptr.is_null() && !is_object && !cell.places.may_grow(new) {
            cell.fate.get_or_insert(Fate::Keys);
            return std::ptr::null_mut();
        }
        #[cfg(feature = "lua54")]
        if !ptr.is_null() {
            cell.places.freed(ptr as usize, old);
        }
        let block = libc::realloc(ptr, new);
        if block.is_null() {
            return cell.refuse(ptr, new);
        }
        if is_text {
            cell.made_text(new);
        }
        #[cfg(feature = "lua54")]
        if ptr.is_null() {
            if is_thread {
                // Its words are looked at before Lua has written all of them.
                std::ptr::write_bytes(block.cast::<u8>(), 0, new);
            }
            cell.stacks.made(block as usize, new, is_thread);
            if !is_object {
                cell.places.made(block.cast(), new);
            }
        }
        (cell.used, cell.refused) = (used, (std::ptr::null_mut(), 0));
        block
    }
}
