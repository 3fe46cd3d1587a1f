//! Where things end: spaces, and the plain part of a string, which ends at a quote, a backslash or a
//! control character.

/// The byte at `at`; 0, which stands nowhere in JSON, behind the end.
#[inline(always)]
pub fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// The index of the first byte from `at` on that is no space.
#[inline(always)]
pub fn space(text: &[u8], mut at: usize) -> usize {
    while byte(text, at) <= b' ' && matches!(byte(text, at), b' ' | b'\n' | b'\r' | b'\t') {
        at += 1;
    }
    at
}

/// The closing quote of a string whose bytes begin at `from` and are plain and ASCII: most are, and
/// this is all that they cost. For any other [`plain`] has to look.
#[inline(always)]
pub fn quote(text: &[u8], from: usize) -> Option<usize> {
    match text.get(from..).and_then(|rest| rest.first_chunk::<WIDTH>()) {
        Some(block) => match ends(block) {
            0 => later_quote(text, from + WIDTH),
            ends => first_quote(block, ends).map(|index| from + index),
        },
        None => last_quote(text, from),
    }
}

/// As [`quote`], behind a plain block. It is not as seldom as it says: said so, its callers keep
/// what they have in registers where no such call is made.
#[cold]
#[inline(never)]
fn later_quote(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(block) = text.get(at..).and_then(|rest| rest.first_chunk::<WIDTH>()) {
        let ends = ends(block);
        if ends != 0 {
            return first_quote(block, ends).map(|index| at + index);
        }
        at += WIDTH;
    }
    last_quote(text, at)
}

/// As [`quote`], behind the last whole block: the block that ends with the text has it, behind
/// bytes that were looked at before.
#[cold]
#[inline(never)]
fn last_quote(text: &[u8], from: usize) -> Option<usize> {
    let (start, block) = (text.len().checked_sub(WIDTH)?, text.last_chunk::<WIDTH>()?);
    let seen = from.checked_sub(start)? as u32;
    let left = u64::MAX.checked_shl(seen * STEP).unwrap_or(0);
    first_quote(block, ends(block) & left).map(|index| start + index)
}

/// The index of the first of these ends if that is a quote.
#[inline(always)]
fn first_quote(block: &[u8; WIDTH], ends: u64) -> Option<usize> {
    let index = (ends.trailing_zeros() / STEP) as usize % WIDTH;
    (ends != 0 && block.get(index) == Some(&b'"')).then_some(index)
}

/// What a scan found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Index of the first byte that is not plain; the length of the text if there is none.
    pub end: usize,
    /// Whether all bytes up to there are below 0x80, so that they need no check for UTF-8.
    pub ascii: bool,
}

/// Scans `text` from `from` on, sixteen bytes at a time.
#[inline(always)]
pub fn plain(text: &[u8], from: usize) -> Plain {
    let (mut at, mut high) = (from, false);
    while let Some(block) = text.get(at..).and_then(|rest| rest.first_chunk::<WIDTH>()) {
        let Found { stops, highs } = find(block);
        if stops != 0 {
            let end = stops.trailing_zeros();
            high |= highs & ((1 << end) - 1) != 0;
            return Plain { end: at + (end / STEP) as usize, ascii: !high };
        }
        high |= highs != 0;
        at += WIDTH;
    }
    last(text, at, high)
}

/// Whether all bytes are plain and ASCII.
#[inline]
pub fn is_plain_block(block: &[u8; 16]) -> bool {
    #[cfg(target_arch = "x86_64")]
    let plain = ends(block) == 0;
    #[cfg(not(target_arch = "x86_64"))]
    let plain = {
        let halves = block.first_chunk().zip(block.last_chunk());
        halves.is_some_and(|(first, last)| ends(first) | ends(last) == 0)
    };
    plain
}

/// The end of the text, which is no whole block. Two words that overlap tell most short strings to
/// be plain; where they do not, it is read byte by byte.
#[inline(never)]
fn last(text: &[u8], from: usize, high: bool) -> Plain {
    let rest = text.get(from..).unwrap_or_default();
    if let (Some(first), Some(second)) = (rest.first_chunk(), rest.last_chunk()) {
        let (first, second) = (words::find(first), words::find(second));
        if rest.len() <= 2 * words::WIDTH && first.stops | second.stops == 0 {
            let high = high || first.highs | second.highs != 0;
            return Plain { end: text.len(), ascii: !high };
        }
    }
    bytewise(text, from, high)
}

fn bytewise(text: &[u8], from: usize, mut high: bool) -> Plain {
    let rest = text.get(from..).unwrap_or_default();
    for (i, byte) in rest.iter().enumerate() {
        if matches!(byte, b'"' | b'\\' | 0..=0x1f) {
            return Plain { end: from + i, ascii: !high };
        }
        high |= *byte >= 0x80;
    }
    Plain { end: text.len(), ascii: !high }
}

/// One bit for each byte of a block, at [`STEP`] bits' distance: where to stop, where bytes are not ASCII.
struct Found {
    stops: u64,
    highs: u64,
}

#[cfg(target_arch = "x86_64")]
use sse2::{STEP, WIDTH, ends, find};

/// SSE2 is part of every x86-64, so these instructions need no check at run time.
#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_max_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
        _mm_set1_epi8,
    };

    use super::Found;

    pub const WIDTH: usize = 16;
    pub const STEP: u32 = 1;

    #[inline]
    pub fn find(block: &[u8; WIDTH]) -> Found {
        let (bytes, stops) = compare(block);
        Found { stops: tops(stops), highs: tops(bytes) }
    }

    /// Stops and bytes that are not ASCII, as one.
    #[inline]
    pub fn ends(block: &[u8; WIDTH]) -> u64 {
        let (bytes, stops) = compare(block);
        #[allow(unused_unsafe)]
        tops(unsafe { _mm_or_si128(stops, bytes) })
    }

    /// The bytes, and in the place of each whether it is a stop.
    #[inline]
    fn compare(block: &[u8; WIDTH]) -> (__m128i, __m128i) {
        let both = u128::from_le_bytes(*block);
        #[allow(unused_unsafe)] // safe from Rust 1.87 on, where the target has the feature
        unsafe {
            // Arithmetic on values; nothing is read from memory.
            let bytes = _mm_set_epi64x((both >> 64) as i64, both as i64);
            let quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
            let escapes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
            let bound = _mm_set1_epi8(0x1f);
            let controls = _mm_cmpeq_epi8(_mm_max_epu8(bytes, bound), bound);
            (bytes, _mm_or_si128(_mm_or_si128(quotes, escapes), controls))
        }
    }

    /// The top bit of each byte.
    #[inline]
    fn tops(bytes: __m128i) -> u64 {
        #[allow(unused_unsafe)]
        u64::from(unsafe { _mm_movemask_epi8(bytes) } as u16)
    }
}

#[cfg(not(target_arch = "x86_64"))]
use words::{STEP, WIDTH, ends, find};

/// Eight bytes in a register.
mod words {
    use super::Found;

    pub const WIDTH: usize = 8;
    #[allow(dead_code)] // where blocks are words
    pub const STEP: u32 = 8;

    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;

    /// Sets the top bit of each byte below `bound`; exact up to the lowest of them.
    fn below(word: u64, bound: u64) -> u64 {
        word.wrapping_sub(ONES * bound) & !word & TOPS
    }

    pub fn find(block: &[u8; WIDTH]) -> Found {
        let word = u64::from_le_bytes(*block);
        let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        Found { stops: equal(b'"') | equal(b'\\') | below(word, 0x20), highs: word & TOPS }
    }

    /// Stops and bytes that are not ASCII, as one.
    #[allow(dead_code)] // where blocks are words
    pub fn ends(block: &[u8; WIDTH]) -> u64 {
        let found = find(block);
        found.stops | found.highs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a scan must find, told byte by byte.
    fn plainly(text: &[u8], from: usize) -> Plain {
        bytewise(text, from, false)
    }

    #[test]
    fn every_byte_is_found_at_every_place() {
        for byte in 0..=255u8 {
            for at in 0..40 {
                let mut text = vec![b'a'; 48];
                text[at] = byte;
                text[(at * 7 + 3) % 48] |= 0x80;
                assert_eq!(plain(&text, 0), plainly(&text, 0), "{byte:#x} at {at}");
                assert_eq!(plain(&text, 5), plainly(&text, 5), "{byte:#x} at {at}");
            }
        }
    }

    #[test]
    fn words_find_what_bytes_find() {
        for byte in 0..=255u8 {
            for at in 0..8 {
                let mut block = [b'~'; 8];
                block[at] = byte;
                let stops = words::find(&block).stops;
                let stop = matches!(byte, b'"' | b'\\' | 0..=0x1f);
                assert_eq!(stops != 0, stop, "{byte:#x}");
                assert!(!stop || stops.trailing_zeros() as usize / 8 == at);
            }
        }
    }

    #[test]
    fn the_end_of_a_text_is_scanned_as_its_middle() {
        for len in 0..40 {
            for at in 0..len {
                for byte in [b'"', b'\\', 0x1f, 0x80, b'z'] {
                    let mut text = vec![b'a'; len];
                    text[at] = byte;
                    assert_eq!(plain(&text, 0), plainly(&text, 0), "{byte:#x} at {at} of {len}");
                }
            }
        }
    }

    #[test]
    fn a_plain_string_ends_where_any_does() {
        for (len, end) in (16..60).flat_map(|len| (0..len).map(move |end| (len, end))) {
            for byte in [b'"', b'\\', 0x1f, 0x80, b'z'] {
                let mut text = vec![b'a'; len];
                text[end] = byte;
                text[(end + 7) % len] = b'"';
                for from in 0..=end {
                    let run = plainly(&text, from);
                    let is_plain = run.ascii && text.get(run.end) == Some(&b'"');
                    let expected = is_plain.then_some(run.end);
                    assert_eq!(quote(&text, from), expected, "{byte:#x} at {end} of {len}, {from}");
                }
            }
        }
        assert_eq!(quote(b"a\"", 0), None, "a text that is no block is left to the slow way");
        assert_eq!(quote(b"a\"", 9), None);
    }

    #[test]
    fn a_scan_behind_the_end_is_at_the_end() {
        assert_eq!(plain(b"ab", 2), Plain { end: 2, ascii: true });
        assert_eq!(plain(b"ab", 9), Plain { end: 2, ascii: true });
    }
}
