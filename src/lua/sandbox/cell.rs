//! What one sandboxed Lua state has used and may use: its memory, its time, its stack.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};

use mlua::ffi::{self, lua_State};

use crate::clock::{Clock, Moment};

/// Why a state must stop. Whatever its code catches, it does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Late,
    Cancelled,
    Memory,
}

/// Every refusal makes Lua collect all of its garbage: so many are enough.
const REFUSALS: u32 = 4;

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
    /// Null, or alive while a job runs.
    pub cancelled: *const AtomicBool,
    /// Where the thread's stack was when the job began.
    pub stack: usize,
    /// What one string may have.
    pub largest: usize,
    pub scratch: Vec<u8>,
    pub random: u64,
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
            cancelled: std::ptr::null(),
            stack: 0,
            largest: 0,
            scratch: Vec::new(),
            random: 1,
            collected: 0,
        })
    }

    /// Before a job.
    pub fn begin(&mut self, memory: usize, deadline: Option<Moment>, cancelled: &AtomicBool) {
        self.allowed = self.used.saturating_add(memory);
        (self.refused, self.refusals, self.fate) = ((std::ptr::null_mut(), 0), 0, None);
        (self.deadline, self.cancelled, self.largest) = (deadline, cancelled, memory);
        (self.stack, self.collected) = (here(), 0);
        self.random = crate::chance::random() | 1;
    }

    /// Protected code of the job begins.
    pub fn bound(&mut self) {
        self.limit = self.allowed;
    }

    /// After it: nothing may be left of what it pointed to.
    pub fn end(&mut self) {
        (self.limit, self.cancelled, self.deadline) = (usize::MAX, std::ptr::null(), None);
        self.scratch.clear();
        self.scratch.shrink_to(1 << 16);
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

    /// Whether the thread's stack is half used up.
    pub fn is_deep(&self) -> bool {
        self.stack.abs_diff(here()) > crate::sandbox::STACK / 2
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

/// About where the stack is.
#[inline(never)]
fn here() -> usize {
    let place = 0u8;
    std::hint::black_box(&raw const place) as usize
}

/// The cell of a state.
///
/// # Safety
/// `l` is a state made by `room.rs`.
pub unsafe fn cell<'c>(l: *mut lua_State) -> &'c mut Cell {
    unsafe {
        let mut ud = std::ptr::null_mut();
        ffi::lua_getallocf(l, &mut ud);
        &mut *ud.cast::<Cell>()
    }
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
        let old = if ptr.is_null() { 0 } else { old };
        if new == 0 {
            cell.used = cell.used.saturating_sub(old);
            libc::free(ptr);
            return std::ptr::null_mut();
        }
        let used = cell.used.saturating_sub(old).saturating_add(new);
        if new > old && used > cell.limit {
            return cell.refuse(ptr, new);
        }
        let block = libc::realloc(ptr, new);
        if block.is_null() {
            return cell.refuse(ptr, new);
        }
        (cell.used, cell.refused) = (used, (std::ptr::null_mut(), 0));
        block
    }
}
