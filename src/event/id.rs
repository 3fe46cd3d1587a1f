//! Ids of events, `evt_1`: every event has one, so it is written where it needs no allocation.

const PREFIX: &[u8] = b"evt_";
const LONGEST: usize = PREFIX.len() + 20;

#[derive(Clone, Copy, Debug)]
pub struct Id {
    text: [u8; LONGEST],
    from: usize,
}

impl Id {
    pub fn new(number: u64) -> Id {
        let (mut text, mut from, mut left) = ([0; LONGEST], LONGEST, number);
        let mut put = |byte| {
            from -= 1;
            if let Some(place) = text.get_mut(from) {
                *place = byte;
            }
        };
        loop {
            put(b'0' + (left % 10) as u8);
            left /= 10;
            if left == 0 {
                break;
            }
        }
        PREFIX.iter().rev().for_each(|byte| put(*byte));
        Id { text, from }
    }

    pub fn bytes(&self) -> &[u8] {
        self.text.get(self.from..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_numbers_have_room() {
        for (number, text) in [(0, "evt_0"), (7, "evt_7"), (1234567890, "evt_1234567890")] {
            assert_eq!(Id::new(number).bytes(), text.as_bytes());
        }
        assert_eq!(Id::new(u64::MAX).bytes(), format!("evt_{}", u64::MAX).as_bytes());
    }
}
