//! Short strings as numbers, which are told apart in a few instructions: names of members are.

/// Longest string that is one.
const LONGEST: usize = 32;

/// Longest one that two words say.
const SHORT: usize = 16;

/// A string of 2 to 32 bytes. Its beginning and its end, which overlap in a short one, say all of
/// up to 16; of a longer one the middle says the rest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Brief {
    first: u64,
    last: u64,
    len: u64,
    middle: [u64; 2],
}

impl Brief {
    #[inline(always)]
    pub fn of(bytes: &[u8]) -> Option<Brief> {
        let (len, mut middle) = (bytes.len(), [0; 2]);
        let (first, last) = match len {
            8..=LONGEST => {
                if len > SHORT {
                    middle = Brief::middle(bytes)?;
                }
                (
                    u64::from_le_bytes(*bytes.first_chunk()?),
                    u64::from_le_bytes(*bytes.last_chunk()?),
                )
            }
            4..8 => (
                u32::from_le_bytes(*bytes.first_chunk()?).into(),
                u32::from_le_bytes(*bytes.last_chunk()?).into(),
            ),
            2..4 => (
                u16::from_le_bytes(*bytes.first_chunk()?).into(),
                u16::from_le_bytes(*bytes.last_chunk()?).into(),
            ),
            _ => return None,
        };
        Some(Brief { first, last, len: len as u64, middle })
    }

    fn middle(bytes: &[u8]) -> Option<[u64; 2]> {
        let begins = bytes.get(8..)?.first_chunk()?;
        let ends = bytes.get(..bytes.len().checked_sub(8)?)?.last_chunk()?;
        Some([u64::from_le_bytes(*begins), u64::from_le_bytes(*ends)])
    }

    /// One comparison for nearly all strings.
    #[inline(always)]
    pub fn is(&self, other: &Brief) -> bool {
        let differs =
            (self.first ^ other.first) | (self.last ^ other.last) | (self.len ^ other.len);
        differs == 0 && (self.len <= SHORT as u64 || self.middle == other.middle)
    }

    /// Well spread in its low bits.
    #[inline(always)]
    pub fn hash(&self) -> u64 {
        let mixed = self.first ^ self.last.rotate_left(23) ^ self.len;
        mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_all_of_its_string() {
        for len in 2..=LONGEST {
            let text: Vec<u8> = (0..len as u8).collect();
            let key = Brief::of(&text).unwrap();
            assert!(key.is(&Brief::of(&text.clone()).unwrap()));
            for at in 0..len {
                let mut other = text.clone();
                other[at] ^= 0x80;
                assert!(!key.is(&Brief::of(&other).unwrap()), "byte {at} of {len}");
            }
        }
    }

    #[test]
    fn keys_of_different_lengths_differ() {
        let key = |len: usize| Brief::of(&[b'a'; LONGEST][..len]).unwrap();
        for (len, other) in (2..=LONGEST).flat_map(|len| (2..len).map(move |other| (len, other))) {
            assert!(!key(len).is(&key(other)), "{len} {other}");
        }
        assert!(Brief::of(b"a").is_none() && Brief::of(&[b'a'; LONGEST + 1]).is_none());
    }
}
