//! From bytes of tokens to text: characters split over tokens are put together, and stop strings
//! end the text wherever token borders fall.

/// Text as it is generated. What might be the beginning of a stop string is held back until that
/// is decided.
#[derive(Debug, Default)]
pub struct Text {
    stops: Vec<String>,
    bytes: Vec<u8>,
    held: String,
    /// The stop string that was found.
    stopped: Option<String>,
}

impl Text {
    /// Empty stop strings stop nothing.
    pub fn new(stops: &[String]) -> Text {
        let stops = stops.iter().filter(|s| !s.is_empty()).cloned().collect();
        Text { stops, ..Text::default() }
    }

    /// Adds the bytes of a token and returns what can be delivered by now.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.bytes.extend_from_slice(bytes);
        let decoded = take_text(&mut self.bytes);
        if self.stopped.is_some() {
            return String::new();
        }
        self.held.push_str(&decoded);
        if let Some((at, stop)) = self.find_stop() {
            self.held.truncate(at);
            self.stopped = Some(stop);
            return std::mem::take(&mut self.held);
        }
        let keep = self.held.split_off(self.held.len() - self.undecided());
        std::mem::replace(&mut self.held, keep)
    }

    /// What was held back, once no more tokens come.
    pub fn finish(&mut self) -> String {
        let mut last = std::mem::take(&mut self.held);
        last.push_str(&String::from_utf8_lossy(&std::mem::take(&mut self.bytes)));
        if self.stopped.is_some() {
            last.clear();
        }
        last
    }

    pub fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    /// The stop string that comes first; of two at the same place, the one named first.
    fn find_stop(&self) -> Option<(usize, String)> {
        let found = self.stops.iter().filter_map(|s| self.held.find(s.as_str()).map(|at| (at, s)));
        found.min_by_key(|(at, _)| *at).map(|(at, stop)| (at, stop.clone()))
    }

    /// Length of the longest end of the held text with which a stop string begins.
    fn undecided(&self) -> usize {
        let begins = |stop: &String| {
            let longest = (stop.len() - 1).min(self.held.len());
            let held = self.held.as_bytes();
            (1..=longest).rev().find(|n| held.ends_with(&stop.as_bytes()[..*n]))
        };
        let mut length = self.stops.iter().filter_map(begins).max().unwrap_or(0);
        // A character cut in two can only match by chance, but must not be split either.
        while !self.held.is_char_boundary(self.held.len() - length) {
            length += 1;
        }
        length
    }
}

/// Takes all complete characters out of `bytes`. Bytes that can be no part of any become U+FFFD.
fn take_text(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    loop {
        let error = match std::str::from_utf8(bytes) {
            Ok(valid) => {
                text.push_str(valid);
                bytes.clear();
                return text;
            }
            Err(error) => error,
        };
        let valid = error.valid_up_to();
        text.push_str(&String::from_utf8_lossy(&bytes[..valid]));
        let Some(bad) = error.error_len() else {
            bytes.drain(..valid);
            return text;
        };
        text.push(char::REPLACEMENT_CHARACTER);
        bytes.drain(..valid + bad);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stops: &[&str], pieces: &[&[u8]]) -> (Vec<String>, Text) {
        let stops: Vec<String> = stops.iter().map(|s| (*s).to_owned()).collect();
        let mut text = Text::new(&stops);
        let mut out: Vec<String> = pieces.iter().map(|piece| text.push(piece)).collect();
        out.push(text.finish());
        (out, text)
    }

    #[test]
    fn characters_split_over_tokens_come_whole() {
        let smile = "🙂".as_bytes();
        let (out, _) = run(&[], &[&smile[..1], &smile[1..3], &smile[3..], b"!"]);
        assert_eq!(out, ["", "", "🙂", "!", ""]);
    }

    #[test]
    fn impossible_bytes_become_replacement_characters() {
        let (out, _) = run(&[], &[b"a\xffb", b"\xf0\x9f"]);
        assert_eq!(out, ["a\u{fffd}b", "", "\u{fffd}"]);
    }

    #[test]
    fn a_stop_string_is_found_over_tokens_and_not_delivered() {
        let (out, text) = run(&["\n\nUser:"], &[b"yes\n", b"\nUs", b"er: next", b" more"]);
        assert_eq!(out.concat(), "yes");
        assert_eq!(text.stopped(), Some("\n\nUser:"));
    }

    #[test]
    fn what_only_looked_like_a_stop_string_is_delivered() {
        let (out, text) = run(&["</end>"], &[b"a </e", b"m> b </en"]);
        assert_eq!(out, ["a ", "</em> b ", "</en"]);
        assert_eq!(text.stopped(), None);
    }

    #[test]
    fn the_earliest_of_several_stops_wins() {
        let (out, text) = run(&["b", "a", ""], &[b"xxab"]);
        assert_eq!(out.concat(), "xx");
        assert_eq!(text.stopped(), Some("a"));
    }

    #[test]
    fn stops_beyond_ascii_never_split_a_character() {
        let (out, text) = run(&["é!"], &["caf\u{e9}".as_bytes(), b"?", "\u{e8}".as_bytes()]);
        assert_eq!(out.concat(), "café?è");
        assert_eq!(text.stopped(), None);
    }
}
