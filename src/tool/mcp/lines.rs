//! Lines out of bytes, wherever those were split, and none longer than a limit.

use memchr::memchr;

/// Collects bytes into lines. What is too long is left out to its end.
#[derive(Debug)]
pub struct Lines {
    part: Vec<u8>,
    most: usize,
    skipping: bool,
    /// Lines that were too long.
    pub skipped: u64,
}

impl Lines {
    pub fn new(most: usize) -> Lines {
        Lines { part: Vec::new(), most, skipping: false, skipped: 0 }
    }

    /// Hands on each line that is complete, without its end.
    pub fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) {
        while let Some(end) = memchr(b'\n', bytes) {
            let (head, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if !self.skipping && self.has_room(head.len()) {
                self.hand_on(head, &mut each);
            }
            self.part.clear();
            self.skipping = false;
        }
        if !self.skipping && self.has_room(bytes.len()) {
            self.part.extend_from_slice(bytes);
        }
    }

    fn hand_on(&mut self, rest: &[u8], each: &mut impl FnMut(&[u8])) {
        if self.part.is_empty() {
            return each(without_cr(rest));
        }
        self.part.extend_from_slice(rest);
        each(without_cr(&self.part));
    }

    fn has_room(&mut self, more: usize) -> bool {
        let fits = self.part.len() + more <= self.most;
        if !fits {
            self.skipped += 1;
            self.skipping = true;
            self.part = Vec::new();
        }
        fits
    }

    /// What stands behind the last line's end.
    pub fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.part)
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(parts: &[&str], most: usize) -> (Vec<String>, u64) {
        let (mut lines, mut seen) = (Lines::new(most), Vec::new());
        for part in parts {
            lines.push(part.as_bytes(), |line| {
                seen.push(String::from_utf8_lossy(line).into_owned());
            });
        }
        (seen, lines.skipped)
    }

    #[test]
    fn lines_come_whole_wherever_they_were_split() {
        assert_eq!(
            lines(&["a\nb", "c\r", "\n\nd"], 9),
            (vec!["a".into(), "bc".into(), "".into()], 0)
        );
    }

    #[test]
    fn a_line_that_is_too_long_is_left_out_and_no_other() {
        let (seen, skipped) = lines(&["a\n12345", "6789\nb\n1234567890\nc\n"], 5);
        assert_eq!(seen, ["a", "b", "c"]);
        assert_eq!(skipped, 2);
        assert_eq!(lines(&["123456", "7", "8\nx\n"], 5), (vec!["x".into()], 1));
    }
}
