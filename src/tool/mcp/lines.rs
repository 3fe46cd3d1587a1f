//! Lines out of bytes, wherever those were split, and none longer than a limit.

use memchr::memchr;

use super::outline::Outline;

/// A line without its end.
#[derive(Debug)]
pub enum Line<'a> {
    Whole(&'a [u8]),
    /// It was not kept; what was seen of it.
    TooLong(Outline),
}

/// Collects bytes into lines.
#[derive(Debug)]
pub struct Lines {
    part: Vec<u8>,
    most: usize,
    /// Of a line that is too long.
    outline: Option<Outline>,
}

impl Lines {
    pub fn new(most: usize) -> Lines {
        Lines { part: Vec::new(), most, outline: None }
    }

    /// Hands on each line that is complete.
    pub fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(Line<'_>)) {
        while let Some(end) = memchr(b'\n', bytes) {
            let (head, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if self.has_room(head) {
                self.hand_on(head, &mut each);
            }
            self.finish(&mut each);
        }
        if self.has_room(bytes) {
            self.part.extend_from_slice(bytes);
        }
    }

    fn hand_on(&mut self, rest: &[u8], each: &mut impl FnMut(Line<'_>)) {
        if self.part.is_empty() {
            return each(Line::Whole(without_cr(rest)));
        }
        self.part.extend_from_slice(rest);
        each(Line::Whole(without_cr(&self.part)));
        self.part.clear();
    }

    fn has_room(&mut self, more: &[u8]) -> bool {
        if self.outline.is_none() && self.part.len() + more.len() > self.most {
            self.outline = Some(Outline::of(&std::mem::take(&mut self.part)));
        }
        let Some(outline) = &mut self.outline else { return true };
        outline.push(more);
        false
    }

    /// Hands on what stands behind the last line's end.
    pub fn finish(&mut self, mut each: impl FnMut(Line<'_>)) {
        if let Some(outline) = self.outline.take() {
            each(Line::TooLong(outline));
        } else if !self.part.is_empty() {
            each(Line::Whole(&std::mem::take(&mut self.part)));
        }
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(parts: &[&str], most: usize) -> Vec<String> {
        let (mut lines, mut seen) = (Lines::new(most), Vec::new());
        let mut see = |line: Line<'_>| match line {
            Line::Whole(line) => seen.push(String::from_utf8_lossy(line).into_owned()),
            Line::TooLong(outline) => {
                let ids = outline.items().into_iter().filter_map(|item| item.id);
                seen.push(format!("too long {}", ids.collect::<String>()));
            }
        };
        parts.iter().for_each(|part| lines.push(part.as_bytes(), &mut see));
        lines.finish(&mut see);
        seen
    }

    #[test]
    fn lines_come_whole_wherever_they_were_split() {
        assert_eq!(lines(&["a\nb", "c\r", "\n\nd"], 9), ["a", "bc", "", "d"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_left_out_and_no_other() {
        let seen = lines(&["a\n12345", "6789\nb\n1234567890\nc\n"], 5);
        assert_eq!(seen, ["a", "too long ", "b", "too long ", "c"]);
        assert_eq!(lines(&["123456", "7", "8\nx\n"], 5), ["too long ", "x"]);
        assert_eq!(lines(&["{\"id\"", ":1", "2}\n123456"], 5), ["too long 12", "too long "]);
    }
}
