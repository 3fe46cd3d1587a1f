//! Lua patterns, matched in steps that are counted: no pattern can run for ever.
//!
//! The matcher of Lua's own string library cannot be stopped: `("a?"):rep(30)` against thirty `a`
//! takes hours. This one means the same, and asks its meter every few thousand steps whether to go
//! on.
//!
//! ```
//! use zigllms::sandbox::pattern::{Capture, Search};
//! let mut go_on = || true;
//! let mut search = Search::new(b"key = value", b"(%w+)%s*=%s*(%w+)", &mut go_on);
//! assert_eq!(search.find(0), Ok(Some((0, 11))));
//! assert_eq!(search.capture(1, 0, 11), Ok(Capture::Text(b"value")));
//! ```

use std::result::Result as StdResult;

/// Captures of one pattern, as in Lua.
const MOST_CAPTURES: usize = 32;

/// Nested attempts, as in Lua.
const DEPTH: u32 = 200;

/// Steps between two questions to the meter: about 20 µs.
const STEPS: u32 = 4096;

const ESCAPE: u8 = b'%';

/// What Lua says of a `%b` without its two characters.
const UNBALANCED: &str = if cfg!(any(feature = "lua51", feature = "luajit")) {
    "unbalanced pattern"
} else {
    "malformed pattern (missing arguments to '%b')"
};

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The pattern or the replacement is none; Lua's own words.
    Malformed(&'static str),
    /// The meter said no.
    Stopped,
    /// The result would be larger than it may be.
    TooLarge,
}

type Result<T> = StdResult<T, Trouble>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Open,
    Position,
    Bytes(usize),
}

/// A captured part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture<'t> {
    Text(&'t [u8]),
    /// Counted from 1.
    Position(usize),
}

/// One text, one pattern, and where it was found last.
pub struct Search<'t, 'm> {
    text: &'t [u8],
    pattern: &'t [u8],
    meter: &'m mut dyn FnMut() -> bool,
    left: u32,
    depth: u32,
    level: usize,
    captures: [(usize, Length); MOST_CAPTURES],
}

impl<'t, 'm> Search<'t, 'm> {
    pub fn new(
        text: &'t [u8],
        pattern: &'t [u8],
        meter: &'m mut dyn FnMut() -> bool,
    ) -> Search<'t, 'm> {
        let captures = [(0, Length::Open); MOST_CAPTURES];
        Search { text, pattern, meter, left: STEPS, depth: DEPTH, level: 0, captures }
    }

    /// The first place at or behind `from`, as in `string.find`: begin and end.
    pub fn find(&mut self, from: usize) -> Result<Option<(usize, usize)>> {
        let (anchored, first) = (self.is_anchored(), usize::from(self.is_anchored()));
        let mut at = from;
        while at <= self.text.len() {
            if let Some(end) = self.matches(at, first)? {
                return Ok(Some((at, end)));
            } else if anchored {
                break;
            }
            at += 1;
        }
        Ok(None)
    }

    pub fn is_anchored(&self) -> bool {
        self.pattern.first() == Some(&b'^')
    }

    /// As [`Search::find`] for `string.gmatch`: a `^` stands for itself, and a match that ends where
    /// the last one ended is none.
    pub fn next(&mut self, from: usize, last: Option<usize>) -> Result<Option<(usize, usize)>> {
        for at in from..=self.text.len() {
            if let Some(end) = self.matches(at, 0)?.filter(|end| Some(*end) != last) {
                return Ok(Some((at, end)));
            }
        }
        Ok(None)
    }

    /// Where a match that begins at `at` ends; `first` is where the pattern begins.
    pub fn matches(&mut self, at: usize, first: usize) -> Result<Option<usize>> {
        (self.level, self.depth) = (0, DEPTH);
        self.attempt(at, first)
    }

    /// How many values the last match has: its captures, or itself.
    pub fn values(&self) -> usize {
        self.level.max(1)
    }

    /// How many captures the last match has.
    pub fn captured(&self) -> usize {
        self.level
    }

    /// A capture of the last match, which went from `start` to `end`.
    pub fn capture(&self, index: usize, start: usize, end: usize) -> Result<Capture<'t>> {
        let part = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default();
        if index >= self.level {
            return match index {
                0 => Ok(Capture::Text(part(start, end))),
                _ => Err(Trouble::Malformed("invalid capture index")),
            };
        }
        match self.captures[index] {
            (at, Length::Bytes(length)) => Ok(Capture::Text(part(at, at + length))),
            (at, Length::Position) => Ok(Capture::Position(at + 1)),
            (_, Length::Open) => Err(Trouble::Malformed("unfinished capture")),
        }
    }

    fn spend(&mut self, steps: usize) -> Result<()> {
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        self.left = self.left.saturating_sub(steps);
        if self.left > 0 {
            return Ok(());
        }
        self.left = STEPS;
        if (self.meter)() { Ok(()) } else { Err(Trouble::Stopped) }
    }

    fn attempt(&mut self, at: usize, p: usize) -> Result<Option<usize>> {
        let Some(depth) = self.depth.checked_sub(1) else {
            return Err(Trouble::Malformed("pattern too complex"));
        };
        self.depth = depth;
        let end = self.walk(at, p);
        self.depth += 1;
        end
    }

    fn walk(&mut self, mut at: usize, mut p: usize) -> Result<Option<usize>> {
        loop {
            self.spend(1)?;
            let Some(&c) = self.pattern.get(p) else { return Ok(Some(at)) };
            let after = self.pattern.get(p + 1).copied();
            match (c, after) {
                (b'(', Some(b')')) => return self.open(at, p + 2, Length::Position),
                (b'(', _) => return self.open(at, p + 1, Length::Open),
                (b')', _) => return self.close(at, p + 1),
                (b'$', None) => return Ok((at == self.text.len()).then_some(at)),
                (ESCAPE, Some(b'b')) => match self.balanced(at, p + 2)? {
                    Some(end) => (at, p) = (end, p + 4),
                    None => return Ok(None),
                },
                (ESCAPE, Some(b'f')) => match self.frontier(at, p + 2)? {
                    Some(end) => p = end,
                    None => return Ok(None),
                },
                (ESCAPE, Some(digit @ b'0'..=b'9')) => match self.again(at, digit)? {
                    Some(end) => (at, p) = (end, p + 2),
                    None => return Ok(None),
                },
                _ => match self.repeated(at, p)? {
                    Next::Ends(end) => return Ok(end),
                    Next::Goes(to, q) => (at, p) = (to, q),
                },
            }
        }
    }

    /// A single character or class, and how often it may come.
    fn repeated(&mut self, at: usize, p: usize) -> Result<Next> {
        let end = self.class_end(p)?;
        self.spend((end - p) / 16)?;
        match self.pattern.get(end) {
            Some(b'?') => {
                if self.single(at, p, end)
                    && let Some(found) = self.attempt(at + 1, end + 1)?
                {
                    return Ok(Next::Ends(Some(found)));
                }
                Ok(Next::Goes(at, end + 1))
            }
            Some(b'+') if !self.single(at, p, end) => Ok(Next::Ends(None)),
            Some(b'+') => self.longest(at + 1, p, end).map(Next::Ends),
            Some(b'*') => self.longest(at, p, end).map(Next::Ends),
            Some(b'-') => self.shortest(at, p, end).map(Next::Ends),
            _ if self.single(at, p, end) => Ok(Next::Goes(at + 1, end)),
            _ => Ok(Next::Ends(None)),
        }
    }

    fn longest(&mut self, at: usize, p: usize, end: usize) -> Result<Option<usize>> {
        let (mut count, cost) = (0, 1 + (end - p) / 16);
        while self.single(at + count, p, end) {
            self.spend(cost)?;
            count += 1;
        }
        for count in (0..=count).rev() {
            if let Some(found) = self.attempt(at + count, end + 1)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn shortest(&mut self, mut at: usize, p: usize, end: usize) -> Result<Option<usize>> {
        let cost = 1 + (end - p) / 16;
        loop {
            if let Some(found) = self.attempt(at, end + 1)? {
                return Ok(Some(found));
            } else if !self.single(at, p, end) {
                return Ok(None);
            }
            self.spend(cost)?;
            at += 1;
        }
    }

    fn open(&mut self, at: usize, p: usize, length: Length) -> Result<Option<usize>> {
        let Some(capture) = self.captures.get_mut(self.level) else {
            return Err(Trouble::Malformed("too many captures"));
        };
        *capture = (at, length);
        self.level += 1;
        let end = self.attempt(at, p)?;
        if end.is_none() {
            self.level -= 1;
        }
        Ok(end)
    }

    fn close(&mut self, at: usize, p: usize) -> Result<Option<usize>> {
        let open = self.captures.iter().take(self.level).rposition(|(_, l)| *l == Length::Open);
        let Some(index) = open else {
            return Err(Trouble::Malformed("invalid pattern capture"));
        };
        let start = self.captures[index].0;
        self.captures[index].1 = Length::Bytes(at - start);
        let end = self.attempt(at, p)?;
        if end.is_none() {
            self.captures[index].1 = Length::Open;
        }
        Ok(end)
    }

    /// What `%1` to `%9` stand for, once more.
    fn again(&mut self, at: usize, digit: u8) -> Result<Option<usize>> {
        let index = usize::from(digit).wrapping_sub(usize::from(b'1'));
        let known = self.captures.iter().take(self.level).nth(index).copied();
        let length = match known {
            Some((start, Length::Bytes(length))) => (start, length),
            Some((_, Length::Position)) => return Ok(None),
            _ => return Err(Trouble::Malformed("invalid capture index in pattern")),
        };
        let (start, length) = length;
        self.spend(1 + length / 64)?;
        let same = self.text.get(start..start + length) == self.text.get(at..at + length);
        Ok((same && at + length <= self.text.len()).then_some(at + length))
    }

    /// `%bxy`
    fn balanced(&mut self, at: usize, p: usize) -> Result<Option<usize>> {
        let (Some(&open), Some(&close)) = (self.pattern.get(p), self.pattern.get(p + 1)) else {
            return Err(Trouble::Malformed(UNBALANCED));
        };
        if self.text.get(at) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1usize;
        for (i, &c) in self.text.iter().enumerate().skip(at + 1) {
            self.spend(1)?;
            if c == close {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(i + 1));
                }
            } else if c == open {
                depth += 1;
            }
        }
        Ok(None)
    }

    /// `%f[set]`: where the pattern goes on, if the set begins here.
    fn frontier(&mut self, at: usize, p: usize) -> Result<Option<usize>> {
        if self.pattern.get(p) != Some(&b'[') {
            return Err(Trouble::Malformed("missing '[' after '%f' in pattern"));
        }
        let end = self.class_end(p)?;
        self.spend((end - p) / 8)?;
        let before = at.checked_sub(1).and_then(|i| self.text.get(i)).copied().unwrap_or(0);
        let here = self.text.get(at).copied().unwrap_or(0);
        let begins = !self.in_set(before, p, end - 1) && self.in_set(here, p, end - 1);
        Ok(begins.then_some(end))
    }

    /// Where the class that begins at `p` ends.
    fn class_end(&self, p: usize) -> Result<usize> {
        match self.pattern.get(p) {
            Some(&ESCAPE) if p + 1 >= self.pattern.len() => {
                Err(Trouble::Malformed("malformed pattern (ends with '%')"))
            }
            Some(&ESCAPE) => Ok(p + 2),
            Some(b'[') => self.set_end(p + 1),
            _ => Ok(p + 1),
        }
    }

    fn set_end(&self, mut p: usize) -> Result<usize> {
        if self.pattern.get(p) == Some(&b'^') {
            p += 1;
        }
        loop {
            // The first member may be a `]`.
            let Some(&c) = self.pattern.get(p) else {
                return Err(Trouble::Malformed("malformed pattern (missing ']')"));
            };
            p += 1;
            if c == ESCAPE && p < self.pattern.len() {
                p += 1;
            }
            if self.pattern.get(p) == Some(&b']') {
                return Ok(p + 1);
            }
        }
    }

    fn single(&self, at: usize, p: usize, end: usize) -> bool {
        let Some(&c) = self.text.get(at) else { return false };
        match self.pattern.get(p) {
            Some(b'.') => true,
            Some(&ESCAPE) => self.pattern.get(p + 1).is_some_and(|&class| in_class(c, class)),
            Some(b'[') => self.in_set(c, p, end - 1),
            other => other == Some(&c),
        }
    }

    /// The set from the `[` at `p` to the `]` at `end`.
    fn in_set(&self, c: u8, mut p: usize, end: usize) -> bool {
        let mut positive = true;
        let byte = |i: usize| self.pattern.get(i).copied().unwrap_or(0);
        p += 1;
        if byte(p) == b'^' {
            positive = false;
            p += 1;
        }
        while p < end {
            if byte(p) == ESCAPE {
                if in_class(c, byte(p + 1)) {
                    return positive;
                }
                p += 2;
            } else if byte(p + 1) == b'-' && p + 2 < end {
                if (byte(p)..=byte(p + 2)).contains(&c) {
                    return positive;
                }
                p += 3;
            } else if byte(p) == c {
                return positive;
            } else {
                p += 1;
            }
        }
        !positive
    }
}

enum Next {
    Ends(Option<usize>),
    Goes(usize, usize),
}

/// The classes of C's locale.
fn in_class(c: u8, class: u8) -> bool {
    let inside = match class.to_ascii_lowercase() {
        b'a' => c.is_ascii_alphabetic(),
        b'c' => c.is_ascii_control(),
        b'd' => c.is_ascii_digit(),
        b'g' if cfg!(not(feature = "lua51")) => c.is_ascii_graphic(),
        b'l' => c.is_ascii_lowercase(),
        b'p' => c.is_ascii_punctuation(),
        b's' => c.is_ascii_whitespace() || c == 0x0b,
        b'u' => c.is_ascii_uppercase(),
        b'w' => c.is_ascii_alphanumeric(),
        b'x' => c.is_ascii_hexdigit(),
        b'z' => c == 0,
        _ => return class == c,
    };
    inside != class.is_ascii_uppercase()
}

/// Whether a pattern is nothing but the text it matches.
pub fn is_plain(pattern: &[u8]) -> bool {
    !pattern.iter().any(|c| b"^$*+?.([%-".contains(c))
}

/// Since Lua 5.3 `gsub` and `gmatch` find nothing empty right behind a match, and a `%` in a
/// replacement stands before a digit or another `%`.
pub const MODERN: bool = !cfg!(any(feature = "lua51", feature = "luajit", feature = "lua52"));

/// `string.gsub` with a text in place of each match, at most `most` of them: writes the result, and
/// says how many there were. The result may have `cap` bytes.
pub fn replace(
    search: &mut Search<'_, '_>,
    with: &[u8],
    most: u64,
    cap: usize,
    out: &mut Vec<u8>,
) -> Result<u64> {
    let first = usize::from(search.is_anchored());
    let (text, mut at, mut count, mut last) = (search.text, 0, 0, None);
    while count < most {
        let end = search.matches(at, first)?.filter(|end| !MODERN || Some(*end) != last);
        if let Some(end) = end {
            count += 1;
            expand(search, with, at, end, out)?;
        }
        match end {
            Some(end) if MODERN || end > at => (at, last) = (end, Some(end)),
            _ => {
                let Some(&c) = text.get(at) else { break };
                out.push(c);
                at += 1;
            }
        }
        if out.len() > cap {
            return Err(Trouble::TooLarge);
        } else if first == 1 {
            break;
        }
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    if out.len() > cap { Err(Trouble::TooLarge) } else { Ok(count) }
}

fn expand(
    search: &mut Search<'_, '_>,
    with: &[u8],
    start: usize,
    end: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    search.spend(1 + with.len() / 64)?;
    let mut rest = with.iter();
    while let Some(&c) = rest.next() {
        if c != ESCAPE {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some(b'0') => out.extend_from_slice(search.text.get(start..end).unwrap_or_default()),
            Some(&digit @ b'1'..=b'9') => {
                match search.capture(usize::from(digit - b'1'), start, end)? {
                    Capture::Text(part) => out.extend_from_slice(part),
                    Capture::Position(n) => out.extend_from_slice(n.to_string().as_bytes()),
                }
            }
            Some(&other) if other == ESCAPE || !MODERN => out.push(other),
            None if !MODERN => out.push(0),
            _ => return Err(Trouble::Malformed("invalid use of '%' in replacement string")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, pattern: &str) -> Option<Vec<String>> {
        let mut go_on = || true;
        let mut search = Search::new(text.as_bytes(), pattern.as_bytes(), &mut go_on);
        let (start, end) = search.find(0).unwrap()?;
        let shown = |i| match search.capture(i, start, end).unwrap() {
            Capture::Text(part) => String::from_utf8_lossy(part).into_owned(),
            Capture::Position(n) => format!("@{n}"),
        };
        Some((0..search.values()).map(shown).collect())
    }

    fn wrong(text: &str, pattern: &str) -> Trouble {
        let mut go_on = || true;
        let mut search = Search::new(text.as_bytes(), pattern.as_bytes(), &mut go_on);
        search.find(0).unwrap_err()
    }

    #[test]
    fn patterns_mean_what_they_mean_in_lua() {
        for (text, pattern, expected) in [
            ("hello world", "o", &["o"][..]),
            ("hello world", "^world", &[]),
            ("hello world", "world$", &["world"]),
            ("a$b", "a$b", &["a$b"]),
            ("key = value", "(%w+)%s*=%s*(%w+)", &["key", "value"]),
            ("  trim  ", "^%s*(.-)%s*$", &["trim"]),
            ("f(a(b)c)d", "%b()", &["(a(b)c)"]),
            ("THE (quick) fox", "%f[%a]%a+%f[%A]", &["THE"]),
            ("hello", "()ll()", &["@3", "@5"]),
            ("say \"hi\" 'yo'", "([\"'])(.-)%1", &["\"", "hi"]),
            ("[[x]]", "[]]+", &["]]"]),
            ("a-b", "[a-]+", &["a-"]),
            ("a-b", "[%a-z]+", &["a-b"]),
            ("x^y", "[x^]+", &["x^"]),
            ("abc", "[^b]", &["a"]),
            ("2024-01-31", "(%d+)-(%d+)-(%d+)", &["2024", "01", "31"]),
            ("aaa", "a-", &[""]),
            ("aaa", "a-$", &["aaa"]),
            ("aab", "a?a?b", &["aab"]),
            ("ab", "a?b?c?", &["ab"]),
            ("\0x", "%z", &["\0"]),
            ("", "^$", &[""]),
            ("((a)b)", "%((%(.-%))", &["(a)"]),
            ("abc", "((a)(b))", &["ab", "a", "b"]),
        ] {
            let expected = expected.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
            let expected = Some(expected).filter(|parts| !parts.is_empty());
            assert_eq!(found(text, pattern), expected, "{text:?} {pattern:?}");
        }
    }

    #[test]
    fn malformed_patterns_are_told() {
        for (pattern, message) in [
            ("%", "malformed pattern (ends with '%')"),
            ("[a", "malformed pattern (missing ']')"),
            ("[]", "malformed pattern (missing ']')"),
            ("[%", "malformed pattern (missing ']')"),
            ("[%]", "malformed pattern (missing ']')"),
            ("%b", "malformed pattern (missing arguments to '%b')"),
            ("%bx", "malformed pattern (missing arguments to '%b')"),
            ("%f", "missing '[' after '%f' in pattern"),
            ("%1", "invalid capture index in pattern"),
            ("(%1)", "invalid capture index in pattern"),
            (")", "invalid pattern capture"),
        ] {
            assert_eq!(wrong("abc", pattern), Trouble::Malformed(message), "{pattern}");
        }
        assert_eq!(wrong("a", &"()".repeat(33)), Trouble::Malformed("too many captures"));
        assert_eq!(
            wrong(&"a".repeat(300), &"a?".repeat(300)),
            Trouble::Malformed("pattern too complex")
        );
        let mut go_on = || true;
        let mut search = Search::new(b"abc", b"(a", &mut go_on);
        assert_eq!(search.find(0), Ok(Some((0, 1))));
        assert_eq!(search.capture(0, 0, 1), Err(Trouble::Malformed("unfinished capture")));
    }

    fn replaced(text: &str, pattern: &str, with: &str) -> (String, u64) {
        let (mut go_on, mut out) = (|| true, Vec::new());
        let mut search = Search::new(text.as_bytes(), pattern.as_bytes(), &mut go_on);
        let count = replace(&mut search, with.as_bytes(), u64::MAX, 1 << 20, &mut out).unwrap();
        (String::from_utf8(out).unwrap(), count)
    }

    #[test]
    fn matches_are_replaced() {
        assert_eq!(replaced("hello world", "o", "0"), ("hell0 w0rld".into(), 2));
        assert_eq!(replaced("abc", "%w", "%0%0"), ("aabbcc".into(), 3));
        assert_eq!(replaced("a b", "(%w) (%w)", "%2 %1%%"), ("b a%".into(), 1));
        assert_eq!(replaced("abc", "^a", "x"), ("xbc".into(), 1));
        assert_eq!(replaced("abc", "", "-"), ("-a-b-c-".into(), 4));
        let (text, count) = replaced("abc def", "%w*", "x");
        let expected = if MODERN { ("x x", 2) } else { ("xx xx", 4) };
        assert_eq!((text.as_str(), count), (expected.0, expected.1));
    }

    #[test]
    fn what_would_take_hours_is_stopped_by_the_meter() {
        let backtracking = format!("{}b", "a*".repeat(30));
        let text = "a".repeat(3000);
        for (text, pattern) in [
            (text.as_str(), ".-.-.-.-.-b"),
            (text.as_str(), backtracking.as_str()),
            (&"a".repeat(28), &format!("{}{}", "a?".repeat(28), "a".repeat(28))),
            (&"(".repeat(200_000), "%b()"),
            (&"a".repeat(100_000), &format!("[{}]-x", "b".repeat(100_000))),
        ] {
            let mut asked = 0;
            let mut meter = || {
                asked += 1;
                asked < 50
            };
            let mut search = Search::new(text.as_bytes(), pattern.as_bytes(), &mut meter);
            assert_eq!(search.find(0), Err(Trouble::Stopped), "{pattern:.20}");
            assert_eq!(asked, 50);
        }
    }

    #[test]
    fn results_are_capped() {
        let (mut go_on, mut out) = (|| true, Vec::new());
        let mut search = Search::new(&[b'a'; 1000], b"a", &mut go_on);
        let with = [b'b'; 1000];
        let told = replace(&mut search, &with, u64::MAX, 10_000, &mut out);
        assert_eq!((told, out.len() <= 11_000), (Err(Trouble::TooLarge), true));
    }
}
