//! Tables of Lua 5.4 whose number keys were chosen so that they collide as soon as the table grows.
//!
//! Lua moves all keys of a table in one instruction, and looks each up where it goes: with a quarter
//! of a million keys in one place that takes minutes, and nobody can interrupt it. But before it
//! asks the allocator for the new places, while the keys are still in the old ones. So the allocator
//! counts where they would go, and refuses.

use std::ffi::c_int;

use mlua::ffi::{self, lua_State};

use super::cell::cell;

/// Bytes of a place for a key and its value, and where in it what is.
const NODE: usize = 24;
const VALUE_TYPE: usize = 8;
const KEY_TYPE: usize = 9;
const KEY: usize = 16;

const INTEGER: u8 = 3;
const FLOAT: u8 = 0x13;

/// Tables of fewer places are moved in milliseconds, whatever their keys.
const LEAST: usize = 1 << 12;

/// Steps past colliding keys that one instruction may take: some 30 ms.
const MOST: usize = 8 << 20;

/// The places of large tables, and of whatever else is as large.
#[derive(Default)]
pub struct Places {
    /// Where they begin, and how many there are.
    blocks: Vec<(usize, usize)>,
    /// This Lua's tables look as they do here.
    known: bool,
    /// The block that was made last, while it is found out how they look.
    newest: Option<(usize, usize)>,
}

/// How many places a block has, if it is of a table.
fn places(size: usize) -> Option<usize> {
    let count = size / NODE;
    (size.is_multiple_of(NODE) && count.is_power_of_two()).then_some(count)
}

impl Places {
    /// Whether a table may grow into `size` bytes, as far as its keys are concerned.
    pub fn may_grow(&self, size: usize) -> bool {
        let Some(count) = places(size).filter(|count| self.known && *count > LEAST) else {
            return true;
        };
        // Whatever moves there has at least half as many places now.
        let moves = self.blocks.iter().filter(|(_, old)| *old >= count / 2);
        // SAFETY: blocks are forgotten before they are freed.
        moves.into_iter().all(|(at, old)| unsafe { fits(*at as *const u8, *old, count) })
    }

    /// A block that is no object. What it has not is zero.
    ///
    /// # Safety
    /// It is that large.
    pub unsafe fn made(&mut self, block: *mut u8, size: usize) {
        if let Some(count) = places(size).filter(|count| self.known && *count >= LEAST) {
            unsafe { block.write_bytes(0, size) };
            self.blocks.push((block as usize, count));
        } else if !self.known {
            self.newest = Some((block as usize, size));
        }
    }

    pub fn freed(&mut self, block: usize, size: usize) {
        if size >= LEAST * NODE {
            self.blocks.retain(|(at, _)| *at != block);
        }
    }
}

/// Whether the keys of `old` places can go to `count` places.
unsafe fn fits(block: *const u8, old: usize, count: usize) -> bool {
    let (mut taken, mut steps) = (vec![0u32; count], 0);
    for i in 0..old {
        let Some(place) = (unsafe { goes_to(block.add(i * NODE), count) }) else { continue };
        let Some(taken) = taken.get_mut(place) else { continue };
        steps += *taken as usize;
        *taken += 1;
        if steps > MOST {
            return false;
        }
    }
    true
}

/// The place among `count` for the key of a node, if that is a number.
unsafe fn goes_to(node: *const u8, count: usize) -> Option<usize> {
    unsafe {
        let bits = node.add(KEY).cast::<u64>().read_unaligned();
        let hash = match (node.add(VALUE_TYPE).read() & 15, node.add(KEY_TYPE).read()) {
            (0, _) => return None,
            (_, INTEGER) => bits,
            (_, FLOAT) => u64::from(hash(f64::from_bits(bits))),
            _ => return None,
        };
        Some((hash % ((count as u64 - 1) | 1)) as usize)
    }
}

/// As Lua does: of the exponent and the upper bits of the fraction.
fn hash(number: f64) -> u32 {
    if !number.is_finite() {
        return 0;
    }
    let (fraction, exponent) = parts(number);
    let sum = ((fraction * 2f64.powi(31)) as i64 as u32).wrapping_add(exponent as u32);
    if sum <= i32::MAX as u32 { sum } else { !sum }
}

/// `number = fraction * 2^exponent`, with a fraction from a half up to, but not, 1.
fn parts(number: f64) -> (f64, i32) {
    if number == 0.0 {
        return (number, 0);
    } else if !number.is_normal() {
        let (fraction, exponent) = parts(number * 2f64.powi(54));
        return (fraction, exponent - 54);
    }
    let exponent = ((number.to_bits() >> 52) & 0x7ff) as i32 - 1022;
    (f64::from_bits(number.to_bits() & !(0x7ff << 52) | (1022 << 52)), exponent)
}

/// Finds out whether tables look as they are expected to, by one of four places.
///
/// # Safety
/// A state of `room.rs`, in protected code. Needs 3 slots.
pub unsafe fn learn(l: *mut lua_State) {
    const SAMPLE: i64 = -1_234_567_890_123;
    unsafe {
        let cell = cell(l);
        ffi::lua_createtable(l, 0, 4);
        let made = (*cell).places.newest;
        ffi::lua_pushinteger(l, 7);
        ffi::lua_rawseti(l, -2, SAMPLE);
        ffi::lua_pushnumber(l, 1.5);
        ffi::lua_pushboolean(l, 1 as c_int);
        ffi::lua_rawset(l, -3);
        if let Some((block, _)) = made.filter(|(_, size)| *size == 4 * NODE) {
            let key =
                |bits, kind| (0..4).any(|i| is_key((block + i * NODE) as *const u8, bits, kind));
            (*cell).places.known = key(SAMPLE as u64, INTEGER) && key(1.5f64.to_bits(), FLOAT);
        }
        ffi::lua_pop(l, 1);
    }
}

unsafe fn is_key(node: *const u8, bits: u64, kind: u8) -> bool {
    unsafe {
        node.add(KEY).cast::<u64>().read_unaligned() == bits
            && node.add(KEY_TYPE).read() == kind
            && node.add(VALUE_TYPE).read() & 15 != 0
    }
}
